//! What each operation does to the state, on requests that the model has already found well formed.

mod alarm_history;
mod alarms;
mod composite_alarms;
mod delete_alarms;
mod describe_alarms;
pub(crate) mod detectors;
mod get_metric_data;
mod logs;
pub(crate) mod metric_data;
mod mute_rules;
pub(crate) mod sts;
pub(crate) mod synthetics;
mod tags;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::state::Region;

/// Runs an operation that belongs to an account and Region.
pub(crate) fn run(
    service: &str,
    operation: &str,
    region: &mut Region,
    input: Value,
) -> Result<Value, ApiError> {
    match service {
        "synthetics" => synthetics::run(operation, region, input),
        "logs" => logs::run(operation, region, input),
        _ => cloudwatch(operation, region, input),
    }
}

fn cloudwatch(operation: &str, region: &mut Region, input: Value) -> Result<Value, ApiError> {
    match operation {
        "PutMetricAlarm" => put(region, input, alarms::put_metric_alarm),
        "PutCompositeAlarm" => put(region, input, composite_alarms::put_composite_alarm),
        "DescribeAlarms" => get(region, input, describe_alarms::describe_alarms),
        "DescribeAlarmsForMetric" => get(region, input, describe_alarms::describe_alarms_for_metric),
        "DeleteAlarms" => put(region, input, delete_alarms::delete_alarms),
        "SetAlarmState" => put(region, input, alarms::set_alarm_state),
        "EnableAlarmActions" => put(region, input, alarms::enable_alarm_actions),
        "DisableAlarmActions" => put(region, input, alarms::disable_alarm_actions),
        "DescribeAlarmHistory" => get(region, input, alarm_history::describe_alarm_history),
        "PutAnomalyDetector" => get(region, input, detectors::put_anomaly_detector),
        "DescribeAnomalyDetectors" => get(region, input, detectors::describe_anomaly_detectors),
        "DeleteAnomalyDetector" => put(region, input, detectors::delete_anomaly_detector),
        "TagResource" => put(region, input, tags::tag_resource),
        "UntagResource" => put(region, input, tags::untag_resource),
        "ListTagsForResource" => get(region, input, tags::list_tags_for_resource),
        "PutMetricData" => put(region, input, metric_data::put_metric_data),
        "GetMetricData" => get(region, input, get_metric_data::get_metric_data),
        "ListMetrics" => get(region, input, metric_data::list_metrics),
        "PutAlarmMuteRule" => put(region, input, mute_rules::put_alarm_mute_rule),
        "GetAlarmMuteRule" => get(region, input, mute_rules::get_alarm_mute_rule),
        "ListAlarmMuteRules" => get(region, input, mute_rules::list_alarm_mute_rules),
        "DeleteAlarmMuteRule" => put(region, input, mute_rules::delete_alarm_mute_rule),
        other => Err(ApiError::not_served(other)),
    }
}

/// An operation that answers with nothing.
fn put<I: DeserializeOwned>(
    region: &mut Region,
    input: Value,
    operation: impl FnOnce(&mut Region, I) -> Result<(), ApiError>,
) -> Result<Value, ApiError> {
    operation(region, parse(input)?)?;
    Ok(Value::Object(Map::new()))
}

fn get<I: DeserializeOwned, O: Serialize>(
    region: &mut Region,
    input: Value,
    operation: impl FnOnce(&mut Region, I) -> Result<O, ApiError>,
) -> Result<Value, ApiError> {
    let output = operation(region, parse(input)?)?;
    serde_json::to_value(output).map_err(ApiError::internal)
}

/// The model has checked the input, so what doesn't parse is this program's mistake.
fn parse<I: DeserializeOwned>(input: Value) -> Result<I, ApiError> {
    serde_json::from_value(input).map_err(ApiError::internal)
}

/// The page size that a request asks for, or AWS's own.
fn limit(asked: Option<i64>, otherwise: usize) -> usize {
    asked.and_then(|asked| usize::try_from(asked).ok()).unwrap_or(otherwise)
}
