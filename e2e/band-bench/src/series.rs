//! A generated series with its anomalies.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::{Distribution, StandardNormal};

/// Monday 2026-01-05T00:00:00Z.
pub(crate) const START: i64 = 1_767_571_200;
pub(crate) const DAY: f64 = 86_400.0;

/// A generated series and its known anomalies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    /// Seconds since 1970, and values.
    pub(crate) values: Vec<(i64, f64)>,
    /// Half-open time ranges of the anomalies.
    pub(crate) anomalies: Vec<(i64, i64)>,
    /// Time from which breaches count; the values before it are only for learning.
    pub(crate) judged_from: i64,
    /// Seconds between values.
    pub(crate) step: i64,
}

/// Random number generator of one series.
pub(crate) struct Random(Xoshiro256PlusPlus);

impl Random {
    pub(crate) fn new(seed: u64, kind: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(1009).wrapping_add(kind)))
    }

    pub(crate) fn uniform(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.0.random::<f64>()
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    pub(crate) fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        rand_distr::Poisson::new(mean.max(1e-9)).map_or(0.0, |poisson| poisson.sample(&mut self.0))
    }

    pub(crate) fn sign(&mut self) -> f64 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    pub(crate) fn pareto(&mut self, shape: f64) -> f64 {
        self.uniform(1e-12, 1.0).powf(-1.0 / shape)
    }
}
