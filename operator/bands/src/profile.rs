//! Seasonal profile: the usual value in each interval of a season, such as each half hour of the day.

use serde::{Deserialize, Serialize};

/// The usual value in each bin of a season.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Bin {
    value: f64,
    /// Number of passes through the bin so far, limited to the profile's memory.
    passes: f32,
}

/// A value to learn in a bin, with its weight and limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observation {
    pub(crate) value: f64,
    /// Part of the bin's duration that the value covers, from 0 to 1.
    pub(crate) share: f64,
    /// Number of passes after which the mean forgets older ones exponentially.
    pub(crate) memory: f64,
    /// Largest difference from the bin's value that is learnt.
    pub(crate) clip: f64,
}

impl Profile {
    pub(crate) fn new(bins: usize) -> Self {
        Self { bins: vec![Bin::default(); bins] }
    }

    pub(crate) fn len(&self) -> usize {
        self.bins.len()
    }

    /// The value and the number of passes of a bin. None before its first value.
    pub(crate) fn bin(&self, index: usize) -> Option<(f64, f64)> {
        self.bins.get(index).filter(|bin| bin.passes > 0.0).map(|bin| (bin.value, f64::from(bin.passes)))
    }

    /// Linear interpolation between the centres of bins, periodic at the ends; `position` is in bins.
    pub(crate) fn interpolated(&self, position: f64) -> Option<f64> {
        let bins = self.bins.len() as f64;
        let shifted = (position - 0.5).rem_euclid(bins);
        let fraction = shifted.fract();
        let first = self.bin(shifted as usize % self.bins.len());
        let second = self.bin((shifted as usize + 1) % self.bins.len());
        match (first, second) {
            (Some((a, _)), Some((b, _))) => Some(a * (1.0 - fraction) + b * fraction),
            (Some((a, _)), None) if fraction <= 0.5 => Some(a),
            (None, Some((b, _))) if fraction >= 0.5 => Some(b),
            _ => None,
        }
    }

    pub(crate) fn learn(&mut self, index: usize, observation: Observation) {
        let Some(bin) = self.bins.get_mut(index) else { return };
        let passes = f64::from(bin.passes);
        let step = observation.value - bin.value;
        if passes <= 0.0 {
            bin.value = observation.value;
        } else if (0.9..1.9).contains(&passes) && step.abs() > observation.clip {
            // One of the first two values is an outlier, presumably the larger.
            if observation.value.abs() < bin.value.abs() {
                bin.value = observation.value;
            }
        } else {
            let clipped = if passes < 0.9 { step } else { step.clamp(-observation.clip, observation.clip) };
            bin.value += clipped * observation.share / (passes + observation.share);
        }
        bin.passes = (passes + observation.share).min(observation.memory) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation(value: f64) -> Observation {
        Observation { value, share: 1.0, memory: 7.0, clip: 3.0 }
    }

    #[test]
    fn an_outlier_in_the_first_pass_is_dropped_by_the_second() {
        let mut profile = Profile::new(4);
        profile.learn(1, observation(500.0));
        profile.learn(1, observation(2.0));
        assert_eq!(profile.bin(1), Some((2.0, 2.0)));
    }

    #[test]
    fn interpolation_goes_around_midnight() {
        let mut profile = Profile::new(4);
        for (bin, value) in [(0, 0.0), (1, 10.0), (2, 20.0), (3, 30.0)] {
            profile.learn(bin, observation(value));
        }
        assert_eq!(profile.interpolated(0.0), Some(15.0));
        assert_eq!(profile.interpolated(1.0), Some(5.0));
    }
}
