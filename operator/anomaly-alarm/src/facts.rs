//! What an alarm depends on besides itself: NetworkMonitors, Canaries, other AnomalyAlarms. Plain, so that what follows is pure.

use std::collections::{BTreeMap, BTreeSet};

use tidewatch_aws::Scope;
use tidewatch_aws::types::{DetectorConfig, DetectorId};
use tidewatch_crds::anomaly_alarm::{AnomalyAlarmSpec, Resource, ResourceKind};
use tidewatch_crds::{AnomalyAlarm, AnomalyAlarmStatus, Provider, parse_duration};
use tidewatch_kube::conditions::find;
use tidewatch_managed::Shared;

use super::status::ConditionType;

/// What is known of the rest of the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    /// NetworkMonitors that the object names and that exist.
    pub monitors: BTreeMap<String, MonitorFact>,
    /// Canaries that the object names and that exist.
    pub canaries: BTreeMap<String, CanaryFact>,
    /// AnomalyAlarms that the object names and that exist.
    pub alarms: BTreeMap<String, ChildFact>,
}

/// A NetworkMonitor, as far as alarms care.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MonitorFact {
    /// None: it doesn't publish to CloudWatch.
    pub publishes: Option<Published>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Published {
    /// Namespace of the metrics.
    pub namespace: String,
    /// None: the operator's own Region.
    pub region: Option<String>,
}

/// A Canary, as far as alarms care.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CanaryFact {
    /// None: it doesn't say, and the operator hasn't decided yet.
    pub provider: Option<Provider>,
    /// The canary of CloudWatch Synthetics, once it is there and the object's own.
    pub aws: Option<CanaryInAws>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CanaryInAws {
    /// Value of the dimension CanaryName.
    pub name: String,
    pub scope: Scope,
}

/// An AnomalyAlarm that another combines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChildFact {
    /// Where its calling alarm is and what it is called, if it is there.
    pub alarm: Option<(Scope, String)>,
    /// Seconds that it looks back.
    pub looks_back: i64,
    /// It is being deleted.
    pub deleting: bool,
}

/// An AnomalyAlarm that combines the object, or whose composite alarm may still do so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parent {
    /// `namespace/name`
    pub object: String,
    /// Its composite alarms, as its status says: where they are and what they are called.
    pub composites: Vec<(Scope, String)>,
}

/// Another object with the same detector.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sharer {
    /// `namespace/name`
    pub object: String,
    pub scope: Scope,
    pub detector: DetectorId,
    /// What it wants of the detector; none if it only used it before.
    pub wants: Option<DetectorConfig>,
    /// It is responsible for the detector.
    pub owns: bool,
    /// It was declared before.
    pub elder: bool,
    /// Its alarms, as its status says.
    pub alarms: BTreeSet<String>,
}

/// The alarm of an object that calls, by what its status says of AWS.
pub(super) fn child(alarm: &AnomalyAlarm) -> ChildFact {
    let combined = alarm.spec.alarms.is_some() || alarm.spec.when.is_some();
    let kind = if combined { ResourceKind::CompositeAlarm } else { ResourceKind::MetricAlarm };
    let mut resources = alarm.status.iter().flat_map(|status| &status.resources);
    let calling = resources.rfind(|r| r.kind == kind && r.arn.is_some());
    ChildFact {
        alarm: calling.map(|resource| (scope_of(resource), resource.name.clone())),
        looks_back: looks_back(&alarm.spec),
        deleting: alarm.metadata.deletion_timestamp.is_some(),
    }
}

/// The object as one that combines `child`, if it does: by its spec, or perhaps by the composite alarm of an earlier spec,
/// which stays as it is until the present one can be put in its place.
pub(super) fn parent_of(child: &str, alarm: &AnomalyAlarm) -> Option<Parent> {
    let meta = &alarm.metadata;
    let lists = alarm.spec.alarms.as_ref()?.any_of.iter().any(|name| name == child);
    let resources = alarm.status.iter().flat_map(|status| &status.resources);
    let composites = resources.filter(|resource| resource.kind == ResourceKind::CompositeAlarm);
    let composites: Vec<_> = composites.map(|resource| (scope_of(resource), resource.name.clone())).collect();
    let in_place = alarm.status.as_ref().is_some_and(|status| settled(status, meta.generation));
    let may_still = !in_place && !composites.is_empty() && meta.name.as_deref() != Some(child);
    if !lists && !may_still {
        return None;
    }
    Some(Parent {
        object: format!(
            "{}/{}",
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default()
        ),
        composites,
    })
}

/// The status says that this generation is in place.
pub(super) fn settled(status: &AnomalyAlarmStatus, generation: Option<i64>) -> bool {
    find(&status.conditions, ConditionType::Ready)
        .is_some_and(|ready| ready.status == "True" && ready.observed_generation == generation)
}

/// The object waits until something else in AWS lets go of what it wants to delete.
pub(super) fn is_held(alarm: &AnomalyAlarm) -> bool {
    let mut conditions = alarm.status.iter().flat_map(|status| &status.conditions);
    let held = [Shared::InUse.as_str(), Shared::Deleting.as_str()];
    conditions.any(|ready| ready.type_ == "Ready" && held.contains(&ready.reason.as_str()))
}

/// Seconds that the spec's evaluation looks back; of an alarm of alarms that isn't known.
pub(super) fn looks_back(spec: &AnomalyAlarmSpec) -> i64 {
    period_seconds(spec).map_or(600, |period| i64::from(period) * i64::from(spec.evaluation.periods))
}

/// The period of the spec's metric.
pub(super) fn period_seconds(spec: &AnomalyAlarmSpec) -> Option<i32> {
    let metric = spec.metric.as_ref()?;
    let text = None
        .or(metric.cloud_watch.as_ref().map(|m| &m.period))
        .or(metric.expression.as_ref().map(|m| &m.period))
        .or(metric.network_monitor.as_ref().map(|m| &m.period))
        .or(metric.canary.as_ref().map(|m| &m.period))?;
    i32::try_from(parse_duration(text).ok()?.as_secs()).ok()
}

pub(super) fn scope_of(resource: &Resource) -> Scope {
    Scope { region: resource.region.clone(), role: resource.role_arn.clone() }
}

/// The detector of a resource of that kind.
pub(super) fn detector_of(resource: &Resource) -> Option<DetectorId> {
    serde_json::from_str(resource.detector.as_deref()?).ok()
}
