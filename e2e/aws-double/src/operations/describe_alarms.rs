//! DescribeAlarms and DescribeAlarmsForMetric.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::limit;
use crate::error::ApiError;
use crate::state::{Alarm, AlarmState, Dimension, Region, page};

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DescribeAlarms {
    alarm_names: Vec<String>,
    alarm_name_prefix: Option<String>,
    alarm_types: Vec<String>,
    children_of_alarm_name: Option<String>,
    parents_of_alarm_name: Option<String>,
    state_value: Option<AlarmState>,
    action_prefix: Option<String>,
    max_records: Option<i64>,
    next_token: Option<String>,
}

pub(super) fn describe_alarms(region: &mut Region, input: DescribeAlarms) -> Result<Value, ApiError> {
    let relatives = relatives(region, &input)?;
    if !input.alarm_names.is_empty() && input.alarm_name_prefix.is_some() {
        return Err(ApiError::validation("AlarmNames and AlarmNamePrefix can't be specified together"));
    }
    let wanted = |alarm: &&Alarm| {
        if let Some(relatives) = &relatives {
            return relatives.iter().any(|name| name == alarm.name());
        }
        let of_type = match input.alarm_types.as_slice() {
            [] => alarm.metric().is_some(),
            types => types.iter().any(|kind| kind == alarm.kind()),
        };
        let name = alarm.name();
        let named = input.alarm_names.is_empty() || input.alarm_names.iter().any(|wanted| wanted == name);
        let prefixed = input.alarm_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix));
        let states = [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData];
        let acts = |prefix: &String| {
            states.iter().any(|state| alarm.actions(*state).iter().any(|arn| arn.starts_with(prefix)))
        };
        of_type
            && named
            && prefixed
            && input.state_value.is_none_or(|state| alarm.state == state)
            && input.action_prefix.as_ref().is_none_or(acts)
    };
    let found = region.alarms.values().filter(wanted).map(|alarm| (alarm.name().to_owned(), alarm));
    // 50 unless asked for more (DescribeAlarms).
    let (alarms, next) = page(found, input.next_token.as_deref(), limit(input.max_records, 50))?;
    let shown = |alarm: &&Alarm| match (&input.children_of_alarm_name, &input.parents_of_alarm_name) {
        (Some(_), _) => {
            only(described(region, alarm), &["AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"])
        }
        (_, Some(_)) => only(described(region, alarm), &["AlarmName", "AlarmArn"]),
        _ => described(region, alarm),
    };
    let of = |kind: &str| alarms.iter().filter(|alarm| alarm.kind() == kind).map(shown).collect::<Vec<_>>();
    Ok(json!({
        "MetricAlarms": of("MetricAlarm"),
        "CompositeAlarms": of("CompositeAlarm"),
        "LogAlarms": [],
        "NextToken": next,
    }))
}

/// The alarms below or above another one, if the request is about those.
fn relatives(region: &Region, input: &DescribeAlarms) -> Result<Option<Vec<String>>, ApiError> {
    let family = [&input.children_of_alarm_name, &input.parents_of_alarm_name];
    let others = !input.alarm_names.is_empty()
        || input.alarm_name_prefix.is_some()
        || !input.alarm_types.is_empty()
        || input.state_value.is_some()
        || input.action_prefix.is_some()
        || family.iter().all(|name| name.is_some());
    match family {
        [None, None] => Ok(None),
        _ if others => Err(ApiError::validation(
            "ChildrenOfAlarmName and ParentsOfAlarmName allow no other parameters than MaxRecords and NextToken",
        )),
        [Some(parent), _] => Ok(Some(region.children(parent))),
        [None, Some(child)] => Ok(Some(region.parents(child).into_iter().map(str::to_owned).collect())),
    }
}

fn only(mut members: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    members.retain(|name, _| names.contains(&name.as_str()));
    members
}

fn described(region: &Region, alarm: &Alarm) -> Map<String, Value> {
    let mut shown = alarm.described();
    if let Some((by, reason)) = region.suppression(alarm) {
        shown.insert("ActionsSuppressedBy".to_owned(), by.into());
        shown.insert("ActionsSuppressedReason".to_owned(), reason.into());
    }
    shown
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmsForMetric {
    metric_name: String,
    namespace: String,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: Option<i64>,
    unit: Option<String>,
}

/// Alarms on exactly this metric; those on expressions aren't found by it (DescribeAlarmsForMetric).
pub(super) fn describe_alarms_for_metric(
    region: &mut Region,
    input: DescribeAlarmsForMetric,
) -> Result<Value, ApiError> {
    let sorted = |dimensions: &[Dimension]| {
        let mut dimensions = dimensions.to_vec();
        dimensions.sort();
        dimensions
    };
    let wanted_dimensions = sorted(&input.dimensions);
    let found: Vec<_> = region
        .alarms
        .values()
        .filter(|alarm| {
            alarm.metric().is_some_and(|config| {
                config.metric_name.as_ref() == Some(&input.metric_name)
                    && config.namespace.as_ref() == Some(&input.namespace)
                    && sorted(&config.dimensions) == wanted_dimensions
                    && (input.statistic.is_none() || config.statistic == input.statistic)
                    && (input.extended_statistic.is_none()
                        || config.extended_statistic == input.extended_statistic)
                    && (input.period.is_none() || config.period == input.period)
                    && (input.unit.is_none() || config.unit == input.unit)
            })
        })
        .map(Alarm::described)
        .collect();
    Ok(json!({"MetricAlarms": found}))
}
