//! When to look again, and how old a reading may be.

use std::time::Duration;

use tidewatch_aws::AwsError;
use tidewatch_kube::backoff::{Backoff, jitter};
use tidewatch_kube::reconcile::{Classify, ErrorClass};
use tokio::time::Instant;

/// Times that a pass looks again at what it did.
pub const ROUNDS: usize = 4;
/// After a refusal that only a change of the spec can help; what is refused may depend on things in AWS too.
pub const REFUSED: Duration = Duration::from_secs(600);

/// How often an object at rest is looked at though nothing changed.
pub fn rest() -> Duration {
    Duration::from_secs(900).mul_f64(0.8 + 0.4 * jitter())
}

/// When to try again what AWS refused, after so many passes in a row.
pub fn after(error: &AwsError, attempts: u32, backoff: Backoff) -> Duration {
    backoff.delay(error.class(), attempts, jitter()).unwrap_or(REFUSED)
}

/// When to look again at what isn't as declared yet, after so many passes in a row.
pub fn unfinished(attempts: u32, backoff: Backoff) -> Duration {
    backoff.delay(ErrorClass::Retry, attempts, jitter()).unwrap_or(REFUSED)
}

/// A reading must be as young: of after the last write, and not of three resyncs ago.
pub fn newer_than(last_write: Option<Instant>, resync: Duration) -> Instant {
    let now = Instant::now();
    let old = now.checked_sub(resync * 3).unwrap_or(now);
    last_write.map_or(old, |written| written.max(old))
}
