//! What the whole cluster suffers at once is no path's fault: a stalled machine, a busy hypervisor. The rise that even
//! the quietest third of paths shows is taken off all.

use std::collections::BTreeMap;

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

/// The value that the quietest third stays below.
pub(crate) fn quietest(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get((values.len() as f64 * QUIETEST) as usize).copied().unwrap_or(0.0)
}
