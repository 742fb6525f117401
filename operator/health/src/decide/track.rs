//! M of N: a component is named when it showed often and plainly enough, and cleared when it was quiet long enough.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::decide::rule::{QUIET_SECONDS, Rule, after};
use crate::decide::score_history::{ScoreHistory, WindowScore};
use crate::decide::steady_level::SteadyLevel;
use crate::input::component::Component;
use crate::input::names::Id;
use crate::input::window::slot;
use crate::learned::blips::Blips;
use crate::locate::finding::{Finding, MOSTLY_ARRIVES};
use crate::verdict::{Cause, Class, Evidence};

/// Slots without any traffic across a component for which a fault is still believed: three minutes.
const PATIENCE: i32 = 6;
/// Time after its clearing in which a component that shows once is named again at once.
const RECENT_SECONDS: i64 = 300;
/// Slots whose scores against a component are added up: the three minutes within which a loss of 0.2% is to be named. A
/// suspicion that isn't confirmed within them is none.
const POOLED: i32 = 6;
/// Log-odds that are as good as any.
const UNBOUNDED: f64 = 1e9;
/// The window that passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowFindings<'a> {
    pub(crate) start: Timestamp,
    pub(crate) seconds: u32,
    pub(crate) findings: &'a [Finding],
    /// Infrastructure components that anything crossed.
    pub(crate) paths: usize,
}

impl WindowFindings<'_> {
    /// Start of the first window that shows what was found in this one.
    fn began(&self, finding: &Finding) -> Timestamp {
        let before = finding.evidence.attempts_seconds.map_or(0, |all| all.saturating_sub(self.seconds));
        self.start.saturating_sub(SignedDuration::from_secs(i64::from(before))).unwrap_or(self.start)
    }
}

/// The kind of evidence by which a component was named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Basis {
    /// Windows that each showed it. It is cleared when it was quiet long enough.
    #[default]
    Windows,
    /// Rare attempts, all of which failed. It is cleared by the first that succeeds, or when nobody has tried for long.
    Attempts,
}

/// Another cause than the one reported, and the start of the first window that showed it. It is reported when it still shows a
/// slot later: when a fault ends in the middle of a window, what is left of it looks like something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct CauseChange {
    cause: Cause,
    since: Timestamp,
}

/// One component under suspicion.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Track {
    pub(crate) component: Component,
    pub(crate) since: Timestamp,
    pub(crate) cause: Cause,
    pub(crate) score: f64,
    pub(crate) evidence: Evidence,
    pub(crate) active: bool,
    /// A component of another class that explains the same flows as well.
    pub(crate) rival: Option<Component>,
    /// Windows in a row that didn't show it, and their seconds.
    quiet: u32,
    #[serde(default)]
    quiet_seconds: u32,
    /// Seconds in a row without traffic across it.
    #[serde(default)]
    unseen_seconds: u32,
    /// Evidence of the last windows.
    #[serde(default, rename = "said")]
    scores: ScoreHistory,
    /// The first window of this suspicion that showed it plainly.
    #[serde(default)]
    suspected: Option<Timestamp>,
    /// Another cause that shows.
    #[serde(default)]
    change: Option<CauseChange>,
    /// Time for which the harm has been at its present level.
    #[serde(default)]
    steady: Option<SteadyLevel>,
    /// Kind of evidence by which it was named, if it is active.
    #[serde(default)]
    basis: Basis,
    /// The last window for which rare attempts showed it.
    #[serde(default)]
    pooled: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tracks {
    tracks: Vec<Track>,
    /// Components cleared lately, and when: one that comes back is believed at once.
    cleared: Vec<(Component, Timestamp)>,
    #[serde(default)]
    blips: Blips,
}

impl Tracks {
    /// After a gap: what was suspected before it is no longer believed. How often paths blip is.
    pub(crate) fn forget(&mut self) {
        *self = Self { blips: std::mem::take(&mut self.blips), ..Self::default() };
    }

    /// Components whose traffic must not teach what is usual.
    pub(crate) fn frozen(&self, now: Timestamp, seconds: u32, rule: Rule) -> impl Iterator<Item = Component> {
        self.tracks
            .iter()
            .filter(move |track| track.is_frozen(now, slot(seconds), rule))
            .map(|track| track.component)
    }

    /// Components that are as they have been for so long that their traffic is to teach it, at fault though they are.
    pub(crate) fn settled(&self, now: Timestamp) -> impl Iterator<Item = Component> {
        self.tracks.iter().filter(move |track| track.is_settled(now)).map(|track| track.component)
    }

    pub(crate) fn active(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| track.active)
    }

    /// The kind of evidence by which the component was named, if it is at fault.
    pub(crate) fn basis(&self, component: Component) -> Option<Basis> {
        self.active().find(|track| track.component == component).map(|track| track.basis)
    }

    /// True if everything at fault is an open question between components of different classes.
    pub(crate) fn is_ambiguous(&self) -> bool {
        let named = |component: Component| self.active().any(|track| track.component == component);
        let mut active = self.active().peekable();
        active.peek().is_some() && active.all(|track| track.rival.is_some_and(named))
    }

    pub(crate) fn renumbered(&self, number: &mut impl FnMut(Id) -> Id) -> Self {
        let mut tracks = self.clone();
        for track in &mut tracks.tracks {
            track.component = track.component.renumbered(number);
            track.rival = track.rival.map(|rival| rival.renumbered(number));
        }
        for (component, _) in &mut tracks.cleared {
            *component = component.renumbered(number);
        }
        tracks.blips = self.blips.renumbered(number);
        tracks
    }

    /// One window passes. `is_seen` tells whether anything crossed a component.
    pub(crate) fn step(
        &mut self,
        window: WindowFindings<'_>,
        rule: Rule,
        is_seen: impl Fn(Component) -> bool,
    ) {
        let (start, slot) = (window.start, slot(window.seconds));
        for track in &mut self.tracks {
            track.scores.forget_before(after(start, slot, POOLED));
        }
        self.cleared.retain(|(_, when)| start.duration_since(*when).as_secs() <= RECENT_SECONDS);
        for finding in window.findings {
            let score = self.score(finding, start, window.seconds);
            match self.tracks.iter_mut().find(|track| track.component == finding.component) {
                Some(track) => track.show(score, finding, &window, rule),
                None => self.tracks.push(Track::new(score, finding, &window, rule)),
            }
        }
        for track in &mut self.tracks {
            let shows = track.is_plain(slot, rule) && track.is_said_in(start);
            let returns = shows && self.cleared.iter().any(|(component, _)| *component == track.component);
            track.judge(track.meets(rule, &window) || returns, start);
            if track.is_said_in(start) {
                track.quiet = 0;
                track.quiet_seconds = 0;
                track.unseen_seconds = 0;
            } else if is_seen(track.component) {
                track.quiet = track.quiet.saturating_add(1);
                track.quiet_seconds = track.quiet_seconds.saturating_add(window.seconds);
                track.unseen_seconds = 0;
            } else {
                track.unseen_seconds = track.unseen_seconds.saturating_add(window.seconds);
            }
        }
        // What shows beside a fault may be its echo.
        let is_quiet = !self.tracks.iter().any(|track| track.active);
        let patience = slot.saturating_mul(PATIENCE).as_secs();
        let (cleared, blips) = (&mut self.cleared, &mut self.blips);
        self.tracks.retain(|track| {
            let over = match track.basis {
                Basis::Windows => {
                    (track.quiet >= rule.clears && track.quiet_seconds >= QUIET_SECONDS)
                        || i64::from(track.unseen_seconds) >= patience
                }
                Basis::Attempts => track.pooled != Some(start),
            };
            if track.active {
                if over {
                    cleared.push((track.component, start));
                }
                return !over;
            }
            // Its scores are forgotten with the next window.
            let suspected = track.scores.since(after(start, slot, POOLED)).next().is_some();
            let was_plain = track.suspected.is_some();
            if !suspected && was_plain && is_quiet && track.component.class() == Class::Infrastructure {
                blips.learn(track.component, start, window.seconds);
            }
            suspected
        });
    }

    /// The score of a finding in a window. One that stands on rare attempts is no evidence of the window alone.
    fn score(&self, finding: &Finding, start: Timestamp, seconds: u32) -> WindowScore {
        if finding.is_pooled() {
            return WindowScore { start, score: 0.0, bound: 0.0, severe: false };
        }
        let (harm, more) = (finding.harm, finding.surely_more);
        // JSON has no infinity, so what isn't bounded gets a number too.
        let bound = self.blips.bound(finding.component, harm, more, start, seconds).min(UNBOUNDED);
        WindowScore { start, score: finding.score, bound, severe: finding.is_severe() }
    }
}

impl Track {
    fn new(score: WindowScore, finding: &Finding, window: &WindowFindings<'_>, rule: Rule) -> Self {
        let mut scores = ScoreHistory::default();
        scores.push(score);
        Self {
            component: finding.component,
            since: window.began(finding),
            cause: finding.cause,
            score: finding.score,
            evidence: finding.evidence,
            active: false,
            rival: finding.rival,
            quiet: 0,
            quiet_seconds: 0,
            unseen_seconds: 0,
            scores,
            suspected: (finding.score >= rule.thresholds.of(finding.component.class()))
                .then_some(score.start),
            change: None,
            steady: finding.level().map(|level| SteadyLevel::new(score.start, level)),
            basis: Basis::default(),
            pooled: finding.is_pooled().then_some(score.start),
        }
    }

    fn show(&mut self, score: WindowScore, finding: &Finding, window: &WindowFindings<'_>, rule: Rule) {
        let slot = slot(window.seconds);
        let from = rule.counts_from(score.start, slot);
        if !self.active && self.scores.since(from).next().is_none() {
            self.since = window.began(finding);
        }
        self.scores.push(score);
        if self.suspected.is_none() && self.is_plain(slot, rule) {
            self.suspected = Some(score.start);
        }
        self.score = if finding.is_pooled() { finding.score } else { self.scores.recent(slot) };
        self.pooled = if finding.is_pooled() { Some(score.start) } else { self.pooled };
        self.rival = finding.rival;
        if self.takes_cause(finding, score.start, slot) {
            self.evidence = finding.evidence;
        }
        match (finding.level(), &mut self.steady) {
            (Some(level), Some(steady)) => steady.observe(score.start, window.seconds, level),
            (level, steady) => *steady = level.map(|level| SteadyLevel::new(score.start, level)),
        }
    }

    /// True if the windows up to this one satisfy the rule for being named.
    fn meets(&self, rule: Rule, window: &WindowFindings<'_>) -> bool {
        let slot = slot(window.seconds);
        let class = self.component.class();
        let sure = rule
            .sure
            .filter(|_| class == Class::Infrastructure)
            .is_none_or(|sure| self.scores.pooled(slot) >= sure + (window.paths.max(1) as f64).ln());
        let from = rule.counts_from(window.start, slot);
        let shows = self.scores.slots_that_show(from, slot, rule.thresholds.of(class));
        shows >= rule.shows && sure
    }

    /// Decides if the component is at fault from this window on: by the rule for windows, or by rare attempts.
    fn judge(&mut self, by_windows: bool, window: Timestamp) {
        if by_windows {
            (self.active, self.basis) = (true, Basis::Windows);
        } else if !self.active && self.pooled == Some(window) {
            (self.active, self.basis) = (true, Basis::Attempts);
        }
    }

    /// True if it is named although this window doesn't show it.
    pub(crate) fn is_passing(&self) -> bool {
        self.active && (self.quiet > 0 || self.unseen_seconds > 0)
    }

    /// True if this window's cause, and its evidence, replace those reported so far.
    fn takes_cause(&mut self, finding: &Finding, start: Timestamp, slot: SignedDuration) -> bool {
        let cause = finding.cause;
        if !self.active || cause == self.cause {
            self.cause = cause;
            self.change = None;
            return true;
        }
        // That nobody tried in this window doesn't mean that anybody would have been answered.
        let nobody_tried = finding.evidence.attempts == 0;
        if self.cause.is_about_attempts() && nobody_tried && !self.carries_data(finding) {
            return false;
        }
        let change =
            self.change.filter(|change| change.cause == cause).unwrap_or(CauseChange { cause, since: start });
        // Shorter windows that follow each other may stand on the same window of an agent.
        let shows = start.duration_since(change.since) >= slot;
        if shows {
            self.cause = cause;
        }
        self.change = (!shows).then_some(change);
        shows
    }

    /// True if it is a path that was reported as down while this window's data gets through.
    fn carries_data(&self, finding: &Finding) -> bool {
        self.cause == Cause::Unreachable
            && self.component.class() == Class::Infrastructure
            && finding.evidence.retransmission_ratio < MOSTLY_ARRIVES
    }

    fn is_said_in(&self, window: Timestamp) -> bool {
        self.scores.last().is_some_and(|score| score.start == window)
    }

    /// True if the last scores are strong enough for the component to be suspected.
    fn is_plain(&self, slot: SignedDuration, rule: Rule) -> bool {
        self.scores.recent(slot) >= rule.thresholds.of(self.component.class())
    }

    /// True if the harm has been at its present level for so long that it counts as usual.
    fn is_settled(&self, now: Timestamp) -> bool {
        self.active && self.steady.is_some_and(|steady| steady.is_long(now))
    }

    fn is_frozen(&self, now: Timestamp, slot: SignedDuration, rule: Rule) -> bool {
        if self.active {
            return !self.is_settled(now);
        }
        // What shows twice in so many windows is named, if it isn't a path: longer than that nobody waits.
        let recent = self.scores.since(rule.counts_from(now, slot)).next().is_some();
        recent && self.suspected.is_some_and(|first| first >= after(now, slot, POOLED))
    }
}

#[cfg(test)]
#[path = "track_tests.rs"]
mod tests;
