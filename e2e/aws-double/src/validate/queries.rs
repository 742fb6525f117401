//! Rules for lists of MetricDataQuery (AWS: API_MetricDataQuery, API_PutMetricAlarm).

use std::collections::{BTreeMap, BTreeSet};

use super::{Verdict, ensure};
use crate::error::ApiError;
use crate::math::{Expression, InsightsQuery, KNOWN};
use crate::state::{MetricAlarm, MetricDataQuery, SingleMetric, Subject};

/// What holds wherever queries are used.
pub(crate) fn check(queries: &[MetricDataQuery]) -> Verdict {
    ids(queries)?;
    for query in queries {
        one_kind(query)?;
        metric(query)?;
    }
    expressions(queries).map(drop)
}

/// What alarms and detectors ask beyond that.
pub(crate) fn check_computed(queries: &[MetricDataQuery]) -> Verdict {
    check(queries)?;
    at_most_ten(queries)?;
    period_without_metric(queries)?;
    one_period(queries)
}

/// A query or expression that is computed of no other has no period but its own.
fn period_without_metric(queries: &[MetricDataQuery]) -> Verdict {
    let alone = |query: &&MetricDataQuery| {
        let text = query.expression.as_deref();
        query.period.is_none()
            && text.is_some_and(|text| Expression::parse(text).map_or(true, |it| it.ids().is_empty()))
    };
    let missing = queries.iter().find(alone);
    ensure(missing.is_none(), || {
        format!(
            "Period must not be null (query {})",
            missing.map(|query| query.id.as_str()).unwrap_or_default()
        )
    })
}

/// "When creating multi-time series alarms, you must include two key clauses": GROUP BY, and ORDER BY
/// (Create_Metrics_Insights_Alarm).
pub(crate) fn ordered(queries: &[MetricDataQuery]) -> Verdict {
    let insights =
        queries.iter().filter_map(|query| InsightsQuery::parse(query.expression.as_deref()?)?.ok());
    ensure(insights.into_iter().all(|query| query.ordered || !query.grouped), || {
        "An alarm on a Metrics Insights query with GROUP BY needs ORDER BY".to_owned()
    })
}

/// MetricDataQuery, Id: unique; letters, numbers and underscore; the first a lowercase letter.
fn ids(queries: &[MetricDataQuery]) -> Verdict {
    let mut seen = BTreeSet::new();
    for query in queries {
        let id = &query.id;
        let valid = id.starts_with(|first: char| first.is_ascii_lowercase())
            && id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        ensure(valid, || format!("Invalid metrics list: {id} is not a valid metric id"))?;
        ensure(seen.insert(id), || format!("Invalid metrics list: the id {id} is not unique"))?;
    }
    Ok(())
}

/// MetricDataQuery: "you must specify either Expression or MetricStat but not both".
fn one_kind(query: &MetricDataQuery) -> Verdict {
    ensure(query.metric_stat.is_some() != query.expression.is_some(), || {
        format!("Invalid metrics list: {} needs either Expression or MetricStat, and not both", query.id)
    })
}

/// MetricStat: a metric has a name and a namespace, dimensions are unique, the period and statistic mean something.
fn metric(query: &MetricDataQuery) -> Verdict {
    let Some(stat) = &query.metric_stat else { return Ok(()) };
    let id = &query.id;
    ensure(stat.metric.metric_name.is_some() && stat.metric.namespace.is_some(), || {
        format!("Invalid metrics list: the metric of {id} needs Namespace and MetricName")
    })?;
    super::identity::metric(
        stat.metric.namespace.as_deref(),
        stat.metric.metric_name.as_deref(),
        &stat.metric.dimensions,
    )?;
    ensure(query.period.is_none(), || {
        format!("Invalid metrics list: Period of {id} belongs into its MetricStat")
    })?;
    super::metric_alarm::valid_period(stat.period, &[1, 5, 10, 20, 30])?;
    super::metric_alarm::valid_statistic(&stat.stat)
}

/// Every expression parses and refers to ids of the same list, and not in a circle.
fn expressions(queries: &[MetricDataQuery]) -> Result<BTreeMap<&str, Expression>, ApiError> {
    let known: BTreeSet<&str> = queries.iter().map(|query| query.id.as_str()).collect();
    let mut parsed = BTreeMap::new();
    for query in queries {
        let Some(text) = &query.expression else { continue };
        let id = &query.id;
        let wrong = |why| ApiError::validation(format!("Error in expression '{id}' [{text}]: {why}"));
        if let Some(insights) = InsightsQuery::parse(text) {
            insights.map_err(wrong)?;
            continue;
        }
        let expression = Expression::parse(text).map_err(wrong)?;
        if let Some(unknown) = expression.ids().into_iter().find(|id| !known.contains(id)) {
            return Err(wrong(format!("Undefined variable: {unknown}")));
        }
        if let Some(unknown) = expression.functions().into_iter().find(|name| !KNOWN.contains(name)) {
            return Err(wrong(format!("Unsupported function: {unknown}")));
        }
        parsed.insert(query.id.as_str(), expression);
    }
    for id in parsed.keys() {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = vec![id];
        while let Some(at) = next.pop() {
            for referred in parsed.get(at).map(Expression::ids).unwrap_or_default() {
                ensure(referred != *id, || format!("Error in expression '{id}': it refers to itself"))?;
                if reached.insert(referred.to_owned()) {
                    next.extend(parsed.get_key_value(referred).map(|(key, _)| *key));
                }
            }
        }
    }
    Ok(parsed)
}

/// using-metric-math: an alarm's or detector's expression has at most ten metrics and expressions.
fn at_most_ten(queries: &[MetricDataQuery]) -> Verdict {
    let metrics = queries.iter().filter(|query| query.metric_stat.is_some()).count();
    ensure(metrics <= 10, || format!("{metrics} metrics are more than the 10 that may be combined"))
}

/// using-metric-math: all metrics of an alarm's expression have one period.
fn one_period(queries: &[MetricDataQuery]) -> Verdict {
    let periods: BTreeSet<i64> = queries.iter().filter_map(period).collect();
    ensure(periods.len() <= 1, || {
        format!("Metrics list contains metrics with different periods: {}", join(&periods))
    })
}

fn join(periods: &BTreeSet<i64>) -> String {
    periods.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn period(query: &MetricDataQuery) -> Option<i64> {
    query.metric_stat.as_ref().map(|stat| stat.period).or(query.period)
}

/// The period of a list that has one.
pub(crate) fn common_period(queries: &[MetricDataQuery]) -> Option<i64> {
    queries.iter().filter_map(period).max()
}

/// What the detector behind a band alarm learns.
pub(crate) fn band_subject(alarm: &MetricAlarm) -> Option<Subject> {
    let threshold = alarm.threshold_metric_id.as_ref()?;
    let band = alarm.metrics.iter().find(|query| query.id == *threshold)?;
    let expression = Expression::parse(band.expression.as_ref()?).ok()?;
    subject_of(&alarm.metrics, expression.band()?.0)
}

/// What the detector behind `ANOMALY_DETECTION_BAND(id)` learns: the metric of this id, or the expression with all that
/// goes into it.
pub(crate) fn subject_of(queries: &[MetricDataQuery], id: &str) -> Option<Subject> {
    let watched = queries.iter().find(|query| query.id == id)?;
    if let Some(stat) = &watched.metric_stat {
        return Some(Subject::Single(SingleMetric {
            account_id: watched.account_id.clone(),
            namespace: stat.metric.namespace.clone(),
            metric_name: stat.metric.metric_name.clone(),
            dimensions: stat.metric.dimensions.clone(),
            stat: Some(stat.stat.clone()),
        }));
    }
    let mut needed = BTreeSet::from([id.to_owned()]);
    let mut next = vec![id.to_owned()];
    while let Some(at) = next.pop() {
        let text = queries.iter().find(|query| query.id == at).and_then(|query| query.expression.as_ref());
        let expression = text.and_then(|text| Expression::parse(text).ok());
        for referred in expression.iter().flat_map(Expression::ids) {
            if needed.insert(referred.to_owned()) {
                next.push(referred.to_owned());
            }
        }
    }
    let kept = queries.iter().filter(|query| needed.contains(&query.id)).cloned();
    Some(Subject::Math(kept.map(|query| MetricDataQuery { return_data: query.id == id, ..query }).collect()))
}
