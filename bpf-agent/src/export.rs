//! Sends closed windows to the collector: OTLP/gRPC over TLS, in order, at least once.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use tidewatch_records::otlp;
use tokio::sync::Notify;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use crate::flows::ClosedWindow;
use crate::metrics::Metrics;
use crate::queue::{Batch, Queue};

/// Records in one request: at about 1.5 KB each far below the 4 MB that a gRPC server takes by default.
const BATCH_ROWS: usize = 500;
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// Lower and upper bound of the longest backoff, which is half a window: after the collector's return, the second
/// window is complete again.
const MAX_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("--collector {url}: {source}")]
    Endpoint { url: String, source: tonic::transport::Error },
    #[error("could not read {what} {path}: {source}")]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the token in {path} can't be a header: it has other than visible ASCII characters")]
    Token { path: PathBuf },
    #[error("the collector answered {}: {}", .0.code(), .0.message())]
    Answer(#[from] Box<Status>),
}

impl ExportError {
    /// Returns true if the collector would refuse the same request again.
    fn is_final(&self) -> bool {
        use Code::{DataLoss, FailedPrecondition, InvalidArgument, OutOfRange};
        match self {
            Self::Answer(status) => {
                matches!(status.code(), InvalidArgument | FailedPrecondition | OutOfRange | DataLoss)
            }
            _ => false,
        }
    }
}

/// The collector's address, and the identity of the agent.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: String,
    pub ca: Option<PathBuf>,
    pub token: Option<PathBuf>,
    pub gzip: bool,
    pub node: String,
    /// Length of the windows that are sent.
    pub window: Duration,
}

/// The queue between the task that closes windows and the task that sends them.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
    emptied: Notify,
    /// Tells the exporter that somebody waits for the queue to be empty.
    hurry: Notify,
    metrics: Arc<Metrics>,
}

impl Outbox {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            queue: Mutex::default(),
            changed: Notify::new(),
            emptied: Notify::new(),
            hurry: Notify::new(),
            metrics,
        }
    }

    /// Adds a window to be sent.
    pub fn push(&self, window: ClosedWindow) {
        self.change(|queue| queue.push(window));
        self.changed.notify_one();
    }

    /// Waits until all was sent. An exporter that waits before it tries again doesn't wait any longer, and little from
    /// then on.
    pub async fn flushed(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.lock().is_empty() {
                return;
            }
            self.hurry.notify_one();
            emptied.await;
        }
    }

    /// Waits for so long, or until somebody waits for the queue to be empty; returns true then.
    async fn rest(&self, wait: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(wait) => false,
            () = self.hurry.notified() => true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.lock();
        let lost = queue.lost_windows;
        change(&mut queue);
        self.metrics.windows_lost.inc_by(queue.lost_windows - lost);
        self.metrics.windows_waiting.set(i64::try_from(queue.len()).unwrap_or(i64::MAX));
        if queue.is_empty() {
            self.emptied.notify_waiters();
        }
    }
}

/// Sends the windows of the outbox to the collector.
#[derive(Debug)]
pub struct Exporter {
    target: Target,
    outbox: Arc<Outbox>,
    metrics: Arc<Metrics>,
    /// The channel, and the authority it trusts.
    channel: Option<(Channel, Option<Vec<u8>>)>,
}

impl Exporter {
    pub fn new(target: Target, outbox: Arc<Outbox>, metrics: Arc<Metrics>) -> Result<Self, ExportError> {
        // Says at start that the URL is none, rather than at the first window.
        endpoint(&target)?;
        Ok(Self { target, outbox, metrics, channel: None })
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        let patient = Backoff::new(self.target.window);
        let mut backoff = patient;
        loop {
            let batch = self.outbox.lock().front(BATCH_ROWS);
            let Some(batch) = batch else {
                self.outbox.changed.notified().await;
                continue;
            };
            match self.send(&batch).await {
                Ok(rejected) => {
                    backoff = patient;
                    self.note_delivered(&batch, rejected);
                }
                Err(error) if error.is_final() => {
                    tracing::error!(%error, "the collector refuses a window for good; it is dropped and counted");
                    self.outbox.change(|queue| queue.refused(&batch));
                }
                Err(error) => {
                    self.metrics.export_failures.inc();
                    let wait = backoff.next();
                    tracing::warn!(%error, retry_in = ?wait, "could not send to the collector");
                    if self.outbox.rest(wait).await {
                        backoff = Backoff::hurried();
                    }
                }
            }
        }
    }

    fn note_delivered(&self, batch: &Batch, rejected: u64) {
        let records = batch.flows.len() as u64
            + u64::from(batch.node.is_some())
            + u64::from(batch.accounting.is_some());
        self.metrics.records_sent.inc_by(records.saturating_sub(rejected));
        self.metrics.records_rejected.inc_by(rejected);
        self.outbox.change(|queue| queue.delivered(batch));
    }

    /// Sends one batch, and returns the number of its records that the collector rejected.
    async fn send(&mut self, batch: &Batch) -> Result<u64, ExportError> {
        let mut records: Vec<_> = batch.flows.iter().map(otlp::encode_flow).collect();
        records.extend(batch.node.as_ref().map(otlp::encode_node));
        records.extend(batch.accounting.as_ref().map(otlp::encode_accounting));
        let mut request =
            Request::new(otlp::export_request(&self.target.node, env!("CARGO_PKG_VERSION"), records));
        request.set_timeout(EXPORT_TIMEOUT);
        if let Some(token) = self.bearer()? {
            request.metadata_mut().insert("authorization", token);
        }
        let mut client = LogsServiceClient::new(self.channel()?);
        if self.target.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let answer = client.export(request).await.map_err(Box::new)?.into_inner();
        let Some(partial) = answer.partial_success else { return Ok(0) };
        if partial.rejected_log_records > 0 {
            tracing::warn!(
                records = partial.rejected_log_records,
                reason = partial.error_message,
                "the collector rejected records"
            );
        }
        Ok(u64::try_from(partial.rejected_log_records).unwrap_or(0))
    }

    /// Tokens of pods expire within an hour and are replaced in place, so it is read each time.
    fn bearer(&self) -> Result<Option<MetadataValue<Ascii>>, ExportError> {
        let Some(path) = &self.target.token else { return Ok(None) };
        let token = fs::read_to_string(path).map_err(|source| ExportError::File {
            what: "the token",
            path: path.clone(),
            source,
        })?;
        let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
            .parse()
            .map_err(|_| ExportError::Token { path: path.clone() })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The channel to the collector. A new one is made when the file of the certificate authority has changed.
    fn channel(&mut self) -> Result<Channel, ExportError> {
        let ca = self.target.ca.as_ref().map(|path| {
            fs::read(path).map_err(|source| ExportError::File {
                what: "the certificate authority",
                path: path.clone(),
                source,
            })
        });
        let ca = ca.transpose()?;
        if let Some((channel, trusted)) = &self.channel
            && *trusted == ca
        {
            return Ok(channel.clone());
        }
        let mut endpoint = endpoint(&self.target)?;
        if let Some(pem) = &ca {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            let url = self.target.url.clone();
            endpoint = endpoint.tls_config(tls).map_err(|source| ExportError::Endpoint { url, source })?;
        }
        let channel = endpoint.connect_lazy();
        self.channel = Some((channel.clone(), ca));
        Ok(channel)
    }
}

fn endpoint(target: &Target) -> Result<Endpoint, ExportError> {
    let endpoint = Endpoint::from_shared(target.url.clone())
        .map_err(|source| ExportError::Endpoint { url: target.url.clone(), source })?;
    // The collector's leader moves: a dead connection must be noticed, and given up.
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(EXPORT_TIMEOUT)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true))
}

/// Exponential backoff with a cap. Half of each wait is random, so that a thousand agents don't come back at once.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    failures: u32,
    most: Duration,
}

impl Backoff {
    fn new(window: Duration) -> Self {
        Self { failures: 0, most: (window / 2).clamp(MAX_BACKOFF.0, MAX_BACKOFF.1) }
    }

    /// For an agent that ends: several tries within the time that it has left.
    fn hurried() -> Self {
        Self { failures: 0, most: MAX_BACKOFF.0 }
    }

    fn next(&mut self) -> Duration {
        let full = FIRST_BACKOFF.saturating_mul(1 << self.failures.min(10)).min(self.most);
        self.failures += 1;
        full.mul_f64(0.5 + random_share() / 2.0)
    }
}

/// A random number from 0 to 1, made from the random keys of the standard library's hasher.
fn random_share() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use tidewatch_records::Name;

    use super::*;
    use crate::flows::Flows;

    #[tokio::test]
    async fn who_waits_for_the_last_window_ends_a_long_wait() {
        let outbox = Outbox::new(Arc::new(Metrics::new()));
        outbox.push(Flows::new().close(jiff::Timestamp::UNIX_EPOCH, 5, &Name::from("node-a")));
        let hurried = async {
            tokio::select! {
                hurried = outbox.rest(Duration::from_secs(3600)) => hurried,
                () = outbox.flushed() => panic!("nothing was sent"),
            }
        };
        let hurried = tokio::time::timeout(Duration::from_secs(30), hurried).await;
        assert_eq!(hurried, Ok(true), "the exporter is still waiting");
        let mut backoff = Backoff::hurried();
        assert!((0..12).all(|_| backoff.next() <= MAX_BACKOFF.0));
    }

    #[test]
    fn the_wait_doubles_with_jitter_up_to_a_cap() {
        for (window, most) in [(1, 1), (10, 5), (30, 15), (600, 15)]
            .map(|(w, m)| (Duration::from_secs(w), Duration::from_secs(m)))
        {
            let mut backoff = Backoff::new(window);
            let waits: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
            assert!(waits[0] >= FIRST_BACKOFF / 2 && waits[0] <= FIRST_BACKOFF, "{waits:?}");
            assert!(waits[11] >= most / 2 && waits[11] <= most, "{window:?}: {waits:?}");
        }
    }
}
