//! Draws from the distributions that the simulated cluster is made of.
//!
//! One generator a trial: xoshiro256++ seeded from the trial's number, so that a trial is the same on every run and
//! doesn't depend on which thread runs it. Parameters are clamped to where each distribution is defined, so that a
//! draw never fails.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Beta, Binomial, Distribution, Gamma, LogNormal, Poisson, StandardNormal, Zipf};

#[derive(Debug, Clone)]
pub struct Dice {
    rng: Xoshiro256PlusPlus,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { rng: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// A generator of its own for one purpose, so that adding draws to one part doesn't change the others.
    pub fn split(&mut self) -> Self {
        Self::new(self.rng.random())
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.rng.random::<f64>() < probability
    }

    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.random::<f64>()
    }

    /// Uniform on a logarithmic scale: as often between 0.1% and 1% as between 1% and 10%.
    pub fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        self.uniform(low.ln(), high.ln()).exp()
    }

    /// `low..=high`
    pub fn integer(&mut self, low: usize, high: usize) -> usize {
        if low >= high { low } else { self.rng.random_range(low..=high) }
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.integer(0, from.len().saturating_sub(1)))
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.integer(0, last);
            items.swap(last, other);
        }
    }

    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.rng)
    }

    /// Log-normal with the given median; `sigma` is that of the logarithm.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        LogNormal::new(median.max(1e-12).ln(), sigma).map_or(median, |law| law.sample(&mut self.rng))
    }

    /// A rank in `0..n`, the lower the likelier (exponent `s`).
    pub fn zipf(&mut self, n: usize, s: f64) -> usize {
        let rank = Zipf::new(n.max(1) as f64, s).map_or(1.0, |law| law.sample(&mut self.rng));
        (rank as usize).saturating_sub(1).min(n.saturating_sub(1))
    }

    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        Poisson::new(mean.min(1e12)).map_or(0, |law| law.sample(&mut self.rng) as u64)
    }

    pub fn binomial(&mut self, n: u64, probability: f64) -> u64 {
        if n == 0 || probability <= 0.0 {
            return 0;
        }
        Binomial::new(n, probability.min(1.0)).map_or(0, |law| law.sample(&mut self.rng))
    }

    /// Number of hits among `n` when the hit probability itself is drawn from a Beta of the given mean and `shape` (its
    /// first parameter): the smaller the shape, the more uneven. The intra-class correlation is [`correlation`]`(mean,
    /// shape)`, the variance `n p (1-p) (1 + (n-1) rho)`.
    pub fn beta_binomial(&mut self, n: u64, mean: f64, shape: f64) -> u64 {
        if n == 0 || mean <= 0.0 {
            return 0;
        }
        if mean >= 1.0 {
            return n;
        }
        let probability =
            Beta::new(shape, shape * (1.0 - mean) / mean).map_or(mean, |law| law.sample(&mut self.rng));
        self.binomial(n, probability)
    }

    /// Gamma with mean 1 and the given shape.
    pub fn gamma_factor(&mut self, shape: f64) -> f64 {
        Gamma::new(shape, 1.0 / shape).map_or(1.0, |law| law.sample(&mut self.rng))
    }
}

/// Intra-class correlation of a beta-binomial with this mean and first shape parameter.
pub fn correlation(mean: f64, shape: f64) -> f64 {
    1.0 / (shape + shape * (1.0 - mean) / mean + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_dispersion_is_as_asked() {
        for (mean, shape) in [(0.0005, 0.5), (0.002, 1.0), (0.02, 3.0)] {
            let (n, draws) = (2_000_u64, 40_000);
            let mut dice = Dice::new(7);
            let sample: Vec<f64> = (0..draws).map(|_| dice.beta_binomial(n, mean, shape) as f64).collect();
            let average = sample.iter().sum::<f64>() / draws as f64;
            let variance = sample.iter().map(|x| (x - average).powi(2)).sum::<f64>() / (draws - 1) as f64;
            let n = n as f64;
            let expected = n * mean * (1.0 - mean) * (1.0 + (n - 1.0) * correlation(mean, shape));
            assert!((average / (n * mean) - 1.0).abs() < 0.05, "mean {average} for {}", n * mean);
            assert!((variance / expected - 1.0).abs() < 0.10, "variance {variance} for {expected}");
            assert!(variance > 1.3 * n * mean, "more uneven than a plain binomial");
        }
    }

    #[test]
    fn the_same_seed_throws_the_same_dice() {
        let throw = |seed| {
            let mut dice = Dice::new(seed);
            (0..50).map(|_| dice.beta_binomial(1_000, 0.01, 1.0) + dice.poisson(30.0)).collect::<Vec<_>>()
        };
        assert_eq!(throw(3), throw(3));
        assert_ne!(throw(3), throw(4));
    }

    #[test]
    fn parameters_at_the_edge_do_not_fail() {
        let mut dice = Dice::new(1);
        assert_eq!(dice.binomial(10, 0.0), 0);
        assert_eq!(dice.beta_binomial(10, 1.5, 1.0), 10);
        assert_eq!(dice.poisson(-1.0), 0);
        assert_eq!(dice.integer(5, 2), 5);
        assert_eq!(dice.pick::<u8>(&[]), None);
        assert_eq!(dice.zipf(0, 1.0), 0);
    }
}
