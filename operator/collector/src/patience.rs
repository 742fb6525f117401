//! The time that a window which has ended waits for each node's report. Pure: time is passed in.
//!
//! A verdict waits for the slowest of these nodes, so a node gets little more time than its recent reports took. The
//! report of a node that is short of CPU still gets into the window, and a node that is cut off delays no verdict for
//! long.

use std::collections::{BTreeSet, HashMap};

use jiff::SignedDuration;
use tidewatch_records::Name;

/// Shortest time that a window waits for a node.
pub(super) const LEAST: SignedDuration = SignedDuration::from_secs(3);

/// Longest time that a window waits for a node, and the time for a node that has never reported to this collector:
/// after a change of the leader, agents come back within half a window, which is less than this for windows of 15 s.
pub(super) const MOST: SignedDuration = SignedDuration::from_secs(10);

/// Time that a node gets beyond the delay of its recent reports.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// Delay of each node's recent reports, counted from the end of their windows.
#[derive(Debug, Default)]
pub(super) struct Patience {
    needed: HashMap<Name, SignedDuration>,
}

impl Patience {
    /// Learns from a report that came `delay` after the end of its window. A delay of more than [`MOST`] is ignored:
    /// its node was cut off, not slow.
    pub(super) fn reported(&mut self, node: &Name, delay: SignedDuration) {
        if delay > MOST {
            return;
        }
        let before = self.needed.get(node).copied().unwrap_or_default();
        // A slow report is remembered for a few windows: load comes and goes.
        self.needed.insert(node.clone(), delay.max(before * 7 / 8));
    }

    /// Learns from a window that closed without a report of `node`: the next ones wait half as long.
    pub(super) fn missed(&mut self, node: &Name) {
        let before = self.needed.get(node).copied().unwrap_or(MOST);
        self.needed.insert(node.clone(), before / 2);
    }

    /// Time past its end that a window waits for `node`.
    pub(super) fn with(&self, node: &Name) -> SignedDuration {
        let needed = self.needed.get(node).copied().unwrap_or(MOST);
        needed.saturating_add(MARGIN).clamp(LEAST, MOST)
    }

    /// Forgets all nodes but `nodes`, which have an agent.
    pub(super) fn keep_only(&mut self, nodes: &BTreeSet<Name>) {
        self.needed.retain(|node, _| nodes.contains(node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: i64) -> SignedDuration {
        SignedDuration::from_millis(millis)
    }

    /// Time that a window waits for a node after reports with these delays in milliseconds; `None` stands for a missing
    /// report.
    fn waits(delays: &[Option<i64>]) -> SignedDuration {
        let (mut patience, node) = (Patience::default(), Name::from("a"));
        for delay in delays {
            match delay {
                Some(delay) => patience.reported(&node, millis(*delay)),
                None => patience.missed(&node),
            }
        }
        patience.with(&node)
    }

    #[test]
    fn a_node_gets_what_it_lately_needed_within_bounds() {
        for (delays, expected) in [
            (vec![], MOST),
            (vec![Some(300)], LEAST),
            (vec![Some(-500)], LEAST),
            (vec![Some(5_000)], millis(6_000)),
            (vec![Some(5_000), Some(300)], millis(5_375)),
            (vec![Some(9_900)], MOST),
            // It was cut off, and then sent what had waited.
            (vec![Some(300), Some(60_000), Some(45_000), Some(11_000)], LEAST),
            (vec![None], millis(6_000)),
            (vec![None, None], millis(3_500)),
            (vec![None, None, None], LEAST),
            (vec![Some(300), None], LEAST),
            // Slow, missed once, and late by what is learned from.
            (vec![Some(300), None, Some(7_000)], millis(8_000)),
        ] {
            assert_eq!(waits(&delays), expected, "{delays:?}");
        }
    }

    #[test]
    fn load_that_is_over_is_forgotten_within_a_few_windows() {
        let mut delays = vec![Some(9_000)];
        delays.extend([Some(200); 12]);
        assert_eq!(waits(&delays), LEAST);
    }

    #[test]
    fn a_node_that_is_gone_is_not_remembered() {
        let mut patience = Patience::default();
        patience.reported(&Name::from("a"), millis(5_000));
        patience.keep_only(&BTreeSet::new());
        assert!(patience.needed.is_empty());
    }
}
