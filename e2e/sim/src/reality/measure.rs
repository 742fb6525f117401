//! Trials on real machines: each cluster lives through its history once, and from there on through each kind, one
//! without the other and in weather of its own.

use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::innocent::futures_of;
use crate::mode::Mode;
use crate::run::in_parallel;
use crate::score::Outcome;
use crate::trial::Trial;

/// The outcomes of `clusters` clusters, each with each of `kinds`.
pub fn measure(
    mode: Mode,
    clock: Clock,
    (first_seed, clusters): (u64, u64),
    kinds: &[FaultKind],
    threads: usize,
) -> Vec<Outcome> {
    let by_cluster = in_parallel(clusters as usize, threads, |turn| {
        let seed = first_seed + turn as u64;
        futures_of(Trial::real(mode, seed, FaultKind::Healthy, clock, false), seed, kinds)
    });
    by_cluster.into_iter().flatten().collect()
}
