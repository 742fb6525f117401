//! DescribeAlarmHistory.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::limit;
use crate::error::ApiError;
use crate::state::{HistoryItem, Region, page};

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DescribeAlarmHistory {
    alarm_name: Option<String>,
    alarm_types: Vec<String>,
    history_item_type: Option<String>,
    start_date: Option<Timestamp>,
    end_date: Option<Timestamp>,
    max_records: Option<i64>,
    next_token: Option<String>,
    scan_by: Option<String>,
}

pub(super) fn describe_alarm_history(
    region: &mut Region,
    input: DescribeAlarmHistory,
) -> Result<Value, ApiError> {
    let wanted = |item: &&HistoryItem| {
        let of_type = match input.alarm_types.as_slice() {
            [] => item.alarm_type == "MetricAlarm",
            types => types.iter().any(|kind| kind == item.alarm_type),
        };
        of_type
            && input.alarm_name.as_ref().is_none_or(|name| *name == item.alarm_name)
            && input.history_item_type.as_ref().is_none_or(|kind| kind == item.history_item_type)
            && input.start_date.is_none_or(|start| start <= item.timestamp)
            && input.end_date.is_none_or(|end| item.timestamp <= end)
    };
    let oldest_first = input.scan_by.as_deref() == Some("TimestampAscending");
    // A page goes on from where an item stands among all, which neither a filter nor what happens meanwhile moves.
    let numbered = region.history.iter().enumerate().filter(|(_, item)| wanted(item));
    let numbered: Vec<(usize, &HistoryItem)> = match oldest_first {
        true => numbered.collect(),
        false => numbered.map(|(place, item)| (usize::MAX - place, item)).rev().collect(),
    };
    let keyed = numbered.into_iter().map(|(place, item)| (format!("{place:020}"), item));
    let (items, next) = page(keyed, input.next_token.as_deref(), limit(input.max_records, 100))?;
    Ok(json!({"AlarmHistoryItems": items, "NextToken": next}))
}
