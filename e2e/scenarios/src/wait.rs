//! Waiting for a condition with a limit, and saying what was seen when it doesn't come.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::interrupt::interrupted;

const INTERVAL: Duration = Duration::from_millis(500);
/// Changes of what was seen that a failure prints.
const TRAIL: usize = 30;

/// The result of one check of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<T> {
    /// The condition holds.
    Done(T),
    /// Not yet; this was seen instead.
    NotYet(String),
}

/// The condition didn't come in time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: not within {} s; seen:\n{trail}", limit.as_secs())]
pub struct TimedOut {
    pub what: String,
    pub limit: Duration,
    pub trail: String,
}

/// Looks until the condition holds or the limit is over. Returns what the condition gave and how long it took.
pub fn wait_for<T>(
    limit: Duration,
    what: impl Into<String>,
    mut look: impl FnMut() -> Look<T>,
) -> Result<(T, Duration), TimedOut> {
    let started = Instant::now();
    let mut trail: Vec<(Duration, String)> = Vec::new();
    loop {
        let begun = Instant::now();
        match look() {
            Look::Done(value) => return Ok((value, started.elapsed())),
            Look::NotYet(seen) => {
                if trail.last().is_none_or(|(_, last)| *last != seen) {
                    trail.push((started.elapsed(), seen));
                }
            }
        }
        if started.elapsed() >= limit || interrupted() {
            return Err(TimedOut { what: what.into(), limit, trail: text_of(&trail) });
        }
        std::thread::sleep(INTERVAL.saturating_sub(begun.elapsed()));
    }
}

fn text_of(trail: &[(Duration, String)]) -> String {
    let skipped = trail.len().saturating_sub(TRAIL);
    let mut text = String::new();
    for (at, seen) in trail.iter().skip(skipped) {
        let _ = writeln!(text, "  after {:5.1} s: {seen}", at.as_secs_f64());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_is_returned() {
        let mut looks = 0;
        let (value, _) = wait_for(Duration::from_secs(5), "three looks", || {
            looks += 1;
            if looks == 3 { Look::Done(looks) } else { Look::NotYet(format!("{looks} looks")) }
        })
        .unwrap();
        assert_eq!(value, 3);
    }

    #[test]
    fn a_condition_that_does_not_come_says_what_was_seen() {
        let error =
            wait_for::<()>(Duration::ZERO, "the moon", || Look::NotYet("clouds".to_owned())).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the moon") && text.contains("clouds"), "{text}");
    }
}
