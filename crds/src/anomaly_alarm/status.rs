//! What became of an alarm. Written when it changed, and else each half hour.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{conditions, date_time};

/// What became of an alarm.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AnomalyAlarmStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state of the alarm that calls: the composite's where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<AlarmState>,
    /// When it came into that state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub since: Option<Timestamp>,
    /// Why, as CloudWatch says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The state of the metric's own alarm, where a composite decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_state: Option<AlarmState>,
    /// The state of the network's alarm, where `when.networkHealth` is asked for: OK means Healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_state: Option<AlarmState>,
    /// The value and what it was compared with when the metric's state last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// How far the band is learnt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingStatus>,
    /// The columns of `kubectl get`, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overview: Option<Overview>,
    /// The last changes of the state, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub transitions: Vec<Transition>,
    /// What the operator made in AWS for this object, or is about to; all of it is deleted with the object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub resources: Vec<Resource>,
    /// Keys of the tags that the operator set from `tags`; it removes no others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub tag_keys: Vec<String>,
    /// How often the state is read from AWS, such as 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_every: Option<String>,
    /// When the state was last read, as of the last write of this status. It is written again within half an hour even if
    /// nothing changes: where this is older, nobody reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub read_at: Option<Timestamp>,
    /// The last call that AWS refused, until one succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// Ready (the alarm is in place as declared) and Firing (its state is ALARM). Firing never changes Ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// The state of an alarm.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlarmState {
    #[serde(rename = "OK")]
    Ok,
    #[serde(rename = "ALARM")]
    Alarm,
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

impl AlarmState {
    /// As AWS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// A value and what it was compared with.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Reading {
    /// The newest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Lower edge of the band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// Upper edge of the band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// The threshold, where there is no band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// When it was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub at: Option<Timestamp>,
}

/// How far the band is learnt.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TrainingStatus {
    /// The detector's state.
    pub state: TrainingState,
    /// What that means.
    pub message: String,
}

/// The state of a detector.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrainingState {
    /// It learns; there is no band yet.
    PendingTraining,
    /// It has learnt from too little data.
    TrainedInsufficientData,
    /// There is a band.
    Trained,
    /// AWS says something that this version doesn't know.
    Unknown,
}

/// The columns of `kubectl get`, as text.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Overview {
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The band such as 0.2–1.4, or the threshold such as > 80.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<String>,
}

/// Each is a change of the state.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// When.
    #[schemars(schema_with = "date_time")]
    pub at: Timestamp,
    /// The state before, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<AlarmState>,
    /// The state after.
    pub to: AlarmState,
    /// Why, as CloudWatch says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Each is something in AWS that belongs to the object.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its name; a detector has none in AWS and is named here by its metric.
    pub name: String,
    /// Its ARN, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Its Region.
    pub region: String,
    /// The role that it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// The metric of a detector, as JSON: what it is deleted by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    /// The operator didn't make it and won't delete it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foreign: bool,
}

/// Kinds of things in AWS, in the order in which they are made.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// The anomaly detector.
    Detector,
    /// The alarm on the metric.
    MetricAlarm,
    /// The alarm on the network's health indicator.
    NetworkAlarm,
    /// The alarm that combines others.
    CompositeAlarm,
    /// The rule that mutes the actions.
    MuteRule,
}

/// A call that AWS refused.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// The call.
    pub operation: String,
    /// AWS's code for the error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// What AWS said.
    pub message: String,
    /// When it happened.
    #[schemars(schema_with = "date_time")]
    pub at: Timestamp,
    /// When it is tried again at the latest; absent if only a change helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub next_try: Option<Timestamp>,
}
