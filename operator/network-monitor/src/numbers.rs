//! When a number that moved is worth a write. A status is read by people and by watches: each write wakes all of them,
//! so numbers follow only material and lasting change, and transitions take the latest numbers along.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tidewatch_crds::network_monitor::Category;
use tidewatch_health::RecentTraffic;

use super::degradation::Faults;
use super::hysteresis::Presence;
use super::shortages::Shortages;
use super::traffic::TrafficTotals;

/// Windows in a row, and time, for which a change must last.
const LASTING_WINDOWS: u32 = 3;
const LASTING: Duration = Duration::from_secs(120);
/// Time between two writes of numbers alone; the first numbers of a monitor come from few windows and may be corrected
/// sooner, and so may those beside a fault.
const BETWEEN_WRITES: Duration = Duration::from_secs(600);
/// Numbers are written again after this time even if nothing changed, so that old ones show that nobody watches.
const REFRESH: Duration = Duration::from_secs(1800);
/// What coverage speaks of.
const COVERAGE_SPAN: Duration = Duration::from_secs(600);
/// For how long a node must be missing (or back) before it is said.
const NODES_LASTING: Duration = Duration::from_secs(60);

/// The numbers of one window, unrounded.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Numbers {
    categories: BTreeMap<Category, CategoryNumbers>,
    retransmission_ratio: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct CategoryNumbers {
    rtt_p50_us: u64,
    rtt_p99_us: u64,
    bytes: u64,
    flows: u64,
}

impl Numbers {
    pub(super) fn of(traffic: &TrafficTotals) -> Self {
        let categories = traffic
            .by_category
            .iter()
            .map(|(category, totals)| {
                let numbers = CategoryNumbers {
                    rtt_p50_us: totals.rtt_us.quantile(0.5).unwrap_or(0),
                    rtt_p99_us: totals.rtt_us.quantile(0.99).unwrap_or(0),
                    bytes: totals.bytes,
                    flows: totals.flows,
                };
                (*category, numbers)
            })
            .collect();
        Self { categories, retransmission_ratio: traffic.all.retransmission_ratio().unwrap_or(0.0) }
    }

    /// Whether a person would want to know: far beyond what steady traffic does from window to window.
    fn differ_materially(&self, other: &Self) -> bool {
        let (low, high) = ordered(self.retransmission_ratio, other.retransmission_ratio);
        if high - low > 0.005 && high > 2.0 * low {
            return true;
        }
        let none = CategoryNumbers::default();
        self.categories.keys().chain(other.categories.keys()).any(|category| {
            let a = self.categories.get(category).unwrap_or(&none);
            let b = other.categories.get(category).unwrap_or(&none);
            beyond(a.rtt_p50_us, b.rtt_p50_us, 2, 200)
                || beyond(a.rtt_p99_us, b.rtt_p99_us, 5, 5_000)
                || beyond(a.bytes, b.bytes, 3, 100_000)
                || beyond(a.flows, b.flows, 3, 10)
        })
    }
}

fn ordered(a: f64, b: f64) -> (f64, f64) {
    if a <= b { (a, b) } else { (b, a) }
}

fn beyond(a: u64, b: u64, factor: u64, least: u64) -> bool {
    let (low, high) = (a.min(b), a.max(b));
    high - low > least && high > low.saturating_mul(factor)
}

/// Nodes that reported, of those expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NodeCount {
    pub reporting: u64,
    pub expected: u64,
}

/// What this process remembers of a monitor between windows. Lost at a restart, at the price of at most one write.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Memory {
    last_window: Option<Timestamp>,
    written: Option<Numbers>,
    /// Since when, and for how many windows, the numbers have differed from those written.
    differing: Option<(Timestamp, u32)>,
    writes: u32,
    nodes: Option<NodeCount>,
    nodes_candidate: Option<(NodeCount, Timestamp)>,
    connections: VecDeque<(Timestamp, u64, u64)>,
    pub(super) faults: Faults,
    /// The traffic of the last minutes.
    pub(super) lately: RecentTraffic,
    /// Whether there was enough traffic to tell.
    pub(super) sufficiency: Presence,
    pub(super) shortages: Shortages,
}

impl Memory {
    /// Takes a window in; the same window again changes nothing.
    pub(super) fn take(
        &mut self,
        start: Timestamp,
        numbers: &Numbers,
        nodes: NodeCount,
        seen: u64,
        reported: u64,
    ) {
        if self.last_window == Some(start) {
            return;
        }
        self.last_window = Some(start);
        self.differing = match (&self.written, self.differing) {
            (Some(written), so_far) if written.differ_materially(numbers) => {
                Some(so_far.map_or((start, 1), |(since, windows)| (since, windows + 1)))
            }
            _ => None,
        };
        self.take_nodes(nodes, start);
        self.connections.push_back((start, seen, reported));
        let horizon = start.checked_sub(COVERAGE_SPAN).unwrap_or(Timestamp::MIN);
        while self.connections.front().is_some_and(|(at, ..)| *at <= horizon) {
            self.connections.pop_front();
        }
    }

    fn take_nodes(&mut self, nodes: NodeCount, now: Timestamp) {
        // After an outage agents come back one by one: that all are there again is shown at once.
        let is_whole_again =
            |shown: NodeCount| nodes.reporting >= nodes.expected && nodes.expected >= shown.expected;
        if self.nodes.is_none_or(|shown| shown == nodes || is_whole_again(shown)) {
            self.nodes = Some(nodes);
            self.nodes_candidate = None;
            return;
        }
        let since = match self.nodes_candidate {
            Some((candidate, since)) if candidate == nodes => since,
            _ => now,
        };
        self.nodes_candidate = Some((nodes, since));
        if now.duration_since(since).unsigned_abs() >= NODES_LASTING {
            self.nodes = Some(nodes);
            self.nodes_candidate = None;
        }
    }

    /// Start of the last window that was taken in.
    pub(super) fn last_window(&self) -> Option<Timestamp> {
        self.last_window
    }

    /// The nodes, once a change of them lasted.
    pub(super) fn nodes(&self) -> NodeCount {
        self.nodes.unwrap_or_default()
    }

    /// Connections seen and reported over the last ten minutes.
    pub(super) fn connections(&self) -> (u64, u64) {
        self.connections.iter().fold((0, 0), |(seen, reported), (_, s, r)| {
            (seen.saturating_add(*s), reported.saturating_add(*r))
        })
    }

    /// Whether numbers alone are worth a write now. `as_of` is the window of the numbers in the status; beside a fault
    /// they may be written sooner.
    pub(super) fn numbers_due(&self, as_of: Option<Timestamp>, is_degraded: bool) -> bool {
        let Some(last) = self.last_window else { return false };
        let age = as_of.map_or(Duration::MAX, |as_of| last.duration_since(as_of).unsigned_abs());
        if age >= REFRESH {
            return true;
        }
        match self.differing {
            Some((since, windows)) => {
                let lasted = last.duration_since(since).unsigned_abs();
                let between = if self.writes <= 1 || is_degraded { LASTING } else { BETWEEN_WRITES };
                windows >= LASTING_WINDOWS && lasted >= LASTING && age >= between
            }
            // A process that just started knows nothing of what it wrote before: once, if that is old.
            None => self.written.is_none() && age >= BETWEEN_WRITES,
        }
    }

    /// The process started on a status that it didn't write: its numbers stand until something differs from now.
    pub(super) fn adopt(&mut self, numbers: &Numbers) {
        if self.written.is_none() {
            self.written = Some(numbers.clone());
            self.writes = 2;
        }
    }

    /// The status now has these numbers.
    pub(super) fn wrote(&mut self, numbers: &Numbers) {
        self.written = Some(numbers.clone());
        self.differing = None;
        self.writes = self.writes.saturating_add(1);
    }

    /// The view is gone: what comes next is compared with nothing older.
    pub(super) fn interrupted(&mut self) {
        self.nodes = None;
        self.nodes_candidate = None;
        self.differing = None;
        self.faults.interrupted();
        self.sufficiency.interrupted();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nodes shown after each of these windows of ten seconds; `None` stands for an interruption.
    fn shown(windows: &[Option<(u64, u64)>]) -> Vec<(u64, u64)> {
        let mut memory = Memory::default();
        let mut shown = Vec::new();
        for (start, window) in (1_800_000_000..).step_by(10).zip(windows) {
            match *window {
                Some((reporting, expected)) => {
                    let (start, nodes) =
                        (Timestamp::from_second(start).unwrap(), NodeCount { reporting, expected });
                    memory.take(start, &Numbers::default(), nodes, 0, 0);
                }
                None => memory.interrupted(),
            }
            shown.push((memory.nodes().reporting, memory.nodes().expected));
        }
        shown
    }

    #[test]
    fn that_all_nodes_report_again_is_shown_at_once_and_that_some_do_not_once_it_lasts() {
        let windows =
            [Some((6, 6)), None, Some((1, 6)), Some((6, 6)), Some((5, 6)), Some((6, 6)), Some((5, 5))];
        assert_eq!(shown(&windows), [(6, 6), (0, 0), (1, 6), (6, 6), (6, 6), (6, 6), (6, 6)]);
        let lasting = [[Some((6, 6))].as_slice(), &[Some((5, 6)); 20]].concat();
        assert_eq!(shown(&lasting).last(), Some(&(5, 6)));
    }
}
