//! `AnomalyAlarm`: which metric to watch, what counts as unusual, and whether it is happening now.

#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

mod condition;
mod metric;
mod status;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::actions::action_arns;
use crate::rules;

pub use crate::provider::{DeletionPolicy, Provider};
pub use condition::{
    AdaptationSpeed, Band, Breach, ConditionSpec, EvaluationSpec, MissingData, Operator, OutlierFiltering,
    Threshold, TimeRange, Training,
};
pub use metric::{
    CanaryMetric, CanaryMetricName, CloudWatchMetric, ExpressionMetric, MetricSpec, NetworkMonitorMetric,
    NetworkMonitorMetricName, Query, QueryMetric,
};
pub use status::{
    AlarmState, AnomalyAlarmStatus, LastError, Overview, Reading, Resource, ResourceKind, TrainingState,
    TrainingStatus, Transition,
};

/// Metadata annotation that allows the operator to take over an alarm that it didn't make. Its value is the alarm's name.
pub const ADOPT_ANNOTATION: &str = "tidewatch.dev/adopt-alarm";
/// Finalizer that keeps an object until what it made in AWS is gone.
pub const FINALIZER: &str = "tidewatch.dev/cloudwatch";

/// Which metric to watch, and what counts as unusual.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[kube(
    validation = Rule::new("!has(self.spec) || !has(self.spec.alarms) || !has(self.spec.alarms.anyOf) || !(self.metadata.name in self.spec.alarms.anyOf)")
        .message("an alarm can't combine itself: remove its own name from spec.alarms.anyOf"),
    group = "tidewatch.dev",
    version = "v1alpha1",
    kind = "AnomalyAlarm",
    plural = "anomalyalarms",
    shortname = "anomalarm",
    category = "tidewatch",
    namespaced,
    status = "AnomalyAlarmStatus",
    derive = "PartialEq",
    doc = "AnomalyAlarm watches a metric, learns what is usual for it or compares it with a threshold, and says whether it is unusual now; if so asked, only while the network isn't to blame.",
    printcolumn(
        name = "STATE",
        type_ = "string",
        json_path = ".status.state",
        description = "OK, ALARM or INSUFFICIENT_DATA"
    ),
    printcolumn(
        name = "SINCE",
        type_ = "date",
        json_path = ".status.since",
        description = "Time since the state last changed"
    ),
    printcolumn(
        name = "VALUE",
        type_ = "string",
        json_path = ".status.overview.value",
        description = "The metric's value when the state last changed"
    ),
    printcolumn(
        name = "BAND",
        type_ = "string",
        json_path = ".status.overview.band",
        description = "What the value was compared with: the band, or the threshold"
    ),
    printcolumn(
        name = "TRAINING",
        type_ = "string",
        json_path = ".status.training.state",
        description = "Whether the band is learnt"
    ),
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the alarm is in place as declared"
    ),
    printcolumn(
        name = "AS-OF",
        type_ = "date",
        json_path = ".status.readAt",
        description = "Time since the state was read; beyond half an hour, nobody reads it"
    ),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the alarm was declared"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.metric) != has(self.alarms)")
    .message("an alarm watches one thing: write metric with condition, or alarms to combine other AnomalyAlarms"))]
#[x_kube(validation = Rule::new("has(self.metric) == has(self.condition)")
    .message("metric and condition go together: write what counts as unusual, such as condition: {band: {width: 2}}; an alarm of other alarms has neither"))]
#[x_kube(validation = rules::every_period("!has(self.condition) || !has(self.condition.band) || duration(p) >= duration('60s')")
    .message("a band needs a period of at least 60s: write period: 60s, or a threshold instead of the band"))]
#[x_kube(validation = rules::duration_at("self.metric.expression.period", "has(self.metric) && has(self.metric.expression) && has(self.condition) && has(self.condition.band)", "duration(self.metric.expression.period) <= duration('1h')")
    .message("a band of an expression needs a period of at most 1h: write period: 1h, or a threshold instead of the band"))]
#[x_kube(validation = rules::every_period("duration(p).getSeconds() * self.evaluation.periods <= (duration(p) >= duration('1h') ? 604800 : 86400)")
    .message("CloudWatch looks back one day at most, or seven days with a period of 1h and more: make evaluation.periods or the period smaller, so that period × periods fits"))]
#[x_kube(validation = Rule::new("!has(self.condition) || !has(self.condition.band) || !has(self.metric) || !has(self.metric.expression) || !has(self.metric.expression.queries) || !self.metric.expression.queries.exists(q, has(q.expression) && q.expression.matches('(?is)^\\\\s*select\\\\s.*\\\\sgroup\\\\s+by\\\\s'))")
    .message("a band is learnt of one series, and GROUP BY gives several: remove GROUP BY, or write a threshold instead of the band"))]
#[x_kube(validation = rules::every_action("!has(self.condition) || !has(self.condition.band)", "!a.matches('^arn:[^:]*:autoscaling:')")
    .message("an alarm with a band can't start Auto Scaling actions: write a threshold, or remove the action"))]
#[x_kube(validation = rules::every_action("!(has(self.alarms) || has(self.when))", "!a.matches('^arn:[^:]*:(autoscaling|automate|swf):')")
    .message("an alarm that combines others (alarms, or when) becomes a composite alarm, which can't start Auto Scaling or EC2 actions: put those on the alarm of the metric itself"))]
#[x_kube(validation = rules::every_action("!has(self.metric) || has(self.when) || (has(self.metric.cloudWatch) && has(self.metric.cloudWatch.dimensions) && 'InstanceId' in self.metric.cloudWatch.dimensions)", "!a.matches('^arn:[^:]*:(automate|swf):')")
    .message("an EC2 action is done to the instance that the metric is of: write metric: {cloudWatch: {dimensions: {InstanceId: i-0123456789abcdef0}, …}}, or remove the action"))]
pub struct AnomalyAlarmSpec {
    /// Who keeps the alarm, written AWS (CloudWatch) or Embedded (the operator itself; not in this version). Absent: what the
    /// chart sets (`aws.defaultProvider`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// The metric, in exactly one way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricSpec>,
    /// What counts as unusual: outside a learnt band, or beyond a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<ConditionSpec>,
    /// Instead of a metric: other AnomalyAlarms of this namespace, Region and role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarms: Option<AlarmsSpec>,
    /// How many periods must be unusual before it is an alarm. Doesn't apply to `alarms`.
    #[serde(default)]
    pub evaluation: EvaluationSpec,
    /// What else must hold for the alarm to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<WhenSpec>,
    /// What CloudWatch does when the state changes.
    #[serde(default)]
    pub actions: ActionsSpec,
    /// What the alarm means and what to do about it; part of what CloudWatch sends. Absent: the object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 900))]
    pub description: Option<String>,
    /// AWS tags of the alarms, such as {team: shop}. The operator adds its own, which begin with tidewatch.dev/.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags")]
    #[x_kube(validation = rules::alarm_tags())]
    pub tags: BTreeMap<String, String>,
    /// Keep evaluating, and start no action.
    #[serde(default)]
    pub suspend: bool,
    /// Times at which no action is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute: Option<MuteSpec>,
    /// Region of the alarm, such as ap-northeast-1; it must be the metric's. Absent: the operator's own (for a metric of
    /// a NetworkMonitor, the one that it publishes to).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::region())]
    pub region: Option<String>,
    /// IAM role that the operator assumes for this alarm, such as one of another account. It must be in the list that
    /// the chart has for this namespace (`aws.roles`). Absent: the operator's own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = rules::role("tidewatch-alarms"))]
    pub role_arn: Option<String>,
    /// What happens in AWS when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Other alarms, combined.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AlarmsSpec {
    /// Names of AnomalyAlarms of this namespace, such as [checkout-latency, checkout-errors]: any of them in ALARM is an alarm.
    #[schemars(length(max = 90), extend("x-kubernetes-list-type" = "set"), inner(length(max = 253)))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("nothing is combined: name at least one AnomalyAlarm of this namespace"))]
    #[x_kube(validation = Rule::new("self.all(n, n.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'))").message("not the name of an AnomalyAlarm: write lower-case letters, digits and -, such as checkout-latency"))]
    pub any_of: Vec<String>,
}

/// What else must hold.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WhenSpec {
    /// The health of a network as a NetworkMonitor judges it, such as {monitor: checkout, is: Healthy}. The monitor must publish to CloudWatch, to this alarm's
    /// Region.
    pub network_health: NetworkHealth,
}

/// The health of a network.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NetworkHealth {
    /// Name of a NetworkMonitor of this namespace, such as checkout.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_of("a NetworkMonitor", "checkout"))]
    pub monitor: String,
    /// Healthy: alarm only while the network is not to blame. Degraded: only while it is. While nothing is known of the
    /// network, it is neither.
    #[serde(default)]
    pub is: NetworkHealthIs,
}

/// Which health is meant.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum NetworkHealthIs {
    #[default]
    Healthy,
    Degraded,
}

/// What CloudWatch does when the state changes: ARNs of SNS topics, Lambda functions, EC2 or Systems Manager actions.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ActionsSpec {
    /// When the state becomes ALARM, such as arn:aws:sns:ap-northeast-1:123456789012:on-call; at most five.
    #[serde(default)]
    #[schemars(schema_with = "action_arns")]
    pub alarm: Vec<String>,
    /// When the state becomes OK, such as arn:aws:sns:ap-northeast-1:123456789012:on-call; at most five.
    #[serde(default)]
    #[schemars(schema_with = "action_arns")]
    pub ok: Vec<String>,
    /// When the state becomes INSUFFICIENT_DATA, such as arn:aws:sns:ap-northeast-1:123456789012:on-call; at most five.
    #[serde(default)]
    #[schemars(schema_with = "action_arns")]
    pub insufficient_data: Vec<String>,
}

/// Times at which no action is started; the alarm's state goes on changing.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MuteSpec {
    /// When a mute begins: five fields of cron (minute, hour, day of month, month, day of week), such as `0 2 * * 0`
    /// for Sundays at 02:00, or once, such as `at(2026-12-24T18:00)`. Fields hold numbers, names such as SUN or JAN, `*`,
    /// `-` and `,`.
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::mute_schedule())]
    #[x_kube(validation = rules::mute_date())]
    #[x_kube(validation = rules::ascending_ranges())]
    pub schedule: String,
    /// How long it lasts, such as 2h; from 1m to 360h (15 days).
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && duration(self) >= duration('1m') && duration(self) <= duration('360h') && duration(self).getSeconds() % 60 == 0").message("write whole minutes from 1m to 360h, such as 2h"))]
    pub duration: String,
    /// Time zone of the schedule by its IANA name, such as Asia/Tokyo.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(validation = rules::time_zone())]
    pub timezone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn tags(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 44,
        "additionalProperties": {"type": "string", "maxLength": 256},
    })
}
