//! Metric alarms: put, set by hand, actions on and off.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::tags::{Tag, checked_tags};
use crate::error::ApiError;
use crate::state::{Alarm, AlarmConfig, AlarmState, EVALUATED_EVERY, MetricAlarm, Region};
use crate::validate;

#[derive(Deserialize)]
pub(super) struct PutMetricAlarm {
    #[serde(flatten)]
    config: MetricAlarm,
    #[serde(rename = "Tags", default)]
    tags: Vec<Tag>,
}

pub(super) fn put_metric_alarm(region: &mut Region, input: PutMetricAlarm) -> Result<(), ApiError> {
    let config = input.config;
    validate::metric_alarm::check(&config)?;
    let tags = checked_tags(input.tags)?;
    if let Some(subject) = validate::queries::band_subject(&config) {
        region.need_detector(subject);
    }
    upsert(region, AlarmConfig::Metric(Box::new(config)), tags)
}

/// Creates an alarm, or overwrites the configuration of the one that has its name; the latter keeps its state and tags.
pub(super) fn upsert(
    region: &mut Region,
    config: AlarmConfig,
    tags: BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let now = region.now;
    let promql = matches!(&config, AlarmConfig::Metric(alarm) if alarm.evaluation_criteria.is_some());
    let mut alarm = Alarm {
        arn: String::new(),
        config,
        tags,
        // A PromQL alarm begins as OK (PutMetricAlarm).
        state: if promql { AlarmState::Ok } else { AlarmState::InsufficientData },
        reason: "Unchecked: Initial alarm creation".to_owned(),
        reason_data: None,
        configured_at: now,
        updated_at: now,
        transitioned_at: now,
        left_alarm_at: None,
        held: false,
        evaluate_at: now,
    };
    let name = alarm.name().to_owned();
    alarm.arn = region.alarm_arn(&name);
    if alarm.metric().is_some() {
        alarm.evaluate_at = later(region);
    }
    match region.alarms.get_mut(&name) {
        Some(before) if before.kind() != alarm.kind() => {
            let kind = before.kind();
            Err(ApiError::validation(format!(
                "{name} already exists as a {kind}; an alarm can't change its type"
            )))
        }
        Some(before) => {
            before.config = alarm.config;
            before.configured_at = now;
            before.evaluate_at = alarm.evaluate_at;
            region.record_updated(&name);
            region.changed.insert(name);
            region.settle();
            Ok(())
        }
        None => {
            region.alarms.insert(name.clone(), alarm);
            region.record_created(&name);
            region.changed.insert(name);
            region.settle();
            Ok(())
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAlarmState {
    alarm_name: String,
    state_value: AlarmState,
    state_reason: String,
    state_reason_data: Option<String>,
}

/// Lasts until the alarm is next evaluated: for a metric alarm soon, for a composite one "only once any of its children
/// alarms change state", or when its configuration is put again (SetAlarmState).
pub(super) fn set_alarm_state(region: &mut Region, input: SetAlarmState) -> Result<(), ApiError> {
    let next = later(region);
    let Some(alarm) = region.alarms.get_mut(&input.alarm_name) else {
        return Err(ApiError::new("ResourceNotFound", format!("Alarm {} does not exist", input.alarm_name)));
    };
    let data = input.state_reason_data.as_deref();
    if data.is_some_and(|data| serde_json::from_str::<serde_json::Value>(data).is_err()) {
        return Err(ApiError::new("InvalidFormatFault", "StateReasonData was not syntactically valid JSON"));
    }
    alarm.evaluate_at = if alarm.metric().is_some() { next } else { jiff::Timestamp::MAX };
    region.transition(&input.alarm_name, input.state_value, &input.state_reason, input.state_reason_data);
    region.settle();
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AlarmNames {
    pub(super) alarm_names: Vec<String>,
}

pub(super) fn enable_alarm_actions(region: &mut Region, input: AlarmNames) -> Result<(), ApiError> {
    switch_actions(region, input, true)
}

pub(super) fn disable_alarm_actions(region: &mut Region, input: AlarmNames) -> Result<(), ApiError> {
    switch_actions(region, input, false)
}

fn switch_actions(region: &mut Region, input: AlarmNames, enabled: bool) -> Result<(), ApiError> {
    for name in &input.alarm_names {
        let now = region.now;
        let Some(alarm) = region.alarms.get_mut(name).filter(|alarm| alarm.actions_enabled() != enabled)
        else {
            continue;
        };
        alarm.enable_actions(enabled);
        alarm.configured_at = now;
        region.record_updated(name);
    }
    Ok(())
}

fn later(region: &Region) -> jiff::Timestamp {
    region.now.saturating_add(EVALUATED_EVERY).unwrap_or(region.now)
}
