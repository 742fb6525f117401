//! Narrow periodic spikes: deviations from the smooth forecast that return at the same minute of the hour or at the same
//! five minutes of the day. A deviation counts once it is clearly more than noise, so that a bin costs no accuracy.

use serde::{Deserialize, Serialize};

use crate::profile::{Lesson, Profile};

/// Deviations by bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Overlay {
    profile: Profile,
    /// Passes that are remembered.
    memory: f64,
    /// Passes before a deviation counts.
    least: f64,
}

impl Overlay {
    pub(crate) fn new(bins: usize, memory: f64, least: f64) -> Self {
        Self { profile: Profile::new(bins), memory, least }
    }

    pub(crate) fn len(&self) -> usize {
        self.profile.len()
    }

    /// The deviation to expect, where the noise has this scale.
    pub(crate) fn at(&self, bin: usize, scale: f64) -> f64 {
        match self.profile.bin(bin) {
            Some((value, passes)) if passes >= self.least => {
                let noise = scale / passes.max(1.0).sqrt();
                if noise <= 0.0 {
                    return value;
                }
                // Nothing below 3 standard errors, all of it beyond 5.
                value * ((value.abs() / noise - 3.0) / 2.0).clamp(0.0, 1.0)
            }
            _ => 0.0,
        }
    }

    pub(crate) fn learn(&mut self, bin: usize, deviation: f64, share: f64, scale: f64) {
        let usual = self.profile.bin(bin).map_or(0.0, |(value, _)| value.abs());
        self.profile.learn(
            bin,
            Lesson {
                value: deviation,
                share,
                memory: self.memory,
                clip: 4.0 * scale + 0.5 * usual,
                calm: 0.0,
            },
        );
    }

    /// Largest step to a neighbouring bin: how much a spike that is early or late differs from the forecast.
    pub(crate) fn steepness(&self, bin: usize, scale: f64) -> f64 {
        let bins = self.profile.len();
        let here = self.at(bin, scale);
        let before = self.at((bin + bins - 1) % bins, scale);
        let after = self.at((bin + 1) % bins, scale);
        (here - before).abs().max((here - after).abs())
    }
}
