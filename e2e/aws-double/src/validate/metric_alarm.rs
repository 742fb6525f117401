//! Rules of PutMetricAlarm that its model doesn't state (AWS: API_PutMetricAlarm unless another page is named).

use std::collections::BTreeSet;

use super::{Verdict, actions, ensure, identity, queries};
use crate::error::ApiError;
use crate::math::Expression;
use crate::state::{MetricAlarm, Statistic};

pub(crate) fn check(alarm: &MetricAlarm) -> Verdict {
    no_control_characters(&alarm.alarm_name)?;
    one_source(alarm)?;
    single_metric(alarm)?;
    metrics_alone(alarm)?;
    criteria_alone(alarm)?;
    evaluation_interval(alarm)?;
    needs_comparison(alarm)?;
    threshold(alarm)?;
    band(alarm)?;
    returned_data(alarm)?;
    evaluated_range(alarm)?;
    datapoints_to_alarm(alarm)?;
    missing_data(alarm)?;
    low_sample_count(alarm)?;
    evaluation_window(alarm)?;
    actions::of_metric_alarm(alarm)
}

/// AlarmName: "can't contain ASCII control characters".
pub(crate) fn no_control_characters(name: &str) -> Verdict {
    ensure(!name.chars().any(|letter| letter.is_ascii_control()), || {
        "AlarmName must not contain ASCII control characters".to_owned()
    })
}

/// "you must specify either MetricName, a Metrics array, or an EvaluationCriteria".
fn one_source(alarm: &MetricAlarm) -> Verdict {
    let sources =
        [alarm.metric_name.is_some(), !alarm.metrics.is_empty(), alarm.evaluation_criteria.is_some()];
    ensure(sources.iter().filter(|given| **given).count() == 1, || {
        "Exactly one of MetricName, Metrics and EvaluationCriteria must be specified".to_owned()
    })
}

/// A single metric has a namespace, a valid period, unique dimensions, and Statistic or ExtendedStatistic but not both.
fn single_metric(alarm: &MetricAlarm) -> Verdict {
    if alarm.metric_name.is_none() {
        return Ok(());
    }
    ensure(alarm.namespace.is_some(), || "Namespace is required with MetricName".to_owned())?;
    ensure(alarm.statistic.is_some() != alarm.extended_statistic.is_some(), || {
        "MetricName needs either Statistic or ExtendedStatistic, and not both".to_owned()
    })?;
    identity::metric(alarm.namespace.as_deref(), alarm.metric_name.as_deref(), &alarm.dimensions)?;
    if let Some(statistic) = &alarm.extended_statistic {
        let plain = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"].contains(&statistic.as_str());
        ensure(!plain, || format!("{statistic} is no ExtendedStatistic; it belongs into Statistic"))?;
        valid_statistic(statistic)?;
    }
    match alarm.period {
        Some(period) => valid_period(period, &[10, 20, 30]),
        None => Err(ApiError::validation("Period is required with MetricName")),
    }
}

/// "any multiple of 60", or one of `short`.
pub(crate) fn valid_period(period: i64, short: &[i64]) -> Verdict {
    ensure(short.contains(&period) || (period > 0 && period % 60 == 0), || {
        let short: Vec<String> = short.iter().map(i64::to_string).collect();
        format!("Period must be {} or a multiple of 60, not {period}", short.join(", "))
    })
}

/// "If you use the Metrics parameter, you cannot include …"; its queries must mean something.
fn metrics_alone(alarm: &MetricAlarm) -> Verdict {
    if alarm.metrics.is_empty() {
        return Ok(());
    }
    let given = [
        (alarm.namespace.is_some(), "Namespace"),
        (!alarm.dimensions.is_empty(), "Dimensions"),
        (alarm.period.is_some(), "Period"),
        (alarm.unit.is_some(), "Unit"),
        (alarm.statistic.is_some(), "Statistic"),
        (alarm.extended_statistic.is_some(), "ExtendedStatistic"),
    ];
    refuse_given(&given, "Metrics")?;
    queries::check_computed(&alarm.metrics)?;
    queries::ordered(&alarm.metrics)?;
    let period = queries::common_period(&alarm.metrics);
    ensure(period.is_some_and(|period| valid_period(period, &[10, 20, 30]).is_ok()), || {
        "The metrics of an alarm need a period of 10, 20, 30 or a multiple of 60".to_owned()
    })
}

/// EvaluationCriteria: "you cannot include …".
fn criteria_alone(alarm: &MetricAlarm) -> Verdict {
    if alarm.evaluation_criteria.is_none() {
        return Ok(());
    }
    let given = [
        (alarm.namespace.is_some(), "Namespace"),
        (!alarm.dimensions.is_empty(), "Dimensions"),
        (alarm.period.is_some(), "Period"),
        (alarm.unit.is_some(), "Unit"),
        (alarm.statistic.is_some(), "Statistic"),
        (alarm.extended_statistic.is_some(), "ExtendedStatistic"),
        (alarm.threshold.is_some(), "Threshold"),
        (alarm.comparison_operator.is_some(), "ComparisonOperator"),
        (alarm.threshold_metric_id.is_some(), "ThresholdMetricId"),
        (alarm.evaluation_periods.is_some(), "EvaluationPeriods"),
        (alarm.datapoints_to_alarm.is_some(), "DatapointsToAlarm"),
    ];
    refuse_given(&given, "EvaluationCriteria")
}

fn refuse_given(given: &[(bool, &str)], with: &str) -> Verdict {
    let wrong: Vec<&str> = given.iter().filter(|(given, _)| *given).map(|(_, name)| *name).collect();
    ensure(wrong.is_empty(), || format!("{} can't be specified together with {with}", wrong.join(", ")))
}

/// EvaluationInterval: "required for alarms that use EvaluationCriteria, and cannot be specified for" others.
fn evaluation_interval(alarm: &MetricAlarm) -> Verdict {
    match (alarm.evaluation_interval, &alarm.evaluation_criteria) {
        (Some(interval), Some(_)) => valid_period(interval, &[10, 20, 30]),
        (None, None) => Ok(()),
        (Some(_), None) => Err(ApiError::validation("EvaluationInterval needs EvaluationCriteria")),
        (None, Some(_)) => {
            Err(ApiError::validation("EvaluationInterval is required with EvaluationCriteria"))
        }
    }
}

/// Alarms on metrics say how they compare, and over how many periods.
fn needs_comparison(alarm: &MetricAlarm) -> Verdict {
    let metrics = alarm.evaluation_criteria.is_none();
    ensure(!metrics || alarm.comparison_operator.is_some(), || "ComparisonOperator is required".to_owned())?;
    ensure(!metrics || alarm.evaluation_periods.is_some(), || "EvaluationPeriods is required".to_owned())
}

fn compares_with_band(alarm: &MetricAlarm) -> bool {
    let operators =
        ["LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold"];
    alarm.comparison_operator.as_deref().is_some_and(|operator| operators.contains(&operator))
}

/// Threshold: "required for alarms based on static thresholds, but should not be used for" band alarms.
fn threshold(alarm: &MetricAlarm) -> Verdict {
    if alarm.evaluation_criteria.is_some() {
        return Ok(());
    }
    match (compares_with_band(alarm), alarm.threshold.is_some(), alarm.threshold_metric_id.is_some()) {
        (false, true, false) | (true, false, true) => Ok(()),
        (false, false, false) => Err(ApiError::validation("Threshold must be specified")),
        (true, _, false) => Err(ApiError::validation("This ComparisonOperator needs a ThresholdMetricId")),
        (false, _, true) => {
            Err(ApiError::validation("ThresholdMetricId needs a ComparisonOperator for bands"))
        }
        (true, true, true) => {
            Err(ApiError::validation("Threshold and ThresholdMetricId can't be specified together"))
        }
    }
}

/// ThresholdMetricId: "make this value match the ID of the ANOMALY_DETECTION_BAND function". Period at least 60 s
/// (Create_Anomaly_Detection_Alarm).
fn band(alarm: &MetricAlarm) -> Verdict {
    let bands: Vec<(&str, Option<Expression>)> = alarm
        .metrics
        .iter()
        .filter_map(|query| Some((query.id.as_str(), Expression::parse(query.expression.as_ref()?).ok()?)))
        .filter(|(_, expression)| expression.functions().contains("ANOMALY_DETECTION_BAND"))
        .map(|(id, expression)| (id, expression.band().is_some().then_some(expression)))
        .collect();
    let Some(threshold) = &alarm.threshold_metric_id else {
        return ensure(bands.is_empty(), || "ANOMALY_DETECTION_BAND needs a ThresholdMetricId".to_owned());
    };
    match bands.as_slice() {
        [(id, Some(_))] if id == threshold => {}
        _ => {
            return Err(ApiError::validation(format!(
                "ThresholdMetricId {threshold} must be the id of the alarm's one query of the form \
                 ANOMALY_DETECTION_BAND(id, width)"
            )));
        }
    }
    ensure(queries::common_period(&alarm.metrics).is_some_and(|period| period >= 60), || {
        "An anomaly detection alarm needs a period of at least 60 seconds".to_owned()
    })
}

/// ReturnData: true for the one watched; for a band alarm for the watched one and the band.
fn returned_data(alarm: &MetricAlarm) -> Verdict {
    if alarm.metrics.is_empty() {
        return Ok(());
    }
    let returned: BTreeSet<&str> =
        alarm.metrics.iter().filter(|query| query.return_data).map(|query| query.id.as_str()).collect();
    let Some(threshold) = &alarm.threshold_metric_id else {
        return ensure(returned.len() == 1, || {
            format!("Exactly one element of the metrics list should return data, not {}", returned.len())
        });
    };
    let band = alarm.metrics.iter().find(|query| query.id == *threshold);
    let watched = band.and_then(|band| Expression::parse(band.expression.as_ref()?).ok());
    let watched = watched.as_ref().and_then(Expression::band).map(|(id, _)| id);
    let expected: BTreeSet<&str> = watched.into_iter().chain([threshold.as_str()]).collect();
    ensure(returned == expected, || {
        format!("Exactly two elements of the metrics list should return data: {expected:?}, not {returned:?}")
    })
}

/// Period: "can't be more than 604,800 seconds", and 86,400 for a period of less than an hour.
fn evaluated_range(alarm: &MetricAlarm) -> Verdict {
    let period = alarm.period.or_else(|| queries::common_period(&alarm.metrics));
    let (Some(period), Some(periods)) = (period, alarm.evaluation_periods) else { return Ok(()) };
    let most = if period < 3_600 { 86_400 } else { 604_800 };
    ensure(period.saturating_mul(periods) <= most, || {
        format!("Metrics cannot be checked across more than {most} seconds (EvaluationPeriods * Period)")
    })
}

/// DatapointsToAlarm is the M of "M out of N".
fn datapoints_to_alarm(alarm: &MetricAlarm) -> Verdict {
    let (Some(m), Some(n)) = (alarm.datapoints_to_alarm, alarm.evaluation_periods) else { return Ok(()) };
    ensure(m <= n, || format!("DatapointsToAlarm {m} must not be more than EvaluationPeriods {n}"))
}

fn missing_data(alarm: &MetricAlarm) -> Verdict {
    one_of(
        alarm.treat_missing_data.as_deref(),
        "TreatMissingData",
        &["breaching", "notBreaching", "ignore", "missing"],
    )
}

/// EvaluateLowSampleCountPercentile: "Used only for alarms based on percentiles."
fn low_sample_count(alarm: &MetricAlarm) -> Verdict {
    let given = alarm.evaluate_low_sample_count_percentile.as_deref();
    one_of(given, "EvaluateLowSampleCountPercentile", &["evaluate", "ignore"])?;
    let percentile = alarm.extended_statistic.as_deref().is_some_and(|statistic| statistic.starts_with('p'));
    ensure(given.is_none() || percentile, || {
        "EvaluateLowSampleCountPercentile needs an ExtendedStatistic that is a percentile".to_owned()
    })
}

fn one_of(given: Option<&str>, name: &str, values: &[&str]) -> Verdict {
    ensure(given.is_none_or(|given| values.contains(&given)), || {
        format!("{name} must be one of {}, not {}", values.join(", "), given.unwrap_or_default())
    })
}

/// EvaluationWindow: "any type of metric alarm except alarms that are based on a PromQL query".
fn evaluation_window(alarm: &MetricAlarm) -> Verdict {
    let Some(window) = &alarm.evaluation_window else { return Ok(()) };
    ensure(alarm.evaluation_criteria.is_none(), || "EvaluationWindow can't be used with PromQL".to_owned())?;
    let zone = window.pointer("/WallClockWindow/Timezone").and_then(serde_json::Value::as_str);
    ensure(zone.is_none_or(|zone| identity::time_zone(zone).is_some()), || {
        format!("{} is not a time zone", zone.unwrap_or_default())
    })
}

/// The statistics that CloudWatch knows (AWS: Statistics-definitions).
pub(crate) fn valid_statistic(statistic: &str) -> Verdict {
    ensure(Statistic::parse(statistic).is_some(), || format!("The value {statistic} is no statistic"))
}
