//! What the whole cluster suffers at once is no path's fault: a stalled machine, a busy hypervisor. The rise that even
//! the quietest third of paths shows is taken off all.

use std::collections::{BTreeMap, HashMap};

use crate::baseline::Expected;
use crate::names::Id;
use crate::reduce::Cell;

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

/// What a node pair sent one way.
#[derive(Debug, Default)]
struct Sent {
    segments: u64,
    retransmissions: u64,
    usual: f64,
}

/// Retransmission ratio above what is expected, that the quietest third of node pairs has too.
pub(crate) fn excess(cells: &[&Cell], expected: &[Expected]) -> f64 {
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
const ENOUGH_WITHIN: u64 = 100;
const LEAST_WITHIN: f64 = 3.0;

/// Retransmission ratio above what is expected of flows that stay within their node. They cross no network: what they
/// suffer is the node's own, an end that had no CPU in time, and its flows to other nodes suffer it as well.
pub(crate) fn excess_within(cells: &[&Cell], expected: &[Expected]) -> HashMap<Id, f64> {
    let mut nodes: HashMap<Id, Sent> = HashMap::new();
    for (cell, expected) in cells.iter().zip(expected).filter(|(cell, _)| !cell.flow.leaves_node()) {
        let Some(node) = cell.flow.local_node else { continue };
        let sent = nodes.entry(node).or_default();
        sent.segments = sent.segments.saturating_add(cell.data.segments);
        sent.retransmissions = sent.retransmissions.saturating_add(cell.data.retransmissions);
        sent.usual += cell.data.segments as f64 * expected.ratio;
    }
    nodes
        .into_iter()
        .filter(|(_, sent)| sent.segments >= ENOUGH_WITHIN)
        .map(|(node, sent)| (node, sent.retransmissions as f64 - sent.usual, sent.segments as f64))
        .filter(|(_, more, _)| *more >= LEAST_WITHIN)
        .map(|(node, more, segments)| (node, (UNEVEN * more / segments).min(MOST_WITHIN)))
        .collect()
}

/// The value that the quietest third stays below.
pub(crate) fn quietest(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get((values.len() as f64 * QUIETEST) as usize).copied().unwrap_or(0.0)
}
