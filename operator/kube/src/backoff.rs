//! When to try again: exponential with jitter, capped, and the cause's own wish wins.

use std::fmt;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::reconcile::ErrorClass;

/// The first delay and the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub base: Duration,
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), cap: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// The delay after the `attempt`-th failure in a row (1 is the first), or none if only a change of the object helps.
    /// `jitter` in 0..1 spreads objects that failed together over the upper half of the delay.
    pub fn delay(&self, class: ErrorClass, attempt: u32, jitter: f64) -> Option<Duration> {
        let exponential = |base: Duration| {
            let doubled = base.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(20)));
            let capped = doubled.min(self.cap);
            capped.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
        };
        match class {
            ErrorClass::Terminal => None,
            ErrorClass::Conflict => Some(exponential(self.base / 10)),
            ErrorClass::Retry | ErrorClass::NotFound => Some(exponential(self.base)),
            // Nothing gets better until somebody grants the right; asking often only fills the audit log.
            ErrorClass::Denied => Some(exponential(self.base * 10)),
            ErrorClass::Throttled(None) => Some(exponential(self.base * 2)),
            ErrorClass::Throttled(Some(after)) => {
                // Never sooner than asked; a little later, so that all who were refused don't come back at once.
                Some(after + after.mul_f64(0.25 * jitter.clamp(0.0, 1.0)))
            }
        }
    }
}

/// Tries until it succeeds, telling of each failure with `what`; `None` once `cancel` is cancelled, also in the midst of a
/// try.
pub async fn until_done<T, E, F>(
    what: &str,
    backoff: Backoff,
    cancel: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Option<T>
where
    E: fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let mut failures = 0_u32;
    loop {
        let error = tokio::select! {
            () = cancel.cancelled() => return None,
            done = attempt() => match done {
                Ok(done) => return Some(done),
                Err(error) => error,
            },
        };
        failures = failures.saturating_add(1);
        let delay = backoff.delay(ErrorClass::Retry, failures, jitter()).unwrap_or(backoff.cap);
        tracing::warn!(%error, retry_in = ?delay, "{what}");
        tokio::select! {
            () = cancel.cancelled() => return None,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// A number in 0..1 that differs from call to call and from process to process.
pub fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    // RandomState is keyed anew for every instance; its hash of nothing is a random number without a crate for it.
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    let fraction = bits as f64 / (1_u64 << 53) as f64;
    fraction
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delay(class: ErrorClass, attempt: u32, jitter: f64) -> Option<Duration> {
        Backoff::default().delay(class, attempt, jitter)
    }

    #[test]
    fn delays_double_up_to_the_cap() {
        let delays: Vec<_> =
            (1..=12).filter_map(|n| delay(ErrorClass::Retry, n, 1.0)).map(|d| d.as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn an_error_that_only_a_change_can_help_is_not_tried_again() {
        assert_eq!(delay(ErrorClass::Terminal, 1, 0.5), None);
    }

    #[test]
    fn a_conflict_is_looked_at_again_soon() {
        assert!(delay(ErrorClass::Conflict, 1, 1.0) <= Some(Duration::from_millis(100)));
    }

    proptest! {
        #[test]
        fn a_throttled_call_is_never_repeated_before_the_server_s_wish(seconds in 1_u64..600, attempt in 1_u32..50, jitter in 0.0_f64..1.0) {
            let after = Duration::from_secs(seconds);
            let delay = delay(ErrorClass::Throttled(Some(after)), attempt, jitter).unwrap();
            prop_assert!(delay >= after && delay <= after * 2);
        }

        #[test]
        fn no_delay_passes_the_cap_or_is_nothing(attempt in 1_u32..u32::MAX, jitter in 0.0_f64..1.0) {
            for class in [ErrorClass::Retry, ErrorClass::Conflict, ErrorClass::Denied, ErrorClass::NotFound, ErrorClass::Throttled(None)] {
                let delay = delay(class, attempt, jitter).unwrap();
                prop_assert!(delay <= Backoff::default().cap && delay >= Duration::from_millis(50));
            }
        }
    }

    const SHORT: Backoff = Backoff { base: Duration::from_millis(1), cap: Duration::from_millis(2) };

    #[tokio::test]
    async fn what_fails_is_tried_until_it_succeeds() {
        let (mut tries, cancel) = (0, CancellationToken::new());
        let done = until_done("it failed", SHORT, &cancel, || {
            tries += 1;
            std::future::ready(if tries < 4 { Err("not yet") } else { Ok(tries) })
        });
        assert_eq!(done.await, Some(4));
    }

    #[tokio::test]
    async fn a_try_that_never_ends_ends_with_the_cancellation() {
        let cancel = CancellationToken::new();
        let never = || std::future::pending::<Result<(), &str>>();
        let (done, ()) = tokio::join!(until_done("it failed", SHORT, &cancel, never), async {
            tokio::task::yield_now().await;
            cancel.cancel();
        });
        assert_eq!(done, None);
    }

    #[test]
    fn jitter_is_spread_over_its_range() {
        let values: Vec<f64> = (0..200).map(|_| jitter()).collect();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        assert!(values.iter().any(|v| *v < 0.3) && values.iter().any(|v| *v > 0.7));
    }
}
