//! Narrow periodic spikes: deviations from the smooth forecast that recur at the same minute of the hour or in the same five
//! minutes of the day. Only deviations that are statistically significant are applied: the many bins would otherwise add
//! noise to the forecast.

use serde::{Deserialize, Serialize};

use crate::profile::{Observation, Profile};

/// Mean deviation from the smooth forecast in each bin of a period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Overlay {
    profile: Profile,
    /// Number of passes after which older ones are forgotten exponentially.
    memory: f64,
    /// Number of passes before a deviation is applied.
    least: f64,
}

impl Overlay {
    pub(crate) fn new(bins: usize, memory: f64, least: f64) -> Self {
        Self { profile: Profile::new(bins), memory, least }
    }

    pub(crate) fn len(&self) -> usize {
        self.profile.len()
    }

    /// Expected deviation in a bin, shrunk to 0 unless it is significant for noise of this standard deviation.
    pub(crate) fn at(&self, bin: usize, scale: f64) -> f64 {
        match self.profile.bin(bin) {
            Some((value, passes)) if passes >= self.least => {
                let noise = scale / passes.max(1.0).sqrt();
                if noise <= 0.0 {
                    return value;
                }
                // None of it below 3 standard errors, all of it above 5.
                value * ((value.abs() / noise - 3.0) / 2.0).clamp(0.0, 1.0)
            }
            _ => 0.0,
        }
    }

    pub(crate) fn learn(&mut self, bin: usize, deviation: f64, share: f64, scale: f64) {
        let usual = self.profile.bin(bin).map_or(0.0, |(value, _)| value.abs());
        self.profile.learn(
            bin,
            Observation { value: deviation, share, memory: self.memory, clip: 4.0 * scale + 0.5 * usual },
        );
    }

    /// Largest difference from a neighbouring bin: the error of the forecast if a spike comes early or late.
    pub(crate) fn steepness(&self, bin: usize, scale: f64) -> f64 {
        let bins = self.profile.len();
        let here = self.at(bin, scale);
        let before = self.at((bin + bins - 1) % bins, scale);
        let after = self.at((bin + 1) % bins, scale);
        (here - before).abs().max((here - after).abs())
    }
}
