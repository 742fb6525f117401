//! Limits of a node itself: the kernel's connection-tracking table, and the allowances of an EC2 instance type.
//! Reaching one is no fault as long as no traffic suffers. Where traffic suffers, the limit is the cause that is
//! reported.

use std::collections::BTreeMap;

use tidewatch_records::{AllowanceExceeded, NodeFigures, NodeWindow};

use crate::input::component::Component;
use crate::input::names::{Id, Names};
use crate::locate::finding::Finding;
use crate::verdict::{Cause, Limit, LimitReached};

/// Share of the table's capacity from which on it counts as full. It isn't 1, since the kernel frees and fills entries
/// all the time.
const FULL: f64 = 0.98;

/// The limits that nodes reached in one window.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits(BTreeMap<Id, Reached>);

/// The limits that one node reached.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    table: Table,
    allowances: AllowanceExceeded,
}

#[derive(Debug, Clone, Copy, Default)]
struct Table {
    entries: u64,
    limit: u64,
    turned_away: u64,
}

impl Table {
    fn add(&mut self, figures: &NodeFigures) {
        self.entries = self.entries.max(figures.conntrack_entries.unwrap_or(0));
        self.limit = self.limit.max(figures.conntrack_limit.unwrap_or(0));
        for count in [figures.conntrack_insert_failed, figures.conntrack_dropped].into_iter().flatten() {
            self.turned_away = self.turned_away.saturating_add(count);
        }
    }

    /// True if the table is full and has turned something away. Failed inserts alone may be two packets that race for
    /// one entry, and a full table alone hurts nobody.
    fn is_reached(&self) -> bool {
        self.turned_away > 0 && self.limit > 0 && self.entries as f64 >= FULL * self.limit as f64
    }
}

fn add(sum: &mut AllowanceExceeded, more: &AllowanceExceeded) {
    sum.bandwidth_in = sum.bandwidth_in.saturating_add(more.bandwidth_in);
    sum.bandwidth_out = sum.bandwidth_out.saturating_add(more.bandwidth_out);
    sum.packets_per_second = sum.packets_per_second.saturating_add(more.packets_per_second);
    sum.conntrack = sum.conntrack.saturating_add(more.conntrack);
    sum.link_local = sum.link_local.saturating_add(more.link_local);
}

impl Limits {
    pub(crate) fn of(windows: &[NodeWindow], names: &Names) -> Self {
        let mut all: BTreeMap<Id, Reached> = BTreeMap::new();
        for window in windows {
            let Some(node) = names.text(&window.reporter) else { continue };
            let reached = all.entry(node).or_default();
            reached.table.add(&window.node);
            add(&mut reached.allowances, &window.node.allowance_exceeded.unwrap_or_default());
        }
        Self(all)
    }

    /// Replaces the cause of a finding at a node by the limit that the node reached, if its figures show one that does
    /// such harm.
    pub(crate) fn explain(&self, finding: &mut Finding) {
        let Component::Node(node) = finding.component else { return };
        let Some(reached) = self.0.get(&node) else { return };
        let Some(limit) = reached.that_causes(finding.cause) else { return };
        finding.cause = match limit.limit {
            Limit::ConntrackTable => Cause::ConntrackFull,
            Limit::ConntrackAllowance
            | Limit::PacketRateAllowance
            | Limit::BandwidthInAllowance
            | Limit::BandwidthOutAllowance => Cause::AllowanceExceeded,
        };
        finding.evidence.limit = Some(limit);
    }
}

impl Reached {
    fn connection_limits(&self) -> [Option<LimitReached>; 2] {
        let table = self.table.is_reached().then_some(LimitReached {
            limit: Limit::ConntrackTable,
            turned_away: self.table.turned_away,
            entries: Some(self.table.entries),
            most_entries: Some(self.table.limit),
        });
        [table, allowance(Limit::ConntrackAllowance, self.allowances.conntrack)]
    }

    /// The limit that was reached and can have this effect. Connection tracking turns new connections away; the other
    /// allowances delay or drop any packet.
    fn that_causes(&self, cause: Cause) -> Option<LimitReached> {
        let connections = self.connection_limits();
        let allowances = &self.allowances;
        let packets = [
            allowance(Limit::PacketRateAllowance, allowances.packets_per_second),
            allowance(Limit::BandwidthInAllowance, allowances.bandwidth_in),
            allowance(Limit::BandwidthOutAllowance, allowances.bandwidth_out),
        ];
        let worst = || packets.into_iter().flatten().max_by_key(|reached| reached.turned_away);
        match cause {
            Cause::ConnectionFailures | Cause::Unreachable => {
                connections.into_iter().flatten().next().or_else(worst)
            }
            Cause::PacketLoss => worst().or_else(|| connections.into_iter().flatten().next()),
            Cause::Latency => worst(),
            Cause::Refused
            | Cause::Overload
            | Cause::ConntrackFull
            | Cause::AllowanceExceeded
            | Cause::Unknown => None,
        }
    }
}

fn allowance(limit: Limit, turned_away: u64) -> Option<LimitReached> {
    (turned_away > 0).then_some(LimitReached { limit, turned_away, entries: None, most_entries: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use jiff::Timestamp;

    use super::*;
    use crate::verdict::Evidence;

    const ALL_CAUSES: [Cause; 6] = [
        Cause::ConnectionFailures,
        Cause::Unreachable,
        Cause::PacketLoss,
        Cause::Latency,
        Cause::Refused,
        Cause::Overload,
    ];

    /// The cause and the limit that are reported for each cause found at a node with these figures.
    fn explained(node: NodeFigures) -> Vec<(Cause, Option<Limit>)> {
        let mut names = Names::default();
        let id = names.intern(&"a".into());
        let start = Timestamp::from_second(0).unwrap();
        let window = NodeWindow { window_start: start, window_seconds: 15, reporter: "a".into(), node };
        let limits = Limits::of(&[window], &names);
        let explain = |cause| {
            let mut finding = Finding {
                component: Component::Node(id),
                cause,
                score: 30.0,
                harm: 0.1,
                surely_more: 10.0,
                evidence: Evidence::default(),
                rival: None,
                cells: Vec::new(),
            };
            limits.explain(&mut finding);
            (finding.cause, finding.evidence.limit.map(|reached| reached.limit))
        };
        ALL_CAUSES.into_iter().map(explain).collect()
    }

    fn as_found() -> Vec<(Cause, Option<Limit>)> {
        ALL_CAUSES.into_iter().map(|cause| (cause, None)).collect()
    }

    fn table(entries: u64, insert_failed: u64) -> NodeFigures {
        NodeFigures {
            conntrack_entries: Some(entries),
            conntrack_limit: Some(1_000),
            conntrack_insert_failed: Some(insert_failed),
            ..NodeFigures::default()
        }
    }

    #[test]
    fn a_full_table_explains_failing_connections() {
        let full = (Cause::ConntrackFull, Some(Limit::ConntrackTable));
        let explained = explained(table(1_000, 300));
        assert_eq!(explained.get(..3).unwrap(), [full, full, full]);
        assert_eq!(explained.get(3..), as_found().get(3..), "it delays nothing, refuses nothing");
    }

    #[test]
    fn a_table_that_is_full_or_races_alone_explains_nothing() {
        assert_eq!(explained(table(1_000, 0)), as_found());
        assert_eq!(explained(table(300, 12)), as_found());
        assert_eq!(explained(NodeFigures::default()), as_found());
    }

    #[test]
    fn an_allowance_explains_what_it_holds_back() {
        let with =
            |allowances| NodeFigures { allowance_exceeded: Some(allowances), ..NodeFigures::default() };
        let packets = AllowanceExceeded { packets_per_second: 900, ..AllowanceExceeded::default() };
        let told = (Cause::AllowanceExceeded, Some(Limit::PacketRateAllowance));
        assert_eq!(explained(with(packets)).get(..4).unwrap(), [told; 4]);
        let connections = AllowanceExceeded { conntrack: 40, ..AllowanceExceeded::default() };
        let told = (Cause::AllowanceExceeded, Some(Limit::ConntrackAllowance));
        let explained = explained(with(connections));
        assert_eq!(explained.get(..2).unwrap(), [told; 2]);
        assert_eq!(explained.get(3).unwrap(), &(Cause::Latency, None));
    }
}
