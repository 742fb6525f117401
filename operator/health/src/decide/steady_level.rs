//! The time for which a harm has stayed at the same level.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A day and a night, with all that comes and goes by the hour.
const LONG: SignedDuration = SignedDuration::from_hours(24);
/// Within this factor it is still the same.
const SAME: f64 = 1.5;
/// Windows that a level is averaged over, about, and seconds at least.
const AVERAGED: f64 = 10.0;
const AVERAGED_SECONDS: f64 = 300.0;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct SteadyLevel {
    since: Timestamp,
    /// ln of the level when it became what it is, and lately.
    then: f64,
    lately: f64,
}

impl SteadyLevel {
    pub(crate) fn new(start: Timestamp, level: f64) -> Self {
        let level = level.max(f64::MIN_POSITIVE).ln();
        Self { since: start, then: level, lately: level }
    }

    pub(crate) fn observe(&mut self, start: Timestamp, seconds: u32, level: f64) {
        let averaged = AVERAGED.max(AVERAGED_SECONDS / f64::from(seconds.max(1)));
        self.lately += (level.max(f64::MIN_POSITIVE).ln() - self.lately) / averaged;
        if (self.lately - self.then).abs() > SAME.ln() {
            *self = Self { since: start, then: self.lately, lately: self.lately };
        }
    }

    pub(crate) fn is_long(&self, now: Timestamp) -> bool {
        now.duration_since(self.since) >= LONG
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).unwrap()
    }

    #[test]
    fn a_level_that_wavers_is_steady_and_one_that_grows_is_not() {
        let (mut wavers, mut grows) = (SteadyLevel::new(at(0), 0.02), SteadyLevel::new(at(0), 0.02));
        for hour in 1..=24 {
            assert!(!wavers.is_long(at(hour - 1)));
            wavers.observe(at(hour), 3_600, if hour % 2 == 0 { 0.015 } else { 0.027 });
            grows.observe(at(hour), 3_600, 0.02 * 1.1_f64.powi(hour as i32));
        }
        assert!(wavers.is_long(at(24)));
        assert!(!grows.is_long(at(24)));
    }
}
