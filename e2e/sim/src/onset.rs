//! How soon the engine speaks, and how soon it falls silent again, by how much is lost.

use crate::fault::FaultKind;
use crate::methods::MethodName;
use crate::mode::Mode;
use crate::run::{in_parallel, run_trial};
use crate::score::{Outcome, Score, score};
use crate::trial::Trial;

const LOSSES: [f64; 5] = [0.002, 0.005, 0.01, 0.02, 0.05];
const KINDS: [FaultKind; 2] = [FaultKind::ZonePair, FaultKind::Node];

/// What became of the trials of one kind and size.
#[derive(Debug, Clone)]
pub struct Size {
    pub kind: FaultKind,
    pub loss: f64,
    /// Share of trials that were detected so soon.
    pub within_60_s: f64,
    pub within_180_s: f64,
    pub score: Score,
}

/// Trials in the "easy" mode, since a "hard" fault is over after two minutes.
pub fn measure(first_seed: u64, trials: u64, threads: usize) -> Vec<Size> {
    let sizes = KINDS.into_iter().flat_map(|kind| LOSSES.into_iter().map(move |loss| (kind, loss)));
    sizes.map(|(kind, loss)| measure_size(kind, loss, first_seed, trials, threads)).collect()
}

fn measure_size(kind: FaultKind, loss: f64, first_seed: u64, trials: u64, threads: usize) -> Size {
    let outcomes: Vec<Outcome> = in_parallel(trials as usize, threads, |turn| {
        let seed = first_seed + turn as u64;
        run_trial(Trial::with_loss(Mode::Easy, seed, kind, loss), seed, kind, &[MethodName::Tidewatch])
    })
    .into_iter()
    .flatten()
    .collect();
    let within = |seconds: u32| {
        let soon = outcomes.iter().filter(|o| o.detected_after.is_some_and(|after| after <= seconds)).count();
        soon as f64 / outcomes.len().max(1) as f64
    };
    Size { kind, loss, within_60_s: within(60), within_180_s: within(180), score: score(outcomes.iter()) }
}
