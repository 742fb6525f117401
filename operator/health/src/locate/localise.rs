//! Finds the components that explain the evidence: the best one first, then the best explanation of the remaining
//! evidence.

use std::collections::HashSet;

use crate::evidence::hypothesis::{Support, support};
use crate::evidence::peers::Peers;
use crate::evidence::source::EvidenceSource;
use crate::input::cell::Cell;
use crate::input::topology::Topology;
use crate::locate::candidate::{Candidate, Penalties, Thresholds, candidates};
use crate::locate::suspect::{Examination, Explanation, Suspect};
use crate::verdict::Class;

/// Components found in one window at most; more than this at once is no localisation.
const MOST_FOUND: usize = 8;
/// Candidates looked at closely, the best first, before it is concluded that none of them will do.
const MOST_TRIED: usize = 40;

/// Components whose scores differ by less, and of whose cells at least so large a share is the same, are ambiguous.
const AMBIGUOUS: f64 = 1.0;
const SAME: f64 = 0.95;

/// Finds the components at fault.
pub(crate) fn localise(
    cells: &[&Cell],
    topology: &Topology,
    source: &mut impl EvidenceSource,
    // The first until nothing more is found by it, then the next.
    thresholds: &[Thresholds],
) -> Vec<Explanation> {
    let mut supports: Vec<Support<f32>> =
        (0..cells.len()).map(|cell| support(&source.ratios(cell))).collect();
    let peers = Peers::of(cells);
    let penalties = Penalties::of(topology);
    let mut found = Vec::new();
    // Cells that a workload or a remote turned out to answer for.
    let mut answered = vec![false; cells.len()];
    let mut thresholds = thresholds.iter();
    let Some(plain) = thresholds.next() else { return found };
    let mut least = plain;
    while found.len() < MOST_FOUND {
        let candidates = candidates(topology, &supports, source, least, &penalties);
        let totals = peers.totals(|cell| source.counts(cell));
        let look = Examination {
            cells,
            topology,
            source,
            supports: &supports,
            totals: &totals,
            thresholds: least,
            penalties: &penalties,
        };
        // The best before its services were looked at elsewhere: the larger a component, the less elsewhere there is.
        let mut closer = candidates.iter().take(MOST_TRIED).filter_map(|candidate| look.closer(*candidate));
        let Some(best) = closer.next() else {
            match thresholds.next() {
                Some(next) if next != least => {
                    least = next;
                    continue;
                }
                _ => break,
            }
        };
        let mut next = best.settle();
        if let Some(rival) = rival(&look, &candidates, &best) {
            next.rival = Some(rival.candidate.hypothesis.component);
            let mut rival = rival.settle();
            rival.rival = Some(next.component);
            found.push(rival);
        }
        let changed = allow_for(&next, topology, &best.candidate, source, &mut supports);
        // What says too little to be named on its own answers for nothing.
        if next.component.class() != Class::Infrastructure && next.score >= plain.of(next.component.class()) {
            for cell in changed {
                if let Some(answered) = answered.get_mut(cell) {
                    *answered = true;
                }
            }
        }
        found.push(next);
    }
    found.iter_mut().for_each(|found| found.leave_to_others(&answered));
    found.retain(|found| !found.is_path_alone() || found.score >= least.infrastructure);
    found
}

/// A component of another class that explains what the best explains, and about as well.
fn rival<C: EvidenceSource>(
    look: &Examination<'_, C>,
    candidates: &[Candidate],
    best: &Suspect,
) -> Option<Suspect> {
    let best = &best.candidate;
    let enough = |candidate: &Candidate| candidate.score >= best.score - AMBIGUOUS;
    candidates
        .iter()
        .take(MOST_TRIED)
        .take_while(|candidate| enough(candidate))
        .filter(|candidate| candidate.hypothesis.component.class() != best.hypothesis.component.class())
        .filter_map(|candidate| look.closer(*candidate))
        .find(|suspect| enough(&suspect.candidate) && same_cells(best, &suspect.candidate, look.topology))
}

/// True if nearly the same cells cross two components, so that nothing can tell them apart.
fn same_cells(one: &Candidate, other: &Candidate, topology: &Topology) -> bool {
    let of = |candidate: &Candidate| candidate.hypothesis.members(topology).collect::<HashSet<usize>>();
    let (one, other) = (of(one), of(other));
    let shared = one.intersection(&other).count() as f64;
    shared >= SAME * one.len().max(other.len()) as f64
}

/// Removes the harm that the found component explains from the evidence for other components. Returns the cells
/// concerned.
fn allow_for(
    found: &Explanation,
    topology: &Topology,
    candidate: &Candidate,
    source: &mut impl EvidenceSource,
    supports: &mut [Support<f32>],
) -> Vec<usize> {
    let changed: Vec<usize> = if found.component.class() == Class::Infrastructure {
        let hurt: Vec<usize> = found.cells.iter().filter(|(_, hurt)| *hurt).map(|(cell, _)| *cell).collect();
        source.explain_all(&hurt, found.column);
        hurt
    } else {
        let all: Vec<usize> = candidate.hypothesis.members_of_both(topology).collect();
        all.iter().for_each(|cell| source.silence(*cell));
        all
    };
    for cell in &changed {
        if let Some(slot) = supports.get_mut(*cell) {
            *slot = support(&source.ratios(*cell));
        }
    }
    changed
}
