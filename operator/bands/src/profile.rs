//! The usual value by place in a season, such as the half hour of the day.

use serde::{Deserialize, Serialize};

/// The usual value in each bin of a season.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Bin {
    value: f64,
    /// Passes through the bin, up to the season's memory.
    passes: f32,
}

/// A value to learn, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lesson {
    pub(crate) value: f64,
    /// Share of a pass through the bin that the value stands for.
    pub(crate) share: f64,
    /// Passes that are remembered.
    pub(crate) memory: f64,
    /// Largest distance from the bin's value that counts.
    pub(crate) clip: f64,
    /// Value of no surprise: where the second pass contradicts the first, the nearer to this one is kept.
    pub(crate) calm: f64,
}

impl Profile {
    pub(crate) fn new(bins: usize) -> Self {
        Self { bins: vec![Bin::default(); bins] }
    }

    pub(crate) fn len(&self) -> usize {
        self.bins.len()
    }

    /// A bin's value and passes; none before the first.
    pub(crate) fn bin(&self, index: usize) -> Option<(f64, f64)> {
        self.bins.get(index).filter(|bin| bin.passes > 0.0).map(|bin| (bin.value, f64::from(bin.passes)))
    }

    /// The value at a place between the centres of bins, going around at the ends.
    pub(crate) fn interpolated(&self, place: f64) -> Option<f64> {
        let bins = self.bins.len() as f64;
        let shifted = (place - 0.5).rem_euclid(bins);
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

    pub(crate) fn learn(&mut self, index: usize, lesson: Lesson) {
        let Some(bin) = self.bins.get_mut(index) else { return };
        let passes = f64::from(bin.passes);
        let step = lesson.value - bin.value;
        if passes <= 0.0 {
            bin.value = lesson.value;
        } else if (0.9..1.9).contains(&passes) && step.abs() > lesson.clip {
            let kept = (bin.value - lesson.calm).abs() <= (lesson.value - lesson.calm).abs();
            if !kept {
                bin.value = lesson.value;
            }
        } else {
            let clipped = if passes < 0.9 { step } else { step.clamp(-lesson.clip, lesson.clip) };
            bin.value += clipped * lesson.share / (passes + lesson.share);
        }
        bin.passes = (passes + lesson.share).min(lesson.memory) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(value: f64) -> Lesson {
        Lesson { value, share: 1.0, memory: 7.0, clip: 3.0, calm: 0.0 }
    }

    #[test]
    fn an_outlier_in_the_first_pass_is_dropped_by_the_second() {
        let mut profile = Profile::new(4);
        profile.learn(1, lesson(500.0));
        profile.learn(1, lesson(2.0));
        assert_eq!(profile.bin(1), Some((2.0, 2.0)));
    }

    #[test]
    fn interpolation_goes_around_midnight() {
        let mut profile = Profile::new(4);
        for (bin, value) in [(0, 0.0), (1, 10.0), (2, 20.0), (3, 30.0)] {
            profile.learn(bin, lesson(value));
        }
        assert_eq!(profile.interpolated(0.0), Some(15.0));
        assert_eq!(profile.interpolated(1.0), Some(5.0));
    }
}
