//! What is accepted.

pub(in crate::anomaly_alarm) const ACCEPTED: &[&[&str]] = &[
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
        "metric: {cloudWatch: {namespace: AWS/EC2, metricName: B, dimensions: {InstanceId: i-1}}}",
        "ABOVE",
        "actions: {alarm: ['arn:aws:automate:eu-west-1:ec2:recover', 'arn:aws:sns:eu-west-1:123456789012:a'], ok: ['arn:aws:lambda:eu-west-1:123456789012:function:f']}",
    ],
    &[
        "CPU",
        "BAND",
        "mute: {schedule: 0 2 * * 0, duration: 2h, timezone: Asia/Tokyo}",
        "tags: {team: a b, 'cost:centre': '1', 部署: 決済, größe: é}",
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
    // Each form of an action.
    &[
        "CPU",
        "ABOVE",
        "actions: {alarm: ['arn:aws:sns:eu-west-1:123456789012:a.fifo', 'arn:aws:lambda:us-gov-west-1:123456789012:function:f:live', 'arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1-2:autoScalingGroupName/a:policyName/scale out', 'arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1-2:resource/ecs/service/a/b:policyName/c'], ok: ['arn:aws-cn:ssm:cn-north-1:123456789012:opsitem:2#CATEGORY=Cost', 'arn:aws:ssm-incidents::123456789012:responseplan/a', 'arn:aws:aiops:eu-west-1:123456789012:investigation-group:Abc1', 'arn:aws:aiops:eu-west-1:123456789012:investigation-group/Abc1#DEDUPE_STRING=checkout/latency']}",
    ],
    // AWS has metrics of ten seconds too, and takes the period of any.
    &[
        "metric: {cloudWatch: {namespace: AWS/SageMaker, metricName: ConcurrentRequestsPerModel, period: 10s}}",
        "ABOVE",
    ],
    &["CPU", "ABOVE", "region: eusc-de-east-1"],
    // What reads its data itself, without a query with a metric.
    &[
        "metric: {expression: {queries: [{id: q, expression: \"INSIGHT_RULE_METRIC('rule', 'MaxContributorValue')\"}], returns: q}}",
        "ABOVE",
    ],
    &[
        "metric: {expression: {queries: [{id: q, expression: \"DB_PERF_INSIGHTS('RDS', 'db-1', 'os.cpuUtilization.user.avg')\"}], returns: q}}",
        "ABOVE",
    ],
    &[
        "metric: {expression: {queries: [{id: q, expression: \"SELECT\\n AVG(CPUUtilization)\\nFROM 'AWS/EC2'\"}], returns: q}}",
        "BAND",
    ],
    &[
        "metric: {expression: {queries: [{id: q, expression: 'SELECT MAX(mem_used_percent) FROM \"CWAgent\" GROUP BY InstanceId ORDER BY MAX() DESC'}], returns: q}}",
        "ABOVE",
    ],
    &[
        "metric: {expression: {queries: [{id: m0, metric: {namespace: A, metricName: B}}, {id: m1, metric: {namespace: A, metricName: B}}, {id: m2, metric: {namespace: A, metricName: B}}, {id: m3, metric: {namespace: A, metricName: B}}, {id: m4, metric: {namespace: A, metricName: B}}, {id: m5, metric: {namespace: A, metricName: B}}, {id: m6, metric: {namespace: A, metricName: B}}, {id: m7, metric: {namespace: A, metricName: B}}, {id: m8, metric: {namespace: A, metricName: B}}, {id: m9, metric: {namespace: A, metricName: B}}, {id: r, expression: \"SUM([m1, m2]) + SLICE(m3, 'r)')\"}], returns: r}}",
        "ABOVE",
    ],
    &["CPU", "BAND", "mute: {schedule: '0,30 1-5,23 * jan-MAR Mon', duration: 2h}"],
    &[
        "CPU",
        "BAND",
        "mute: {schedule: 'at(2028-02-29T00:00)', duration: 2h, timezone: America/Argentina/Buenos_Aires}",
    ],
];
