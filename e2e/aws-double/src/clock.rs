//! The double's time: the machine's or one that stands still, and in both cases moved by hand.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

#[derive(Debug)]
pub(crate) struct Clock {
    /// Where a standing clock stands.
    fixed: Option<Timestamp>,
    advanced: SignedDuration,
    started: Instant,
}

impl Clock {
    pub(crate) fn new(fixed: Option<Timestamp>) -> Self {
        Self { fixed, advanced: SignedDuration::ZERO, started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let base = self.fixed.unwrap_or_else(Timestamp::now);
        base.saturating_add(self.advanced).unwrap_or(base)
    }

    pub(crate) fn advance(&mut self, by: SignedDuration) {
        self.advanced = self.advanced.saturating_add(by);
    }

    /// Seconds since the start, as a client that waits feels them: it waits in real time even if the clock stands.
    pub(crate) fn waited(&self) -> f64 {
        self.started.elapsed().as_secs_f64() + self.advanced.as_secs_f64()
    }
}
