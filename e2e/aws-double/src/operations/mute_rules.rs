//! Alarm mute rules.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::limit;
use super::tags::{Tag, checked_tags};
use crate::error::ApiError;
use crate::state::{MuteRule, MuteSchedule, MuteStatus, Region, page};
use crate::validate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutAlarmMuteRule {
    name: String,
    description: Option<String>,
    rule: Rule,
    mute_targets: Option<MuteTargets>,
    #[serde(default)]
    tags: Vec<Tag>,
    start_date: Option<Timestamp>,
    expire_date: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    schedule: MuteSchedule,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct MuteTargets {
    alarm_names: Vec<String>,
}

pub(super) fn put_alarm_mute_rule(region: &mut Region, input: PutAlarmMuteRule) -> Result<(), ApiError> {
    let alarm_names = input.mute_targets.unwrap_or_default().alarm_names;
    validate::mute_rule::schedule(&input.rule.schedule)?;
    validate::mute_rule::targets_exist(&alarm_names, region)?;
    validate::mute_rule::dates(input.start_date, input.expire_date)?;
    validate::mute_rule::quota(&input.name, region)?;
    let tags = checked_tags(input.tags)?;
    let rule = MuteRule {
        arn: region.arn("alarm-mute-rule", &input.name),
        description: input.description,
        schedule: input.rule.schedule,
        alarm_names,
        start_date: input.start_date,
        expire_date: input.expire_date,
        // As with alarms, tags are given at creation only.
        tags: region.mute_rules.get(&input.name).map_or(tags, |before| before.tags.clone()),
        updated_at: region.now,
        name: input.name,
    };
    region.mute_rules.insert(rule.name.clone(), rule);
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    alarm_mute_rule_name: String,
}

pub(super) fn get_alarm_mute_rule(region: &mut Region, input: Named) -> Result<Value, ApiError> {
    let name = &input.alarm_mute_rule_name;
    let rule = region.mute_rules.get(name).ok_or_else(|| ApiError::not_found("alarm-mute-rule", name))?;
    Ok(json!({
        "Name": rule.name,
        "AlarmMuteRuleArn": rule.arn,
        "Description": rule.description,
        "Rule": Rule { schedule: rule.schedule.clone() },
        "MuteTargets": MuteTargets { alarm_names: rule.alarm_names.clone() },
        "StartDate": rule.start_date,
        "ExpireDate": rule.expire_date,
        "Status": rule.status(region.now),
        "LastUpdatedTimestamp": rule.updated_at,
        "MuteType": rule.mute_type(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAlarmMuteRules {
    alarm_name: Option<String>,
    #[serde(default)]
    statuses: Vec<MuteStatus>,
    max_records: Option<i64>,
    next_token: Option<String>,
}

pub(super) fn list_alarm_mute_rules(
    region: &mut Region,
    input: ListAlarmMuteRules,
) -> Result<Value, ApiError> {
    let now = region.now;
    let wanted = |rule: &&MuteRule| {
        input.alarm_name.as_ref().is_none_or(|name| rule.alarm_names.contains(name))
            && (input.statuses.is_empty() || input.statuses.contains(&rule.status(now)))
    };
    let found = region.mute_rules.values().filter(wanted).map(|rule| (rule.name.clone(), rule));
    let (rules, next) = page(found, input.next_token.as_deref(), limit(input.max_records, 50))?;
    let summaries: Vec<Value> = rules
        .into_iter()
        .map(|rule| {
            json!({
                "AlarmMuteRuleArn": rule.arn,
                "ExpireDate": rule.expire_date,
                "Status": rule.status(now),
                "MuteType": rule.mute_type(),
                "LastUpdatedTimestamp": rule.updated_at,
            })
        })
        .collect();
    Ok(json!({"AlarmMuteRuleSummaries": summaries, "NextToken": next}))
}

/// "If you delete a mute rule that does not exist, the operation succeeds".
pub(super) fn delete_alarm_mute_rule(region: &mut Region, input: Named) -> Result<(), ApiError> {
    region.mute_rules.remove(&input.alarm_mute_rule_name);
    Ok(())
}
