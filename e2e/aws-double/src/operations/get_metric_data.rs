//! GetMetricData.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::limit;
use crate::error::ApiError;
use crate::math::{self, Evaluation};
use crate::state::{Line, MetricDataQuery, Region, Window, floor, page};
use crate::validate::queries;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricData {
    metric_data_queries: Vec<MetricDataQuery>,
    start_time: Timestamp,
    end_time: Timestamp,
    next_token: Option<String>,
    scan_by: Option<String>,
    max_datapoints: Option<i64>,
}

/// "up to 500 MetricDataQuery structures"; "the default of 100,800 is used".
const MOST_QUERIES: usize = 500;
const PAGE: usize = 100_800;

/// One line of the answer.
struct Row {
    id: String,
    label: String,
    line: Line,
}

pub(super) fn get_metric_data(region: &mut Region, input: GetMetricData) -> Result<Value, ApiError> {
    check(&input)?;
    let rows = rows(region, &input)?;
    let newest_first = input.scan_by.as_deref() != Some("TimestampAscending");
    let points = rows.iter().enumerate().flat_map(|(row, it)| {
        let points: Vec<_> = match newest_first {
            true => it.line.iter().rev().collect(),
            false => it.line.iter().collect(),
        };
        points.into_iter().map(move |point| (row, point))
    });
    let keyed = points.enumerate().map(|(index, point)| (format!("{index:012}"), point));
    let size = limit(input.max_datapoints, PAGE).clamp(1, PAGE);
    let (points, next) = page(keyed, input.next_token.as_deref(), size)?;
    let mut shown: BTreeMap<usize, (Vec<Timestamp>, Vec<f64>)> = BTreeMap::new();
    // Rows without data are on the first page.
    if input.next_token.is_none() {
        shown.extend((0..rows.len()).map(|row| (row, Default::default())));
    }
    for (row, (at, value)) in points {
        let (times, values) = shown.entry(row).or_default();
        times.push(*at);
        values.push(*value);
    }
    let status = if next.is_some() { "PartialData" } else { "Complete" };
    let results: Vec<Value> = shown
        .into_iter()
        .filter_map(|(row, (times, values))| {
            let row = rows.get(row)?;
            Some(json!({
                "Id": row.id, "Label": row.label, "Timestamps": times, "Values": values, "StatusCode": status,
            }))
        })
        .collect();
    Ok(json!({"MetricDataResults": results, "Messages": [], "NextToken": next}))
}

fn check(input: &GetMetricData) -> Result<(), ApiError> {
    let count = input.metric_data_queries.len();
    if count == 0 || count > MOST_QUERIES {
        return Err(ApiError::validation(format!("{count} metric data queries are not 1 to {MOST_QUERIES}")));
    }
    if input.start_time >= input.end_time {
        return Err(ApiError::validation("The parameter StartTime must be less than the parameter EndTime"));
    }
    queries::check(&input.metric_data_queries)
}

fn rows(region: &Region, input: &GetMetricData) -> Result<Vec<Row>, ApiError> {
    let all = &input.metric_data_queries;
    let period = queries::common_period(all)
        .ok_or_else(|| ApiError::validation("No query has a period; an expression alone needs one"))?;
    let window = Window { from: floor(input.start_time, period), to: input.end_time, period };
    let evaluation = Evaluation { region, queries: all, window };
    let mut rows = Vec::new();
    for query in all.iter().filter(|query| query.return_data) {
        let default = query.metric_stat.as_ref().and_then(|stat| stat.metric.metric_name.clone());
        let label = query.label.clone().or(default).unwrap_or_else(|| query.id.clone());
        let mut row = |suffix: &str, line| {
            rows.push(Row { id: query.id.clone(), label: format!("{label}{suffix}"), line });
        };
        let wrong = |why: String| ApiError::validation(format!("Error in expression '{}': {why}", query.id));
        match evaluation.query(&query.id).map_err(wrong)? {
            math::Value::Line(line) => row("", line),
            math::Value::Lines(lines) => lines.into_iter().for_each(|line| row("", line)),
            math::Value::Band { lower, upper } => {
                row(" (expected high)", upper);
                row(" (expected low)", lower);
            }
            math::Value::Scalar(_) | math::Value::Text(_) => {
                return Err(wrong("The expression must return a time series".to_owned()));
            }
        }
    }
    Ok(rows)
}
