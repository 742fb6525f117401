//! What the alarms say, as metrics; one series an object.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tidewatch_crds::AnomalyAlarmStatus;
use tidewatch_crds::anomaly_alarm::AlarmState;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Alarm {
    namespace: String,
    name: String,
}

/// Cheap to clone; all clones are the same metrics.
#[derive(Debug, Clone, Default)]
pub struct AlarmMetrics {
    firing: Family<Alarm, Gauge>,
    ready: Family<Alarm, Gauge>,
    status_writes: Counter,
    drift: Counter,
}

impl AlarmMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("anomalyalarm");
        registry.register("firing", "1 while the alarm's state is ALARM", self.firing.clone());
        registry.register("ready", "1 while the alarm is in place as declared", self.ready.clone());
        registry.register("status_writes", "Statuses written", self.status_writes.clone());
        registry.register(
            "drift_repairs",
            "Changes made by hand in AWS that were undone",
            self.drift.clone(),
        );
    }

    pub(super) fn show(&self, namespace: &str, name: &str, status: &AnomalyAlarmStatus) {
        let alarm = Alarm { namespace: namespace.to_owned(), name: name.to_owned() };
        let firing = status.state == Some(AlarmState::Alarm);
        let ready = status.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        self.firing.get_or_create(&alarm).set(i64::from(firing));
        self.ready.get_or_create(&alarm).set(i64::from(ready));
    }

    pub(super) fn wrote(&self) {
        self.status_writes.inc();
    }

    pub(super) fn repaired(&self, count: usize) {
        self.drift.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Another replica leads, and shows what it knows.
    pub(super) fn clear(&self) {
        self.firing.clear();
        self.ready.clear();
    }

    pub(super) fn forget(&self, namespace: &str, name: &str) {
        let alarm = Alarm { namespace: namespace.to_owned(), name: name.to_owned() };
        self.firing.remove(&alarm);
        self.ready.remove(&alarm);
    }
}
