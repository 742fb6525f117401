//! Metric and composite alarms. Members are named as in AWS's model.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::queries::yes;
use super::{Dimension, MetricDataQuery};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    Ok,
    Alarm,
    InsufficientData,
}

impl AlarmState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    pub arn: String,
    pub config: AlarmConfig,
    pub tags: BTreeMap<String, String>,
    pub state: AlarmState,
    pub reason: String,
    /// JSON.
    pub reason_data: Option<String>,
    /// When its configuration was last put.
    pub configured_at: Timestamp,
    /// When its state was last written, also to what it was before.
    pub updated_at: Timestamp,
    /// When its state last changed.
    pub transitioned_at: Timestamp,
    /// When it last went from ALARM to another state.
    pub left_alarm_at: Option<Timestamp>,
    /// The state was set by hand, and evaluation leaves it alone.
    pub held: bool,
    pub(crate) evaluate_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlarmConfig {
    Metric(Box<MetricAlarm>),
    Composite(Box<CompositeAlarm>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricAlarm {
    pub alarm_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_description: Option<String>,
    #[serde(default = "yes")]
    pub actions_enabled: bool,
    #[serde(rename = "OKActions", default)]
    pub ok_actions: Vec<String>,
    #[serde(default)]
    pub alarm_actions: Vec<String>,
    #[serde(default)]
    pub insufficient_data_actions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_statistic: Option<String>,
    #[serde(default)]
    pub dimensions: Vec<Dimension>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_periods: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datapoints_to_alarm: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison_operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub treat_missing_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate_low_sample_count_percentile: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricDataQuery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_metric_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_window: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up_configuration: Option<WarmUpConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_criteria: Option<Value>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_interval: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_configuration: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WarmUpConfiguration {
    pub warm_up_period_duration_in_minutes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_start_evaluating_after_warm_up_period_ends: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CompositeAlarm {
    pub alarm_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_description: Option<String>,
    #[serde(default = "yes")]
    pub actions_enabled: bool,
    #[serde(rename = "OKActions", default)]
    pub ok_actions: Vec<String>,
    #[serde(default)]
    pub alarm_actions: Vec<String>,
    #[serde(default)]
    pub insufficient_data_actions: Vec<String>,
    pub alarm_rule: String,
    /// Name or ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions_suppressor: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions_suppressor_wait_period: Option<i64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions_suppressor_extension_period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_configuration: Option<Value>,
}

impl Alarm {
    pub fn name(&self) -> &str {
        match &self.config {
            AlarmConfig::Metric(alarm) => &alarm.alarm_name,
            AlarmConfig::Composite(alarm) => &alarm.alarm_name,
        }
    }

    pub fn metric(&self) -> Option<&MetricAlarm> {
        match &self.config {
            AlarmConfig::Metric(alarm) => Some(alarm),
            AlarmConfig::Composite(_) => None,
        }
    }

    pub fn metric_mut(&mut self) -> Option<&mut MetricAlarm> {
        match &mut self.config {
            AlarmConfig::Metric(alarm) => Some(alarm),
            AlarmConfig::Composite(_) => None,
        }
    }

    pub fn composite(&self) -> Option<&CompositeAlarm> {
        match &self.config {
            AlarmConfig::Composite(alarm) => Some(alarm),
            AlarmConfig::Metric(_) => None,
        }
    }

    pub fn composite_mut(&mut self) -> Option<&mut CompositeAlarm> {
        match &mut self.config {
            AlarmConfig::Composite(alarm) => Some(alarm),
            AlarmConfig::Metric(_) => None,
        }
    }

    /// What the model calls an AlarmType.
    pub fn kind(&self) -> &'static str {
        match &self.config {
            AlarmConfig::Metric(_) => "MetricAlarm",
            AlarmConfig::Composite(_) => "CompositeAlarm",
        }
    }

    pub fn actions_enabled(&self) -> bool {
        match &self.config {
            AlarmConfig::Metric(alarm) => alarm.actions_enabled,
            AlarmConfig::Composite(alarm) => alarm.actions_enabled,
        }
    }

    pub fn enable_actions(&mut self, enabled: bool) {
        match &mut self.config {
            AlarmConfig::Metric(alarm) => alarm.actions_enabled = enabled,
            AlarmConfig::Composite(alarm) => alarm.actions_enabled = enabled,
        }
    }

    /// The ARNs that a transition into `state` would notify.
    pub fn actions(&self, state: AlarmState) -> &[String] {
        let (ok, alarm, insufficient) = match &self.config {
            AlarmConfig::Metric(it) => (&it.ok_actions, &it.alarm_actions, &it.insufficient_data_actions),
            AlarmConfig::Composite(it) => (&it.ok_actions, &it.alarm_actions, &it.insufficient_data_actions),
        };
        match state {
            AlarmState::Ok => ok,
            AlarmState::Alarm => alarm,
            AlarmState::InsufficientData => insufficient,
        }
    }

    /// The shape in which DescribeAlarms shows it, without what only other alarms know.
    pub(crate) fn described(&self) -> Map<String, Value> {
        let config = match &self.config {
            AlarmConfig::Metric(alarm) => serde_json::to_value(alarm),
            AlarmConfig::Composite(alarm) => serde_json::to_value(alarm),
        };
        let mut shown = match config {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        let state = json!({
            "AlarmArn": self.arn,
            "AlarmConfigurationUpdatedTimestamp": self.configured_at,
            "StateValue": self.state,
            "StateReason": self.reason,
            "StateUpdatedTimestamp": self.updated_at,
            "StateTransitionedTimestamp": self.transitioned_at,
        });
        if let Value::Object(state) = state {
            shown.extend(state);
        }
        if let Some(data) = &self.reason_data {
            shown.insert("StateReasonData".to_owned(), data.clone().into());
        }
        shown
    }
}
