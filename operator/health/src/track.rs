//! M of N: a component is named when it showed often and plainly enough, and cleared when it was quiet long enough.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::blip::Blips;
use crate::config::Sensitivity;
use crate::finding::Finding;
use crate::names::Id;
use crate::space::Component;
use crate::steady::Steady;
use crate::verdict::{Cause, Class, Evidence};

/// Windows without any traffic across a component for which a fault is still believed.
const PATIENCE: u32 = 6;
/// How long a component that was at fault and is cleared is taken at its first word.
const RECENT_SECONDS: i64 = 300;
/// Windows whose words against a path are added up: with windows of 30 s the three minutes within which a loss of 0.2%
/// is to be named. A suspicion that isn't confirmed within them is none.
const POOLED: usize = 6;
/// Windows in a row that must tell of another cause before the cause of what is at fault is another: when a fault ends
/// in the middle of a window, what is left of it looks like something else.
const CAUSE_SHOWS: u32 = 2;

/// When to speak and when to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    /// It must show in this many …
    shows: u32,
    /// … of this many windows.
    of: u32,
    /// Quiet windows in a row that clear it.
    clears: u32,
    /// What windows must say against a path together, in log-odds against blips, besides the logarithm of the number of
    /// paths, each of which can blip in every window: e^12 are the windows of a week and a half, each with the five
    /// before it.
    sure: Option<f64>,
}

impl Rule {
    pub(crate) fn of(sensitivity: Sensitivity) -> Self {
        match sensitivity {
            // Sure by one more blip than is usual.
            Sensitivity::Low => Self { shows: 3, of: 4, clears: 3, sure: Some(19.0) },
            Sensitivity::Standard => Self { shows: 2, of: 4, clears: 2, sure: Some(12.0) },
            Sensitivity::High => Self { shows: 1, of: 1, clears: 2, sure: None },
        }
    }

    fn window_mask(self) -> u32 {
        (1_u32 << self.of.min(31)) - 1
    }

    fn is_met(self, track: &Track, paths: usize) -> bool {
        let shows = (track.shown & self.window_mask()).count_ones();
        let is_path = track.component.class() == Class::Infrastructure;
        let sure = self
            .sure
            .filter(|_| is_path)
            .is_none_or(|sure| track.words.iter().sum::<f64>() >= sure + (paths.max(1) as f64).ln());
        shows >= self.shows && sure
    }
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
    /// Bit 0 is this window.
    shown: u32,
    quiet: u32,
    unseen: u32,
    /// What each of the last windows said, this one's first.
    #[serde(default)]
    words: [f64; POOLED],
    /// Windows since it was first suspected.
    #[serde(default)]
    age: u32,
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
    pub(crate) fn frozen(&self, now: Timestamp, rule: Rule) -> impl Iterator<Item = Component> {
        self.tracks.iter().filter(move |track| track.is_frozen(now, rule)).map(|track| track.component)
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
        let start = window.start;
        for track in &mut self.tracks {
            track.shown <<= 1;
            track.words.rotate_right(1);
            track.words[0] = 0.0;
            track.age = track.age.saturating_add(1);
        }
        self.cleared.retain(|(_, when)| start.duration_since(*when).as_secs() <= RECENT_SECONDS);
        for finding in window.findings {
            let (harm, more) = (finding.harm, finding.surely_more);
            let most = self.blips.most(finding.component, harm, more, start, window.seconds);
            let word = finding.score.min(most);
            match self.tracks.iter_mut().find(|track| track.component == finding.component) {
                Some(track) => track.show(start, finding, word, rule),
                None => self.tracks.push(Track::new(start, finding, word)),
            }
        }
        for track in &mut self.tracks {
            let shows = track.shown & 1 == 1;
            let returns = shows && self.cleared.iter().any(|(component, _)| *component == track.component);
            track.active |= rule.is_met(track, window.paths) || returns;
            if shows {
                track.quiet = 0;
                track.unseen = 0;
            } else if is_seen(track.component) {
                track.quiet += 1;
                track.unseen = 0;
            } else {
                track.unseen += 1;
            }
        }
        // What shows beside a fault may be its echo.
        let is_quiet = !self.tracks.iter().any(|track| track.active);
        let (cleared, blips) = (&mut self.cleared, &mut self.blips);
        self.tracks.retain(|track| {
            let over = track.quiet >= rule.clears || track.unseen >= PATIENCE;
            if track.active {
                if over {
                    cleared.push((track.component, start));
                }
                return !over;
            }
            let suspected = track.words.iter().any(|word| *word > 0.0);
            if !suspected && is_quiet && track.component.class() == Class::Infrastructure {
                blips.learn(track.component, start, window.seconds);
            }
            suspected
        });
    }
}

impl Track {
    fn new(start: Timestamp, finding: &Finding, word: f64) -> Self {
        let mut words = [0.0; POOLED];
        words[0] = word;
        Self {
            component: finding.component,
            since: start,
            cause: finding.cause,
            score: finding.score,
            evidence: finding.evidence,
            active: false,
            rival: finding.rival,
            shown: 1,
            quiet: 0,
            unseen: 0,
            words,
            age: 0,
            other_cause: None,
            steady: finding.level().map(|level| Steady::new(start, level)),
        }
    }

    fn show(&mut self, start: Timestamp, finding: &Finding, word: f64, rule: Rule) {
        if !self.active && (self.shown & rule.window_mask()) == 0 {
            self.since = start;
        }
        self.shown |= 1;
        self.words[0] = word;
        self.tell_cause(finding.cause);
        self.score = finding.score;
        self.evidence = finding.evidence;
        self.rival = finding.rival;
        match (finding.level(), &mut self.steady) {
            (Some(level), Some(steady)) => steady.observe(start, level),
            (level, steady) => *steady = level.map(|level| Steady::new(start, level)),
        }
    }

    /// Whether it is named though this window doesn't show it.
    pub(crate) fn is_passing(&self) -> bool {
        self.active && self.shown & 1 == 0
    }

    fn tell_cause(&mut self, cause: Cause) {
        if !self.active || cause == self.cause {
            self.cause = cause;
            self.other_cause = None;
            return;
        }
        let before = self.other_cause.filter(|(other, _)| *other == cause).map_or(0, |(_, windows)| windows);
        if before + 1 >= CAUSE_SHOWS {
            self.cause = cause;
            self.other_cause = None;
        } else {
            self.other_cause = Some((cause, before + 1));
        }
    }

    /// Whether it has been as bad as now for so long that this is how it is.
    fn is_settled(&self, now: Timestamp) -> bool {
        self.active && self.steady.is_some_and(|steady| steady.is_long(now))
    }

    fn is_frozen(&self, now: Timestamp, rule: Rule) -> bool {
        if self.active {
            return !self.is_settled(now);
        }
        // What shows twice in so many windows is named, if it isn't a path: longer than that nobody waits.
        self.shown & rule.window_mask() != 0 && (self.age as usize) < POOLED
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
            frozen.push(tracks.frozen(start, rule).next().is_some());
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
            evidence: Evidence::default(),
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
        assert!(frozen.iter().skip(POOLED).all(|frozen| !frozen), "{frozen:?}");
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
        for new in ["words", "age", "other_cause", "steady"] {
            assert!(track.remove(new).is_some(), "{new}");
        }
        let read: Tracks = serde_json::from_value(kept).unwrap();
        assert_eq!(read.active().count(), 1, "what was at fault still is");
    }
}
