//! Windows are aligned to multiples of their length since the epoch, so that the windows of all nodes coincide.

use std::time::Duration;

use jiff::Timestamp;

/// The current window and its boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowClock {
    seconds: u32,
    /// Start of the current window, in seconds since the epoch.
    start: i64,
}

impl WindowClock {
    /// Starts with the next window, which also takes in what happens before it begins. The current window may have been
    /// reported by the agent that ran before this one, and a collector accepts each window of a node only once.
    pub fn starting_at(now: Timestamp, seconds: u32) -> Self {
        let clock = Self { seconds, start: 0 };
        Self { start: clock.floor(now) + i64::from(seconds), ..clock }
    }

    fn floor(&self, now: Timestamp) -> i64 {
        now.as_second().div_euclid(i64::from(self.seconds)) * i64::from(self.seconds)
    }

    /// Start of the window that is being filled.
    pub fn start(&self) -> Timestamp {
        Timestamp::from_second(self.start).unwrap_or_default()
    }

    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Time left until the window ends; zero if its end is past.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        let end = self.start.saturating_add(i64::from(self.seconds));
        let left = i128::from(end) * 1_000_000_000 - now.as_nanosecond();
        Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }

    /// Moves on to the window that contains `now`. No window comes twice: if the wall clock was set back, the next
    /// window in order follows.
    pub fn advance(&mut self, now: Timestamp) {
        self.start = self.floor(now).max(self.start + i64::from(self.seconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_first_window_is_the_next_to_begin() {
        let clock = WindowClock::starting_at(at(61), 30);
        assert_eq!(clock.start(), at(90));
        assert_eq!(clock.remaining(at(61)), Duration::from_secs(59));
    }

    #[test]
    fn windows_follow_one_another() {
        let mut clock = WindowClock::starting_at(at(61), 30);
        clock.advance(at(120));
        assert_eq!(clock.start(), at(120));
        assert_eq!(clock.remaining(at(151)), Duration::ZERO);
    }

    #[test]
    fn a_leap_skips_windows_and_a_clock_set_back_repeats_none() {
        let mut clock = WindowClock::starting_at(at(61), 30);
        clock.advance(at(1000));
        assert_eq!(clock.start(), at(990));
        clock.advance(at(10));
        assert_eq!(clock.start(), at(1020));
    }
}
