//! The usual size of a surprise: it may grow with the expected value, and differ by hour of the day.

use serde::{Deserialize, Serialize};

/// Powers of the expected value that the noise may grow with: constant, as counts do, in proportion.
const POWERS: [f64; 3] = [0.0, 0.5, 1.0];
/// From mean absolute deviation to standard deviation of a normal distribution.
const NORMAL: f64 = 1.2533;
/// Values that are remembered.
const MEMORY: f64 = 500.0;
const LOSS_MEMORY: f64 = 1500.0;
/// Smallest noise in steps of the values: sparse counts are 0 for so long that their usual surprise is 0.
const STEPS: f64 = 0.3;

/// What is known of the noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    laws: [Law; 3],
    /// Mean absolute surprise, with outliers: the floor for series that rarely move.
    deviation: f64,
    /// Mean absolute value.
    magnitude: f64,
    largest: f64,
    last: f64,
    /// Smallest step between values: 1 for counts. Noise much below it isn't told apart from none.
    resolution: f64,
    hours: [Hour; 24],
    learnt: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Law {
    power: f64,
    mean: f64,
    loss: f64,
}

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

    /// The smallest noise that is told apart from none: a ten-thousandth of the values' size.
    fn floor(&self) -> f64 {
        (1e-4 * self.magnitude)
            .max(1e-12 * self.largest)
            .max(0.05 * self.deviation)
            .max(STEPS * self.resolution)
            .max(f64::MIN_POSITIVE * 1e6)
    }

    /// Noise at any time of day, without the part that depends on the hour.
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

    /// Factor of an hour of the day.
    pub(crate) fn hour_factor(&self, hour: usize) -> f64 {
        self.hours.get(hour).map_or(1.0, |hour| hour.factor.clamp(0.3, 4.0))
    }

    pub(crate) fn learn(&mut self, value: f64, surprise: f64, expected: f64, hour: usize, speed: f64) {
        self.learnt += 1.0;
        let rate = (speed / MEMORY).max(1.0 / self.learnt).min(1.0);
        let slow = (0.3 * speed / MEMORY).max(1.0 / self.learnt).min(1.0);
        let magnitude = self.magnitude;
        let step = (value - self.last).abs();
        self.last = value;
        if step > 0.0 {
            // One odd step is forgotten after a few hundred.
            let kept = if self.resolution > 0.0 { 1.005 * self.resolution } else { step };
            self.resolution = step.min(kept);
        }
        self.largest = self.largest.max(value.abs());
        let most = 20.0 * self.magnitude.max(self.deviation).max(self.floor());
        self.magnitude += (value.abs().min(most) - self.magnitude) * slow;
        let plain = self.plain(expected);
        let size = surprise.abs();
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
    fn size(&self, expected: f64, magnitude: f64) -> f64 {
        if self.power == 0.0 {
            return 1.0;
        }
        expected.abs().max(0.1 * magnitude).max(f64::MIN_POSITIVE).powf(self.power)
    }
}
