//! The series that an alarm watches, from the ways to write it.

use std::collections::BTreeSet;

use tidewatch_crds::anomaly_alarm::{
    CanaryMetric, CanaryMetricName, CloudWatchMetric, ExpressionMetric, NetworkMonitorMetric,
    NetworkMonitorMetricName,
};
use tidewatch_crds::parse_duration;

use super::facts::Published;
use super::reason::Problem;
use crate::aws::types::{Metric, Query, Source};
use crate::controllers::in_aws::Shared;
use crate::controllers::network_monitor::published;

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Series {
    One {
        metric: Metric,
        statistic: String,
        period_seconds: i32,
    },
    /// Sorted by id; the watched one returns data.
    Math(Vec<Query>),
}

impl Series {
    pub(super) fn into_queries(self) -> Vec<Query> {
        match self {
            Self::Math(queries) => queries,
            Self::One { metric, statistic, period_seconds } => vec![Query {
                id: "m1".to_owned(),
                source: Source::Metric { metric, statistic, period_seconds },
                label: None,
                return_data: true,
            }],
        }
    }
}

pub(super) fn cloud_watch(metric: &CloudWatchMetric) -> Result<Series, Problem> {
    Ok(Series::One {
        metric: Metric {
            namespace: metric.namespace.clone(),
            name: metric.metric_name.clone(),
            dimensions: metric.dimensions.clone(),
        },
        statistic: metric.statistic.clone(),
        period_seconds: seconds(&metric.period)?,
    })
}

pub(super) fn expression(math: &ExpressionMetric) -> Result<Series, Problem> {
    let period_seconds = seconds(&math.period)?;
    let ids: BTreeSet<&str> = math.queries.iter().map(|query| query.id.as_str()).collect();
    let mut queries = Vec::new();
    for query in &math.queries {
        let source = match (&query.metric, &query.expression) {
            (Some(metric), None) => Source::Metric {
                metric: Metric {
                    namespace: metric.namespace.clone(),
                    name: metric.metric_name.clone(),
                    dimensions: metric.dimensions.clone(),
                },
                statistic: metric.statistic.clone(),
                period_seconds,
            },
            (None, Some(expression)) => {
                if let Some(unknown) = unknown_id(expression, &ids) {
                    return Err(invalid(format!(
                        "spec.metric.expression: query {} uses {unknown}, which no query is called: the ids are {}",
                        query.id,
                        ids.iter().copied().collect::<Vec<_>>().join(", ")
                    )));
                }
                // A query of Metrics Insights has no metric to take the period from.
                let insights = is_insights(expression);
                Source::Expression {
                    expression: expression.clone(),
                    period_seconds: insights.then_some(period_seconds),
                }
            }
            _ => return Err(invalid(format!("query {}: write either metric or expression", query.id))),
        };
        queries.push(Query {
            id: query.id.clone(),
            source,
            label: query.label.clone(),
            return_data: query.id == math.returns,
        });
    }
    queries.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Series::Math(queries))
}

pub(super) fn network(
    network: &NetworkMonitorMetric,
    published: &Published,
    cluster_name: &str,
    namespace: &str,
) -> Result<Series, Problem> {
    let health = network.metric == NetworkMonitorMetricName::HealthIndicator;
    if health && network.category.is_some() {
        return Err(invalid(
            "spec.metric.networkMonitor: HealthIndicator has no categories: remove category",
        ));
    }
    let statistic = network.statistic.clone().unwrap_or_else(|| {
        match network.metric {
            NetworkMonitorMetricName::RoundTripTime => "p99",
            NetworkMonitorMetricName::HealthIndicator => "Maximum",
            _ => "Sum",
        }
        .to_owned()
    });
    Ok(Series::One {
        metric: Metric {
            namespace: published.namespace.clone(),
            name: published::metric_name(network.metric).to_owned(),
            dimensions: published::dimensions(cluster_name, namespace, &network.name, network.category),
        },
        statistic,
        period_seconds: seconds(&network.period)?,
    })
}

/// The metric that CloudWatch Synthetics keeps for the canary that is called `canary` there.
pub(super) fn canary(metric: &CanaryMetric, canary: &str) -> Result<Series, Problem> {
    let name = match metric.metric {
        CanaryMetricName::SuccessPercent => "SuccessPercent",
        CanaryMetricName::Duration => "Duration",
    };
    Ok(Series::One {
        metric: Metric {
            namespace: "CloudWatchSynthetics".to_owned(),
            name: name.to_owned(),
            dimensions: [("CanaryName".to_owned(), canary.to_owned())].into(),
        },
        // What its page of metrics shows (CloudWatch_Synthetics_Canaries_metrics).
        statistic: "Average".to_owned(),
        period_seconds: seconds(&metric.period)?,
    })
}

fn seconds(period: &str) -> Result<i32, Problem> {
    let duration = parse_duration(period).map_err(|error| invalid(format!("period: {error}")))?;
    i32::try_from(duration.as_secs()).map_err(|_| invalid("period: it is too long"))
}

fn is_insights(expression: &str) -> bool {
    expression.trim_start().get(..7).is_some_and(|start| start.eq_ignore_ascii_case("select "))
}

/// The first name in `expression` that isn't an id: ids begin with a small letter, functions with a capital, and text in
/// quotes is neither.
fn unknown_id<'a>(expression: &'a str, ids: &BTreeSet<&str>) -> Option<&'a str> {
    if is_insights(expression) {
        return None;
    }
    let mut quote = None;
    let mut begun: Option<usize> = None;
    let end = expression.len();
    for (at, c) in expression.char_indices().chain([(end, ' ')]) {
        if let Some(open) = quote {
            if c == open {
                quote = None;
            }
            continue;
        }
        if c.is_ascii_alphanumeric() || c == '_' || c == '.' {
            begun = begun.or(Some(at));
            continue;
        }
        if let Some(word) = begun.take().and_then(|begun| expression.get(begun..at))
            && word.starts_with(|c: char| c.is_ascii_lowercase())
            && !ids.contains(word)
        {
            return Some(word);
        }
        if c == '"' || c == '\'' {
            quote = Some(c);
        }
    }
    None
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(Shared::InvalidSpec, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_with_a_name_that_isnt_there_is_found() {
        let ids = BTreeSet::from(["errors", "m1", "requests"]);
        for good in [
            "100 * errors / requests",
            "IF(m1 > 1e3, 1, 0)",
            "FILL(m1, 0)",
            "SUM([m1, errors])",
            "RATE(m1) * 2.5",
            "SLICE(m1, 'hour')",
            "SELECT AVG(CPUUtilization) FROM SCHEMA(\"AWS/EC2\", InstanceId) where x = 'y'",
        ] {
            assert_eq!(unknown_id(good, &ids), None, "{good}");
        }
        for (bad, name) in [("errors / request", "request"), ("m2", "m2"), ("FILL(m1, m3)", "m3")] {
            assert_eq!(unknown_id(bad, &ids), Some(name), "{bad}");
        }
    }
}
