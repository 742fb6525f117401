//! How long something may take.

use std::fmt;
use std::time::Duration;

use tidewatch_crds::format_duration;
use tokio::time::{Instant, timeout_at};

/// When a run or a check must be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    start: Instant,
    at: Instant,
    /// The time of the whole run, where that ends first.
    run: Option<Duration>,
}

/// The time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elapsed {
    after: Duration,
    run: Option<Duration>,
}

impl Deadline {
    pub(crate) fn new(limit: Duration) -> Self {
        let start = Instant::now();
        Self { start, at: start + limit, run: None }
    }

    /// Of a check that begins now in a run that ends here.
    pub(crate) fn of_check(self, limit: Duration) -> Self {
        let check = Self::new(limit);
        if check.at <= self.at {
            check
        } else {
            Self { at: self.at, run: Some(self.at - self.start), ..check }
        }
    }

    /// One of `parts` equal parts of what is left, from now on.
    pub(crate) fn share(self, parts: usize) -> Self {
        let start = Instant::now();
        let parts = u32::try_from(parts.max(1)).unwrap_or(u32::MAX);
        Self { start, at: start + self.remaining() / parts, run: self.run.filter(|_| parts == 1) }
    }

    /// At most `limit` from now on.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        if limit < self.remaining() { Self::new(limit) } else { self }
    }

    /// What it says when it is over.
    pub(crate) fn elapsed(self) -> Elapsed {
        Elapsed { after: self.at - self.start, run: self.run }
    }

    pub(crate) fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    pub(crate) async fn within<F: Future>(self, future: F) -> Result<F::Output, Elapsed> {
        timeout_at(self.at, future).await.map_err(|_| self.elapsed())
    }
}

impl Elapsed {
    /// Of something that gave up by itself.
    pub(crate) fn after(after: Duration) -> Self {
        Self { after, run: None }
    }
}

/// As in "timed out after …".
impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Span(self.after))?;
        match self.run {
            Some(run) => write!(f, " (the whole run may take {})", Span(run)),
            None => Ok(()),
        }
    }
}

/// A duration as a person says it: `800ms`, `1.2s`, `1m30s`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0.as_millis() + 50) / 100;
        if self.0 < Duration::from_millis(1) {
            write!(f, "{}µs", self.0.as_micros())
        } else if self.0 < Duration::from_secs(1) {
            write!(f, "{}ms", self.0.as_millis())
        } else if tenths < 600 && !tenths.is_multiple_of(10) {
            write!(f, "{}.{}s", tenths / 10, tenths % 10)
        } else {
            f.write_str(&format_duration(self.0 + Duration::from_millis(50)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_as_a_person_says_it() {
        for (micros, text) in [
            (250, "250µs"),
            (800_000, "800ms"),
            (1_240_000, "1.2s"),
            (9_999_000, "10s"),
            (10_000_000, "10s"),
            (90_000_000, "1m30s"),
        ] {
            assert_eq!(Span(Duration::from_micros(micros)).to_string(), text);
        }
    }

    #[tokio::test]
    async fn what_ran_out_says_whether_it_was_the_run_s_time() {
        let ended = async |run: u64, check: u64| {
            let run = Deadline::new(Duration::from_millis(run));
            let check = run.of_check(Duration::from_millis(check));
            check.within(std::future::pending::<()>()).await.unwrap_err().to_string()
        };
        assert_eq!(ended(60_000, 2).await, "2ms");
        let check = ended(9, 60_000).await;
        assert!(check.ends_with(" (the whole run may take 9ms)"), "{check}");
    }
}
