//! Counters: running totals that only grow, and start again near zero when their process restarts.

use serde::{Deserialize, Serialize};

/// A reading of a counter and its time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) value: f64,
    pub(crate) second: i64,
}

/// Interpretation of a reading by the one before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    /// The counter grew by this much a second since the previous reading.
    Rate(f64),
    /// The counter was reset: it fell to at most half of the previous reading, and has no rate.
    Reset,
    /// The value fell, but stayed above half of the previous reading: the series is no counter.
    NotACounter,
}

impl Counter {
    pub(crate) fn read(&self, value: f64, second: i64) -> Reading {
        let seconds = second.saturating_sub(self.second);
        if value < self.value {
            if value <= 0.5 * self.value { Reading::Reset } else { Reading::NotACounter }
        } else if seconds > 0 {
            Reading::Rate((value - self.value) / seconds as f64)
        } else {
            Reading::Reset
        }
    }
}

/// Whether the values look like those of a counter: none is negative, at least two thirds of the steps are increases, and
/// every decrease is a reset.
pub(crate) fn looks_like_counter(values: impl Iterator<Item = f64> + Clone) -> bool {
    let steps = || values.clone().zip(values.clone().skip(1));
    let count = steps().count();
    let grown = steps().filter(|(before, after)| after > before).count();
    values.clone().all(|value| value >= 0.0)
        && count > 0
        && grown * 3 >= count * 2
        && steps().all(|(before, after)| after >= before || after <= 0.5 * before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_with_a_reset_is_a_counter() {
        assert!(looks_like_counter([10.0, 20.0, 25.0, 3.0, 9.0, 12.0].into_iter()));
        assert!(!looks_like_counter([10.0, 20.0, 19.0, 25.0, 26.0, 27.0].into_iter()));
        assert!(!looks_like_counter([5.0; 12].into_iter()));
        assert!(!looks_like_counter([-5.0, -4.0, -3.0, -2.0].into_iter()));
    }

    #[test]
    fn a_reset_has_no_rate() {
        let counter = Counter { value: 100.0, second: 60 };
        assert_eq!(counter.read(160.0, 120), Reading::Rate(1.0));
        assert_eq!(counter.read(4.0, 120), Reading::Reset);
        assert_eq!(counter.read(90.0, 120), Reading::NotACounter);
    }
}
