//! As much of CloudWatch Logs as shows and removes what canaries leave behind.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{get, limit, put};
use crate::error::ApiError;
use crate::state::{Region, page};

/// DescribeLogGroups: "If you don't specify a value, the default is up to 50 items."
const PAGE: usize = 50;

pub(super) fn run(operation: &str, region: &mut Region, input: Value) -> Result<Value, ApiError> {
    match operation {
        "DescribeLogGroups" => get(region, input, describe_log_groups),
        "DeleteLogGroup" => put(region, input, delete_log_group),
        other => Err(ApiError::not_served(other)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

fn describe_log_groups(region: &mut Region, input: DescribeLogGroups) -> Result<Value, ApiError> {
    if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
        let message = "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let wanted = |name: &str| {
        input.log_group_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
            && input.log_group_name_pattern.as_ref().is_none_or(|part| name.contains(part))
    };
    let groups = region.synthetics.surroundings.log_groups.iter().filter(|(name, _)| wanted(name));
    let keyed = groups.map(|(name, group)| (name.clone(), (name, group)));
    let (groups, next) = page(keyed, input.next_token.as_deref(), limit(input.limit, PAGE))?;
    let shown: Vec<Value> = groups
        .into_iter()
        .map(|(name, group)| {
            let arn = region.arn_of("logs", "log-group", name);
            json!({
                "logGroupName": name,
                "creationTime": group.created.as_millisecond(),
                "metricFilterCount": 0,
                "arn": format!("{arn}:*"),
                "logGroupArn": arn,
                "storedBytes": group.stored_bytes,
                "logGroupClass": "STANDARD",
            })
        })
        .collect();
    Ok(json!({"logGroups": shown, "nextToken": next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteLogGroup {
    log_group_name: String,
}

fn delete_log_group(region: &mut Region, input: DeleteLogGroup) -> Result<(), ApiError> {
    let removed = region.synthetics.surroundings.log_groups.remove(&input.log_group_name);
    removed
        .map(|_| ())
        .ok_or_else(|| ApiError::new("ResourceNotFoundException", "The specified log group does not exist."))
}
