//! Rules of the anomaly detector operations that their models don't state (AWS: API_PutAnomalyDetector,
//! API_DeleteAnomalyDetector, using-metric-math).

use super::{Verdict, identity, queries};
use crate::error::ApiError;
use crate::math::Expression;
use crate::operations::detectors::Named;
use crate::state::{Configuration, SingleMetric, Statistic, Subject};

/// The one detector that a request names.
pub(crate) fn subject(named: Named) -> Result<Subject, ApiError> {
    let legacy = named.namespace.is_some()
        || named.metric_name.is_some()
        || named.dimensions.is_some()
        || named.stat.is_some();
    match (legacy, named.single_metric_anomaly_detector, named.metric_math_anomaly_detector) {
        (true, None, None) => complete(SingleMetric {
            account_id: None,
            namespace: named.namespace,
            metric_name: named.metric_name,
            dimensions: named.dimensions.unwrap_or_default(),
            stat: named.stat,
        }),
        (false, Some(metric), None) => complete(metric),
        (false, None, Some(math)) => {
            expression(&math.metric_data_queries)?;
            Ok(Subject::Math(math.metric_data_queries))
        }
        (false, None, None) => Err(ApiError::missing(
            "One of SingleMetricAnomalyDetector and MetricMathAnomalyDetector is required",
        )),
        _ => Err(ApiError::combination(
            "SingleMetricAnomalyDetector, MetricMathAnomalyDetector and the top-level metric can't be combined",
        )),
    }
}

/// AnomalyDetectorId: "If you specify this parameter, you do not need to specify a metric".
pub(crate) fn id_alone(named: &Named) -> Result<Option<String>, ApiError> {
    let others = named.namespace.is_some()
        || named.metric_name.is_some()
        || named.dimensions.is_some()
        || named.stat.is_some()
        || named.single_metric_anomaly_detector.is_some()
        || named.metric_math_anomaly_detector.is_some();
    match &named.anomaly_detector_id {
        Some(_) if others => Err(ApiError::combination("AnomalyDetectorId can't be combined with a metric")),
        id => Ok(id.clone()),
    }
}

/// A single metric has a name, a namespace and a statistic.
fn complete(metric: SingleMetric) -> Result<Subject, ApiError> {
    let parts =
        [(&metric.namespace, "Namespace"), (&metric.metric_name, "MetricName"), (&metric.stat, "Stat")];
    if let Some((_, missing)) = parts.iter().find(|(part, _)| part.is_none()) {
        return Err(ApiError::missing(format!("The parameter {missing} is required.")));
    }
    let stat = metric.stat.as_deref().unwrap_or_default();
    if Statistic::parse(stat).is_none() {
        return Err(ApiError::invalid_value(format!("The value {stat} for parameter Stat is invalid.")));
    }
    identity::metric(metric.namespace.as_deref(), metric.metric_name.as_deref(), &metric.dimensions)
        .map_err(|error| ApiError::invalid_value(error.message))?;
    Ok(Subject::Single(metric))
}

/// An expression: at most ten metrics, one result, a period of at most an hour, no search, no band of its own.
fn expression(list: &[crate::state::MetricDataQuery]) -> Verdict {
    queries::check_computed(list).map_err(|error| ApiError::invalid_value(error.message))?;
    let returned = list.iter().filter(|query| query.return_data).count();
    if returned != 1 {
        return Err(ApiError::invalid_value(format!("Exactly one query must return data, not {returned}")));
    }
    if queries::common_period(list).is_some_and(|period| period > 3_600) {
        return Err(ApiError::invalid_value("The period of a metric math detector is at most 3600 seconds"));
    }
    let expressions = list.iter().filter_map(|query| Expression::parse(query.expression.as_ref()?).ok());
    for expression in expressions {
        for refused in ["SEARCH", "METRICS", "ANOMALY_DETECTION_BAND"] {
            if expression.functions().contains(refused) {
                return Err(ApiError::invalid_value(format!(
                    "{refused} can't be used in a detector's expression"
                )));
            }
        }
    }
    Ok(())
}

/// AnomalyDetectorConfiguration: "as many as 10 time ranges"; a zone of the tz database.
pub(crate) fn configuration(configuration: Option<&Configuration>) -> Verdict {
    let Some(configuration) = configuration else { return Ok(()) };
    let ranges = &configuration.excluded_time_ranges;
    if ranges.len() > 10 {
        return Err(ApiError::invalid_value(format!(
            "{} excluded time ranges are more than 10",
            ranges.len()
        )));
    }
    if let Some(range) = ranges.iter().find(|range| range.start_time >= range.end_time) {
        return Err(ApiError::invalid_value(format!(
            "The excluded time range that starts at {} must end after that",
            range.start_time
        )));
    }
    match &configuration.metric_timezone {
        Some(zone) if identity::time_zone(zone).is_none() => {
            Err(ApiError::invalid_value(format!("The value {zone} for parameter MetricTimezone is invalid.")))
        }
        _ => Ok(()),
    }
}
