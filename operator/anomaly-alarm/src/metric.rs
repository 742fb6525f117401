//! The series that an alarm watches, from the ways to write it.

use tidewatch_aws::published;
use tidewatch_aws::types::{Metric, Query, Source};
use tidewatch_crds::anomaly_alarm::{
    CanaryMetric, CanaryMetricName, CloudWatchMetric, ExpressionMetric, NetworkMonitorMetric,
    NetworkMonitorMetricName,
};
use tidewatch_crds::parse_duration;
use tidewatch_managed::Shared;

use super::expression::reads_data_itself;
use super::facts::Published;
use super::reason::Problem;

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
                let period_seconds = reads_data_itself(expression).then_some(period_seconds);
                Source::Expression { expression: expression.clone(), period_seconds }
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

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(Shared::InvalidSpec, message)
}
