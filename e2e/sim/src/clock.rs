//! The length of a window, and the number of windows in each part of a trial.

use jiff::{SignedDuration, Timestamp};

use crate::mode::{HISTORY_WINDOWS, QUIET_WINDOWS, RECOVERY_WINDOWS, WINDOW_SECONDS};

/// 2026-11-22T12:00:00Z, the first window of every simulation.
const FIRST_WINDOW: i64 = 1_795_348_800;

/// A window's length; everything else that takes time is in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    pub seconds: u32,
}

impl Default for Clock {
    fn default() -> Self {
        Self { seconds: WINDOW_SECONDS }
    }
}

impl Clock {
    /// Lengths that a minute is a multiple of, so that windows and minutes meet.
    pub fn new(seconds: u32) -> Option<Self> {
        (seconds > 0 && 60_u32.is_multiple_of(seconds)).then_some(Self { seconds })
    }

    /// Windows in so many windows of the usual length.
    fn of_usual(self, windows: usize) -> usize {
        (windows * WINDOW_SECONDS as usize / self.seconds.max(1) as usize).max(1)
    }

    pub fn history_windows(self) -> usize {
        self.of_usual(HISTORY_WINDOWS)
    }

    pub fn quiet_windows(self) -> usize {
        self.of_usual(QUIET_WINDOWS)
    }

    pub fn recovery_windows(self) -> usize {
        self.of_usual(RECOVERY_WINDOWS)
    }

    pub fn windows_of(self, seconds: u32) -> usize {
        (seconds / self.seconds.max(1)) as usize
    }

    /// Seconds from the simulation's beginning to the window's.
    pub fn offset(self, window: usize) -> f64 {
        window as f64 * f64::from(self.seconds)
    }

    pub fn start(self, window: usize) -> Timestamp {
        let first = Timestamp::from_second(FIRST_WINDOW).unwrap_or(Timestamp::UNIX_EPOCH);
        let offset = i64::try_from(window).unwrap_or(0).saturating_mul(i64::from(self.seconds));
        first.checked_add(SignedDuration::from_secs(offset)).unwrap_or(first)
    }
}
