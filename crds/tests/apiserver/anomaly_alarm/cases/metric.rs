//! What is wrong with the metric.

use super::Case;

pub(super) const REFUSED: &[Case] = &[
    ("nothing at all", &[], "write metric with condition, or alarms"),
    ("a metric without a condition", &["CPU"], "metric and condition go together"),
    ("a condition without a metric", &["BAND"], "write metric with condition, or alarms"),
    ("a metric and alarms", &["CPU", "BAND", "alarms: {anyOf: [a]}"], "watches one thing"),
    ("alarms with a condition", &["BAND", "alarms: {anyOf: [a]}"], "metric and condition go together"),
    ("alarms of none", &["alarms: {anyOf: []}"], "name at least one AnomalyAlarm"),
    ("an alarm in capitals", &["alarms: {anyOf: [CheckOut]}"], "not the name of an AnomalyAlarm"),
    ("an alarm of another namespace", &["alarms: {anyOf: [shop/a]}"], "not the name of an AnomalyAlarm"),
    ("an alarm twice", &["alarms: {anyOf: [a, a]}"], "Duplicate value"),
    ("an empty metric", &["metric: {}", "BAND"], "exactly one of cloudWatch, expression"),
    (
        "two metrics",
        &["metric: {cloudWatch: {namespace: A, metricName: B}, canary: {name: a, metric: Duration}}", "BAND"],
        "exactly one of cloudWatch, expression",
    ),
    ("a provider that isn't", &["provider: GCP", "CPU", "BAND"], "\"AWS\", \"Embedded\""),
    (
        "an unknown field",
        &["CPU", "BAND", "treatMissingData: missing"],
        "unknown field \"spec.treatMissingData\"",
    ),
    // The metric.
    (
        "no namespace",
        &["metric: {cloudWatch: {metricName: B}}", "BAND"],
        "cloudWatch.namespace: Required value: namespace of the metric, such as AWS/EC2",
    ),
    (
        "no metric name",
        &["metric: {cloudWatch: {namespace: A}}", "BAND"],
        "cloudWatch.metricName: Required value: name of the metric, such as CPUUtilization",
    ),
    (
        "an empty namespace",
        &["metric: {cloudWatch: {namespace: '', metricName: B}}", "BAND"],
        "should be at least 1 chars",
    ),
    (
        "a namespace after a colon",
        &["metric: {cloudWatch: {namespace: ':A', metricName: B}}", "BAND"],
        "can't begin with a colon",
    ),
    (
        "a dimension after a colon",
        &["metric: {cloudWatch: {namespace: A, metricName: B, dimensions: {':c': d}}}", "BAND"],
        "the name of a dimension",
    ),
    (
        "a dimension without a value",
        &["metric: {cloudWatch: {namespace: A, metricName: B, dimensions: {c: ''}}}", "BAND"],
        "should be at least 1 chars",
    ),
    (
        "dimensions as AWS lists them",
        &["metric: {cloudWatch: {namespace: A, metricName: B, dimensions: [{name: c, value: d}]}}", "BAND"],
        "unknown field \"spec.metric.cloudWatch.dimensions[0].name\"",
    ),
    (
        "a statistic in small letters",
        &["metric: {cloudWatch: {namespace: A, metricName: B, statistic: avg}}", "BAND"],
        "not a statistic",
    ),
    (
        "a percentile above 100",
        &["metric: {cloudWatch: {namespace: A, metricName: B, statistic: p101}}", "BAND"],
        "not a statistic",
    ),
    (
        "a period of 45s",
        &["metric: {cloudWatch: {namespace: A, metricName: B, period: 45s}}", "ABOVE"],
        "45s has no unit, or isn't allowed: write 10s, 20s, 30s or whole minutes",
    ),
    (
        "a period of 90s",
        &["metric: {cloudWatch: {namespace: A, metricName: B, period: 90s}}", "ABOVE"],
        "10s, 20s, 30s or whole minutes",
    ),
    (
        "a period of nothing",
        &["metric: {cloudWatch: {namespace: A, metricName: B, period: 0s}}", "ABOVE"],
        "10s, 20s, 30s or whole minutes",
    ),
    (
        "a period as a number",
        &["metric: {cloudWatch: {namespace: A, metricName: B, period: 300}}", "ABOVE"],
        "300 has no unit, or isn't allowed: write 10s, 20s, 30s or whole minutes up to 168h, such as 60s or 5m",
    ),
    (
        "a period as a number, and a band",
        &["metric: {cloudWatch: {namespace: A, metricName: B, period: 60}}", "BAND"],
        "60 has no unit, or isn't allowed: write 10s",
    ),
    (
        "a mute of a number",
        &["CPU", "BAND", "mute: {schedule: 0 2 * * 0, duration: 2}"],
        "write whole minutes from 1m to 360h, such as 2h",
    ),
    (
        "a threshold in percent",
        &["CPU", "condition: {threshold: {operator: GreaterThan, value: 80%}}"],
        "must be of type number",
    ),
    (
        "a period in days",
        &["metric: {cloudWatch: {namespace: A, metricName: B, period: 1d}}", "ABOVE"],
        "1d has no unit, or isn't allowed: write 10s, 20s, 30s or whole minutes",
    ),
    (
        "a period beyond a week",
        &[
            "metric: {cloudWatch: {namespace: A, metricName: B, period: 169h}}",
            "ABOVE",
            "evaluation: {periods: 1}",
        ],
        "up to 168h",
    ),
    (
        "a band of 30s",
        &["metric: {cloudWatch: {namespace: A, metricName: B, period: 30s}}", "BAND"],
        "a band needs a period of at least 60s",
    ),
    // Expressions.
    ("no queries", &["metric: {expression: {queries: [], returns: a}}", "BAND"], "write at least one query"),
    (
        "an expression that returns nothing",
        &["metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}]}}", "BAND"],
        "returns: Required value: id of the query whose result is watched, such as r",
    ),
    (
        "an expression that returns another",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}], returns: b}}",
            "BAND",
        ],
        "returns names none of the queries",
    ),
    (
        "an expression without a metric",
        &["metric: {expression: {queries: [{id: a, expression: '1 + 1'}], returns: a}}", "BAND"],
        "add a query with a metric",
    ),
    (
        "an id twice",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}, {id: a, expression: '1'}], returns: a}}",
            "BAND",
        ],
        "Duplicate value",
    ),
    (
        "an id in capitals",
        &[
            "metric: {expression: {queries: [{id: A, metric: {namespace: A, metricName: B}}], returns: A}}",
            "BAND",
        ],
        "write a lower-case letter",
    ),
    (
        "the operator's own id",
        &[
            "metric: {expression: {queries: [{id: tidewatch_band, metric: {namespace: A, metricName: B}}], returns: tidewatch_band}}",
            "BAND",
        ],
        "uses this id for the band",
    ),
    (
        "a query of both",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}, expression: '1'}], returns: a}}",
            "BAND",
        ],
        "write either metric or expression",
    ),
    (
        "a query of neither",
        &["metric: {expression: {queries: [{id: a}], returns: a}}", "BAND"],
        "write either metric or expression",
    ),
    (
        "a band in an expression",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}, {id: b, expression: 'ANOMALY_DETECTION_BAND(a, 2)'}], returns: b}}",
            "ABOVE",
        ],
        "without ANOMALY_DETECTION_BAND",
    ),
    (
        "SEARCH",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}, {id: b, expression: \"SEARCH('{AWS/EC2}', 'Sum')\"}], returns: b}}",
            "ABOVE",
        ],
        "name each metric in a query of its own",
    ),
    (
        "METRICS",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}, {id: b, expression: 'SUM(METRICS())'}], returns: b}}",
            "ABOVE",
        ],
        "name each metric in a query of its own",
    ),
    (
        "eleven metrics",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}, {id: b, metric: {namespace: A, metricName: B}}, {id: c, metric: {namespace: A, metricName: B}}, {id: d, metric: {namespace: A, metricName: B}}, {id: e, metric: {namespace: A, metricName: B}}, {id: f, metric: {namespace: A, metricName: B}}, {id: g, metric: {namespace: A, metricName: B}}, {id: h, metric: {namespace: A, metricName: B}}, {id: i, metric: {namespace: A, metricName: B}}, {id: j, metric: {namespace: A, metricName: B}}, {id: k, metric: {namespace: A, metricName: B}}], returns: a}}",
            "ABOVE",
        ],
        "CloudWatch takes 10 metrics in an alarm",
    ),
    (
        "twenty queries",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}, {id: m0, expression: a}, {id: m1, expression: a}, {id: m2, expression: a}, {id: m3, expression: a}, {id: m4, expression: a}, {id: m5, expression: a}, {id: m6, expression: a}, {id: m7, expression: a}, {id: m8, expression: a}, {id: m9, expression: a}, {id: m10, expression: a}, {id: m11, expression: a}, {id: m12, expression: a}, {id: m13, expression: a}, {id: m14, expression: a}, {id: m15, expression: a}, {id: m16, expression: a}, {id: m17, expression: a}, {id: m18, expression: a}], returns: a}}",
            "ABOVE",
        ],
        "must have at most 19 items",
    ),
    (
        "an expression of itself",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}, {id: b, expression: a + b}], returns: b}}",
            "ABOVE",
        ],
        "refers to its own id",
    ),
    (
        "an expression with a bracket too few",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}, {id: b, expression: 'MAX([a, 1)'}], returns: b}}",
            "ABOVE",
        ],
        "write each ( with its ), and each [ with its ]",
    ),
    (
        "series of which none comes first",
        &[
            "metric: {expression: {queries: [{id: q, expression: 'SELECT AVG(CPUUtilization) FROM \"AWS/EC2\" GROUP BY InstanceId'}], returns: q}}",
            "ABOVE",
        ],
        "needs ORDER BY",
    ),
    (
        "a band of several series",
        &[
            "metric: {expression: {queries: [{id: q, expression: 'SELECT AVG(CPUUtilization) FROM \"AWS/EC2\" GROUP BY InstanceId ORDER BY AVG() DESC'}], returns: q}}",
            "BAND",
        ],
        "GROUP BY gives several",
    ),
    (
        "a band of an expression of two hours",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}], returns: a, period: 2h}}",
            "BAND",
        ],
        "a band of an expression needs a period of at most 1h",
    ),
    // What CloudWatch takes in ASCII only.
    (
        "a metric name in Japanese",
        &["metric: {cloudWatch: {namespace: A, metricName: 応答時間}}", "BAND"],
        "not the name of a CloudWatch metric",
    ),
    (
        "a metric name in Japanese in a query",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: 応答時間}}], returns: a}}",
            "BAND",
        ],
        "not the name of a CloudWatch metric",
    ),
    (
        "a namespace in German",
        &["metric: {cloudWatch: {namespace: Größe, metricName: B}}", "BAND"],
        "not a CloudWatch namespace",
    ),
    (
        "a namespace of a space",
        &["metric: {cloudWatch: {namespace: ' ', metricName: B}}", "BAND"],
        "not a CloudWatch namespace",
    ),
    (
        "a dimension's value in German",
        &["metric: {cloudWatch: {namespace: A, metricName: B, dimensions: {c: Größe}}}", "BAND"],
        "the value of a dimension has ASCII characters",
    ),
    (
        "a dimension's name in German",
        &["metric: {cloudWatch: {namespace: A, metricName: B, dimensions: {Größe: d}}}", "BAND"],
        "the name of a dimension",
    ),
    // Other metrics.
    (
        "a monitor without a metric",
        &["metric: {networkMonitor: {name: a}}", "BAND"],
        "networkMonitor.metric: Required value: which of its metrics, such as RoundTripTime",
    ),
    (
        "a network metric that isn't",
        &["metric: {networkMonitor: {name: a, metric: Jitter}}", "BAND"],
        "\"RoundTripTime\", \"Retransmissions\"",
    ),
    (
        "a monitor of another namespace",
        &["metric: {networkMonitor: {name: b/a, metric: Timeouts}}", "BAND"],
        "not the name of a NetworkMonitor",
    ),
    (
        "a network metric each 30s",
        &["metric: {networkMonitor: {name: a, metric: Timeouts, period: 30s}}", "ABOVE"],
        "whole minutes up to 24h",
    ),
    (
        "a category that isn't",
        &["metric: {networkMonitor: {name: a, metric: Timeouts, category: INTER_AZ}}", "BAND"],
        "\"InterAZ\"",
    ),
    (
        "a category of the indicator",
        &["metric: {networkMonitor: {name: a, metric: HealthIndicator, category: InterAZ}}", "BAND"],
        "HealthIndicator has no categories",
    ),
    (
        "a canary's metric that isn't",
        &["metric: {canary: {name: a, metric: Failed}}", "BAND"],
        "\"SuccessPercent\", \"Duration\"",
    ),
];
