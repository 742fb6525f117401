//! Metric data on its way to CloudWatch: batched over all that publish, never sent twice, and lost rather than sent twice.
//!
//! PutMetricData adds to what is there, so that a repeated call counts double. A call that AWS refused is repeated; one
//! that got no answer may have been applied, and is not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::types::Datum;
use super::{Aws, AwsError, ErrorKind, Scope};

/// Where data goes: Region (none: the operator's own) and namespace.
pub type Destination = (Option<String>, String);

/// How long data waits for others to share a call with.
const GATHER: Duration = Duration::from_secs(2);
/// Limits of one call (PutMetricData): data, and bytes with room to spare below 1 MB.
const DATA: usize = 1000;
const BYTES: usize = 800_000;
/// Data that may wait while AWS refuses; beyond it the oldest is lost, and counted.
const QUEUE: usize = 50_000;
/// Time between two tries.
const RETRY: Duration = Duration::from_secs(15);

/// How publishing to a destination went last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    Ok,
    /// In words.
    Failing(ErrorKind, String),
}

/// What publishing counts. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct PublishMetrics {
    sent: Counter,
    lost: Counter,
}

impl PublishMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("publish");
        registry.register("data_sent", "Metric data that CloudWatch took", self.sent.clone());
        let help = "Metric data that was refused, had no answer, or waited too long";
        registry.register("data_lost", help, self.lost.clone());
    }
}

/// Where to hand data in. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: mpsc::Sender<(Destination, Vec<Datum>)>,
    outcomes: Arc<Mutex<BTreeMap<Destination, Published>>>,
    metrics: PublishMetrics,
}

impl Publisher {
    /// Publishes until `cancel`.
    pub fn start(aws: Aws, metrics: PublishMetrics, cancel: CancellationToken) -> Self {
        Self::gathering(aws, metrics, GATHER, cancel)
    }

    fn gathering(aws: Aws, metrics: PublishMetrics, gather: Duration, cancel: CancellationToken) -> Self {
        let (queue, queued) = mpsc::channel(1024);
        let outcomes = Arc::default();
        let worker = Worker {
            aws,
            waiting: BTreeMap::new(),
            outcomes: Arc::clone(&outcomes),
            metrics: metrics.clone(),
            gather,
        };
        tokio::spawn(worker.run(queued, cancel));
        Self { queue, outcomes, metrics }
    }

    /// Hands data in; what finds the queue full is lost, and counted.
    pub fn publish(&self, to: Destination, data: Vec<Datum>) {
        if let Err(mpsc::error::TrySendError::Full((_, data))) = self.queue.try_send((to, data)) {
            self.metrics.lost.inc_by(data.len() as u64);
        }
    }

    /// How it went last; none if nothing was sent yet.
    pub fn outcome(&self, to: &Destination) -> Option<Published> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).get(to).cloned()
    }
}

struct Worker {
    aws: Aws,
    waiting: BTreeMap<Destination, VecDeque<Datum>>,
    outcomes: Arc<Mutex<BTreeMap<Destination, Published>>>,
    metrics: PublishMetrics,
    gather: Duration,
}

impl Worker {
    async fn run(mut self, mut queued: mpsc::Receiver<(Destination, Vec<Datum>)>, cancel: CancellationToken) {
        loop {
            let idle = self.waiting.values().all(VecDeque::is_empty);
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(RETRY), if !idle => {}
                batch = queued.recv() => match batch {
                    Some((to, data)) => self.take(to, data),
                    None => return,
                }
            }
            let until = Instant::now() + self.gather;
            while let Ok(Some((to, data))) = tokio::time::timeout_at(until, queued.recv()).await {
                self.take(to, data);
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.send_all() => {}
            }
        }
    }

    fn take(&mut self, to: Destination, data: Vec<Datum>) {
        let waiting = self.waiting.entry(to).or_default();
        waiting.extend(data);
        while waiting.len() > QUEUE {
            waiting.pop_front();
            self.metrics.lost.inc();
        }
    }

    async fn send_all(&mut self) {
        let destinations: Vec<Destination> = self.waiting.keys().cloned().collect();
        for to in destinations {
            while let Some(batch) = self.waiting.get_mut(&to).and_then(next_batch) {
                let sent = self.send(&to, &batch).await;
                let count = batch.len() as u64;
                let again = match &sent {
                    Ok(()) => {
                        self.metrics.sent.inc_by(count);
                        false
                    }
                    Err(error) => may_be_repeated(error),
                };
                if sent.is_err() && !again {
                    self.metrics.lost.inc_by(count);
                }
                self.note(&to, sent.err());
                if again {
                    if let Some(waiting) = self.waiting.get_mut(&to) {
                        batch.into_iter().rev().for_each(|datum| waiting.push_front(datum));
                    }
                    break;
                }
            }
        }
        self.waiting.retain(|_, waiting| !waiting.is_empty());
    }

    async fn send(&self, (region, namespace): &Destination, data: &[Datum]) -> Result<(), AwsError> {
        let Some(region) = region.clone().or_else(|| self.aws.region()) else {
            let why =
                "no Region is known: set the monitor's publish.cloudWatch.region, or the chart's aws.region";
            return Err(AwsError::local("PutMetricData", "", ErrorKind::Terminal, why));
        };
        let connection = self.aws.connection(&Scope { region, role: None }).await;
        connection.cloudwatch.put_metric_data(namespace, data).await
    }

    fn note(&self, to: &Destination, error: Option<AwsError>) {
        let outcome = error.map_or(Published::Ok, |error| Published::Failing(error.kind, error.to_string()));
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(to.clone(), outcome);
    }
}

/// Only what AWS refused: it has a code. What got no answer may have been applied, and what is invalid stays so.
fn may_be_repeated(error: &AwsError) -> bool {
    match error.kind {
        ErrorKind::Throttled | ErrorKind::Denied | ErrorKind::Credentials | ErrorKind::Quota => true,
        ErrorKind::Retry => !error.code.is_empty(),
        ErrorKind::Terminal | ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::InUse => false,
    }
}

/// As much as one call takes, out of `waiting`.
fn next_batch(waiting: &mut VecDeque<Datum>) -> Option<Vec<Datum>> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(datum) = waiting.front() {
        bytes += size(datum);
        if !batch.is_empty() && (batch.len() >= DATA || bytes > BYTES) {
            break;
        }
        batch.extend(waiting.pop_front());
    }
    (!batch.is_empty()).then_some(batch)
}

/// Bytes of one datum in a request, rather too many.
fn size(datum: &Datum) -> usize {
    let dimensions: usize = datum.dimensions.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    128 + datum.metric.len() + dimensions + datum.values.len() * 20
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;
