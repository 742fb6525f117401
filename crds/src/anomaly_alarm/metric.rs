//! The metric that an alarm watches.

#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::network_monitor::Category;
use crate::rules;

/// The metric, in exactly one way.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.cloudWatch), has(self.expression), has(self.networkMonitor), has(self.canary)].filter(x, x).size() == 1")
    .message("an alarm watches one metric: write exactly one of cloudWatch, expression, networkMonitor or canary"))]
pub struct MetricSpec {
    /// A CloudWatch metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch: Option<CloudWatchMetric>,
    /// CloudWatch metric math.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<ExpressionMetric>,
    /// What a NetworkMonitor of this namespace publishes to CloudWatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_monitor: Option<NetworkMonitorMetric>,
    /// What a Canary of this namespace measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryMetric>,
}

/// A CloudWatch metric.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetric {
    /// Namespace of the metric, such as AWS/EC2.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = rules::metric_namespace())]
    pub namespace: String,
    /// Name of the metric, such as CPUUtilization.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = rules::metric_name())]
    pub metric_name: String,
    /// Dimensions of the metric as a map, such as {InstanceId: i-0123456789abcdef0}; all of them, since CloudWatch takes
    /// another set for another metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "dimensions")]
    #[x_kube(validation = rules::dimension_names())]
    #[x_kube(validation = rules::dimension_values())]
    pub dimensions: BTreeMap<String, String>,
    /// What is made of the values of a period: Average, Sum, Minimum, Maximum, SampleCount, a percentile such as p99, or
    /// a trimmed statistic such as tm90 or TM(10%:90%).
    #[serde(default = "average")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::any_statistic())]
    pub statistic: String,
    /// Length of a period, such as 60s or 5m: minutes, or 10s, 20s or 30s (only metrics published at that resolution have values).
    #[serde(default = "five_minutes")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && (duration(self).getSeconds() in [10, 20, 30] || (duration(self).getSeconds() % 60 == 0 && duration(self) >= duration('60s') && duration(self) <= duration('168h')))").message("write 10s, 20s, 30s or whole minutes up to 168h, such as 60s or 5m"))]
    pub period: String,
}

/// CloudWatch metric math.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.queries) || !has(self.returns) || self.queries.exists(q, q.id == self.returns)")
    .message("returns names none of the queries: write the id of the query whose result is watched"))]
#[x_kube(validation = Rule::new("!has(self.queries) || self.queries.exists(q, has(q.metric) || (has(q.expression) && q.expression.matches('(?i)(^\\\\s*select\\\\s|(insight_rule_metric|db_perf_insights|lambda)\\\\s*[(])')))")
    .message("an expression computes with metrics: add a query with a metric, or write one that reads its own (SELECT …, INSIGHT_RULE_METRIC, DB_PERF_INSIGHTS or LAMBDA)"))]
#[x_kube(validation = Rule::new("!has(self.queries) || self.queries.filter(q, has(q.metric)).size() <= 10")
    .message("CloudWatch takes 10 metrics in an alarm: write fewer queries with a metric, or one query such as SELECT SUM(Errors) FROM \"Shop\""))]
pub struct ExpressionMetric {
    /// Metrics and what is computed of them, such as [{id: e, metric: {namespace: Shop, metricName: Errors}}, {id: r,
    /// expression: RATE(e)}]; at most ten metrics, and 19 queries.
    #[schemars(length(max = 19), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("there is nothing to compute with: write at least one query"))]
    pub queries: Vec<Query>,
    /// Id of the query whose result is watched, such as r.
    #[schemars(length(min = 1, max = 255))]
    pub returns: String,
    /// Length of a period, the same for all queries, such as 60s or 5m: minutes, or 10s, 20s or 30s.
    #[serde(default = "five_minutes")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && (duration(self).getSeconds() in [10, 20, 30] || (duration(self).getSeconds() % 60 == 0 && duration(self) >= duration('60s') && duration(self) <= duration('24h')))").message("write 10s, 20s, 30s or whole minutes up to 24h, such as 60s or 5m"))]
    pub period: String,
}

/// Each is a metric, or what is computed of other queries.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.metric) != has(self.expression)")
    .message("a query is one thing: write either metric or expression"))]
#[x_kube(validation = Rule::new("!has(self.expression) || !self.expression.matches('(?i)anomaly_detection_band')")
    .message("the operator makes the band itself: write the expression without ANOMALY_DETECTION_BAND, and condition: {band: …}"))]
#[x_kube(validation = Rule::new("!has(self.expression) || !self.expression.matches('(?i)(search|metrics) *[(]')")
    .message("SEARCH and METRICS give several series, and an alarm watches one: name each metric in a query of its own"))]
#[x_kube(validation = Rule::new("!has(self.expression) || self.expression.matches('[\\'\"]') || (self.expression.split('(').size() == self.expression.split(')').size() && self.expression.split('[').size() == self.expression.split(']').size())")
    .message("not an expression: a bracket isn't closed, or one too many is; write each ( with its ), and each [ with its ]"))]
#[x_kube(validation = Rule::new("!has(self.expression) || self.expression.matches('[\\'\"]') || self.expression.matches('(?i)^\\\\s*select\\\\s') || !self.id.matches('^[a-z][a-zA-Z0-9_]*$') || !self.expression.matches('(^|[^a-zA-Z0-9_.])' + self.id + '([^a-zA-Z0-9_(]|$)')")
    .message("the expression refers to its own id: write the ids of other queries"))]
#[x_kube(validation = Rule::new("!has(self.expression) || !self.expression.matches('(?is)^\\\\s*select\\\\s.*\\\\sgroup\\\\s+by\\\\s') || self.expression.matches('(?is)\\\\sorder\\\\s+by\\\\s')")
    .message("an alarm on GROUP BY needs ORDER BY, which says which series count: write such as SELECT AVG(CPUUtilization) FROM \"AWS/EC2\" GROUP BY InstanceId ORDER BY AVG() DESC"))]
pub struct Query {
    /// Name of the query in expressions: a lower-case letter, then letters, digits and _.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z][a-zA-Z0-9_]*$')").message("not an id: write a lower-case letter, then letters, digits and _, such as m1"))]
    #[x_kube(validation = Rule::new("self != 'tidewatch_band'").message("the operator uses this id for the band: write another"))]
    pub id: String,
    /// A metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<QueryMetric>,
    /// Metric math over the ids of other queries, such as `100 * errors / requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub expression: Option<String>,
    /// What the series is called in graphs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub label: Option<String>,
}

/// A CloudWatch metric within an expression.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct QueryMetric {
    /// Namespace of the metric, such as AWS/ApplicationELB.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = rules::metric_namespace())]
    pub namespace: String,
    /// Name of the metric, such as HTTPCode_ELB_5XX_Count.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = rules::metric_name())]
    pub metric_name: String,
    /// Dimensions of the metric as a map, such as {LoadBalancer: app/shop/0123456789abcdef}; all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "dimensions")]
    #[x_kube(validation = rules::dimension_names())]
    #[x_kube(validation = rules::dimension_values())]
    pub dimensions: BTreeMap<String, String>,
    /// What is made of the values of a period.
    #[serde(default = "average")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::any_statistic())]
    pub statistic: String,
}

/// What a NetworkMonitor publishes.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.category) || !has(self.metric) || self.metric != 'HealthIndicator'")
    .message("HealthIndicator has no categories: remove category"))]
pub struct NetworkMonitorMetric {
    /// Name of a NetworkMonitor of this namespace with `publish.cloudWatch`, such as checkout.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_of("a NetworkMonitor", "checkout"))]
    pub name: String,
    /// Which of its metrics, such as RoundTripTime.
    pub metric: NetworkMonitorMetricName,
    /// Only the traffic of one category, such as InterAZ. Absent: all of it. HealthIndicator has no categories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// What is made of the values of a period. Absent: p99 of RoundTripTime, the Maximum of HealthIndicator, the Sum of
    /// the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::plain_statistic())]
    pub statistic: Option<String>,
    /// Length of a period, such as 60s or 5m: whole minutes, at least the monitor's window.
    #[serde(default = "one_minute")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && duration(self).getSeconds() % 60 == 0 && duration(self) >= duration('60s') && duration(self) <= duration('24h')").message("write whole minutes up to 24h, such as 60s or 5m"))]
    pub period: String,
}

/// The metrics of a NetworkMonitor, named as Network Flow Monitor names them.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkMonitorMetricName {
    /// Round-trip time, microseconds.
    RoundTripTime,
    /// Segments retransmitted.
    Retransmissions,
    /// Retransmission time-outs.
    Timeouts,
    /// Bytes sent and received.
    DataTransferred,
    /// 0 while the network is healthy, 100 while it is at fault.
    HealthIndicator,
}

/// What a Canary measures.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CanaryMetric {
    /// Name of a Canary of this namespace, such as home.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_of("a Canary", "checkout"))]
    pub name: String,
    /// Which of its metrics, such as SuccessPercent.
    pub metric: CanaryMetricName,
    /// Length of a period, such as 5m: whole minutes, at least the time between runs.
    #[serde(default = "five_minutes")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && duration(self).getSeconds() % 60 == 0 && duration(self) >= duration('60s') && duration(self) <= duration('24h')").message("write whole minutes up to 24h, such as 5m"))]
    pub period: String,
}

/// The metrics of a Canary.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CanaryMetricName {
    /// Successful runs in percent.
    SuccessPercent,
    /// Time that a run took, milliseconds.
    Duration,
}

fn average() -> String {
    "Average".to_owned()
}

fn one_minute() -> String {
    "60s".to_owned()
}

fn five_minutes() -> String {
    "5m".to_owned()
}

fn dimensions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 30,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 1024},
    })
}
