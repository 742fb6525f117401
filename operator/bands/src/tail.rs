//! Survival function of a statistic, learnt from its history: an exponentially decaying histogram, and above its 95%
//! quantile a generalised Pareto distribution (peaks over threshold), fitted by probability-weighted moments (Hosking and
//! Wallis 1987) and shrunk towards a normal tail while few values are known.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// Number of bins of the histogram.
const BINS: usize = 128;
/// Number of bins for each increase of 1 + value by a factor of e.
const BINS_PER_E_FOLD: f64 = 11.0;
/// Share of values above the threshold, from which on the Pareto distribution is used.
const THRESHOLD_SHARE: f64 = 0.05;
/// Weight of the prior distribution in the histogram, in values.
const PRIOR_WEIGHT: f64 = 30.0;
/// Weight of the prior shape and mean excess in the fit, in values above the threshold.
const PRIOR_EXCEEDANCES: f64 = 12.0;
/// Shape of the residuals' tails: a normal distribution's tail is lighter than an exponential one, whose shape is 0.
const NOISE_SHAPE: ShapePrior = ShapePrior { prior: -0.05, least: -0.15 };
/// Shape of the other statistics' tails, which are assumed heavier: their successive values depend on each other, so that as
/// many values hold less information.
const STATISTIC_SHAPE: ShapePrior = ShapePrior { prior: 0.08, least: 0.0 };
/// Survival, among the values above the threshold, at which a light tail becomes exponential. A generalised Pareto
/// distribution of negative shape would end there or a little later, and give larger values a probability of 0.
const EXPONENTIAL_FROM: f64 = 0.03;
/// Number of values after which older ones are forgotten exponentially.
const MEMORY: f64 = 8000.0;
/// Number of values between two fits.
const REFIT: u32 = 16;
/// Values are clipped, before they are learnt, to 1.5 times the quantile of this survival.
const LEARNT_P_VALUE: f64 = 1e-4;
/// Lower limit of all probabilities.
pub(crate) const SMALLEST_SHARE: f64 = 1e-30;

/// Lower edge of each bin, and the upper edge of the last. A table, because each fit goes through all bins.
static EDGES: LazyLock<Vec<f64>> =
    LazyLock::new(|| (0..=BINS).map(|bin| (bin as f64 / BINS_PER_E_FOLD).exp_m1()).collect());
/// Prior survival at each bin's lower edge: that of the absolute values of a normal distribution with deviation 1.1.
static PRIOR_SURVIVAL: LazyLock<Vec<f64>> =
    LazyLock::new(|| (0..=BINS).map(|bin| libm::erfc(edge(bin) / 1.1 / std::f64::consts::SQRT_2)).collect());

/// Distribution of a statistic that isn't negative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// Weight of the values in each bin.
    counts: Vec<f32>,
    /// Weight of all values, including those of the other sign.
    total: f64,
    /// Share of the prior distribution on this side: ½ where the other sign has a tail of its own.
    side: f64,
    since_fit: u32,
    shape: ShapePrior,
    fit: Fit,
}

/// Prior and lower limit of the shape of a generalised Pareto distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct ShapePrior {
    prior: f64,
    /// Lower limit of the fitted shape.
    least: f64,
}

/// Generalised Pareto distribution of the excesses over a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Fit {
    threshold: f64,
    /// Share of all values that are above the threshold.
    share: f64,
    scale: f64,
    shape: f64,
    /// Values are clipped to this before they are learnt.
    clip: f64,
}

impl Fit {
    /// Excess, in units of the scale, at which a light tail becomes exponential.
    fn join(self) -> f64 {
        if self.shape < -1e-6 {
            (EXPONENTIAL_FROM.powf(-self.shape) - 1.0) / self.shape
        } else {
            f64::INFINITY
        }
    }

    /// Share of the values above the threshold that exceed it by more than this many scales.
    fn survival(self, excess: f64) -> f64 {
        let join = self.join();
        if self.shape.abs() < 1e-6 {
            (-excess).exp()
        } else if excess < join {
            (1.0 + self.shape * excess).max(0.0).powf(-1.0 / self.shape)
        } else {
            EXPONENTIAL_FROM * (-(excess - join) / (1.0 + self.shape * join)).exp()
        }
    }

    /// The inverse of `survival`.
    fn excess(self, survival: f64) -> f64 {
        if self.shape.abs() < 1e-6 {
            -survival.ln()
        } else if self.shape > 0.0 || survival > EXPONENTIAL_FROM {
            (survival.powf(-self.shape) - 1.0) / self.shape
        } else {
            let join = self.join();
            join + (1.0 + self.shape * join) * (EXPONENTIAL_FROM / survival).ln()
        }
    }
}

/// Lower edge of a bin.
fn edge(bin: usize) -> f64 {
    EDGES.get(bin).copied().unwrap_or(f64::INFINITY)
}

fn bin_of(value: f64) -> usize {
    ((value.max(0.0).ln_1p() * BINS_PER_E_FOLD) as usize).min(BINS - 1)
}

impl Tail {
    /// Tail of the residuals of one sign; those of the other sign have another.
    pub(crate) fn of_noise() -> Self {
        Self::new(0.5, NOISE_SHAPE)
    }

    /// Tail of a statistic that isn't negative, and whose successive values depend on each other.
    pub(crate) fn of_statistic() -> Self {
        Self::new(1.0, STATISTIC_SHAPE)
    }

    fn new(side: f64, shape: ShapePrior) -> Self {
        let mut tail = Self {
            counts: vec![0.0; BINS],
            total: 0.0,
            side,
            since_fit: 0,
            shape,
            fit: Fit { threshold: 1.6, share: THRESHOLD_SHARE, scale: 0.5, shape: shape.prior, clip: 10.0 },
        };
        tail.refit();
        tail
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.counts.len() == BINS
    }

    /// Learns a value. None is a value of the other sign, which only counts in the total.
    pub(crate) fn learn(&mut self, value: Option<f64>, weight: f64, speed: f64) {
        // A single far outlier must not change the tail much. If the tail is heavier than the fit, the clip grows with each
        // fit.
        if let Some(count) = value.and_then(|value| self.counts.get_mut(bin_of(value.min(self.fit.clip)))) {
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

    /// Survival at each bin's lower edge, from the last bin to the first.
    fn survivals(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let mut above = 0.0;
        let weight = self.total + PRIOR_WEIGHT;
        self.counts.iter().enumerate().rev().map(move |(bin, count)| {
            above += f64::from(*count);
            let prior = PRIOR_SURVIVAL.get(bin).copied().unwrap_or(0.0) * self.side;
            (bin, (above + PRIOR_WEIGHT * prior) / weight)
        })
    }

    /// Fits threshold, share, scale and shape to the histogram.
    fn refit(&mut self) {
        let (mut threshold, mut share) = (edge(1), THRESHOLD_SHARE);
        let (mut last_bin, mut last) = (BINS, 0.0);
        for (bin, survival) in self.survivals() {
            if bin == 0 {
                // Nearly all values lie in the first bin, or have the other sign.
                share = last;
            }
            if survival >= THRESHOLD_SHARE * self.side {
                // Within a bin the values are taken as uniform, unless it alone holds more than the share: then many of
                // them are equal, and the threshold is its upper edge.
                let target = THRESHOLD_SHARE * self.side;
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
            // The bin that holds the threshold counts only with its part above it.
            let from = lower.max(threshold);
            let count = f64::from(*count) * (upper - from) / (upper - lower);
            let excess = 0.5 * (from + upper) - threshold;
            // Weighted by the values with a larger excess: the second probability-weighted moment.
            weighted += count * excess * (mass + 0.5 * count);
            mass += count;
            sum += count * excess;
        }
        let prior_excess = 0.42 * (threshold / 1.6).max(1.0);
        let mean = (sum + PRIOR_EXCEEDANCES * prior_excess) / (mass + PRIOR_EXCEEDANCES);
        let ShapePrior { prior, least } = self.shape;
        let mut shape = prior;
        if mass > 3.0 && sum > 0.0 {
            let (first, second) = (sum / mass, weighted / mass / mass);
            let gap = first - 2.0 * second;
            let fitted = if gap > 0.0 { 2.0 - first / gap } else { 0.9 };
            shape =
                (PRIOR_EXCEEDANCES * prior + mass * fitted.clamp(least, 0.9)) / (PRIOR_EXCEEDANCES + mass);
        }
        self.fit =
            Fit { threshold, share, scale: (mean * (1.0 - shape)).max(1e-6), shape, clip: f64::INFINITY };
        self.fit.clip = 1.5 * self.quantile(LEARNT_P_VALUE * self.side).max(1.0);
    }

    /// Survival: the share of values that are larger than this one.
    pub(crate) fn beyond(&self, value: f64) -> f64 {
        if value > self.fit.threshold {
            let excess = (value - self.fit.threshold) / self.fit.scale;
            return (self.fit.share * self.fit.survival(excess)).max(SMALLEST_SHARE);
        }
        let position = value.max(0.0).ln_1p() * BINS_PER_E_FOLD;
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
        (here + (next - here) * (position - bin as f64).clamp(0.0, 1.0)).max(self.fit.share)
    }

    /// Quantile: the value that this share of values is larger than.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let fit = self.fit;
        if share <= fit.share {
            let excess = fit.excess(share.max(SMALLEST_SHARE) / fit.share);
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

    /// Learns the quantiles of a distribution at evenly spread probabilities, in a shuffled order.
    fn fill(tail: &mut Tail, quantile: impl Fn(f64) -> f64) {
        for step in 0..7919_u32 {
            let probability = f64::from(step * 3571 % 7919) / 7919.0 + 0.5 / 7919.0;
            tail.learn(Some(quantile(probability)), 1.0, 1.0);
        }
    }

    #[test]
    fn an_exponential_tail_is_extrapolated() {
        let mut tail = Tail::new(1.0, NOISE_SHAPE);
        fill(&mut tail, |probability| -(1.0 - probability).ln());
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
            let probability = f64::from(step * 3571 % 7919) / 7919.0 + 0.5 / 7919.0;
            tail.learn((step % 2 == 0).then(|| (-2.0 * (1.0 - probability).ln()).sqrt()), 1.0, 1.0);
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
        let mut tail = Tail::new(1.0, NOISE_SHAPE);
        fill(&mut tail, |probability| (1.0 - probability).powf(-0.5) - 1.0);
        for share in [0.3_f64, 0.05, 0.003, 0.0003] {
            let ratio = tail.beyond(share.powf(-0.5) - 1.0) / share;
            assert!((0.5..2.0).contains(&ratio), "{share}: {ratio}");
        }
    }

    #[test]
    fn a_quantile_is_the_inverse_of_the_share() {
        let mut tail = Tail::new(1.0, NOISE_SHAPE);
        fill(&mut tail, |probability| -(1.0 - probability).ln() * 2.0);
        for share in [0.4, 0.1, 0.04, 0.001, 1e-6] {
            let back = tail.beyond(tail.quantile(share));
            assert!((back / share - 1.0).abs() < 0.1, "{share}: {back}");
        }
    }
}
