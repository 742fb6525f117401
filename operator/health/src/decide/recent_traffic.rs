//! The traffic of the last two minutes, and whether it is enough for a verdict. A monitor with few requests would flip
//! to `InsufficientData` and back if each short window were judged by its own traffic.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::decide::power;
use crate::input::window::horizon;
use crate::verdict::{ComponentId, Traffic};

/// Time over which traffic is added up. A window that is longer counts alone.
const POOLED: SignedDuration = SignedDuration::from_secs(120);
/// Traffic that was enough stays enough until it falls below this share of the amount needed. Otherwise traffic close
/// to the bound would change the verdict with every window.
const STAYS_ENOUGH: f64 = 0.5;

/// Traffic of the last windows. Keep one for each monitor, and pass it to each call of [`crate::project`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecentTraffic {
    windows: Vec<WindowTraffic>,
    enough: bool,
    /// Components at fault that the flows tried in vain, and when they did last.
    tried: Vec<(String, Timestamp)>,
}

/// Traffic of one window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowTraffic {
    pub(crate) start: Timestamp,
    pub(crate) seconds: u32,
    pub(crate) segments: u64,
    pub(crate) attempts: u64,
    /// Segments expected to be retransmitted benignly.
    pub(crate) benign: f64,
}

impl WindowTraffic {
    pub(crate) fn is_nothing(&self) -> bool {
        self.segments == 0 && self.attempts == 0
    }
}

impl RecentTraffic {
    /// Adds a window, or replaces it if it was added before. Returns the traffic of the last two minutes, and whether
    /// it is enough for a verdict.
    pub(crate) fn add(&mut self, window: WindowTraffic) -> (Traffic, bool) {
        let end =
            |window: &WindowTraffic| window.start + SignedDuration::from_secs(i64::from(window.seconds));
        let oldest = end(&window) - POOLED;
        self.windows.retain(|other| other.start < window.start && other.start >= oldest);
        self.windows.push(window);
        let (mut traffic, mut benign) = (Traffic::default(), 0.0);
        for window in &self.windows {
            traffic.segments = traffic.segments.saturating_add(window.segments);
            traffic.attempts = traffic.attempts.saturating_add(window.attempts);
            traffic.seconds = traffic.seconds.saturating_add(window.seconds);
            benign += window.benign;
        }
        let trials = traffic.segments as f64 + 2.0 * traffic.attempts as f64;
        traffic.needed = power::needed(if trials > 0.0 { benign / trials } else { 0.0 }.min(MOST_BENIGN));
        let least = traffic.needed as f64 * if self.enough { STAYS_ENOUGH } else { 1.0 };
        self.enough = trials >= least && trials > 0.0;
        (traffic, self.enough)
    }

    /// True if the flows failed to connect to `component` within the last minutes, over which rare attempts are judged
    /// together. `now` tells that they failed to in the window that starts at `start`.
    pub(crate) fn has_tried(
        &mut self,
        component: &ComponentId,
        now: bool,
        start: Timestamp,
        seconds: u32,
    ) -> bool {
        let oldest = start.saturating_sub(horizon(seconds)).unwrap_or(Timestamp::MIN);
        let component = component.to_string();
        self.tried.retain(|(name, at)| *at > oldest && *at <= start && !(now && *name == component));
        if now {
            self.tried.push((component, start));
            return true;
        }
        self.tried.iter().any(|(name, _)| *name == component)
    }
}

/// Largest usual retransmission ratio that is used to compute how much traffic is needed: beyond it nobody asks whether
/// 1% more is lost.
const MOST_BENIGN: f64 = 0.1;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use super::*;

    fn passed(second: i64, seconds: u32, segments: u64) -> WindowTraffic {
        let start = Timestamp::from_second(second).unwrap();
        WindowTraffic { start, seconds, segments, attempts: 0, benign: segments as f64 * 5e-4 }
    }

    #[test]
    fn short_windows_are_enough_where_a_long_one_would_be() {
        let mut short = RecentTraffic::default();
        let enough: Vec<bool> = (0..8).map(|n| short.add(passed(15 * n, 15, 200)).1).collect();
        assert_eq!(enough, [false, false, false, true, true, true, true, true]);
        assert!(RecentTraffic::default().add(passed(0, 60, 800)).1);
    }

    #[test]
    fn traffic_about_the_bound_does_not_flip() {
        let mut lately = RecentTraffic::default();
        let flips = (0..400).map(|n| lately.add(passed(15 * n, 15, if n % 16 < 8 { 95 } else { 70 })).1);
        let states: Vec<bool> = flips.collect();
        let changes = states.windows(2).filter(|pair| pair.first() != pair.last()).count();
        assert!(changes <= 1, "{changes} changes");
        assert!(states.last().unwrap());
    }

    #[test]
    fn a_window_judged_twice_counts_once() {
        let mut lately = RecentTraffic::default();
        let once = lately.add(passed(0, 15, 100));
        assert_eq!(lately.add(passed(0, 15, 100)), once);
    }

    #[test]
    fn what_passed_longer_ago_says_nothing_of_now() {
        let mut lately = RecentTraffic::default();
        assert!(lately.add(passed(0, 15, 10_000)).1);
        assert!(lately.add(passed(105, 15, 0)).1, "it is of these two minutes");
        let (traffic, enough) = lately.add(passed(120, 15, 0));
        assert_eq!((traffic.segments, enough), (0, false));
        assert!(traffic.needed > 0);
    }

    #[test]
    fn how_much_there_was_and_how_much_it_takes_is_told() {
        let mut lately = RecentTraffic::default();
        lately.add(passed(0, 15, 100));
        let (traffic, _) = lately.add(passed(15, 15, 50));
        assert_eq!((traffic.segments, traffic.seconds), (150, 30));
        assert!((500..900).contains(&traffic.needed), "{traffic:?}");
    }
}
