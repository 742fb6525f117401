//! What counts as unusual, and for how long.

#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;
use crate::schema::date_time;

/// What counts as unusual, in exactly one way.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.band) != has(self.threshold)")
    .message("unusual is told in one way: write either band or threshold"))]
pub struct ConditionSpec {
    /// Outside a band that CloudWatch learns from up to two weeks of the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<Band>,
    /// Beyond a fixed value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
}

/// A learnt band.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Band {
    /// Half the band's width in standard deviations: a smaller band alarms sooner and errs more often.
    #[serde(default = "two")]
    #[x_kube(validation = Rule::new("self > 0.0 && self <= 1000.0").message("the width must be above 0 and at most 1000: 2 is usual, 3 is more patient"))]
    pub width: f64,
    /// Which side of the band is unusual.
    #[serde(default)]
    pub breach: Breach,
    /// How the band is learnt. The same for all alarms on the same metric and statistic, since they share one detector.
    #[serde(default)]
    pub training: Training,
}

fn two() -> f64 {
    2.0
}

/// A side of the band.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Breach {
    Above,
    Below,
    /// Either.
    #[default]
    Outside,
}

/// How a band is learnt.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Training {
    /// Times that nothing is learnt from (an outage, a sale), such as [{start: 2026-11-27T00:00:00Z, end:
    /// 2026-11-28T00:00:00Z}]; at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub excluded_time_ranges: Vec<TimeRange>,
    /// Time zone of the metric's daily and weekly rhythm, by its IANA name, such as Asia/Tokyo; it matters where clocks change. Absent: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(validation = rules::time_zone())]
    pub timezone: Option<String>,
    /// The metric has spikes at regular times, which are usual.
    #[serde(default)]
    pub periodic_spikes: bool,
    /// How fast the band follows a lasting change.
    #[serde(default)]
    pub adaptation_speed: AdaptationSpeed,
    /// How strictly outliers are left out of what is learnt.
    #[serde(default)]
    pub outlier_filtering: OutlierFiltering,
}

/// How fast the band follows a lasting change.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AdaptationSpeed {
    Fast,
    #[default]
    Normal,
    Slow,
}

/// How strictly outliers are left out of what is learnt.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OutlierFiltering {
    Minimal,
    #[default]
    Moderate,
    Strict,
}

/// Each is a time range.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.start) || !has(self.end) || self.start < self.end").message("the range ends before it begins: write an end after the start"))]
pub struct TimeRange {
    /// When it begins, such as 2026-11-27T00:00:00Z.
    #[schemars(schema_with = "date_time")]
    pub start: Timestamp,
    /// When it ends, such as 2026-11-28T00:00:00Z.
    #[schemars(schema_with = "date_time")]
    pub end: Timestamp,
}

/// A fixed limit.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Threshold {
    /// How an unusual value relates to `value`, such as GreaterThan.
    pub operator: Operator,
    /// The limit, a number in the metric's own unit, such as 80 (not 80%).
    pub value: f64,
}

/// How an unusual value relates to the limit.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
}

/// How many periods must be unusual.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.datapointsToAlarm) || self.datapointsToAlarm <= self.periods").message("datapointsToAlarm is more than the periods that are looked at: write at most evaluation.periods"))]
pub struct EvaluationSpec {
    /// Periods that are looked at (N), a number such as 3.
    #[serde(default = "three")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 8640").message("write at least 1 period, and at most 8640"))]
    pub periods: i32,
    /// Periods of those that must be unusual (M of N). Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1").message("write at least 1 datapoint"))]
    pub datapoints_to_alarm: Option<i32>,
    /// What a period without data is taken for.
    #[serde(default)]
    pub missing_data: MissingData,
}

impl Default for EvaluationSpec {
    fn default() -> Self {
        Self { periods: three(), datapoints_to_alarm: None, missing_data: MissingData::default() }
    }
}

fn three() -> i32 {
    3
}

/// What a period without data is taken for.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MissingData {
    /// For nothing: without any data the state is INSUFFICIENT_DATA.
    #[default]
    Missing,
    /// For a usual value.
    NotBreaching,
    /// For an unusual value.
    Breaching,
    /// The state stays as it is.
    Ignore,
}
