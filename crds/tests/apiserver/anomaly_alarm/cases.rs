//! What is refused, with what the answer must say, and what is accepted.

/// A good metric and a good condition, so that each case shows one mistake.
pub(super) const CPU: &str = "metric: {cloudWatch: {namespace: AWS/EC2, metricName: CPUUtilization}}";
pub(super) const BAND: &str = "condition: {band: {width: 2}}";
pub(super) const ABOVE: &str = "condition: {threshold: {operator: GreaterThan, value: 80}}";

/// What is wrong, the lines of the spec (CPU, BAND and ABOVE stand for the constants), what the answer must say.
pub(super) const REFUSED: &[(&str, &[&str], &str)] = &[
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
        "cloudWatch.namespace: Required value",
    ),
    (
        "no metric name",
        &["metric: {cloudWatch: {namespace: A}}", "BAND"],
        "cloudWatch.metricName: Required value",
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
        "10s, 20s, 30s or whole minutes",
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
        "must be of type string",
    ),
    (
        "a period in days",
        &["metric: {cloudWatch: {namespace: A, metricName: B, period: 1d}}", "ABOVE"],
        "write a number and a unit",
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
        "ten seconds of an AWS service",
        &["metric: {cloudWatch: {namespace: AWS/EC2, metricName: B, period: 10s}}", "ABOVE"],
        "no more than one value a minute",
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
        "returns: Required value",
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
        "eleven queries",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B}}, {id: b, expression: '1'}, {id: c, expression: '1'}, {id: d, expression: '1'}, {id: e, expression: '1'}, {id: f, expression: '1'}, {id: g, expression: '1'}, {id: h, expression: '1'}, {id: i, expression: '1'}, {id: j, expression: '1'}, {id: k, expression: '1'}], returns: a}}",
            "ABOVE",
        ],
        "must have at most 10 items",
    ),
    // Other metrics.
    (
        "a monitor without a metric",
        &["metric: {networkMonitor: {name: a}}", "BAND"],
        "networkMonitor.metric: Required value",
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
        "a canary's metric that isn't",
        &["metric: {canary: {name: a, metric: Failed}}", "BAND"],
        "\"SuccessPercent\", \"Duration\"",
    ),
    // The condition.
    ("an empty condition", &["CPU", "condition: {}"], "write either band or threshold"),
    (
        "a band and a threshold",
        &["CPU", "condition: {band: {width: 2}, threshold: {operator: GreaterThan, value: 1}}"],
        "write either band or threshold",
    ),
    ("a band without a width", &["CPU", "condition: {band: {width: 0}}"], "the width must be above 0"),
    ("a band that is negative", &["CPU", "condition: {band: {width: -2}}"], "the width must be above 0"),
    (
        "a breach that isn't",
        &["CPU", "condition: {band: {breach: Over}}"],
        "\"Above\", \"Below\", \"Outside\"",
    ),
    (
        "a threshold without a value",
        &["CPU", "condition: {threshold: {operator: GreaterThan}}"],
        "threshold.value: Required value",
    ),
    (
        "a threshold with a band's operator",
        &["CPU", "condition: {threshold: {operator: Outside, value: 1}}"],
        "\"GreaterThan\", \"GreaterThanOrEqual\"",
    ),
    (
        "a range that ends before it begins",
        &[
            "CPU",
            "condition: {band: {training: {excludedTimeRanges: [{start: '2026-01-02T00:00:00Z', end: '2026-01-01T00:00:00Z'}]}}}",
        ],
        "ends before it begins",
    ),
    (
        "a range in words",
        &["CPU", "condition: {band: {training: {excludedTimeRanges: [{start: yesterday, end: today}]}}}"],
        "date-time",
    ),
    (
        "a time zone by its offset",
        &["CPU", "condition: {band: {training: {timezone: '+09:00'}}}"],
        "write its IANA name",
    ),
    (
        "a speed that isn't",
        &["CPU", "condition: {band: {training: {adaptationSpeed: FAST}}}"],
        "\"Fast\", \"Normal\", \"Slow\"",
    ),
    // The evaluation.
    ("no periods", &["CPU", "BAND", "evaluation: {periods: 0}"], "write at least 1 period"),
    (
        "more of fewer",
        &["CPU", "BAND", "evaluation: {periods: 2, datapointsToAlarm: 3}"],
        "at most evaluation.periods",
    ),
    ("no datapoints", &["CPU", "BAND", "evaluation: {datapointsToAlarm: 0}"], "write at least 1 datapoint"),
    ("more than a day", &["CPU", "BAND", "evaluation: {periods: 289}"], "looks back one day at most"),
    (
        "more than a week",
        &[
            "metric: {cloudWatch: {namespace: A, metricName: B, period: 1h}}",
            "BAND",
            "evaluation: {periods: 169}",
        ],
        "looks back one day at most",
    ),
    (
        "missing data as CloudWatch writes it",
        &["CPU", "BAND", "evaluation: {missingData: notBreaching}"],
        "\"NotBreaching\"",
    ),
    // What goes with it.
    ("when without a network", &["CPU", "BAND", "when: {}"], "networkHealth: Required value"),
    (
        "a health that isn't",
        &["CPU", "BAND", "when: {networkHealth: {monitor: a, is: OK}}"],
        "\"Healthy\", \"Degraded\"",
    ),
    ("an action that is a name", &["CPU", "BAND", "actions: {alarm: [on-call]}"], "write an ARN"),
    (
        "an action on a queue",
        &["CPU", "BAND", "actions: {alarm: ['arn:aws:sqs:eu-west-1:123456789012:q']}"],
        "not an action that CloudWatch knows",
    ),
    (
        "six actions",
        &[
            "CPU",
            "BAND",
            "actions: {ok: ['arn:aws:sns:eu-west-1:123456789012:a', 'arn:aws:sns:eu-west-1:123456789012:b', 'arn:aws:sns:eu-west-1:123456789012:c', 'arn:aws:sns:eu-west-1:123456789012:d', 'arn:aws:sns:eu-west-1:123456789012:e', 'arn:aws:sns:eu-west-1:123456789012:f']}",
        ],
        "must have at most 5 items",
    ),
    (
        "Auto Scaling from a band",
        &["CPU", "BAND", "actions: {alarm: ['arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:x']}"],
        "can't start Auto Scaling actions",
    ),
    (
        "a reboot from a composite",
        &[
            "CPU",
            "ABOVE",
            "when: {networkHealth: {monitor: a}}",
            "actions: {alarm: ['arn:aws:automate:eu-west-1:ec2:reboot']}",
        ],
        "becomes a composite alarm",
    ),
    ("an AWS tag", &["CPU", "BAND", "tags: {'aws:a': b}"], "not a tag that AWS takes"),
    ("the operator's tag", &["CPU", "BAND", "tags: {tidewatch.dev/name: b}"], "not a tag that AWS takes"),
    ("a tag in brackets", &["CPU", "BAND", "tags: {a: '{b}'}"], "not a tag that AWS takes"),
    ("a Region by its city", &["CPU", "BAND", "region: tokyo"], "such as ap-northeast-1"),
    ("a role by its name", &["CPU", "BAND", "roleArn: tidewatch"], "not the ARN of a role"),
    (
        "a policy for a role",
        &["CPU", "BAND", "roleArn: 'arn:aws:iam::123456789012:policy/a'"],
        "not the ARN of a role",
    ),
    ("a deletion policy that isn't", &["CPU", "BAND", "deletionPolicy: Orphan"], "\"Delete\", \"Retain\""),
    (
        "a mute without a duration",
        &["CPU", "BAND", "mute: {schedule: 0 2 * * 0}"],
        "mute.duration: Required value",
    ),
    (
        "a mute of six fields",
        &["CPU", "BAND", "mute: {schedule: 0 0 2 * * 0, duration: 1h}"],
        "write five fields",
    ),
    (
        "a mute beyond fifteen days",
        &["CPU", "BAND", "mute: {schedule: 0 2 * * 0, duration: 361h}"],
        "from 1m to 360h",
    ),
    ("a mute of seconds", &["CPU", "BAND", "mute: {schedule: 0 2 * * 0, duration: 90s}"], "whole minutes"),
];

pub(super) const ACCEPTED: &[&[&str]] = &[
    &["CPU", "BAND"],
    &["CPU", "ABOVE", "provider: Embedded"],
    &["CPU", "condition: {band: {}}"],
    &[
        "CPU",
        "condition: {band: {width: 2.5, breach: Above, training: {excludedTimeRanges: [{start: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00+09:00'}], timezone: Asia/Tokyo, periodicSpikes: true, adaptationSpeed: Slow, outlierFiltering: Strict}}}",
    ],
    &[
        "metric: {cloudWatch: {namespace: A, metricName: B, dimensions: {c: d}, statistic: p99.9, period: 10s}}",
        "ABOVE",
        "evaluation: {periods: 5, datapointsToAlarm: 3, missingData: Ignore}",
    ],
    &[
        "metric: {cloudWatch: {namespace: A, metricName: B, statistic: 'TM(10%:90%)', period: 1h}}",
        "BAND",
        "evaluation: {periods: 168}",
    ],
    &["CPU", "BAND", "evaluation: {periods: 288}"],
    &[
        "metric: {expression: {queries: [{id: e, metric: {namespace: A, metricName: B, statistic: Sum}}, {id: r, expression: 100 * e / e, label: ratio}], returns: r, period: 60s}}",
        "BAND",
    ],
    &[
        "metric: {networkMonitor: {name: checkout, metric: RoundTripTime, category: InterAZ, statistic: p90}}",
        "BAND",
        "when: {networkHealth: {monitor: checkout}}",
    ],
    &["metric: {canary: {name: checkout, metric: SuccessPercent}}", "ABOVE"],
    &[
        "alarms: {anyOf: [a, b.c]}",
        "when: {networkHealth: {monitor: checkout, is: Degraded}}",
        "suspend: true",
    ],
    &[
        "CPU",
        "ABOVE",
        "actions: {alarm: ['arn:aws:automate:eu-west-1:ec2:recover', 'arn:aws:sns:eu-west-1:123456789012:a'], ok: ['arn:aws:lambda:eu-west-1:123456789012:function:f']}",
    ],
    &[
        "CPU",
        "BAND",
        "mute: {schedule: 0 2 * * 0, duration: 2h, timezone: Asia/Tokyo}",
        "tags: {team: a b, 'cost:centre': '1'}",
    ],
    &[
        "CPU",
        "BAND",
        "mute: {schedule: 'at(2026-12-24T18:00)', duration: 360h}",
        "region: ap-northeast-1",
        "roleArn: 'arn:aws:iam::123456789012:role/team/alarms'",
        "deletionPolicy: Retain",
        "description: CPU",
    ],
];
