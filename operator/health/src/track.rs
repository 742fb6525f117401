//! M of N: a component is named when it showed often and plainly enough, and cleared when it was quiet long enough.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::blip::Blips;
use crate::candidate::Thresholds;
use crate::config::Sensitivity;
use crate::finding::Finding;
use crate::names::Id;
use crate::slots::{Word, Words, slot};
use crate::space::Component;
use crate::steady::Steady;
use crate::verdict::{Cause, Class, Evidence};

/// Slots without any traffic across a component for which a fault is still believed: three minutes.
const PATIENCE: i32 = 6;
/// How long a component that was at fault and is cleared is taken at its first word.
const RECENT_SECONDS: i64 = 300;
/// Slots whose words against a component are added up: the three minutes within which a loss of 0.2% is to be named. A
/// suspicion that isn't confirmed within them is none.
const POOLED: i32 = 6;
/// Log-odds that are as good as any.
const UNBOUNDED: f64 = 1e9;
/// Windows in a row that must tell of another cause before the cause of what is at fault is another: when a fault ends
/// in the middle of a window, what is left of it looks like something else.
const CAUSE_SHOWS: u32 = 2;
/// How long, and for how many windows, a component must be quiet to be cleared.
const QUIET_SECONDS: u32 = 45;

/// When to speak and when to stop. A slot is half a minute, or a window where windows are longer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    /// It must show in this many …
    shows: u32,
    /// … of this many slots.
    of: i32,
    /// Quiet windows in a row that clear it, of [`QUIET_SECONDS`] at least.
    clears: u32,
    /// What windows must say against a path together, in log-odds against blips, besides the logarithm of the number of
    /// paths, each of which can blip in every slot: e^12 are the slots of a week and a half, each with the five before it.
    sure: Option<f64>,
    thresholds: Thresholds,
}

impl Rule {
    pub(crate) fn of(sensitivity: Sensitivity) -> Self {
        let thresholds = Thresholds::at(sensitivity);
        match sensitivity {
            // Sure by one more blip than is usual.
            Sensitivity::Low => Self { shows: 3, of: 4, clears: 3, sure: Some(19.0), thresholds },
            Sensitivity::Standard => Self { shows: 2, of: 4, clears: 2, sure: Some(12.0), thresholds },
            Sensitivity::High => Self { shows: 1, of: 1, clears: 2, sure: None, thresholds },
        }
    }

    /// Start of the first window whose showing still counts.
    fn counts_from(self, window: Timestamp, slot: SignedDuration) -> Timestamp {
        after(window, slot, self.of)
    }

    fn is_met(self, track: &Track, window: &Passing<'_>) -> bool {
        let slot = slot(window.seconds);
        let class = track.component.class();
        let sure = self
            .sure
            .filter(|_| class == Class::Infrastructure)
            .is_none_or(|sure| track.words.pooled(slot) >= sure + (window.paths.max(1) as f64).ln());
        let from = self.counts_from(window.start, slot);
        let shows = track.words.slots_that_show(from, slot, self.thresholds.of(class));
        shows >= self.shows && sure
    }
}

/// The first moment after what lies `slots` before `window`.
fn after(window: Timestamp, slot: SignedDuration, slots: i32) -> Timestamp {
    let moment = SignedDuration::from_nanos(1);
    window.saturating_sub(slot.saturating_mul(slots).saturating_sub(moment)).unwrap_or(Timestamp::MIN)
}

/// The window that passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passing<'a> {
    pub(crate) start: Timestamp,
    pub(crate) seconds: u32,
    pub(crate) findings: &'a [Finding],
    /// Infrastructure components that anything crossed.
    pub(crate) paths: usize,
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
    /// What the last windows said.
    #[serde(default, rename = "said")]
    words: Words,
    /// The first window of this suspicion that showed it plainly.
    #[serde(default)]
    suspected: Option<Timestamp>,
    /// Another cause that shows, and in how many windows in a row.
    #[serde(default)]
    other_cause: Option<(Cause, u32)>,
    /// How long it has been as bad as it is.
    #[serde(default)]
    steady: Option<Steady>,
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

    /// Whether all that is at fault is a question between components of different classes.
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
    pub(crate) fn step(&mut self, window: Passing<'_>, rule: Rule, is_seen: impl Fn(Component) -> bool) {
        let (start, slot) = (window.start, slot(window.seconds));
        for track in &mut self.tracks {
            track.words.forget_before(after(start, slot, POOLED));
        }
        self.cleared.retain(|(_, when)| start.duration_since(*when).as_secs() <= RECENT_SECONDS);
        for finding in window.findings {
            let (harm, more) = (finding.harm, finding.surely_more);
            let most = self.blips.most(finding.component, harm, more, start, window.seconds);
            // What isn't bounded has to be told in JSON too.
            let most = most.min(UNBOUNDED);
            let word = Word { start, score: finding.score, most, severe: finding.is_severe() };
            match self.tracks.iter_mut().find(|track| track.component == finding.component) {
                Some(track) => track.show(word, finding, &window, rule),
                None => self.tracks.push(Track::new(word, finding, rule)),
            }
        }
        for track in &mut self.tracks {
            let shows = track.is_plain(slot, rule) && track.is_said_in(start);
            let returns = shows && self.cleared.iter().any(|(component, _)| *component == track.component);
            track.active |= rule.is_met(track, &window) || returns;
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
            let over = (track.quiet >= rule.clears && track.quiet_seconds >= QUIET_SECONDS)
                || i64::from(track.unseen_seconds) >= patience;
            if track.active {
                if over {
                    cleared.push((track.component, start));
                }
                return !over;
            }
            // Its words are forgotten with the next window.
            let suspected = track.words.since(after(start, slot, POOLED)).next().is_some();
            let was_plain = track.suspected.is_some();
            if !suspected && was_plain && is_quiet && track.component.class() == Class::Infrastructure {
                blips.learn(track.component, start, window.seconds);
            }
            suspected
        });
    }
}

impl Track {
    fn new(word: Word, finding: &Finding, rule: Rule) -> Self {
        let mut words = Words::default();
        words.push(word);
        Self {
            component: finding.component,
            since: word.start,
            cause: finding.cause,
            score: finding.score,
            evidence: finding.evidence,
            active: false,
            rival: finding.rival,
            quiet: 0,
            quiet_seconds: 0,
            unseen_seconds: 0,
            words,
            suspected: (finding.score >= rule.thresholds.of(finding.component.class())).then_some(word.start),
            other_cause: None,
            steady: finding.level().map(|level| Steady::new(word.start, level)),
        }
    }

    fn show(&mut self, word: Word, finding: &Finding, window: &Passing<'_>, rule: Rule) {
        let slot = slot(window.seconds);
        let from = rule.counts_from(word.start, slot);
        if !self.active && self.words.since(from).next().is_none() {
            self.since = word.start;
        }
        self.words.push(word);
        if self.suspected.is_none() && self.is_plain(slot, rule) {
            self.suspected = Some(word.start);
        }
        self.score = self.words.lately(slot);
        self.rival = finding.rival;
        if self.takes_cause(finding) {
            self.evidence = finding.evidence;
        }
        match (finding.level(), &mut self.steady) {
            (Some(level), Some(steady)) => steady.observe(word.start, window.seconds, level),
            (level, steady) => *steady = level.map(|level| Steady::new(word.start, level)),
        }
    }

    /// Whether it is named though this window doesn't show it.
    pub(crate) fn is_passing(&self) -> bool {
        self.active && (self.quiet > 0 || self.unseen_seconds > 0)
    }

    /// Whether this window's cause, and the evidence with it, is what there is to tell from now on.
    fn takes_cause(&mut self, finding: &Finding) -> bool {
        let cause = finding.cause;
        if !self.active || cause == self.cause {
            self.cause = cause;
            self.other_cause = None;
            return true;
        }
        // That nobody tried in this window doesn't mean that anybody would have been answered.
        if self.cause.is_about_attempts() && finding.evidence.attempts == 0 {
            return false;
        }
        let before = self.other_cause.filter(|(other, _)| *other == cause).map_or(0, |(_, windows)| windows);
        let shows = before + 1 >= CAUSE_SHOWS;
        if shows {
            self.cause = cause;
        }
        self.other_cause = (!shows).then_some((cause, before + 1));
        shows
    }

    fn is_said_in(&self, window: Timestamp) -> bool {
        self.words.last().is_some_and(|word| word.start == window)
    }

    /// Whether the last words are plain enough for the component to be suspected.
    fn is_plain(&self, slot: SignedDuration, rule: Rule) -> bool {
        self.words.lately(slot) >= rule.thresholds.of(self.component.class())
    }

    /// Whether it has been as bad as now for so long that this is how it is.
    fn is_settled(&self, now: Timestamp) -> bool {
        self.active && self.steady.is_some_and(|steady| steady.is_long(now))
    }

    fn is_frozen(&self, now: Timestamp, slot: SignedDuration, rule: Rule) -> bool {
        if self.active {
            return !self.is_settled(now);
        }
        // What shows twice in so many windows is named, if it isn't a path: longer than that nobody waits.
        let recent = self.words.since(rule.counts_from(now, slot)).next().is_some();
        recent && self.suspected.is_some_and(|first| first >= after(now, slot, POOLED))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic fails the test, as it should")]

    use super::*;
    use crate::names::Names;

    /// Windows of 30 s of one node, each with the cause that it shows, if any.
    fn watched(windows: &[Option<Cause>]) -> (Tracks, Vec<Option<Cause>>, Vec<bool>) {
        let node = Component::Node(Names::default().intern(&"a".into()));
        let mut tracks = Tracks::default();
        let (mut named, mut frozen) = (Vec::new(), Vec::new());
        for (number, cause) in (0_i64..).zip(windows) {
            let start = Timestamp::from_second(30 * number).unwrap();
            let findings: Vec<Finding> = cause.iter().map(|cause| finding(node, *cause)).collect();
            let passing = Passing { start, seconds: 30, findings: &findings, paths: 12 };
            let rule = Rule::of(Sensitivity::Standard);
            tracks.step(passing, rule, |_| true);
            named.push(tracks.active().next().map(|track| track.cause));
            frozen.push(tracks.frozen(start, 30, rule).next().is_some());
        }
        (tracks, named, frozen)
    }

    fn finding(component: Component, cause: Cause) -> Finding {
        let harm = if cause == Cause::PacketLoss { 0.003 } else { f64::INFINITY };
        Finding {
            component,
            cause,
            score: 30.0,
            harm,
            surely_more: harm,
            evidence: Evidence { attempts: 10, ..Evidence::default() },
            rival: None,
            cells: Vec::new(),
        }
    }

    #[test]
    fn a_suspicion_that_is_never_confirmed_does_not_freeze_what_is_usual() {
        let every_fifth: Vec<Option<Cause>> =
            (0..60).map(|n| (n % 5 == 0).then_some(Cause::PacketLoss)).collect();
        let (_, named, frozen) = watched(&every_fifth);
        assert!(named.iter().all(Option::is_none));
        assert!(frozen.iter().skip(POOLED as usize).all(|frozen| !frozen), "{frozen:?}");
        assert!(frozen[..4].iter().all(|frozen| *frozen), "{frozen:?}");
    }

    #[test]
    fn the_cause_stays_until_two_windows_tell_of_another() {
        let (cut, lossy) = (Some(Cause::Unreachable), Some(Cause::PacketLoss));
        let (_, named, _) = watched(&[lossy, cut, cut, lossy, cut, lossy, lossy]);
        assert_eq!(named, [None, cut, cut, cut, cut, cut, lossy]);
    }

    #[test]
    fn what_is_forgotten_after_a_gap_is_who_is_suspected_and_not_who_blips() {
        let mut windows = vec![None; 7];
        windows[0] = Some(Cause::PacketLoss);
        let (mut tracks, ..) = watched(&windows);
        let node = Component::Node(Names::default().intern(&"a".into()));
        let most =
            |tracks: &Tracks| tracks.blips.most(node, 0.001, 0.0, Timestamp::from_second(180).unwrap(), 30);
        let learned = most(&tracks);
        assert!(learned < most(&Tracks::default()));
        tracks.forget();
        assert!((most(&tracks) - learned).abs() < 1e-9);
        assert!(tracks.tracks.is_empty());
    }

    #[test]
    fn what_an_older_engine_kept_can_be_read() {
        let (tracks, ..) = watched(&[Some(Cause::Latency), Some(Cause::Latency)]);
        let mut kept = serde_json::to_value(&tracks).unwrap();
        kept.as_object_mut().unwrap().remove("blips");
        let track = kept["tracks"][0].as_object_mut().unwrap();
        for new in ["said", "suspected", "quiet_seconds", "unseen_seconds", "other_cause", "steady"] {
            assert!(track.remove(new).is_some(), "{new}");
        }
        let read: Tracks = serde_json::from_value(kept).unwrap();
        assert_eq!(read.active().count(), 1, "what was at fault still is");
    }
}
