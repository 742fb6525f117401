//! The collector's metrics. No label has an address, a port or a name from outside.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tidewatch_cluster::{Cluster, Kind};
use tidewatch_evaluation as evaluation;

use super::reject::Reject;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// Cheap to clone; all clones count together. Counts from the start; register it once to show.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Of the registry that the collector hands its windows to.
    pub evaluation: evaluation::Metrics,
    received: Counter,
    rejected: Family<ReasonLabel, Counter>,
    requests: Family<OutcomeLabel, Counter>,
    reviews: Family<OutcomeLabel, Counter>,
    handshakes: Family<OutcomeLabel, Counter>,
    pub(super) connections: Gauge,
    pub(super) ingest: Histogram,
    pub(super) windows_closed: Counter,
    pub(super) windows_skipped: Counter,
    pub(super) nodes_missing: Counter,
    flows_held: Gauge,
    windows_held: Gauge,
    index_objects: Family<KindLabel, Gauge>,
    index_addresses: Gauge,
    tls_expiry: Gauge,
    pub(super) tls_errors: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            evaluation: evaluation::Metrics::default(),
            received: Counter::default(),
            rejected: Family::default(),
            requests: Family::default(),
            reviews: Family::default(),
            handshakes: Family::default(),
            connections: Gauge::default(),
            ingest: Histogram::new(exponential_buckets(0.0001, 4.0, 9)),
            windows_closed: Counter::default(),
            windows_skipped: Counter::default(),
            nodes_missing: Counter::default(),
            flows_held: Gauge::default(),
            windows_held: Gauge::default(),
            index_objects: Family::default(),
            index_addresses: Gauge::default(),
            tls_expiry: Gauge::default(),
            tls_errors: Counter::default(),
        };
        // A reason that hasn't happened is zero, not absent.
        for reason in Reject::ALL {
            metrics.rejected(reason, 0);
        }
        metrics
    }
}

impl Metrics {
    /// Registers these and the evaluations' in a registry with prefix `tidewatch`.
    pub fn register(&self, to: &mut Registry) {
        self.evaluation.register(to);
        let to = to.sub_registry_with_prefix("collector");
        to.register("records_received", "Flow records kept", self.received.clone());
        to.register("records_rejected", "Flow records not kept, by reason", self.rejected.clone());
        to.register("requests", "Export requests, by outcome", self.requests.clone());
        to.register(
            "token_reviews",
            "TokenReviews asked of the API server, by outcome",
            self.reviews.clone(),
        );
        to.register("tls_handshakes", "TLS handshakes, by outcome", self.handshakes.clone());
        to.register("connections", "Open connections of agents", self.connections.clone());
        to.register_with_unit(
            "ingest",
            "Time to decode, resolve and keep one request's records",
            Unit::Seconds,
            self.ingest.clone(),
        );
        to.register("windows_closed", "Evaluation windows closed", self.windows_closed.clone());
        to.register(
            "windows_skipped",
            "Evaluation windows skipped since they lay too far back",
            self.windows_skipped.clone(),
        );
        to.register(
            "nodes_missing",
            "Nodes with a ready agent that a window was closed without",
            self.nodes_missing.clone(),
        );
        to.register("flows_held", "Flow records held for windows still open", self.flows_held.clone());
        to.register("windows_held", "Agent windows held", self.windows_held.clone());
        to.register(
            "index_objects",
            "Live objects in the cluster index, by kind",
            self.index_objects.clone(),
        );
        to.register(
            "index_addresses",
            "Addresses with a known holder, past ones included",
            self.index_addresses.clone(),
        );
        to.register(
            "tls_certificate_expiry_timestamp_seconds",
            "When the serving certificate expires",
            self.tls_expiry.clone(),
        );
        to.register(
            "tls_errors",
            "Failures to read, renew or write the TLS material",
            self.tls_errors.clone(),
        );
    }

    pub(super) fn received(&self, records: u64) {
        self.received.inc_by(records);
    }

    pub(super) fn rejected(&self, reason: Reject, records: u64) {
        self.rejected.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc_by(records);
    }

    pub(super) fn request(&self, outcome: &'static str) {
        self.requests.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(super) fn review(&self, outcome: &'static str) {
        self.reviews.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(super) fn handshake(&self, outcome: &'static str) {
        self.handshakes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(super) fn held(&self, flows: usize, windows: usize) {
        self.flows_held.set(gauge(flows));
        self.windows_held.set(gauge(windows));
    }

    pub(super) fn certificate_expires(&self, at: jiff::Timestamp) {
        self.tls_expiry.set(at.as_second());
    }

    pub(super) fn index(&self, cluster: &Cluster) {
        let index = cluster.read();
        for kind in Kind::ALL {
            let label = KindLabel { kind: kind.as_str() };
            self.index_objects.get_or_create(&label).set(gauge(index.size(kind).live));
        }
        self.index_addresses.set(gauge(index.addresses()));
    }

    #[cfg(test)]
    pub(super) fn rejected_so_far(&self, reason: Reject) -> u64 {
        self.rejected.get_or_create(&ReasonLabel { reason: reason.as_str() }).get()
    }

    #[cfg(test)]
    pub(super) fn received_so_far(&self) -> u64 {
        self.received.get()
    }

    #[cfg(test)]
    pub(super) fn requests_so_far(&self, outcome: &'static str) -> u64 {
        self.requests.get_or_create(&OutcomeLabel { outcome }).get()
    }
}

fn gauge(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
