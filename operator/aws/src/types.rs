//! CloudWatch's things as plain values: what is written and what is read back compare as equal when they mean the same.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Tags of a resource.
pub type Tags = BTreeMap<String, String>;

/// A metric by its identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    pub namespace: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
}

/// One query of metric math.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    pub id: String,
    pub source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub return_data: bool,
}

/// Where a query's series comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    Metric { metric: Metric, statistic: String, period_seconds: i32 },
    Expression { expression: String, period_seconds: Option<i32> },
}

/// What an alarm looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    Metric {
        metric: Metric,
        statistic: String,
        period_seconds: i32,
        threshold: f64,
    },
    /// Sorted by id.
    Queries {
        queries: Vec<Query>,
        limit: Limit,
    },
}

/// What the result of queries is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    Threshold(f64),
    /// Id of the query that is the band.
    Band(String),
}

/// ARNs by the state that they belong to. Sets: the order means nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actions {
    pub enabled: bool,
    pub alarm: BTreeSet<String>,
    pub ok: BTreeSet<String>,
    pub insufficient_data: BTreeSet<String>,
}

/// An alarm on a metric, as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricAlarm {
    pub name: String,
    pub description: String,
    pub actions: Actions,
    pub watched: Watched,
    /// As AWS writes it, such as GreaterThanUpperThreshold.
    pub comparison: String,
    pub evaluation_periods: i32,
    pub datapoints_to_alarm: i32,
    /// As AWS writes it, such as notBreaching.
    pub missing_data: String,
    /// Members that are set though the operator never sets them: a hand-made change.
    pub unexpected: BTreeSet<&'static str>,
}

/// An alarm on other alarms, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompositeAlarm {
    pub name: String,
    pub description: String,
    pub actions: Actions,
    pub rule: String,
    /// Members that are set though the operator never sets them.
    pub unexpected: BTreeSet<&'static str>,
}

/// Either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum AlarmConfig {
    Metric(MetricAlarm),
    Composite(CompositeAlarm),
}

impl AlarmConfig {
    pub fn name(&self) -> &str {
        match self {
            Self::Metric(alarm) => &alarm.name,
            Self::Composite(alarm) => &alarm.name,
        }
    }
}

/// The state of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Ok,
    Alarm,
    InsufficientData,
}

/// An alarm as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    pub arn: String,
    pub config: AlarmConfig,
    pub state: State,
    pub reason: String,
    /// JSON; what it holds depends on the kind of alarm.
    pub reason_data: Option<String>,
    pub state_since: Option<Timestamp>,
    /// Such as EVALUATION_ERROR or PARTIAL_DATA.
    pub evaluation_state: Option<String>,
}

/// A detector by its identity. It has no name and no tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DetectorId {
    Metric {
        metric: Metric,
        statistic: String,
    },
    /// Sorted by id.
    Math {
        queries: Vec<Query>,
    },
}

impl std::fmt::Display for DetectorId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Metric { metric, statistic } => {
                write!(f, "{statistic} of {} {}", metric.namespace, metric.name)?;
                for (name, value) in &metric.dimensions {
                    write!(f, " {name}={value}")?;
                }
                Ok(())
            }
            Self::Math { queries } => {
                let returned = queries.iter().find(|query| query.return_data);
                match returned.map(|query| &query.source) {
                    Some(Source::Expression { expression, .. }) => write!(f, "{expression}"),
                    Some(Source::Metric { metric, statistic, .. }) => {
                        write!(f, "{statistic} of {}", metric.name)
                    }
                    None => write!(f, "an expression"),
                }
            }
        }
    }
}

/// How a detector learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectorConfig {
    pub excluded: Vec<(Timestamp, Timestamp)>,
    pub timezone: String,
    /// As AWS writes it: FAST, NORMAL, SLOW.
    pub adaptation_speed: String,
    /// As AWS writes it: MINIMAL, MODERATE, STRICT.
    pub outlier_filtering: String,
    pub periodic_spikes: bool,
}

impl Default for DetectorConfig {
    /// What AWS takes for one that was made without saying anything.
    fn default() -> Self {
        Self {
            excluded: Vec::new(),
            timezone: "UTC".to_owned(),
            adaptation_speed: "NORMAL".to_owned(),
            outlier_filtering: "MODERATE".to_owned(),
            periodic_spikes: false,
        }
    }
}

/// How far a detector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Training {
    Pending,
    InsufficientData,
    Trained,
    Unknown,
}

/// A detector as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detector {
    pub id: DetectorId,
    pub config: DetectorConfig,
    pub training: Training,
}

/// A rule that mutes alarms' actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteRule {
    pub name: String,
    /// `cron(…)` or `at(…)`.
    pub schedule: String,
    /// ISO 8601, such as PT2H.
    pub duration: String,
    pub timezone: String,
    pub alarms: BTreeSet<String>,
}

/// One metric's values of one time, to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    pub metric: String,
    pub dimensions: BTreeMap<String, String>,
    pub at: Timestamp,
    /// Distinct values and how often each occurred; at most 150.
    pub values: Vec<(f64, f64)>,
    /// As AWS writes it, such as Microseconds.
    pub unit: &'static str,
}
