//! What the monitors say, as metrics: live numbers, where the status keeps to what changed materially. One series a
//! monitor (and category): never an address or a port.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use tidewatch_crds::NetworkMonitorStatus;
use tidewatch_crds::network_monitor::{Category, NetworkHealthIndicator};

use tidewatch_aws::published::category_name;

use super::observe::{Observed, View};
use super::plan::Action;
use super::subscriptions::Key;

type Float = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Monitor {
    namespace: String,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MonitorCategory {
    namespace: String,
    name: String,
    category: String,
}

/// Cheap to clone; all clones are the same metrics.
#[derive(Debug, Clone, Default)]
pub struct MonitorMetrics {
    healthy: Family<Monitor, Gauge>,
    degraded: Family<Monitor, Gauge>,
    workload_fault: Family<Monitor, Gauge>,
    retransmission_ratio: Family<Monitor, Float>,
    nodes_reporting: Family<Monitor, Gauge>,
    nodes_expected: Family<Monitor, Gauge>,
    window_start: Family<Monitor, Gauge>,
    rtt_p50_seconds: Family<MonitorCategory, Float>,
    rtt_p99_seconds: Family<MonitorCategory, Float>,
    status_writes: Counter,
    events: Counter,
}

const CATEGORIES: [Category; 8] = [
    Category::IntraNode,
    Category::IntraAz,
    Category::InterAz,
    Category::InterVpc,
    Category::InterRegion,
    Category::AwsService,
    Category::Internet,
    Category::Unclassified,
];

impl MonitorMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("networkmonitor");
        registry.register(
            "healthy",
            "1 while the network health indicator is Healthy",
            metrics.healthy.clone(),
        );
        registry.register("degraded", "1 while the infrastructure is at fault", metrics.degraded.clone());
        registry.register("workload_fault", "1 while a workload is at fault", metrics.workload_fault.clone());
        registry.register(
            "retransmission_ratio",
            "Retransmitted / sent segments of the last window",
            metrics.retransmission_ratio.clone(),
        );
        registry.register(
            "nodes_reporting",
            "Nodes whose agent reported the last window",
            metrics.nodes_reporting.clone(),
        );
        registry.register(
            "nodes_expected",
            "Nodes whose agent should have reported the last window",
            metrics.nodes_expected.clone(),
        );
        registry.register(
            "window_start_timestamp_seconds",
            "When the last judged window began",
            metrics.window_start.clone(),
        );
        registry.register(
            "rtt_p50_seconds",
            "Median round-trip time of the last window",
            metrics.rtt_p50_seconds.clone(),
        );
        registry.register(
            "rtt_p99_seconds",
            "99th percentile of the round-trip time of the last window",
            metrics.rtt_p99_seconds.clone(),
        );
        registry.register("status_writes", "Statuses written", metrics.status_writes.clone());
        registry.register("events", "Events published", metrics.events.clone());
        metrics
    }

    pub(super) fn count(&self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::WriteStatus(_) => self.status_writes.inc(),
                Action::Tell(_) => self.events.inc(),
            };
        }
    }

    pub(super) fn show(&self, key: &Key, status: &NetworkMonitorStatus, observed: &Observed) {
        let monitor = Monitor { namespace: key.0.clone(), name: key.1.clone() };
        let is = |indicator| i64::from(status.network_health_indicator == Some(indicator));
        self.healthy.get_or_create(&monitor).set(is(NetworkHealthIndicator::Healthy));
        self.degraded.get_or_create(&monitor).set(is(NetworkHealthIndicator::Degraded));
        let workload_fault =
            status.conditions.iter().any(|c| c.type_ == "WorkloadFault" && c.status == "True");
        self.workload_fault.get_or_create(&monitor).set(i64::from(workload_fault));
        if let Some(coverage) = &status.coverage {
            let nodes = i64::try_from(coverage.nodes_expected).unwrap_or(i64::MAX);
            self.nodes_expected.get_or_create(&monitor).set(nodes);
        }
        let Ok(monitored) = &observed.monitor else { return };
        let View::Window(view) = &monitored.view else {
            self.nodes_reporting.get_or_create(&monitor).set(0);
            return;
        };
        let nodes = i64::try_from(view.nodes_reporting).unwrap_or(i64::MAX);
        self.nodes_reporting.get_or_create(&monitor).set(nodes);
        self.window_start.get_or_create(&monitor).set(view.start.as_second());
        if let Some(ratio) = view.traffic.all.retransmission_ratio() {
            self.retransmission_ratio.get_or_create(&monitor).set(ratio);
        }
        for category in CATEGORIES {
            let labels = labels(key, category);
            let totals = view.traffic.by_category.get(&category);
            let quantile = |q| totals.and_then(|totals| totals.rtt_us.quantile(q));
            match (quantile(0.5), quantile(0.99)) {
                (Some(p50), Some(p99)) => {
                    self.rtt_p50_seconds.get_or_create(&labels).set(seconds(p50));
                    self.rtt_p99_seconds.get_or_create(&labels).set(seconds(p99));
                }
                _ => {
                    self.rtt_p50_seconds.remove(&labels);
                    self.rtt_p99_seconds.remove(&labels);
                }
            }
        }
    }

    /// Another replica leads, and shows what it knows.
    pub(super) fn clear(&self) {
        self.healthy.clear();
        self.degraded.clear();
        self.workload_fault.clear();
        self.retransmission_ratio.clear();
        self.nodes_reporting.clear();
        self.nodes_expected.clear();
        self.window_start.clear();
        self.rtt_p50_seconds.clear();
        self.rtt_p99_seconds.clear();
    }

    /// Drops the series of a monitor that is gone.
    pub(super) fn forget(&self, key: &Key) {
        let monitor = Monitor { namespace: key.0.clone(), name: key.1.clone() };
        self.healthy.remove(&monitor);
        self.degraded.remove(&monitor);
        self.workload_fault.remove(&monitor);
        self.retransmission_ratio.remove(&monitor);
        self.nodes_reporting.remove(&monitor);
        self.nodes_expected.remove(&monitor);
        self.window_start.remove(&monitor);
        for category in CATEGORIES {
            let labels = labels(key, category);
            self.rtt_p50_seconds.remove(&labels);
            self.rtt_p99_seconds.remove(&labels);
        }
    }
}

fn labels(key: &Key, category: Category) -> MonitorCategory {
    let category = category_name(category).to_owned();
    MonitorCategory { namespace: key.0.clone(), name: key.1.clone(), category }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a round trip fit 53 bits")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
