//! What is wrong with the condition, the evaluation, and what goes with them.

use super::Case;

pub(super) const REFUSED: &[Case] = &[
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
        "threshold.value: Required value: the limit, a number in the metric's own unit, such as 80",
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
        "a time zone of another planet",
        &["CPU", "condition: {band: {training: {timezone: Mars/Olympus}}}"],
        "unknown time zone Mars/Olympus",
    ),
    (
        "a time zone in small letters",
        &["CPU", "condition: {band: {training: {timezone: asia/tokyo}}}"],
        "such as Asia/Tokyo",
    ),
    (
        "the time zone of whoever reads it",
        &["CPU", "condition: {band: {training: {timezone: Local}}}"],
        "not a time zone",
    ),
    (
        "a range without an end",
        &["CPU", "condition: {band: {training: {excludedTimeRanges: [{start: '2026-01-02T00:00:00Z'}]}}}"],
        "excludedTimeRanges[0].end: Required value: when it ends, such as 2026-11-28T00:00:00Z",
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
    (
        "when without a network",
        &["CPU", "BAND", "when: {}"],
        "networkHealth: Required value: the health of a network",
    ),
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
        "an action without an account",
        &[
            "CPU",
            "BAND",
            "actions: {alarm: ['arn:aws:sns:eu-west-1:123456789012:a', 'arn:aws:sns:eu-west-1::q']}",
        ],
        "spec.actions.alarm[1]: Invalid value",
    ),
    (
        "an action of an account of four digits",
        &["CPU", "BAND", "actions: {ok: ['arn:aws:sns:eu-west-1:1234:q']}"],
        "an account of twelve digits and no blanks",
    ),
    (
        "an action with a blank",
        &["CPU", "BAND", "actions: {insufficientData: ['arn:aws:sns:eu-west-1:123456789012:on call']}"],
        "an account of twelve digits and no blanks",
    ),
    (
        "an action without a Region",
        &["CPU", "BAND", "actions: {alarm: ['arn:aws:lambda::123456789012:function:f']}"],
        "write it in full, with its Region",
    ),
    (
        "what EC2 doesn't do",
        &[
            "metric: {cloudWatch: {namespace: A, metricName: B, dimensions: {InstanceId: i-1}}}",
            "ABOVE",
            "actions: {alarm: ['arn:aws:automate:eu-west-1:ec2:start']}",
        ],
        "not the ARN of an action",
    ),
    (
        "an action of contacts",
        &["CPU", "BAND", "actions: {alarm: ['arn:aws:ssm-contacts:eu-west-1:123456789012:contact/a']}"],
        "not an action that CloudWatch knows",
    ),
    (
        "a reboot of no instance",
        &["CPU", "ABOVE", "actions: {alarm: ['arn:aws:automate:eu-west-1:ec2:reboot']}"],
        "dimensions: {InstanceId: i-0123456789abcdef0}",
    ),
    (
        "a reboot of an expression",
        &[
            "metric: {expression: {queries: [{id: a, metric: {namespace: A, metricName: B, dimensions: {InstanceId: i-1}}}], returns: a}}",
            "ABOVE",
            "actions: {alarm: ['arn:aws:swf:eu-west-1:123456789012:action/actions/AWS_EC2.InstanceId.Reboot/1.0']}",
        ],
        "an EC2 action is done to the instance",
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
    ("an AWS tag in capitals", &["CPU", "BAND", "tags: {'AWS:a': b}"], "not a tag that AWS takes"),
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
        "mute.duration: Required value: how long it lasts, such as 2h",
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
    (
        "a mute each five minutes",
        &["CPU", "BAND", "mute: {schedule: '*/5 2 * * *', duration: 1h}"],
        "it knows no / ? or #",
    ),
    (
        "a mute of any day",
        &["CPU", "BAND", "mute: {schedule: '0 2 ? * SUN', duration: 1h}"],
        "it knows no / ? or #",
    ),
    (
        "a mute of the first Monday",
        &["CPU", "BAND", "mute: {schedule: '0 2 * * 1#1', duration: 1h}"],
        "it knows no / ? or #",
    ),
    (
        "a mute at minute 61",
        &["CPU", "BAND", "mute: {schedule: '61 2 * * *', duration: 1h}"],
        "write five fields",
    ),
    (
        "a mute at hour 24",
        &["CPU", "BAND", "mute: {schedule: '0 24 * * *', duration: 1h}"],
        "write five fields",
    ),
    ("a mute on day 0", &["CPU", "BAND", "mute: {schedule: 0 2 0 * *, duration: 1h}"], "write five fields"),
    (
        "a mute in month 13",
        &["CPU", "BAND", "mute: {schedule: 0 2 1 13 *, duration: 1h}"],
        "write five fields",
    ),
    (
        "a mute on an eighth day",
        &["CPU", "BAND", "mute: {schedule: 0 2 * * 8, duration: 1h}"],
        "write five fields",
    ),
    (
        "a mute on a Sunday in full",
        &["CPU", "BAND", "mute: {schedule: 0 2 * * SUNDAY, duration: 1h}"],
        "write five fields",
    ),
    (
        "a mute from Friday back to Monday",
        &["CPU", "BAND", "mute: {schedule: 0 2 * * 5-1, duration: 1h}"],
        "a range goes backwards",
    ),
    (
        "a mute on 30 February",
        &["CPU", "BAND", "mute: {schedule: 'at(2026-02-30T18:00)', duration: 1h}"],
        "not a date and time that there is",
    ),
    (
        "a mute on 29 February of no leap year",
        &["CPU", "BAND", "mute: {schedule: 'at(2100-02-29T18:00)', duration: 1h}"],
        "not a date and time that there is",
    ),
    (
        "a mute on 31 April",
        &["CPU", "BAND", "mute: {schedule: 'at(2026-04-31T18:00)', duration: 1h}"],
        "not a date and time that there is",
    ),
    (
        "a mute at 24:00",
        &["CPU", "BAND", "mute: {schedule: 'at(2026-12-24T24:00)', duration: 1h}"],
        "not a date and time that there is",
    ),
    (
        "a mute on a day",
        &["CPU", "BAND", "mute: {schedule: 'at(2026-12-24)', duration: 1h}"],
        "such as at(2026-12-24T18:00)",
    ),
    (
        "a mute in a time zone that isn't",
        &["CPU", "BAND", "mute: {schedule: 0 2 * * 0, duration: 1h, timezone: Mars/Olympus}"],
        "unknown time zone Mars/Olympus",
    ),
    ("an alarm of itself", &["alarms: {anyOf: [a, t]}"], "an alarm can't combine itself"),
];
