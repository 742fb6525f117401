//! Harm that the whole cluster suffers at once, such as by a stalled machine or a busy hypervisor, is no path's fault.
//! The rise that even the quietest third of paths shows is subtracted from all of them.

use std::collections::{BTreeMap, HashMap};

use crate::input::cell::{Cell, Subject};
use crate::input::names::Id;
use crate::learned::baseline::Expected;

/// A whole zone of three may be at fault, and leaves four ninths of node pairs alone.
const QUIETEST: f64 = 0.3;
/// Segments that a node pair must have sent to be asked.
const ENOUGH_SEGMENTS: u64 = 300;
const ENOUGH_PAIRS: usize = 8;
/// A stall doesn't fall on all alike: the others suffer more than the quietest.
const UNEVEN: f64 = 1.5;
/// Loss above this isn't explained away: the network may fail everywhere at once.
const MOST_EXCESS: f64 = 0.004;

/// No node's own trouble is taken to explain more than this.
const MOST_WITHIN: f64 = 0.1;

type NodePair = (Option<Id>, Option<Id>);

/// Segments that one node sent to another.
#[derive(Debug, Default)]
struct Sent {
    segments: u64,
    retransmissions: u64,
    usual: f64,
}

/// Retransmission ratio above what is expected, that the quietest third of node pairs has too.
pub(crate) fn cluster_excess(cells: &[&Cell], expected: &[Expected]) -> f64 {
    let mut pairs: BTreeMap<NodePair, Sent> = BTreeMap::new();
    for (cell, expected) in cells.iter().zip(expected) {
        let pair = pairs.entry((cell.flow.local_node, cell.flow.remote_node)).or_default();
        pair.segments = pair.segments.saturating_add(cell.data.segments);
        pair.retransmissions = pair.retransmissions.saturating_add(cell.data.retransmissions);
        pair.usual += cell.data.segments as f64 * expected.ratio;
    }
    let excesses: Vec<f64> = pairs
        .values()
        .filter(|sent| sent.segments >= ENOUGH_SEGMENTS)
        .map(|sent| (sent.retransmissions as f64 - sent.usual) / sent.segments as f64)
        .collect();
    if excesses.len() < ENOUGH_PAIRS { 0.0 } else { (quietest(excesses) * UNEVEN).clamp(0.0, MOST_EXCESS) }
}

/// Segments that a node's pods must have sent each other to be asked, and what they must have lost of them beyond what is
/// usual for anything to be concluded.
const ENOUGH_WITHIN: f64 = 100.0;
const LEAST_WITHIN: f64 = 3.0;
/// Flows within a node that are asked, at least, and the part of them, the quietest: one sick pod is not its node.
const FLOWS_WITHIN: usize = 4;
const QUIETER: f64 = 0.6;

/// Retransmission ratio above what is expected of flows that stay within their node. They cross no network: what most of
/// them suffer is the node's own, an end that had no CPU in time, and its flows to other nodes suffer it as well.
pub(crate) fn node_excess(cells: &[&Cell], expected: &[Expected]) -> HashMap<Id, f64> {
    let mut nodes: HashMap<Id, Vec<Within>> = HashMap::new();
    for (cell, expected) in cells.iter().zip(expected).filter(|(cell, _)| !cell.flow.leaves_node()) {
        let segments = cell.data.segments as f64;
        if let Some(node) = cell.flow.local_node.filter(|_| segments > 0.0) {
            let more = cell.data.retransmissions as f64 - segments * expected.ratio;
            let ends = [cell.flow.local, cell.flow.remote];
            nodes.entry(node).or_default().push(Within { ends, sent: (segments, more) });
        }
    }
    nodes.into_iter().filter_map(|(node, flows)| Some((node, quieter(without_worst_end(&flows))?))).collect()
}

/// A flow within a node.
struct Within {
    ends: [Id; 2],
    /// Segments, and retransmissions beyond what is expected.
    sent: (f64, f64),
}

/// The counts of the flows that don't involve the worst endpoint. A problem of the node itself shows on those flows
/// too.
fn without_worst_end(flows: &[Within]) -> Vec<(f64, f64)> {
    let mut by_end: BTreeMap<Id, f64> = BTreeMap::new();
    for flow in flows {
        for end in flow.ends {
            *by_end.entry(end).or_default() += flow.sent.1;
        }
    }
    let worst = by_end.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(end, _)| end);
    flows
        .iter()
        .filter(|flow| !flow.ends.iter().any(|end| Some(*end) == worst))
        .map(|flow| flow.sent)
        .collect()
}

/// The ratio of the quieter flows, each with its segments and what it lost beyond what is usual.
fn quieter(mut flows: Vec<(f64, f64)>) -> Option<f64> {
    if flows.len() < FLOWS_WITHIN {
        return None;
    }
    flows.sort_by(|(sent, more), (other_sent, other)| (more / sent).total_cmp(&(other / other_sent)));
    flows.truncate((flows.len() as f64 * QUIETER).ceil() as usize);
    let (segments, more) = flows.iter().fold((0.0, 0.0), |sum, flow| (sum.0 + flow.0, sum.1 + flow.1));
    (segments >= ENOUGH_WITHIN && more >= LEAST_WITHIN).then(|| (UNEVEN * more / segments).min(MOST_WITHIN))
}

/// Connection requests that a node pair, or the services of a node, must have sent for their losses to count.
const ENOUGH_REQUESTS: u64 = 5;
/// The largest share of lost requests that is put down to machines that stand still.
const MOST_LATE: f64 = 0.5;

/// Connection requests, those sent again counted each, and how many of them were lost though the attempt was answered.
#[derive(Debug, Default)]
struct Requests {
    sent: u64,
    lost: u64,
}

impl Requests {
    fn add(&mut self, cell: &Cell) {
        let lost = cell.handshakes.lost_before_answer();
        self.lost = self.lost.saturating_add(lost);
        self.sent = self.sent.saturating_add(cell.handshakes.decided()).saturating_add(lost);
    }

    fn share_lost(&self) -> f64 {
        self.lost as f64 / self.sent as f64
    }
}

/// Shares of connection requests whose answers come too late because machines stand still for a moment.
#[derive(Debug, Default)]
pub(crate) struct LateRequests {
    /// Of the quietest third of node pairs.
    pub(crate) everywhere: f64,
    /// Of the flows that stay within each node, the worst service left out.
    pub(crate) within: HashMap<Id, f64>,
}

impl LateRequests {
    pub(crate) fn of(cells: &[&Cell]) -> Self {
        if cells.iter().all(|cell| cell.handshakes.lost_before_answer() == 0) {
            return Self::default();
        }
        let mut pairs: BTreeMap<NodePair, Requests> = BTreeMap::new();
        let mut nodes: HashMap<Id, BTreeMap<Subject, Requests>> = HashMap::new();
        for cell in cells {
            let flow = &cell.flow;
            pairs.entry((flow.local_node, flow.remote_node)).or_default().add(cell);
            if let Some(node) = flow.local_node.filter(|_| !flow.leaves_node()) {
                nodes.entry(node).or_default().entry(flow.subject).or_default().add(cell);
            }
        }
        let late = |share: f64| (UNEVEN * share).min(MOST_LATE);
        let shares = pairs.values().filter(|requests| requests.sent >= ENOUGH_REQUESTS);
        let shares: Vec<f64> = shares.map(Requests::share_lost).collect();
        let everywhere = if shares.len() < ENOUGH_PAIRS { 0.0 } else { late(quietest(shares)) };
        let within = |(node, services): (Id, BTreeMap<Subject, Requests>)| {
            Some((node, late(without_worst(services.into_values())?)))
        };
        Self { everywhere, within: nodes.into_iter().filter_map(within).collect() }
    }
}

/// Share of the requests that were lost, without the service that lost most: a service that can't keep up says nothing
/// of its node.
fn without_worst(services: impl Iterator<Item = Requests>) -> Option<f64> {
    let mut services: Vec<Requests> = services.filter(|requests| requests.sent > 0).collect();
    services.sort_by(|one, other| one.share_lost().total_cmp(&other.share_lost()));
    services.pop()?;
    let others = services.iter().fold(Requests::default(), |sum, service| Requests {
        sent: sum.sent.saturating_add(service.sent),
        lost: sum.lost.saturating_add(service.lost),
    });
    (others.sent >= ENOUGH_REQUESTS).then(|| others.share_lost())
}

/// The value that the quietest third stays below.
pub(crate) fn quietest(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get((values.len() as f64 * QUIETEST) as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_flows_within_a_node_suffer_is_the_nodes() {
        let lost = |share: f64| (1_000.0, 1_000.0 * share);
        let stalled = quieter(vec![lost(0.02), lost(0.03), lost(0.01), lost(0.05), lost(0.02)]);
        assert!(stalled.is_some_and(|ratio| ratio > 0.02 && ratio < 0.04), "{stalled:?}");
        let one_sick_pod = quieter(vec![lost(0.0), lost(0.0), lost(0.0), lost(0.2), lost(0.2)]);
        assert_eq!(one_sick_pod, None);
        assert_eq!(quieter(vec![lost(0.02); 3]), None, "too few to tell");
    }

    #[test]
    fn requests_that_one_service_loses_are_its_own() {
        let requests = |lost| Requests { sent: 10, lost };
        let stands_still = without_worst([requests(4), requests(2), requests(4)].into_iter());
        assert_eq!(stands_still, Some(0.3));
        let cannot_keep_up = without_worst([requests(0), requests(9), requests(0)].into_iter());
        assert_eq!(cannot_keep_up, Some(0.0));
        assert_eq!(without_worst([requests(9)].into_iter()), None);
    }
}
