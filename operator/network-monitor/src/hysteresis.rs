//! When something that comes and goes is taken for over, so that an Event and a condition don't follow each of its turns.
//! Pure.

use std::time::Duration;

use jiff::Timestamp;

/// What comes back this soon after it was told to be over comes and goes.
const SOON: Duration = Duration::from_secs(600);
/// How long what came back once must be gone. Twice as long for each time more, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(240);

/// Something that is there or isn't, window by window, and is shown. It is shown as soon as it is there, since what begins
/// must be told at once; that it is gone is shown once it has been gone for some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Presence {
    gone_since: Option<Timestamp>,
    over_at: Option<Timestamp>,
    /// How often it has come back soon.
    returns: u32,
}

impl Presence {
    /// Whether it is shown from the window on that starts at `now`, where it is `there` or not; `shown` is whether it was
    /// until now. It is gone after `least` at the earliest.
    pub(super) fn show(&mut self, there: bool, shown: bool, least: Duration, now: Timestamp) -> bool {
        if there {
            self.gone_since = None;
            if !shown {
                let is_soon =
                    self.over_at.is_some_and(|over| now.duration_since(over).unsigned_abs() <= SOON);
                self.returns = if is_soon { self.returns.saturating_add(1) } else { 0 };
            }
            return true;
        }
        if !shown {
            return false;
        }
        let since = *self.gone_since.get_or_insert(now);
        if now.duration_since(since).unsigned_abs() < self.hold(least) {
            return true;
        }
        self.gone_since = None;
        self.over_at = Some(now);
        false
    }

    /// Whether it came back soon after it was over.
    pub(super) fn comes_and_goes(&self) -> bool {
        self.returns > 0
    }

    /// Nothing is known for now: how long it has been gone begins anew.
    pub(super) fn interrupted(&mut self) {
        self.gone_since = None;
    }

    fn hold(&self, least: Duration) -> Duration {
        match self.returns {
            0 => least,
            again => FIRST.saturating_mul(1 << (again - 1).min(10)).min(LONGEST).max(least),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::at;
    use super::*;

    /// The windows of 15 s, by number, at which what is shown changes.
    fn turns(there: impl Fn(i64) -> bool, windows: i64, least: u64) -> Vec<i64> {
        let (mut presence, mut shown, mut turns) = (Presence::default(), false, Vec::new());
        for n in 0..windows {
            let next = presence.show(there(n), shown, Duration::from_secs(least), at(15 * n));
            assert_eq!(presence.show(there(n), next, Duration::from_secs(least), at(15 * n)), next);
            if next != shown {
                turns.push(n);
            }
            shown = next;
        }
        turns
    }

    #[test]
    fn what_begins_and_ends_once_is_told_at_once() {
        assert_eq!(turns(|n| (10..50).contains(&n), 100, 0), [10, 50]);
        assert_eq!(turns(|n| (10..50).contains(&n), 100, 120), [10, 58]);
    }

    #[test]
    fn what_flips_each_window_is_told_three_times_in_an_hour() {
        assert_eq!(turns(|n| n % 2 == 0, 240, 0), [0, 1, 2]);
        // Thirty seconds on, thirty seconds off.
        assert_eq!(turns(|n| n % 4 < 2, 240, 0), [0, 2, 4]);
    }

    #[test]
    fn what_comes_back_again_and_again_must_be_gone_longer_each_time() {
        // Two minutes in five for an hour: the first end at once, then after 30 s, 60 s, 120 s, and no more.
        assert_eq!(turns(|n| n % 20 < 8, 240, 0), [0, 8, 20, 30, 40, 52, 60, 76, 80]);
    }

    #[test]
    fn what_comes_back_much_later_is_told_as_at_first() {
        let there = |n: i64| (0..4).contains(&n) || (100..104).contains(&n) || (200..204).contains(&n);
        assert_eq!(turns(there, 240, 0), [0, 4, 100, 104, 200, 204]);
    }
}
