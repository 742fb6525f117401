//! Computes a node's figures from two readings of its counters. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tidewatch_records::{AllowanceExceeded, NodeFigures};

use super::conntrack::{Failures, Table};
use super::parse::{CpuTimes, Listening, Softnet};

/// Shortest time between readings that ratios are reported for: the kernel's own clocks are too coarse for less.
const SHORTEST: Duration = Duration::from_secs(1);

/// The kernel's counters at one moment. A counter that it doesn't provide is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub at: Instant,
    pub cpu_stalled_us: Option<u64>,
    pub memory_stalled_us: Option<u64>,
    pub cpu: Option<CpuTimes>,
    pub softnet: Option<Softnet>,
    pub listening: Option<Listening>,
    pub table: Option<Table>,
    pub failures: Option<Failures>,
    /// Counters of allowances by interface.
    pub exceeded: BTreeMap<String, AllowanceExceeded>,
}

impl Reading {
    /// The figures of the time since `before`. A counter that went back was reset in between: its figure is unknown,
    /// and absent.
    pub fn since(&self, before: &Self) -> NodeFigures {
        let elapsed = self.at.saturating_duration_since(before.at);
        let cpu = both(before.cpu, self.cpu);
        let cpu_share = |of: fn(CpuTimes) -> u64| {
            let (before, after) = cpu.filter(|_| elapsed >= SHORTEST)?;
            ratio(added(of(before), of(after))?, added(before.total, after.total)?)
        };
        let softnet = both(before.softnet, self.softnet).filter(|(before, after)| before.cpus == after.cpus);
        let softnet = |of: fn(Softnet) -> u64| softnet.and_then(|(b, a)| added(of(b), of(a)));
        let listening = both(before.listening, self.listening);
        let listening = |of: fn(Listening) -> u64| listening.and_then(|(b, a)| added(of(b), of(a)));
        let failures = both(before.failures, self.failures).filter(|(b, a)| b.cpus == a.cpus);
        let failures = |of: fn(Failures) -> u64| failures.and_then(|(b, a)| added(of(b), of(a)));
        NodeFigures {
            cpu_pressure_ratio: share_of_time(before.cpu_stalled_us, self.cpu_stalled_us, elapsed),
            memory_pressure_ratio: share_of_time(before.memory_stalled_us, self.memory_stalled_us, elapsed),
            cpu_busy_ratio: cpu_share(|cpu| cpu.total - cpu.idle),
            steal_ratio: cpu_share(|cpu| cpu.steal),
            softirq_ratio: cpu_share(|cpu| cpu.softirq),
            softnet_dropped: softnet(|counters| counters.dropped),
            softnet_squeezed: softnet(|counters| counters.squeezed),
            listen_overflows: listening(|counters| counters.overflows),
            listen_drops: listening(|counters| counters.drops),
            conntrack_entries: self.table.map(|table| table.entries),
            conntrack_limit: self.table.and_then(|table| table.limit),
            conntrack_insert_failed: failures(|counters| counters.insert_failed),
            conntrack_dropped: failures(|counters| counters.dropped),
            allowance_exceeded: exceeded(&before.exceeded, &self.exceeded),
        }
    }
}

fn both<T>(before: Option<T>, after: Option<T>) -> Option<(T, T)> {
    before.zip(after)
}

fn added(before: u64, after: u64) -> Option<u64> {
    after.checked_sub(before)
}

fn share_of_time(before: Option<u64>, after: Option<u64>, elapsed: Duration) -> Option<f64> {
    let (before, after) = both(before, after).filter(|_| elapsed >= SHORTEST)?;
    ratio(added(before, after)?, u64::try_from(elapsed.as_micros()).ok()?)
}

/// The ratio of two counters, rounded to a hundredth of a percent so that records are short. It is at most 1, though
/// the part may have been read a moment after the whole.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    let share = part as f64 / whole as f64;
    (whole > 0).then(|| (share.min(1.0) * 10_000.0).round() / 10_000.0)
}

/// Sum over the interfaces that are in both readings.
fn exceeded(
    before: &BTreeMap<String, AllowanceExceeded>,
    after: &BTreeMap<String, AllowanceExceeded>,
) -> Option<AllowanceExceeded> {
    let mut sum = None;
    for (interface, after) in after {
        let Some(before) = before.get(interface) else { continue };
        let sum: &mut AllowanceExceeded = sum.get_or_insert_default();
        sum.bandwidth_in += added(before.bandwidth_in, after.bandwidth_in)?;
        sum.bandwidth_out += added(before.bandwidth_out, after.bandwidth_out)?;
        sum.packets_per_second += added(before.packets_per_second, after.packets_per_second)?;
        sum.conntrack += added(before.conntrack, after.conntrack)?;
        sum.link_local += added(before.link_local, after.link_local)?;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(n: u64) -> AllowanceExceeded {
        AllowanceExceeded {
            bandwidth_in: n,
            bandwidth_out: 2 * n,
            packets_per_second: 3 * n,
            conntrack: 4 * n,
            link_local: 5 * n,
        }
    }

    fn first() -> Reading {
        Reading {
            at: Instant::now(),
            cpu_stalled_us: Some(1_000_000),
            memory_stalled_us: Some(5),
            cpu: Some(CpuTimes { total: 10_000, idle: 9_000, softirq: 10, steal: 20 }),
            softnet: Some(Softnet { cpus: 2, dropped: 7, squeezed: 8 }),
            listening: Some(Listening { overflows: 1, drops: 2 }),
            table: Some(Table { entries: 10, limit: Some(100) }),
            failures: Some(Failures { cpus: 2, insert_failed: 3, dropped: 4 }),
            exceeded: [("eth0".to_owned(), packets(1))].into(),
        }
    }

    /// A reading taken 20 s after the first.
    fn second() -> Reading {
        let first = first();
        Reading {
            at: first.at + Duration::from_secs(20),
            cpu_stalled_us: Some(6_000_000),
            memory_stalled_us: Some(5),
            cpu: Some(CpuTimes { total: 14_000, idle: 10_000, softirq: 210, steal: 420 }),
            softnet: Some(Softnet { cpus: 2, dropped: 8, squeezed: 10 }),
            listening: Some(Listening { overflows: 4, drops: 6 }),
            table: Some(Table { entries: 99, limit: Some(100) }),
            failures: Some(Failures { cpus: 2, insert_failed: 8, dropped: 10 }),
            exceeded: [("eth0".to_owned(), packets(3))].into(),
        }
    }

    fn figures(before: impl FnOnce(&mut Reading), after: impl FnOnce(&mut Reading)) -> NodeFigures {
        let mut readings = (first(), second());
        readings.1.at = readings.0.at + Duration::from_secs(20);
        before(&mut readings.0);
        after(&mut readings.1);
        readings.1.since(&readings.0)
    }

    #[test]
    fn figures_are_what_was_added_in_between() {
        let expected = NodeFigures {
            cpu_pressure_ratio: Some(0.25),
            memory_pressure_ratio: Some(0.0),
            cpu_busy_ratio: Some(0.75),
            steal_ratio: Some(0.1),
            softirq_ratio: Some(0.05),
            softnet_dropped: Some(1),
            softnet_squeezed: Some(2),
            listen_overflows: Some(3),
            listen_drops: Some(4),
            conntrack_entries: Some(99),
            conntrack_limit: Some(100),
            conntrack_insert_failed: Some(5),
            conntrack_dropped: Some(6),
            allowance_exceeded: Some(packets(2)),
        };
        assert_eq!(figures(|_| {}, |_| {}), expected);
    }

    #[test]
    fn a_counter_that_went_back_gives_no_figure() {
        let whole = figures(|_| {}, |_| {});
        let reset = figures(
            |before| {
                before.cpu_stalled_us = Some(u64::MAX);
                before.listening = Some(Listening { overflows: 100, drops: 0 });
                before.failures = Some(Failures { cpus: 2, insert_failed: 0, dropped: 1 << 40 });
                before.exceeded = [("eth0".to_owned(), packets(4))].into();
            },
            |_| {},
        );
        assert_eq!(
            reset,
            NodeFigures {
                cpu_pressure_ratio: None,
                listen_overflows: None,
                listen_drops: Some(6),
                conntrack_insert_failed: Some(8),
                conntrack_dropped: None,
                allowance_exceeded: None,
                ..whole
            }
        );
    }

    #[test]
    fn cpus_that_came_or_went_make_sums_incomparable() {
        let figures = figures(
            |_| {},
            |after| {
                after.softnet = Some(Softnet { cpus: 4, dropped: 100, squeezed: 100 });
                after.failures = Some(Failures { cpus: 4, insert_failed: 100, dropped: 100 });
            },
        );
        assert_eq!((figures.softnet_dropped, figures.conntrack_dropped), (None, None));
    }

    #[test]
    fn what_wasnt_told_before_has_no_figure_yet() {
        let nothing = Reading {
            cpu_stalled_us: None,
            memory_stalled_us: None,
            cpu: None,
            softnet: None,
            listening: None,
            table: None,
            failures: None,
            exceeded: BTreeMap::new(),
            ..first()
        };
        let expected =
            NodeFigures { conntrack_entries: Some(99), conntrack_limit: Some(100), ..Default::default() };
        assert_eq!(figures(|before| *before = nothing, |_| {}), expected);
    }

    #[test]
    fn an_interface_counts_from_its_second_reading_on() {
        let figures = figures(
            |before| before.exceeded.extend([("eth2".to_owned(), packets(900))]),
            |after| after.exceeded.extend([("eth1".to_owned(), packets(900))]),
        );
        assert_eq!(figures.allowance_exceeded, Some(packets(2)));
    }

    #[test]
    fn shares_of_a_moment_are_left_out() {
        let figures = figures(|_| {}, |after| after.at -= Duration::from_millis(19_500));
        assert_eq!(
            (figures.cpu_pressure_ratio, figures.cpu_busy_ratio, figures.steal_ratio),
            (None, None, None)
        );
        assert_eq!(figures.listen_drops, Some(4));
    }

    #[test]
    fn a_share_is_at_most_all() {
        let figures = figures(|_| {}, |after| after.cpu_stalled_us = Some(90_000_000));
        assert_eq!(figures.cpu_pressure_ratio, Some(1.0));
    }
}
