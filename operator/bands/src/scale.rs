//! Scale of the noise: the usual size of a residual, which may grow with the expected value and differ by hour of the day.

use serde::{Deserialize, Serialize};

/// Powers of the expected value to which the noise may be proportional: 0 is constant noise, ½ that of Poisson counts, and
/// 1 noise in proportion to the value.
const POWERS: [f64; 3] = [0.0, 0.5, 1.0];
/// Ratio of standard deviation to mean absolute deviation of a normal distribution, √(π/2).
const NORMAL: f64 = 1.2533;
/// Number of values over which the noise is averaged exponentially.
const MEMORY: f64 = 500.0;
/// Number of values over which the fit of the powers is averaged exponentially.
const LOSS_MEMORY: f64 = 1500.0;
/// Smallest noise, as a share of the smallest step between values: sparse counts are 0 for so long that their mean residual
/// would become 0.
const STEPS: f64 = 0.3;

/// Scale of the noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    laws: [Law; 3],
    /// Mean absolute residual with hardly clipped outliers: a floor for series that rarely change.
    deviation: f64,
    /// Mean absolute value.
    magnitude: f64,
    /// Largest absolute value.
    largest: f64,
    /// Newest value.
    last: f64,
    /// Smallest step between values, 1 for counts: noise much smaller than it can't be observed.
    resolution: f64,
    hours: [Hour; 24],
    learnt: f64,
}

/// Noise in proportion to a power of the expected value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Law {
    power: f64,
    /// Mean absolute residual, divided by the power of the expected value.
    mean: f64,
    /// Mean negative log-likelihood of the residuals, as of a Laplace distribution.
    loss: f64,
}

/// Factor on the noise in one hour of the day, with the number of values it was learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Hour {
    factor: f64,
    learnt: f64,
}

impl Scale {
    pub(crate) fn new(level: f64, deviation: f64) -> Self {
        let magnitude = level.abs();
        let mut scale = Self {
            laws: POWERS.map(|power| Law { power, mean: 0.0, loss: 0.0 }),
            deviation,
            magnitude,
            largest: magnitude,
            last: level,
            resolution: 0.0,
            hours: [Hour { factor: 1.0, learnt: 20.0 }; 24],
            learnt: 8.0,
        };
        let floor = scale.floor();
        for law in &mut scale.laws {
            law.mean = (deviation / NORMAL).max(floor) / law.size(level, magnitude);
        }
        scale
    }

    /// Lower limit of the noise: a ten-thousandth of the mean absolute value, or more where outliers or the steps between
    /// values are larger.
    fn floor(&self) -> f64 {
        (1e-4 * self.magnitude)
            .max(1e-12 * self.largest)
            .max(0.05 * self.deviation)
            .max(STEPS * self.resolution)
            .max(f64::MIN_POSITIVE * 1e6)
    }

    /// Standard deviation of the noise at this expected value, without the factor of the hour.
    pub(crate) fn plain(&self, expected: f64) -> f64 {
        let best = self.laws.iter().map(|law| law.loss).fold(f64::INFINITY, f64::min);
        let (mut sum, mut weights) = (0.0, 0.0);
        for law in &self.laws {
            let weight = (-40.0 * (law.loss - best)).exp();
            sum += weight * (law.mean * law.size(expected, self.magnitude)).max(f64::MIN_POSITIVE).ln();
            weights += weight;
        }
        (NORMAL * (sum / weights).exp()).max(self.floor())
    }

    /// Factor on the noise in an hour of the day.
    pub(crate) fn hour_factor(&self, hour: usize) -> f64 {
        self.hours.get(hour).map_or(1.0, |hour| hour.factor.clamp(0.3, 4.0))
    }

    pub(crate) fn learn(&mut self, value: f64, residual: f64, expected: f64, hour: usize, speed: f64) {
        self.learnt += 1.0;
        let rate = (speed / MEMORY).max(1.0 / self.learnt).min(1.0);
        let slow = (0.3 * speed / MEMORY).max(1.0 / self.learnt).min(1.0);
        let magnitude = self.magnitude;
        let step = (value - self.last).abs();
        self.last = value;
        if step > 0.0 {
            // The smallest step grows slowly, so that a single odd step is forgotten after a few hundred.
            let kept = if self.resolution > 0.0 { 1.005 * self.resolution } else { step };
            self.resolution = step.min(kept);
        }
        self.largest = self.largest.max(value.abs());
        let most = 20.0 * self.magnitude.max(self.deviation).max(self.floor());
        self.magnitude += (value.abs().min(most) - self.magnitude) * slow;
        let plain = self.plain(expected);
        let size = residual.abs();
        self.deviation += (size.min(40.0 * self.deviation.max(plain)) - self.deviation) * slow;
        let floor = self.floor();
        for law in &mut self.laws {
            let unit = law.size(expected, magnitude);
            let relative = size / unit;
            let usual = law.mean.max(floor / unit);
            law.loss += ((relative / usual).min(8.0) + (usual * unit).ln() - law.loss)
                * (speed / LOSS_MEMORY).max(1.0 / self.learnt);
            law.mean += (relative.min(6.0 * usual) - law.mean) * rate;
        }
        if let Some(hour) = self.hours.get_mut(hour) {
            hour.learnt = (hour.learnt + 1.0).min(300.0 / speed);
            let ratio = (size * NORMAL / plain).min(4.0);
            hour.factor += (ratio - hour.factor) / hour.learnt;
        }
    }
}

impl Law {
    /// The power of the expected value.
    fn size(&self, expected: f64, magnitude: f64) -> f64 {
        if self.power == 0.0 {
            return 1.0;
        }
        expected.abs().max(0.1 * magnitude).max(f64::MIN_POSITIVE).powf(self.power)
    }
}
