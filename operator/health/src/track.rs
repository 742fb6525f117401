//! M of N: a component is named when it showed often enough, and cleared when it was quiet long enough.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Sensitivity;
use crate::finding::Finding;
use crate::names::Id;
use crate::space::Component;
use crate::verdict::{Cause, Evidence};

/// Windows without any traffic across a component for which a fault is still believed.
const PATIENCE: u32 = 6;
/// How long a component that was at fault and is cleared is taken at its first word.
const RECENT_SECONDS: i64 = 300;

/// When to speak and when to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// It must show in this many …
    shows: u32,
    /// … of this many windows.
    of: u32,
    /// Quiet windows in a row that clear it.
    clears: u32,
}

impl Rule {
    pub(crate) fn of(sensitivity: Sensitivity) -> Self {
        match sensitivity {
            Sensitivity::Low => Self { shows: 3, of: 4, clears: 3 },
            Sensitivity::Standard => Self { shows: 2, of: 4, clears: 2 },
            Sensitivity::High => Self { shows: 1, of: 1, clears: 2 },
        }
    }

    fn window_mask(self) -> u32 {
        (1_u32 << self.of.min(31)) - 1
    }
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
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tracks {
    tracks: Vec<Track>,
    /// Components cleared lately, and when: one that comes back is believed at once.
    cleared: Vec<(Component, Timestamp)>,
}

impl Tracks {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter()
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
        tracks
    }

    /// One window passes with these findings. `is_seen` tells whether anything crossed a component.
    pub(crate) fn step(
        &mut self,
        start: Timestamp,
        findings: &[Finding],
        rule: Rule,
        is_seen: impl Fn(Component) -> bool,
    ) {
        for track in &mut self.tracks {
            track.shown <<= 1;
        }
        self.cleared.retain(|(_, when)| start.duration_since(*when).as_secs() <= RECENT_SECONDS);
        for finding in findings {
            match self.tracks.iter_mut().find(|track| track.component == finding.component) {
                Some(track) => track.show(start, finding, rule),
                None => self.tracks.push(Track::new(start, finding)),
            }
        }
        for track in &mut self.tracks {
            let count = (track.shown & rule.window_mask()).count_ones();
            let shows = track.shown & 1 == 1;
            let returns = shows && self.cleared.iter().any(|(component, _)| *component == track.component);
            track.active |= count >= rule.shows || returns;
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
        self.tracks.retain(|track| {
            let over = track.quiet >= rule.clears || track.unseen >= PATIENCE;
            let suspected = track.shown & rule.window_mask() != 0;
            if track.active && over {
                self.cleared.push((track.component, start));
            }
            if track.active { !over } else { suspected }
        });
    }
}

impl Track {
    fn new(start: Timestamp, finding: &Finding) -> Self {
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
        }
    }

    fn show(&mut self, start: Timestamp, finding: &Finding, rule: Rule) {
        if !self.active && (self.shown & rule.window_mask()) == 0 {
            self.since = start;
        }
        self.shown |= 1;
        self.cause = finding.cause;
        self.score = finding.score;
        self.evidence = finding.evidence;
        self.rival = finding.rival;
    }
}
