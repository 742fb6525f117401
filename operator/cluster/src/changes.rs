//! Recent changes in the cluster of the kinds that can explain a workload's fault. Bounded by age and by count.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tidewatch_records::Name;

use super::facts::PolicyFact;

/// Time that a change is remembered: a fault may be reported three windows of ten minutes after its onset, and a change
/// that explains it came before the onset.
pub(super) const REMEMBERED: SignedDuration = SignedDuration::from_mins(45);

/// Changes remembered at most; the oldest go first.
pub(super) const CAPACITY: usize = 10_000;

/// One change, with the time at which the API server made it, or else at which the watch reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub at: Timestamp,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A NetworkPolicy was created (no `before`), deleted (no `after`), or its spec changed.
    Policy {
        before: Option<Arc<PolicyFact>>,
        after: Option<Arc<PolicyFact>>,
    },
    /// The first pod of a new revision of `namespace/Kind/name` was created.
    Rollout {
        workload: Name,
        revision: Name,
    },
    /// The last ready endpoint of the Service `namespace/name` went.
    NoReadyEndpoints {
        service: Name,
    },
    /// The Service `namespace/name` itself.
    Service {
        service: Name,
        edit: ServiceEdit,
    },
    Node {
        node: Name,
        edit: NodeEdit,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceEdit {
    Selector,
    Ports,
    SelectorAndPorts,
    Deleted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeEdit {
    Cordoned,
    Removed,
}

/// In order of time.
#[derive(Debug, Default)]
pub struct Changes {
    ring: VecDeque<Change>,
}

impl Changes {
    pub(super) fn record(&mut self, at: Timestamp, what: What) {
        // Nearly always at the end: only a creation is older than the news of it.
        let place = self.ring.partition_point(|change| change.at <= at);
        if self.ring.len() >= CAPACITY {
            if place == 0 {
                return;
            }
            self.ring.pop_front();
            self.ring.insert(place - 1, Change { at, what });
        } else {
            self.ring.insert(place, Change { at, what });
        }
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        let horizon = now.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
        while self.ring.front().is_some_and(|change| change.at < horizon) {
            self.ring.pop_front();
        }
        // A burst is over at some time, and so is its memory.
        if self.ring.capacity() > 4 * self.ring.len().max(256) {
            self.ring.shrink_to(2 * self.ring.len());
        }
    }

    /// Those from `from` until `until`, both included, in order of time.
    pub fn between(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = &Change> {
        let first = self.ring.partition_point(|change| change.at < from);
        self.ring.iter().skip(first).take_while(move |change| change.at <= until)
    }

    pub fn len(&self) -> usize {
        self.ring.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn cordoned(node: &str) -> What {
        What::Node { node: node.into(), edit: NodeEdit::Cordoned }
    }

    fn nodes(changes: &Changes, from: i64, until: i64) -> Vec<String> {
        changes
            .between(at(from), at(until))
            .filter_map(|change| match &change.what {
                What::Node { node, .. } => Some(node.to_string()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn changes_are_found_by_time_whatever_order_they_came_in() {
        let mut changes = Changes::default();
        for (second, node) in [(10, "b"), (30, "d"), (20, "c"), (0, "a")] {
            changes.record(at(second), cordoned(node));
        }
        assert_eq!(nodes(&changes, -1, 100), ["a", "b", "c", "d"]);
        assert_eq!(nodes(&changes, 10, 20), ["b", "c"]);
        assert!(nodes(&changes, 31, 100).is_empty());
    }

    #[test]
    fn the_oldest_go_first_when_there_are_too_many() {
        let mut changes = Changes::default();
        for second in 0..10_005 {
            changes.record(at(second), cordoned(&second.to_string()));
        }
        assert_eq!(nodes(&changes, 0, 5), ["5"]);
        changes.record(at(1), cordoned("older than all"));
        assert_eq!(changes.len(), CAPACITY);
        assert_eq!(nodes(&changes, 0, 5), ["5"]);
    }

    proptest! {
        #[test]
        fn whatever_comes_the_ring_stays_bounded_and_in_order(
            bursts in prop::collection::vec((0_i64..10_000, -3_000_i64..3_000, 1_i64..4_000), 1..12),
        ) {
            let mut changes = Changes::default();
            for (now, offset, count) in bursts {
                for n in 0..count {
                    changes.record(at(now + offset + n % 7), cordoned("n"));
                    prop_assert!(changes.len() <= CAPACITY);
                }
                changes.forget(at(now));
                let horizon = at(now) - REMEMBERED;
                prop_assert!(changes.ring.iter().all(|change| change.at >= horizon));
                prop_assert!(changes.ring.iter().is_sorted_by_key(|change| change.at));
                prop_assert!(changes.ring.capacity() <= 4 * CAPACITY);
            }
        }
    }
}
