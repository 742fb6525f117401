//! Token buckets at the rates that AWS publishes for each operation, account and Region, shared by all objects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A queue that is longer than this is an answer by itself: come back later.
const PATIENCE: Duration = Duration::from_secs(90);
/// How much slower than the published rate: two clocks never agree, and the account has other users.
const MARGIN: f64 = 1.03;
/// After AWS throttled us nonetheless.
const PENALTY: Duration = Duration::from_secs(1);

/// Services whose quotas are apart, though their operations may have the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Service {
    CloudWatch,
    Synthetics,
    Logs,
}

/// Calls a second, as published (CloudWatch service quotas). What isn't published, such as all of Synthetics, is ours: 2.
fn rate(service: Service, operation: &str) -> f64 {
    if service != Service::CloudWatch {
        return 2.0;
    }
    match operation {
        "PutMetricAlarm" | "PutCompositeAlarm" | "DeleteAlarms" | "PutAlarmMuteRule" => 3.0,
        "DeleteAnomalyDetector" => 5.0,
        "DescribeAlarms" => 9.0,
        "PutAnomalyDetector" | "DescribeAnomalyDetectors" | "ListTagsForResource" => 10.0,
        "TagResource" | "UntagResource" => 20.0,
        "PutMetricData" => 500.0,
        _ => 2.0,
    }
}

type Key = (Service, String, String, &'static str);

/// Who waits for which slot. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Pacer {
    next: Arc<Mutex<HashMap<Key, Instant>>>,
    unpaced: bool,
}

impl Pacer {
    /// One that never waits, for tests against something that doesn't throttle.
    pub(super) fn unpaced() -> Self {
        Self { unpaced: true, ..Self::default() }
    }

    /// Waits for a slot; or says how long the queue is, if it is too long.
    pub(super) async fn slot(
        &self,
        service: Service,
        account: &str,
        region: &str,
        operation: &'static str,
    ) -> Result<(), Duration> {
        if self.unpaced {
            return Ok(());
        }
        let slot =
            self.reserve((service, account.to_owned(), region.to_owned(), operation), Instant::now())?;
        tokio::time::sleep_until(slot).await;
        Ok(())
    }

    fn reserve(&self, key: Key, now: Instant) -> Result<Instant, Duration> {
        let rate = rate(key.0, key.3);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let free = next.entry(key).or_insert(now);
        let slot = (*free).max(now);
        let wait = slot.duration_since(now);
        if wait > PATIENCE {
            return Err(wait);
        }
        *free = slot + Duration::from_secs_f64(MARGIN / rate);
        Ok(slot)
    }

    /// AWS throttled the operation: others of the account use it too.
    pub(super) fn throttled(&self, service: Service, account: &str, region: &str, operation: &'static str) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let free = next.entry((service, account.to_owned(), region.to_owned(), operation)).or_insert(now);
        *free = (*free).max(now) + PENALTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(region: &str, operation: &'static str) -> Key {
        (Service::CloudWatch, "a".to_owned(), region.to_owned(), operation)
    }

    #[test]
    fn no_second_has_more_calls_than_published() {
        let (pacer, now) = (Pacer::default(), Instant::now());
        let slots: Vec<Instant> =
            (0..30).map(|_| pacer.reserve(key("r", "PutMetricAlarm"), now).unwrap()).collect();
        for start in &slots {
            let within =
                slots.iter().filter(|t| *t >= start && **t < *start + Duration::from_secs(1)).count();
            assert!(within <= 3, "{within} calls within a second");
        }
        assert!(slots[29] - now < Duration::from_secs(11), "{:?}", slots[29] - now);
    }

    #[test]
    fn regions_and_operations_dont_wait_for_each_other() {
        let (pacer, now) = (Pacer::default(), Instant::now());
        for region in ["a", "b", "c"] {
            for operation in ["PutMetricAlarm", "TagResource"] {
                assert_eq!(pacer.reserve(key(region, operation), now), Ok(now));
            }
            let of_synthetics = (Service::Synthetics, "a".to_owned(), region.to_owned(), "TagResource");
            assert_eq!(pacer.reserve(of_synthetics, now), Ok(now));
        }
    }

    #[test]
    fn a_queue_that_is_too_long_is_an_answer() {
        let (pacer, now) = (Pacer::default(), Instant::now());
        let refused = (0..400).filter(|_| pacer.reserve(key("r", "PutMetricAlarm"), now).is_err()).count();
        assert!((100..160).contains(&refused), "{refused}");
    }

    #[test]
    fn after_a_throttle_the_next_call_waits() {
        let (pacer, now) = (Pacer::default(), Instant::now());
        pacer.throttled(Service::CloudWatch, "a", "r", "PutMetricAlarm");
        assert!(pacer.reserve(key("r", "PutMetricAlarm"), now).unwrap() >= now + PENALTY);
    }
}
