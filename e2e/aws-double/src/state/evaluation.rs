//! How a metric alarm comes to its state (AWS: alarm-evaluation, alarms-and-missing-data).

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    Alarm, AlarmState, Line, Metric, MetricAlarm, MetricDataQuery, MetricStat, Region, Window, floor,
};
use crate::math::{Evaluation, Value};
use crate::validate::queries::common_period;

/// Periods before the evaluated ones that are looked at in case some of those are missing: "CloudWatch attempts to retrieve
/// a higher number of data points than the number specified as Evaluation Periods". How many, AWS doesn't say; in its
/// examples it is 5 for 3 (alarms-and-missing-data).
const FURTHER_BACK: i64 = 2;

/// AWS evaluates an alarm about once a minute.
pub(crate) const EVALUATED_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// A state with its reason, in words and in JSON.
#[derive(Debug)]
struct Finding {
    state: AlarmState,
    reason: String,
    data: String,
}

/// One period of the evaluated range.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Datapoint {
    Missing,
    Within(f64),
    Breaching(f64),
}

impl Region {
    /// Evaluates the alarms that are due.
    pub(crate) fn evaluate(&mut self) {
        let now = self.now;
        let due = |alarm: &&Alarm| !alarm.held && alarm.evaluate_at <= now;
        let findings: Vec<(String, Option<Finding>)> = self
            .alarms
            .values()
            .filter(due)
            .filter_map(|alarm| Some((alarm.name().to_owned(), self.find(alarm, alarm.metric()?))))
            .collect();
        for (name, finding) in findings {
            let Some(alarm) = self.alarms.get_mut(&name) else { continue };
            alarm.evaluate_at = now.saturating_add(EVALUATED_EVERY).unwrap_or(now);
            if let Some(finding) = finding.filter(|finding| finding.state != alarm.state) {
                self.transition(&name, finding.state, &finding.reason, Some(finding.data));
            }
        }
    }

    /// None leaves the alarm as it is.
    fn find(&self, alarm: &Alarm, config: &MetricAlarm) -> Option<Finding> {
        if let Some(warm_up) = &config.warm_up_configuration {
            let period = SignedDuration::from_mins(warm_up.warm_up_period_duration_in_minutes);
            if self.now.duration_since(alarm.configured_at) < period {
                return None;
            }
        }
        let (queries, watched) = watched(config)?;
        let period = common_period(&queries)?;
        let periods = config.evaluation_periods?;
        let to = floor(self.now, period);
        let range = periods.checked_add(FURTHER_BACK)?;
        let length = SignedDuration::from_secs(period.checked_mul(range)?);
        let window = Window { from: to.checked_sub(length).ok()?, to, period };
        let evaluation = Evaluation { region: self, queries: &queries, window };
        let line = match evaluation.query(&watched) {
            Ok(Value::Line(line)) => line,
            _ => Line::new(),
        };
        let band = match config.threshold_metric_id.as_ref().map(|id| evaluation.query(id)) {
            Some(Ok(Value::Band { lower, upper })) => Some((lower, upper)),
            _ => None,
        };
        let points: Vec<(Timestamp, Datapoint)> =
            window.periods().map(|at| (at, datapoint(config, &line, band.as_ref(), at))).collect();
        let state = decide(config, &points)?;
        Some(finding(config, state, recent(&points, periods), band.as_ref(), window, self.now))
    }
}

/// What an alarm watches, as queries, and the id of the one that it compares.
fn watched(config: &MetricAlarm) -> Option<(Vec<MetricDataQuery>, String)> {
    if !config.metrics.is_empty() {
        let threshold = config.threshold_metric_id.as_ref();
        let watched =
            config.metrics.iter().find(|query| query.return_data && Some(&query.id) != threshold)?;
        return Some((config.metrics.clone(), watched.id.clone()));
    }
    let metric = Metric {
        namespace: config.namespace.clone(),
        metric_name: Some(config.metric_name.clone()?),
        dimensions: config.dimensions.clone(),
    };
    let stat = config.statistic.clone().or_else(|| config.extended_statistic.clone())?;
    let stat = MetricStat { metric, period: config.period?, stat, unit: config.unit.clone() };
    let query = MetricDataQuery {
        id: "m".to_owned(),
        metric_stat: Some(stat),
        expression: None,
        label: None,
        return_data: true,
        period: None,
        account_id: None,
    };
    Some((vec![query], "m".to_owned()))
}

fn datapoint(config: &MetricAlarm, line: &Line, band: Option<&(Line, Line)>, at: Timestamp) -> Datapoint {
    let Some(value) = line.get(&at).copied() else { return Datapoint::Missing };
    let bound = |line: fn(&(Line, Line)) -> &Line| band.and_then(|band| line(band).get(&at).copied());
    let (lower, upper) = (bound(|band| &band.0), bound(|band| &band.1));
    let operator = config.comparison_operator.as_deref().unwrap_or_default();
    let breaching = match (operator, config.threshold) {
        ("GreaterThanOrEqualToThreshold", Some(threshold)) => Some(value >= threshold),
        ("GreaterThanThreshold", Some(threshold)) => Some(value > threshold),
        ("LessThanThreshold", Some(threshold)) => Some(value < threshold),
        ("LessThanOrEqualToThreshold", Some(threshold)) => Some(value <= threshold),
        ("LessThanLowerThreshold", _) => lower.map(|lower| value < lower),
        ("GreaterThanUpperThreshold", _) => upper.map(|upper| value > upper),
        ("LessThanLowerOrGreaterThanUpperThreshold", _) => {
            lower.zip(upper).map(|(lower, upper)| value < lower || value > upper)
        }
        _ => None,
    };
    match breaching {
        Some(true) => Datapoint::Breaching(value),
        Some(false) => Datapoint::Within(value),
        // Without a band there is nothing to compare with.
        None => Datapoint::Missing,
    }
}

/// The latest datapoints that exist, at most as many as there are evaluated periods, oldest first: "CloudWatch uses missing
/// data points only as few times as possible".
fn recent(points: &[(Timestamp, Datapoint)], periods: i64) -> Vec<(Timestamp, Datapoint)> {
    let existing: Vec<_> = points.iter().filter(|(_, point)| *point != Datapoint::Missing).copied().collect();
    let most = usize::try_from(periods).unwrap_or(0);
    let surplus = existing.len().saturating_sub(most);
    existing.into_iter().skip(surplus).collect()
}

/// The state that follows from the datapoints of the whole range, oldest first; none leaves the alarm in the state that it
/// has.
fn decide(config: &MetricAlarm, points: &[(Timestamp, Datapoint)]) -> Option<AlarmState> {
    let periods = config.evaluation_periods?;
    let needed = usize::try_from(config.datapoints_to_alarm.unwrap_or(periods)).ok()?;
    let recent = recent(points, periods);
    let breaching = recent.iter().filter(|(_, point)| matches!(point, Datapoint::Breaching(_))).count();
    let missing = usize::try_from(periods).ok()?.saturating_sub(recent.len());
    let treatment = match config.namespace.as_deref() {
        // TreatMissingData: these "always ignore missing data".
        Some("AWS/DynamoDB") => "ignore",
        _ => config.treat_missing_data.as_deref().unwrap_or("missing"),
    };
    let when = |alarm: bool| Some(if alarm { AlarmState::Alarm } else { AlarmState::Ok });
    match treatment {
        // With enough datapoints "the value you set for how to treat missing data is not needed and is ignored".
        _ if missing == 0 || breaching >= needed => when(breaching >= needed),
        "breaching" => when(breaching + missing >= needed),
        "notBreaching" => when(false),
        "ignore" if breaching == recent.len() => None,
        "ignore" => when(false),
        _ if recent.is_empty() => Some(AlarmState::InsufficientData),
        _ => when(early(points, needed)),
    }
}

/// With data missing an alarm fires when its oldest breaching datapoint is at least as old as DatapointsToAlarm, and all
/// others breach or are missing (alarms-and-missing-data, "Avoiding premature transitions").
fn early(points: &[(Timestamp, Datapoint)], needed: usize) -> bool {
    let oldest = points.iter().position(|(_, point)| matches!(point, Datapoint::Breaching(_)));
    oldest.is_some_and(|oldest| points.len() - oldest >= needed)
        && points.iter().all(|(_, point)| !matches!(point, Datapoint::Within(_)))
}

fn finding(
    config: &MetricAlarm,
    state: AlarmState,
    points: Vec<(Timestamp, Datapoint)>,
    band: Option<&(Line, Line)>,
    window: Window,
    now: Timestamp,
) -> Finding {
    let values: Vec<f64> = points
        .iter()
        .filter_map(|(_, point)| match point {
            Datapoint::Missing => None,
            Datapoint::Within(value) | Datapoint::Breaching(value) => Some(*value),
        })
        .collect();
    let bounds = |line: &Line| -> serde_json::Value {
        points.iter().filter_map(|(at, _)| line.get(at)).copied().collect::<Vec<f64>>().into()
    };
    let breaching = points.iter().filter(|(_, point)| matches!(point, Datapoint::Breaching(_))).count();
    let of = config.evaluation_periods.unwrap_or_default();
    let reason = match state {
        AlarmState::Alarm => {
            format!("Threshold Crossed: {breaching} out of the last {of} datapoints {values:?} crossed")
        }
        AlarmState::Ok => {
            let within = points.len() - breaching;
            format!("Threshold Crossed: {within} out of the last {of} datapoints {values:?} did not cross")
        }
        AlarmState::InsufficientData => format!("Insufficient Data: {of} datapoints were unknown."),
    };
    let mut data = json!({
        "version": "1.0",
        "queryDate": now,
        "startDate": points.first().map_or(window.from, |(at, _)| *at),
        "period": window.period,
        "recentDatapoints": values,
    });
    let statistic = config.statistic.as_ref().or(config.extended_statistic.as_ref());
    let optional = [
        ("statistic", statistic.map(|statistic| json!(statistic))),
        ("threshold", config.threshold.map(|threshold| json!(threshold))),
        ("recentLowerThresholds", band.map(|(lower, _)| bounds(lower))),
        ("recentUpperThresholds", band.map(|(_, upper)| bounds(upper))),
    ];
    if let serde_json::Value::Object(members) = &mut data {
        let present = optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        members.extend(present);
    }
    Finding { state, reason, data: data.to_string() }
}

#[cfg(test)]
mod tests;
