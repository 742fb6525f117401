//! Rules of PutCompositeAlarm that its model doesn't state (AWS: API_PutCompositeAlarm, alarm-combining).

use super::metric_alarm::no_control_characters;
use super::{Verdict, actions, ensure};
use crate::error::ApiError;
use crate::state::{CompositeAlarm, Region, Rule};

pub(crate) fn check(alarm: &CompositeAlarm, region: &Region) -> Verdict {
    no_control_characters(&alarm.alarm_name)?;
    let rule = Rule::parse(&alarm.alarm_rule)
        .map_err(|error| ApiError::validation(format!("Error in AlarmRule: {error}")))?;
    size(&rule)?;
    children_exist(alarm, &rule, region)?;
    children_are_not_in_too_many(&rule, region)?;
    suppressor(alarm, region)?;
    notifies(alarm)
}

/// "as many as 100 underlying alarms", and 500 elements.
fn size(rule: &Rule) -> Verdict {
    let (alarms, elements) = (rule.alarms().len(), rule.elements());
    ensure(alarms <= 100, || format!("AlarmRule names {alarms} alarms, more than 100"))?;
    ensure(elements <= 500, || format!("AlarmRule has {elements} elements, more than 500"))
}

/// All alarms of the rule exist, in the same account and Region.
fn children_exist(alarm: &CompositeAlarm, rule: &Rule, region: &Region) -> Verdict {
    for child in rule.alarms() {
        let exists = region.alarm_name(child).is_some_and(|name| region.alarms.contains_key(name));
        ensure(exists, || {
            format!("AlarmRule of {} refers to an alarm that does not exist: {child}", alarm.alarm_name)
        })?;
    }
    Ok(())
}

/// "Any single alarm can be included in the rule expressions of as many as 150 composite alarms."
fn children_are_not_in_too_many(rule: &Rule, region: &Region) -> Verdict {
    for child in rule.alarms().into_iter().filter_map(|child| region.alarm_name(child)) {
        let parents = region.parents(child).len();
        ensure(parents <= 150, || format!("{child} is in the rules of {parents} composite alarms already"))?;
    }
    Ok(())
}

/// ActionsSuppressor: an existing alarm; both periods are required with it.
fn suppressor(alarm: &CompositeAlarm, region: &Region) -> Verdict {
    let periods = [alarm.actions_suppressor_wait_period, alarm.actions_suppressor_extension_period];
    ensure(periods.iter().flatten().all(|seconds| *seconds >= 0), || {
        "The suppressor's periods must not be negative".to_owned()
    })?;
    let Some(suppressor) = &alarm.actions_suppressor else { return Ok(()) };
    ensure(periods.iter().all(Option::is_some), || {
        "ActionsSuppressor needs ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod".to_owned()
    })?;
    let exists = region.alarm_name(suppressor).is_some_and(|name| region.alarms.contains_key(name));
    ensure(exists, || format!("ActionsSuppressor {suppressor} does not exist"))
}

/// Composite alarms notify, but don't act on EC2 or Auto Scaling.
fn notifies(alarm: &CompositeAlarm) -> Verdict {
    for arn in alarm.ok_actions.iter().chain(&alarm.alarm_actions).chain(&alarm.insufficient_data_actions) {
        actions::valid(arn)?;
        ensure(!actions::is_of_ec2(arn) && actions::service(arn) != "autoscaling", || {
            format!("A composite alarm can't have the EC2 or Auto Scaling action {arn}")
        })?;
    }
    Ok(())
}
