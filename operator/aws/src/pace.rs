//! Calls at the rates that AWS publishes for each operation, account and Region, shared by all objects.
//!
//! Who comes first goes first, and the next one's time is counted from when the last one went, not from when it was to
//! go: a process that was held up doesn't send what has gathered all at once, which AWS would throttle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A queue that is longer than this is an answer by itself: come back later. Whoever waits keeps its place meanwhile, so
/// that this is only for a queue that no pass could outwait.
const PATIENCE: Duration = Duration::from_secs(90);
/// How much slower than the published rate: two clocks never agree, and the account has other users.
const MARGIN: f64 = 1.03;
/// Timers ring late. So much is made up for by the next call, and still no second has more calls than published.
const LATENESS: Duration = Duration::from_millis(25);
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

/// Who waits for its turn. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Pacer {
    queues: Arc<Mutex<HashMap<Key, Arc<Queue>>>>,
    unpaced: bool,
}

/// One operation's callers. Tokio's mutex is fair: it is the queue.
#[derive(Debug)]
struct Queue {
    turn: tokio::sync::Mutex<()>,
    spacing: Mutex<Spacing>,
}

/// When the next call may go.
#[derive(Debug, Clone, Copy)]
struct Spacing {
    interval: Duration,
    next: Instant,
    waiting: u32,
}

impl Spacing {
    fn new(rate: f64, now: Instant) -> Self {
        Self { interval: Duration::from_secs_f64(MARGIN / rate), next: now, waiting: 0 }
    }

    /// One more waits; or how long the queue is, if it is too long.
    fn join(&mut self, now: Instant) -> Result<(), Duration> {
        let wait = self.next.saturating_duration_since(now) + self.interval * self.waiting;
        if wait > PATIENCE {
            return Err(wait);
        }
        self.waiting += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// A call goes now.
    fn go(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.next).min(LATENESS);
        self.next = now.checked_sub(late).unwrap_or(now) + self.interval;
    }

    /// However many calls of the same moment were throttled, it is one penalty.
    fn throttled(&mut self, now: Instant) {
        self.next = self.next.max(now + PENALTY);
    }
}

impl Queue {
    fn spacing<R>(&self, f: impl FnOnce(&mut Spacing) -> R) -> R {
        f(&mut self.spacing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A place in a queue; given up when dropped, so that a pass that was ended holds up nobody.
struct Place<'a>(&'a Queue);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.spacing(Spacing::leave);
    }
}

impl Pacer {
    /// One that never waits, for tests against something that doesn't throttle.
    pub(super) fn unpaced() -> Self {
        Self { unpaced: true, ..Self::default() }
    }

    /// Waits for its turn; or says how long the queue is, if it is too long.
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
        let queue = self.queue(service, account, region, operation);
        queue.spacing(|spacing| spacing.join(Instant::now()))?;
        let _place = Place(&queue);
        let _turn = queue.turn.lock().await;
        loop {
            let now = Instant::now();
            let due = queue.spacing(|spacing| spacing.next);
            if due <= now {
                queue.spacing(|spacing| spacing.go(now));
                return Ok(());
            }
            // A penalty may be added meanwhile.
            tokio::time::sleep_until(due).await;
        }
    }

    /// AWS throttled the operation: others of the account use it too.
    pub(super) fn throttled(&self, service: Service, account: &str, region: &str, operation: &'static str) {
        self.queue(service, account, region, operation).spacing(|spacing| spacing.throttled(Instant::now()));
    }

    fn queue(&self, service: Service, account: &str, region: &str, operation: &'static str) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (service, account.to_owned(), region.to_owned(), operation);
        let queue = queues.entry(key).or_insert_with(|| {
            let spacing = Mutex::new(Spacing::new(rate(service, operation), Instant::now()));
            Arc::new(Queue { turn: tokio::sync::Mutex::default(), spacing })
        });
        Arc::clone(queue)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of PutMetricAlarm.
    const RATE: f64 = 3.0;
    const SECOND: Duration = Duration::from_secs(1);

    /// When calls go that are each noticed so much later than they might have gone.
    fn sent(late: impl IntoIterator<Item = Duration>) -> Vec<Duration> {
        let start = Instant::now();
        let mut spacing = Spacing::new(RATE, start);
        late.into_iter()
            .map(|late| {
                let now = spacing.next + late;
                spacing.go(now);
                now - start
            })
            .collect()
    }

    fn most_in_a_second(sent: &[Duration]) -> usize {
        let within = |start: &Duration| sent.iter().filter(|t| *t >= start && **t < *start + SECOND).count();
        sent.iter().map(within).max().unwrap()
    }

    proptest! {
        #[test]
        fn no_second_has_more_calls_than_published_however_late_the_timers_are(
            late in prop::collection::vec(prop_oneof![4 => 0..5_u64, 1 => 0..3_000_u64], 1..200),
        ) {
            let sent = sent(late.into_iter().map(Duration::from_millis));
            prop_assert!(most_in_a_second(&sent) <= 3, "{sent:?}");
        }
    }

    #[test]
    fn a_timer_that_is_a_little_late_each_time_costs_nothing() {
        let sent = sent([Duration::from_millis(5); 1000]);
        let quota = 1000.0 / 3.0;
        assert!(sent[999].as_secs_f64() < quota * 1.031, "{:?}", sent[999]);
    }

    #[tokio::test]
    async fn regions_and_operations_dont_wait_for_each_other() {
        let (pacer, begun) = (Pacer::default(), Instant::now());
        for region in ["a", "b", "c"] {
            for operation in ["PutMetricAlarm", "TagResource"] {
                pacer.slot(Service::CloudWatch, "a", region, operation).await.unwrap();
            }
            pacer.slot(Service::Synthetics, "a", region, "TagResource").await.unwrap();
        }
        let before =
            pacer.queue(Service::CloudWatch, "a", "a", "PutMetricAlarm").spacing(|spacing| spacing.next);
        assert!(before > begun && before <= Instant::now() + Duration::from_millis(344));
    }

    #[tokio::test]
    async fn calls_go_in_the_order_in_which_they_came_and_one_that_was_ended_holds_up_nobody() {
        let pacer = Pacer::default();
        let gone = Arc::new(Mutex::new(Vec::new()));
        pacer.slot(Service::CloudWatch, "a", "r", "TagResource").await.unwrap();
        let mut calls: Vec<_> = (0..4)
            .map(|n| {
                let (pacer, gone) = (pacer.clone(), Arc::clone(&gone));
                Box::pin(async move {
                    pacer.slot(Service::CloudWatch, "a", "r", "TagResource").await.unwrap();
                    gone.lock().unwrap().push(n);
                })
            })
            .collect();
        for call in &mut calls {
            let _ = futures::poll!(call.as_mut());
        }
        drop(calls.remove(1));
        futures::future::join_all(calls).await;
        assert_eq!(*gone.lock().unwrap(), [0, 2, 3]);
        assert_eq!(
            pacer.queue(Service::CloudWatch, "a", "r", "TagResource").spacing(|spacing| spacing.waiting),
            0
        );
    }

    #[test]
    fn a_queue_that_is_too_long_is_an_answer() {
        let now = Instant::now();
        let mut spacing = Spacing::new(RATE, now);
        let refused = (0..400).filter(|_| spacing.join(now).is_err()).count();
        assert!((100..160).contains(&refused), "{refused}");
    }

    #[test]
    fn after_throttles_of_one_moment_the_next_call_waits_once() {
        let now = Instant::now();
        let mut spacing = Spacing::new(RATE, now);
        for _ in 0..5 {
            spacing.throttled(now);
        }
        assert_eq!(spacing.next, now + PENALTY);
    }
}
