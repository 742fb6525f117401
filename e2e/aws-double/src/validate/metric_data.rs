//! Rules of PutMetricData that its model doesn't state (AWS: API_PutMetricData, API_MetricDatum).

use jiff::{SignedDuration, Timestamp};

use super::{Verdict, identity};
use crate::error::ApiError;
use crate::operations::metric_data::{MetricDatum, PutMetricData};

/// "no more than 1000 different metrics"
const MOST: usize = 1_000;
/// "up to 150 unique values"
const MOST_VALUES: usize = 150;
const OLDEST: SignedDuration = SignedDuration::from_hours(14 * 24);
const NEWEST: SignedDuration = SignedDuration::from_hours(2);

pub(crate) fn check(input: &PutMetricData, now: Timestamp) -> Verdict {
    if input.namespace.starts_with("AWS/") {
        return Err(ApiError::invalid_value(
            "The value AWS/ for parameter Namespace is invalid: it is reserved",
        ));
    }
    if input.data().next().is_none() {
        return Err(ApiError::missing("The parameter MetricData is required."));
    }
    let count = input.data().count();
    if count > MOST {
        return Err(ApiError::invalid_value(format!(
            "{count} metrics are more than the {MOST} of one request"
        )));
    }
    for (index, datum) in input.data().enumerate() {
        let at = format!("MetricData.member.{}", index + 1);
        one_kind_of_value(datum, &at)?;
        values(datum, &at)?;
        numbers(datum, &at)?;
        timestamp(datum, &at, now)?;
        identity::metric(Some(&input.namespace), Some(&datum.metric_name), &datum.dimensions)
            .map_err(|error| ApiError::invalid_value(error.message))?;
        if datum.storage_resolution.is_some_and(|seconds| seconds != 1 && seconds != 60) {
            return Err(invalid(&at, "StorageResolution", "it is 1 or 60"));
        }
    }
    Ok(())
}

fn invalid(at: &str, member: &str, why: &str) -> ApiError {
    ApiError::invalid_value(format!("The value for parameter {at}.{member} is invalid: {why}"))
}

/// Value, Values and StatisticValues exclude each other, and one is needed.
fn one_kind_of_value(datum: &MetricDatum, at: &str) -> Verdict {
    let given = [datum.value.is_some(), !datum.values.is_empty(), datum.statistic_values.is_some()];
    match given.iter().filter(|given| **given).count() {
        1 => Ok(()),
        0 => Err(ApiError::missing(format!("{at} needs one of Value, Values and StatisticValues"))),
        _ => {
            Err(ApiError::combination(format!("{at} has more than one of Value, Values and StatisticValues")))
        }
    }
}

/// "If you include a Counts array, it must include the same amount of values as the Values array."
fn values(datum: &MetricDatum, at: &str) -> Verdict {
    if datum.values.len() > MOST_VALUES {
        return Err(invalid(at, "Values", "it has more than 150 values"));
    }
    if !datum.counts.is_empty() && datum.counts.len() != datum.values.len() {
        return Err(ApiError::combination(format!(
            "{at} has {} Counts for {} Values",
            datum.counts.len(),
            datum.values.len()
        )));
    }
    Ok(())
}

/// "Values must be in the range of -2^360 to 2^360."
fn numbers(datum: &MetricDatum, at: &str) -> Verdict {
    let set = datum.statistic_values.iter().flat_map(|set| [set.sum, set.minimum, set.maximum]);
    let limit = 2_f64.powi(360);
    if datum.value.iter().chain(&datum.values).copied().chain(set).any(|value| value.abs() > limit) {
        return Err(invalid(at, "Value", "it is not within -2^360 to 2^360"));
    }
    let counts =
        datum.statistic_values.iter().map(|set| set.sample_count).chain(datum.counts.iter().copied());
    if counts.into_iter().any(|count| count < 0.0) {
        return Err(invalid(at, "Counts", "a count is not negative"));
    }
    if datum.statistic_values.as_ref().is_some_and(|set| set.minimum > set.maximum) {
        return Err(invalid(at, "StatisticValues", "Minimum is more than Maximum"));
    }
    Ok(())
}

/// "as much as two weeks before the current date, and as much as 2 hours after"
fn timestamp(datum: &MetricDatum, at: &str, now: Timestamp) -> Verdict {
    let Some(timestamp) = datum.timestamp else { return Ok(()) };
    let age = now.duration_since(timestamp);
    if age > OLDEST || age < -NEWEST {
        return Err(invalid(at, "Timestamp", "it is more than two weeks ago or two hours ahead"));
    }
    Ok(())
}
