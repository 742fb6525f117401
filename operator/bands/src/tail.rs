//! How rare a value of a statistic is, by the statistic's own history: a decaying histogram, and beyond its 95%
//! quantile a generalised Pareto distribution (peaks over threshold), fitted by probability-weighted moments (Hosking and
//! Wallis 1987) and shrunk towards a normal tail while few values are known.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

const BINS: usize = 128;
/// Bins for each e-fold of 1 + value.
const PER_FOLD: f64 = 11.0;
/// Share of values beyond the threshold.
const BEYOND: f64 = 0.05;
/// Weight of the prior, in values.
const PRIOR: f64 = 30.0;
/// Weight of the prior shape and mean excess, in values beyond the threshold.
const PRIOR_BEYOND: f64 = 12.0;
/// Prior and lightest shape: a normal distribution's tail is lighter than an exponential one.
const OF_NOISE: Shape = Shape { prior: -0.05, least: -0.15 };
/// Of statistics whose values depend on each other, of which as many say less.
const OF_DEPENDENT: Shape = Shape { prior: 0.08, least: 0.0 };
/// A light tail's share, of those beyond the threshold, from which on it falls exponentially: it has no end, beyond which
/// a value were impossible.
const ENDLESS: f64 = 0.03;
/// Values that are remembered.
const MEMORY: f64 = 8000.0;
/// Values between two fits.
const REFIT: u32 = 16;
/// A value may be learnt as this rare, and half as far again.
const RARE: f64 = 1e-4;
/// Smallest probability that is told apart.
pub(crate) const SMALLEST: f64 = 1e-30;

/// Share of a normal distribution's absolute values beyond each bin's lower edge, a little wider than normal.
static PRIOR_SURVIVAL: LazyLock<Vec<f64>> =
    LazyLock::new(|| (0..=BINS).map(|bin| libm::erfc(edge(bin) / 1.1 / std::f64::consts::SQRT_2)).collect());

/// Distribution of a statistic's values from 0 up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tail {
    counts: Vec<f32>,
    total: f64,
    /// Share of prior values on this side: ½ where the other sign has a tail of its own.
    side: f64,
    since_fit: u32,
    shape: Shape,
    fit: Fit,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Shape {
    prior: f64,
    least: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Fit {
    threshold: f64,
    /// Share of values beyond the threshold.
    share: f64,
    scale: f64,
    shape: f64,
    /// A value is learnt as no larger than this.
    most: f64,
}

impl Fit {
    /// Excess from which on the tail falls exponentially.
    fn join(self) -> f64 {
        if self.shape < -1e-6 { (ENDLESS.powf(-self.shape) - 1.0) / self.shape } else { f64::INFINITY }
    }

    /// Share, of the values beyond the threshold, that exceed it by more than so many scales.
    fn left(self, excess: f64) -> f64 {
        let join = self.join();
        if self.shape.abs() < 1e-6 {
            (-excess).exp()
        } else if excess < join {
            (1.0 + self.shape * excess).max(0.0).powf(-1.0 / self.shape)
        } else {
            ENDLESS * (-(excess - join) / (1.0 + self.shape * join)).exp()
        }
    }

    /// The inverse of `left`.
    fn excess(self, left: f64) -> f64 {
        if self.shape.abs() < 1e-6 {
            -left.ln()
        } else if self.shape > 0.0 || left > ENDLESS {
            (left.powf(-self.shape) - 1.0) / self.shape
        } else {
            let join = self.join();
            join + (1.0 + self.shape * join) * (ENDLESS / left).ln()
        }
    }
}

fn edge(bin: usize) -> f64 {
    (bin as f64 / PER_FOLD).exp_m1()
}

fn bin_of(value: f64) -> usize {
    ((value.max(0.0).ln_1p() * PER_FOLD) as usize).min(BINS - 1)
}

impl Tail {
    /// Tail of one sign of a noise, which has another tail for the other.
    pub(crate) fn of_noise() -> Self {
        Self::new(0.5, OF_NOISE)
    }

    /// Tail of a statistic that is never negative, and whose values depend on each other.
    pub(crate) fn of_statistic() -> Self {
        Self::new(1.0, OF_DEPENDENT)
    }

    fn new(side: f64, shape: Shape) -> Self {
        let mut tail = Self {
            counts: vec![0.0; BINS],
            total: 0.0,
            side,
            since_fit: 0,
            shape,
            fit: Fit { threshold: 1.6, share: BEYOND, scale: 0.5, shape: shape.prior, most: 10.0 },
        };
        tail.refit();
        tail
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.counts.len() == BINS
    }

    /// Adds a value; one of the other sign (None) counts in the total alone.
    pub(crate) fn learn(&mut self, value: Option<f64>, weight: f64, speed: f64) {
        // One outlier far off says little of the tail; a tail that is heavier than was thought is followed in steps.
        if let Some(count) = value.and_then(|value| self.counts.get_mut(bin_of(value.min(self.fit.most)))) {
            *count += weight as f32;
        }
        self.total += weight;
        self.since_fit += 1;
        if self.since_fit >= REFIT || self.total < f64::from(REFIT) {
            let kept = 1.0 - speed * f64::from(self.since_fit) / MEMORY;
            self.counts.iter_mut().for_each(|count| *count *= kept as f32);
            self.total *= kept;
            self.since_fit = 0;
            self.refit();
        }
    }

    /// Share of values beyond each bin's lower edge, from the last bin to the first.
    fn survivals(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let mut above = 0.0;
        let weight = self.total + PRIOR;
        self.counts.iter().enumerate().rev().map(move |(bin, count)| {
            above += f64::from(*count);
            let prior = PRIOR_SURVIVAL.get(bin).copied().unwrap_or(0.0) * self.side;
            (bin, (above + PRIOR * prior) / weight)
        })
    }

    fn refit(&mut self) {
        let (mut threshold, mut share) = (edge(1), BEYOND);
        let (mut last_bin, mut last) = (BINS, 0.0);
        for (bin, survival) in self.survivals() {
            if bin == 0 {
                // Nearly all values lie in the first bin, or on the other side.
                share = last;
            }
            if survival >= BEYOND * self.side {
                // A bin's inside is taken as even, which an atom isn't: its threshold is the upper edge.
                let target = BEYOND * self.side;
                if survival - last > 2.0 * target {
                    (threshold, share) = (edge(last_bin), last.max(target * 0.02));
                } else {
                    let fraction = ((target - last) / (survival - last)).clamp(0.0, 1.0);
                    threshold = edge(last_bin) - fraction * (edge(last_bin) - edge(bin));
                    share = target;
                }
                break;
            }
            (last_bin, last) = (bin, survival);
        }
        let (mut mass, mut sum, mut weighted) = (0.0, 0.0, 0.0);
        for (bin, count) in self.counts.iter().enumerate().rev() {
            let (lower, upper) = (edge(bin), edge(bin + 1));
            if upper <= threshold {
                break;
            }
            // Of the bin that holds the threshold, only the part beyond it.
            let from = lower.max(threshold);
            let count = f64::from(*count) * (upper - from) / (upper - lower);
            let excess = 0.5 * (from + upper) - threshold;
            // The expected share of exceedances above this one, for the second moment.
            weighted += count * excess * (mass + 0.5 * count);
            mass += count;
            sum += count * excess;
        }
        let prior_excess = 0.42 * (threshold / 1.6).max(1.0);
        let mean = (sum + PRIOR_BEYOND * prior_excess) / (mass + PRIOR_BEYOND);
        let Shape { prior, least } = self.shape;
        let mut shape = prior;
        if mass > 3.0 && sum > 0.0 {
            let (first, second) = (sum / mass, weighted / mass / mass);
            let gap = first - 2.0 * second;
            let fitted = if gap > 0.0 { 2.0 - first / gap } else { 0.9 };
            shape = (PRIOR_BEYOND * prior + mass * fitted.clamp(least, 0.9)) / (PRIOR_BEYOND + mass);
        }
        self.fit =
            Fit { threshold, share, scale: (mean * (1.0 - shape)).max(1e-6), shape, most: f64::INFINITY };
        self.fit.most = 1.5 * self.quantile(RARE * self.side).max(1.0);
    }

    /// Share of values beyond this one.
    pub(crate) fn beyond(&self, value: f64) -> f64 {
        if value > self.fit.threshold {
            let excess = (value - self.fit.threshold) / self.fit.scale;
            return (self.fit.share * self.fit.left(excess)).max(SMALLEST);
        }
        let place = value.max(0.0).ln_1p() * PER_FOLD;
        let bin = bin_of(value);
        let (mut here, mut next) = (self.side, 0.0);
        for (index, survival) in self.survivals() {
            if index == bin + 1 {
                next = survival;
            }
            if index == bin {
                here = survival;
                break;
            }
        }
        (here + (next - here) * (place - bin as f64).clamp(0.0, 1.0)).max(self.fit.share)
    }

    /// The value that this share of values lies beyond.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let fit = self.fit;
        if share <= fit.share {
            let excess = fit.excess(share.max(SMALLEST) / fit.share);
            return fit.threshold + fit.scale * excess;
        }
        let (mut upper, mut last) = (fit.threshold, fit.share);
        for (bin, survival) in self.survivals() {
            if edge(bin) >= fit.threshold {
                continue;
            }
            if survival >= share {
                let fraction = ((share - last) / (survival - last).max(1e-12)).clamp(0.0, 1.0);
                return upper - fraction * (upper - edge(bin));
            }
            (upper, last) = (edge(bin), survival);
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values at evenly spread probabilities of a distribution, mixed by a stride without a common divisor.
    fn fill(tail: &mut Tail, quantile: impl Fn(f64) -> f64) {
        for step in 0..7919_u32 {
            let place = f64::from(step * 3571 % 7919) / 7919.0 + 0.5 / 7919.0;
            tail.learn(Some(quantile(place)), 1.0, 1.0);
        }
    }

    #[test]
    fn an_exponential_tail_is_extrapolated() {
        let mut tail = Tail::new(1.0, OF_NOISE);
        fill(&mut tail, |place| -(1.0 - place).ln());
        for share in [0.3, 0.05, 0.003] {
            let value = -f64::ln(share);
            let ratio = tail.beyond(value) / share;
            assert!((0.6..1.6).contains(&ratio), "{share}: {ratio}");
        }
    }

    #[test]
    fn a_light_tail_is_extrapolated_without_an_end() {
        let mut tail = Tail::of_noise();
        // Half of the values have the other sign; the others' squares are exponential, as a normal tail about is.
        for step in 0..7919_u32 {
            let place = f64::from(step * 3571 % 7919) / 7919.0 + 0.5 / 7919.0;
            tail.learn((step % 2 == 0).then(|| (-2.0 * (1.0 - place).ln()).sqrt()), 1.0, 1.0);
        }
        for share in [0.2, 0.02, 0.002, 0.0002] {
            let ratio = tail.beyond((-2.0 * f64::ln(2.0 * share)).sqrt()) / share;
            assert!((0.4..2.5).contains(&ratio), "{share}: {ratio}");
        }
        let far = [5.0, 6.0, 8.0, 12.0].map(|value| tail.beyond(value));
        assert!(far.windows(2).all(|pair| pair[1] < pair[0] && pair[1] > 0.0), "{far:?}");
        for share in [0.3, 0.01, 1e-3, 1e-5, 1e-8] {
            assert!((tail.beyond(tail.quantile(share)) / share - 1.0).abs() < 0.1, "{share}");
        }
    }

    #[test]
    fn a_heavy_tail_is_extrapolated() {
        let mut tail = Tail::new(1.0, OF_NOISE);
        fill(&mut tail, |place| (1.0 - place).powf(-0.5) - 1.0);
        for share in [0.3_f64, 0.05, 0.003, 0.0003] {
            let ratio = tail.beyond(share.powf(-0.5) - 1.0) / share;
            assert!((0.5..2.0).contains(&ratio), "{share}: {ratio}");
        }
    }

    #[test]
    fn a_quantile_is_the_inverse_of_the_share() {
        let mut tail = Tail::new(1.0, OF_NOISE);
        fill(&mut tail, |place| -(1.0 - place).ln() * 2.0);
        for share in [0.4, 0.1, 0.04, 0.001, 1e-6] {
            let back = tail.beyond(tail.quantile(share));
            assert!((back / share - 1.0).abs() < 0.1, "{share}: {back}");
        }
    }
}
