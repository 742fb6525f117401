//! Trials in which only a workload or a remote is at fault: in how many is the infrastructure blamed all the same?
//!
//! That is to happen never, and a few hundred trials can't tell never from once in a hundred. So these are many, of the
//! kinds that matter alone, judged by our engine alone; the rate is told with the bound that the trials allow.

use tidewatch_health::Sensitivity;
use tidewatch_records::FlowWindow;

use crate::build::Shape;
use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::methods::{Atlas, Observed, Tidewatch};
use crate::mode::Mode;
use crate::run::{Follower, in_parallel};
use crate::score::{Outcome, Score, score};
use crate::trial::Trial;

/// The results of the trials of one mode.
#[derive(Debug, Clone)]
pub struct Innocence {
    pub trials: usize,
    /// Those in which infrastructure was blamed in any window from the onset to the trial's end.
    pub blamed: Vec<Outcome>,
    /// Quiet windows before the onsets, and those of them in which infrastructure was blamed.
    pub quiet: usize,
    pub quiet_blamed: usize,
    pub score: Score,
}

impl Innocence {
    /// At most so large is the chance that a trial blames the infrastructure, with a confidence of 95%.
    pub fn at_most(&self) -> f64 {
        upper_bound(self.blamed.len(), self.trials, 0.05)
    }
}

/// Factors on the mode's rates of one-window blips of nodes and of bursts of services, to test events that are rare
/// otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub times_blips: f64,
    pub times_bursts: f64,
}

impl Weather {
    fn over(self, shape: Shape) -> Shape {
        Shape {
            blips_per_node: shape.blips_per_node * self.times_blips,
            bursts_per_service: shape.bursts_per_service * self.times_bursts,
            ..shape
        }
    }
}

/// So many clusters, each with a seed and a healthy history of its own; each is then met by a fault of every kind, one
/// without the other and in weather of its own.
pub fn measure(
    mode: Mode,
    clock: Clock,
    first_seed: u64,
    clusters: u64,
    weather: Weather,
    threads: usize,
) -> Innocence {
    let by_cluster = in_parallel(clusters as usize, threads, |turn| {
        let seed = first_seed + turn as u64;
        let shape = weather.over(mode.shape(seed));
        let trial = if clock == Clock::default() {
            Trial::with_shape(mode, shape, seed, FaultKind::Blocked)
        } else {
            Trial::real_with_shape(mode, shape, seed, FaultKind::Blocked, clock, false)
        };
        futures_of(trial, seed, &FaultKind::NOT_INFRASTRUCTURE)
    });
    let of_cluster =
        |of: fn(&Outcome) -> usize| by_cluster.iter().filter_map(|all| all.first()).map(of).sum();
    let (quiet, quiet_blamed) = (of_cluster(|o| o.quiet), of_cluster(|o| o.quiet_infrastructure));
    let outcomes: Vec<Outcome> = by_cluster.into_iter().flatten().collect();
    Innocence {
        trials: outcomes.len(),
        quiet,
        quiet_blamed,
        score: score(outcomes.iter()),
        blamed: outcomes.into_iter().filter(|outcome| !outcome.slanders.is_empty()).collect(),
    }
}

/// Lives through the history once, and from there on through each kind of fault.
pub(crate) fn futures_of(mut trial: Trial, seed: u64, kinds: &[FaultKind]) -> Vec<Outcome> {
    let mut past = Follower::new(Tidewatch::with(Sensitivity::Standard), seed, FaultKind::Healthy);
    let mut records = Vec::new();
    for index in 0..trial.history_windows() {
        step(index, &mut trial, &mut past, &mut records);
    }
    let kinds = kinds.iter().copied().zip(0..);
    kinds
        .map(|(kind, number)| {
            let (mut trial, mut follower) = (trial.branch(kind, number), past.branch(kind));
            for index in trial.history_windows()..trial.windows() {
                step(index, &mut trial, &mut follower, &mut records);
            }
            follower.finish(&trial)
        })
        .collect()
}

fn step(index: usize, trial: &mut Trial, follower: &mut Follower<Tidewatch>, records: &mut Vec<FlowWindow>) {
    if let Some(truth) = trial.step(records) {
        let observed = Observed {
            start: truth.window_start,
            seconds: truth.window_seconds,
            flows: records,
            nodes: trial.nodes(),
            crossings: &[],
            atlas: &Atlas::default(),
        };
        follower.window(index, &truth, trial, &observed);
    }
}

/// The exact one-sided bound (Clopper and Pearson, Biometrika 1934): the chance a trial at which `hits` of `trials` or
/// fewer still come with the probability `alpha`.
pub fn upper_bound(hits: usize, trials: usize, alpha: f64) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most_hits(hits, trials, middle) > alpha { low = middle } else { high = middle }
    }
    high
}

/// P(X ≤ hits) of a binomial.
fn at_most_hits(hits: usize, trials: usize, chance: f64) -> f64 {
    let mut ln_term = trials as f64 * (1.0 - chance).ln();
    let mut sum = ln_term.exp();
    for n in 1..=hits {
        ln_term += ((trials - n + 1) as f64 / n as f64).ln() + (chance / (1.0 - chance)).ln();
        sum += ln_term.exp();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_in_n_is_at_most_three_in_n() {
        assert!((upper_bound(0, 3_000, 0.05) - 3.0 / 3_000.0).abs() < 5e-6);
        assert!((upper_bound(0, 1, 0.05) - 0.95).abs() < 1e-9);
    }

    #[test]
    fn the_bound_of_some_hits_is_where_so_few_come_with_a_chance_of_one_in_twenty() {
        // By summing the binomial's terms in exact arithmetic.
        assert!((upper_bound(1, 100, 0.05) - 0.046_560).abs() < 1e-6);
        assert!((upper_bound(5, 50, 0.05) - 0.198_833).abs() < 1e-6);
        assert!((upper_bound(7, 7, 0.05) - 1.0).abs() < 1e-9);
    }
}
