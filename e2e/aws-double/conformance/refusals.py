"""Wrong requests, and the code with which AWS documents that it refuses them.

Codes: ValidationError, MissingParameter, InvalidParameterValue and InvalidParameterCombination are those of "Common
Errors" and of each operation's page in the CloudWatch API reference; the others are the operations' own.
"""

import datetime

from operations import BAND, NOW, SINGLE, STATIC, token

VALIDATION = "ValidationError"
VALUE = "InvalidParameterValue"
MISSING = "MissingParameter"
COMBINATION = "InvalidParameterCombination"
NO_TOKEN = "InvalidNextToken"
NOT_FOUND = "ResourceNotFoundException"


def without(base, *names):
    return {name: value for name, value in base.items() if name not in names}


def queries(*changes):
    """The band alarm's queries with members changed; None drops one."""
    changed = [dict(query) for query in BAND["Metrics"]]
    for index, change in changes:
        changed[index].update(change)
        changed[index] = {name: value for name, value in changed[index].items() if value is not None}
    return changed


def stat(**changes):
    return {**BAND["Metrics"][0]["MetricStat"], **changes}


def math(*expressions, period=300):
    metric = {"Id": "m1", "ReturnData": False, "MetricStat": stat(Period=period)}
    return [metric] + [{"Id": f"e{n}", "Expression": text} for n, text in enumerate(expressions)]


SELECT = 'SELECT AVG(CPUUtilization) FROM "AWS/EC2"'


def insights(expression, **changes):
    """A query that reads data without a metric; None drops a member."""
    query = {"Id": "q1", "Expression": expression, "Period": 60, "ReturnData": True, **changes}
    return [{name: value for name, value in query.items() if value is not None}]


def schedule(expression="cron(0 2 * * *)", duration="PT1H", **more):
    return {"Schedule": {"Expression": expression, "Duration": duration, **more}}


STATIC_MATH = dict(AlarmName="a", EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold")
DATUM = {"MetricName": "M", "Value": 1.0}
ARN = "arn:aws:cloudwatch:{region}:123456789012:alarm:"

METRIC_ALARM = [
    (without(STATIC, "AlarmName"), "no name"),
    ({**STATIC, "AlarmName": ""}, "empty name"),
    ({**STATIC, "AlarmName": "n" * 256}, "name too long"),
    ({**STATIC, "AlarmName": "a\tb"}, "control character in the name"),
    ({**STATIC, "AlarmDescription": "d" * 1025}, "description too long"),
    ({**STATIC, "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:t"] * 6}, "six actions"),
    ({**STATIC, "AlarmActions": ["https://example.com"]}, "an action that is no ARN"),
    ({**STATIC, "AlarmActions": ["arn:aws:sns:eu-west-1::t"]}, "an action without account"),
    ({**STATIC, "AlarmActions": ["arn:aws:sns:eu-west-1:1234:t"]}, "an action of an account of four digits"),
    ({**STATIC, "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:on call"]}, "an action with a blank"),
    ({**STATIC, "AlarmActions": ["arn:aws:sqs:eu-west-1:123456789012:q"]}, "an action of a service that has none"),
    ({**STATIC, "AlarmActions": ["arn:aws:ssm:eu-west-1:123456789012:opsitem:9"]}, "an item of a severity that isn't"),
    ({**STATIC, "AlarmActions": ["arn:aws:automate:eu-west-1:ec2:stop"]}, "EC2 action without an instance"),
    ({**STATIC, "MetricName": "Größe"}, "metric name outside ASCII"),
    ({**STATIC, "Namespace": "Größe"}, "namespace outside ASCII"),
    ({**STATIC, "Dimensions": [{"Name": "d", "Value": "Größe"}]}, "dimension value outside ASCII"),
    ({**STATIC, "Dimensions": [{"Name": "Größe", "Value": "v"}]}, "dimension name outside ASCII"),
    ({**STATIC, "Dimensions": [{"Name": "d", "Value": " "}]}, "dimension value of a space"),
    ({**STATIC, "Dimensions": [{"Name": f"d{n}", "Value": "v"} for n in range(31)]}, "31 dimensions"),
    ({**STATIC, "Dimensions": [{"Name": "d"}]}, "dimension without value"),
    ({**STATIC, "Dimensions": [{"Name": "d", "Value": "1"}, {"Name": "d", "Value": "2"}]}, "a dimension twice"),
    ({**STATIC, "Period": 0}, "period of zero"),
    ({**STATIC, "Period": 90}, "period that is no multiple of 60"),
    ({**STATIC, "EvaluationPeriods": 0}, "no evaluation periods"),
    ({**STATIC, "Period": 300, "EvaluationPeriods": 289}, "more than a day evaluated"),
    ({**STATIC, "Period": 3600, "EvaluationPeriods": 169}, "more than a week evaluated"),
    ({**STATIC, "DatapointsToAlarm": 4}, "M more than N"),
    ({**STATIC, "Statistic": "Mean"}, "unknown statistic"),
    ({**STATIC, "ExtendedStatistic": "p99"}, "two statistics"),
    (without(STATIC, "Statistic"), "no statistic"),
    ({**without(STATIC, "Statistic"), "ExtendedStatistic": "p101"}, "percentile beyond 100"),
    ({**STATIC, "Unit": "Parsecs"}, "unknown unit"),
    ({**STATIC, "ComparisonOperator": "Above"}, "unknown operator"),
    (without(STATIC, "ComparisonOperator"), "no operator"),
    (without(STATIC, "Threshold"), "no threshold"),
    (without(STATIC, "Period"), "no period"),
    (without(STATIC, "Namespace"), "no namespace"),
    ({**STATIC, "Namespace": ":ns"}, "namespace with a colon in front"),
    (without(STATIC, "MetricName"), "nothing to watch"),
    ({**STATIC, "TreatMissingData": "Missing"}, "unknown treatment of missing data"),
    ({**STATIC, "EvaluateLowSampleCountPercentile": "ignore"}, "low samples without a percentile"),
    ({**STATIC, "EvaluationInterval": 60}, "interval without criteria"),
    ({**STATIC, "WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": 2881}}, "warm-up too long"),
    ({**STATIC, "EvaluationWindow": {"WallClockWindow": {"Timezone": "Mars/Olympus"}}}, "unknown time zone"),
    ({**STATIC, "Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(51)]}, "51 tags"),
    ({**STATIC, "Tags": [{"Key": "aws:x", "Value": "v"}]}, "reserved tag"),
    ({**STATIC, "Tags": [{"Key": "k", "Value": "{v}"}]}, "tag in brackets"),
    ({**STATIC, "Tags": [{"Key": "k", "Value": "v" * 257}]}, "tag value too long"),
    ({**STATIC, "Metrics": BAND["Metrics"]}, "a metric and a list of metrics"),
    ({**BAND, "Period": 60}, "list of metrics with a period of its own"),
    ({**BAND, "Threshold": 1.0}, "band and threshold"),
    (without(BAND, "ThresholdMetricId"), "band without its id"),
    ({**BAND, "ThresholdMetricId": "m1"}, "threshold that is no band"),
    ({**BAND, "ComparisonOperator": "GreaterThanThreshold"}, "band with a plain operator"),
    ({**BAND, "Metrics": queries((0, {"ReturnData": False}))}, "watched metric without data"),
    ({**BAND, "Metrics": queries((0, {"Id": "M1"}))}, "id in capitals"),
    ({**BAND, "Metrics": queries((1, {"Id": "m1"}))}, "an id twice"),
    ({**BAND, "Metrics": queries((0, {"Expression": "t1"}))}, "metric and expression in one query"),
    ({**BAND, "Metrics": queries((0, {"MetricStat": stat(Stat="Mean")}))}, "unknown statistic in a query"),
    ({**BAND, "Metrics": queries((0, {"MetricStat": stat(Period=30)}))}, "band of less than a minute"),
    ({**BAND, "Metrics": queries((1, {"Expression": "ANOMALY_DETECTION_BAND(m2, 2)"}))}, "band of an unknown id"),
    ({**BAND, "AlarmActions": ["arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:x:autoScalingGroupName/a:policyName/b"]}, "band with Auto Scaling"),
    ({**STATIC_MATH, "Metrics": math("m1 +")}, "broken expression"),
    ({**STATIC_MATH, "Metrics": math("TRIPLE(m1)")}, "unknown function"),
    ({**STATIC_MATH, "Metrics": math("m1", "m1")}, "two results"),
    ({**STATIC_MATH, "Metrics": math("e0")}, "expression that refers to itself"),
    ({**STATIC_MATH, "Metrics": [*math("e1"), {"Id": "e1", "Expression": "e0", "ReturnData": False}]}, "expressions in a circle"),
    ({**STATIC_MATH, "Metrics": math("SUM([m1)")}, "brackets that don't match"),
    ({**STATIC_MATH, "Metrics": insights(SELECT, Period=None)}, "Metrics Insights without a period"),
    ({**STATIC_MATH, "Metrics": insights(SELECT + " GROUP BY InstanceId")}, "GROUP BY without ORDER BY"),
    ({**STATIC_MATH, "Metrics": insights("SELECT P99(x) FROM y")}, "unknown function of Metrics Insights"),
    ({**STATIC_MATH, "Metrics": insights("INSIGHT_RULE_METRIC('r', 'Sum')", Period=None)}, "Contributor Insights without a period"),
    ({**STATIC_MATH, "Metrics": math("m1 * 2"), "AlarmActions": ["arn:aws:automate:eu-west-1:ec2:stop"]}, "EC2 action of an expression"),
    ({**STATIC_MATH, "EvaluationCriteria": {"PromQLCriteria": {"Query": "up"}}}, "PromQL with a threshold"),
    ({"AlarmName": "a", "EvaluationCriteria": {"PromQLCriteria": {"Query": "up"}}}, "PromQL without interval"),
]

COMPOSITE_ALARM = [
    ({"AlarmName": "c"}, "no rule"),
    ({"AlarmName": "c", "AlarmRule": ""}, "empty rule"),
    ({"AlarmName": "c", "AlarmRule": "T" * 10241}, "rule too long"),
    ({"AlarmName": "c", "AlarmRule": "ALARM(known"}, "broken rule"),
    ({"AlarmName": "c", "AlarmRule": "FIRING(known)"}, "unknown state"),
    ({"AlarmName": "c", "AlarmRule": "ALARM(unknown)"}, "unknown child"),
    ({"AlarmName": "c", "AlarmRule": "ALARM(arn:aws:cloudwatch:r:1:alarm:known)"}, "child of elsewhere"),
    ({"AlarmName": "c", "AlarmRule": "AT_LEAST(2, ALARM, (known))"}, "at least more than there are"),
    ({"AlarmName": "c", "AlarmRule": " OR ".join(["TRUE"] * 251)}, "more than 500 elements"),
    ({"AlarmName": "c", "AlarmRule": "TRUE", "ActionsSuppressor": "known"}, "suppressor without periods"),
    (
        {
            "AlarmName": "c",
            "AlarmRule": "TRUE",
            "ActionsSuppressor": "unknown",
            "ActionsSuppressorWaitPeriod": 1,
            "ActionsSuppressorExtensionPeriod": 1,
        },
        "unknown suppressor",
    ),
    ({"AlarmName": "c", "AlarmRule": "TRUE", "AlarmActions": ["arn:aws:automate:eu-west-1:ec2:stop"]}, "EC2 action"),
    ({"AlarmName": "known", "AlarmRule": "TRUE"}, "name of a metric alarm"),
]

CLOUDWATCH = (
    [("put_metric_alarm", request, VALIDATION, why) for request, why in METRIC_ALARM]
    + [("put_composite_alarm", request, VALIDATION, why) for request, why in COMPOSITE_ALARM]
    + [
        ("describe_alarms", {"AlarmNames": ["a"], "AlarmNamePrefix": "a"}, VALIDATION, "names and prefix"),
        ("describe_alarms", {"AlarmNames": [f"a{n}" for n in range(101)]}, VALIDATION, "101 names"),
        ("describe_alarms", {"MaxRecords": 101}, VALIDATION, "page too large"),
        ("describe_alarms", {"MaxRecords": 0}, VALIDATION, "page too small"),
        ("describe_alarms", {"AlarmTypes": ["Metric"]}, VALIDATION, "unknown type"),
        ("describe_alarms", {"ChildrenOfAlarmName": "a", "StateValue": "OK"}, VALIDATION, "children and state"),
        ("describe_alarms", {"NextToken": "rubbish"}, NO_TOKEN, "token that was never given"),
        ("describe_alarms_for_metric", {"MetricName": "M"}, VALIDATION, "no namespace"),
        ("delete_alarms", {}, VALIDATION, "no names"),
        ("delete_alarms", {"AlarmNames": ["known"]}, VALIDATION, "child of a composite"),
        ("delete_alarms", {"AlarmNames": ["parent", "other"]}, VALIDATION, "two composites"),
        ("set_alarm_state", {"AlarmName": "known", "StateValue": "OK"}, VALIDATION, "no reason"),
        ("set_alarm_state", {"AlarmName": "x", "StateValue": "OK", "StateReason": "r"}, "ResourceNotFound", "unknown alarm"),
        ("set_alarm_state", {"AlarmName": "known", "StateValue": "Ok", "StateReason": "r"}, VALIDATION, "unknown state"),
        (
            "set_alarm_state",
            {"AlarmName": "known", "StateValue": "OK", "StateReason": "r", "StateReasonData": "{"},
            "InvalidFormat",
            "data that is no JSON",
        ),
        ("enable_alarm_actions", {}, VALIDATION, "no names"),
        ("disable_alarm_actions", {"AlarmNames": [""]}, VALIDATION, "empty name"),
        ("describe_alarm_history", {"HistoryItemType": "Everything"}, VALIDATION, "unknown kind"),
        ("describe_alarm_history", {"NextToken": "x"}, NO_TOKEN, "token that was never given"),
        ("put_anomaly_detector", {}, MISSING, "no metric"),
        ("put_anomaly_detector", {"SingleMetricAnomalyDetector": without(SINGLE, "Stat")}, MISSING, "no statistic"),
        ("put_anomaly_detector", {"SingleMetricAnomalyDetector": {**SINGLE, "Stat": "Mean"}}, VALUE, "unknown statistic"),
        ("put_anomaly_detector", {"SingleMetricAnomalyDetector": SINGLE, **SINGLE}, COMBINATION, "metric twice"),
        (
            "put_anomaly_detector",
            {"SingleMetricAnomalyDetector": SINGLE, "Configuration": {"MetricTimezone": "Mars/Olympus"}},
            VALUE,
            "unknown time zone",
        ),
        (
            "put_anomaly_detector",
            {"SingleMetricAnomalyDetector": SINGLE, "Configuration": {"AdaptationSpeed": "WARP"}},
            VALUE,
            "unknown speed",
        ),
        (
            "put_anomaly_detector",
            {
                "SingleMetricAnomalyDetector": SINGLE,
                "Configuration": {"ExcludedTimeRanges": [{"StartTime": NOW, "EndTime": NOW}] * 11},
            },
            VALUE,
            "11 excluded ranges",
        ),
        (
            "put_anomaly_detector",
            {"SingleMetricAnomalyDetector": SINGLE, "Configuration": {"ExcludedTimeRanges": [{"StartTime": NOW}]}},
            MISSING,
            "range without end",
        ),
        (
            "put_anomaly_detector",
            {"MetricMathAnomalyDetector": {"MetricDataQueries": math("m1", period=7200)}},
            VALUE,
            "expression over more than an hour",
        ),
        (
            "put_anomaly_detector",
            {"MetricMathAnomalyDetector": {"MetricDataQueries": math("SUM(METRICS())")}},
            VALUE,
            "expression with METRICS",
        ),
        ("describe_anomaly_detectors", {"MaxResults": 101}, VALUE, "page too large"),
        ("describe_anomaly_detectors", {"AnomalyDetectorIds": ["x"], "Namespace": "NS"}, COMBINATION, "id and filter"),
        ("describe_anomaly_detectors", {"AnomalyDetectorTypes": ["BOTH"]}, VALUE, "unknown type"),
        ("describe_anomaly_detectors", {"NextToken": "x"}, NO_TOKEN, "token that was never given"),
        ("delete_anomaly_detector", {}, MISSING, "no metric"),
        ("delete_anomaly_detector", {"SingleMetricAnomalyDetector": SINGLE}, NOT_FOUND, "unknown detector"),
        ("delete_anomaly_detector", {"AnomalyDetectorId": "x", **SINGLE}, COMBINATION, "id and metric"),
        ("tag_resource", {"ResourceARN": ARN + "unknown", "Tags": []}, NOT_FOUND, "unknown alarm"),
        ("tag_resource", {"ResourceARN": "alarm", "Tags": []}, VALUE, "no ARN"),
        ("tag_resource", {"ResourceARN": ARN + "known"}, VALUE, "no tags"),
        ("tag_resource", {"ResourceARN": ARN + "known", "Tags": [{"Key": "", "Value": ""}]}, VALUE, "empty key"),
        ("untag_resource", {"ResourceARN": ARN + "unknown", "TagKeys": []}, NOT_FOUND, "unknown alarm"),
        ("list_tags_for_resource", {"ResourceARN": ARN + "unknown"}, NOT_FOUND, "unknown alarm"),
        ("list_tags_for_resource", {}, VALUE, "no ARN"),
        ("put_metric_data", {"MetricData": [DATUM]}, MISSING, "no namespace"),
        ("put_metric_data", {"Namespace": "NS"}, MISSING, "no data"),
        ("put_metric_data", {"Namespace": "AWS/EC2", "MetricData": [DATUM]}, VALUE, "reserved namespace"),
        ("put_metric_data", {"Namespace": "NS", "MetricData": [{"Value": 1.0}]}, MISSING, "no metric name"),
        ("put_metric_data", {"Namespace": "NS", "MetricData": [{"MetricName": "M"}]}, MISSING, "no value"),
        ("put_metric_data", {"Namespace": "NS", "MetricData": [{**DATUM, "Values": [1.0]}]}, COMBINATION, "two kinds of value"),
        ("put_metric_data", {"Namespace": "NS", "MetricData": [{**DATUM, "Value": float("nan")}]}, VALUE, "not a number"),
        ("put_metric_data", {"Namespace": "NS", "MetricData": [{**DATUM, "Value": 2.0**361}]}, VALUE, "value too large"),
        (
            "put_metric_data",
            {"Namespace": "NS", "MetricData": [{"MetricName": "M", "Values": [1.0], "Counts": [1.0, 2.0]}]},
            COMBINATION,
            "counts that don't fit",
        ),
        (
            "put_metric_data",
            {"Namespace": "NS", "MetricData": [{**DATUM, "Timestamp": NOW - datetime.timedelta(days=15)}]},
            VALUE,
            "too old",
        ),
        (
            "put_metric_data",
            {"Namespace": "NS", "MetricData": [{**DATUM, "Timestamp": NOW + datetime.timedelta(hours=3)}]},
            VALUE,
            "too far ahead",
        ),
        ("put_metric_data", {"Namespace": "NS", "MetricData": [DATUM] * 1001}, VALUE, "1001 metrics"),
        ("put_metric_data", {"Namespace": "NS", "MetricData": [{**DATUM, "StorageResolution": 5}]}, VALUE, "odd resolution"),
        ("get_metric_data", {"StartTime": NOW, "EndTime": NOW}, VALIDATION, "no queries"),
        ("get_metric_data", {"MetricDataQueries": math("m1"), "StartTime": NOW, "EndTime": NOW}, VALIDATION, "no time"),
        (
            "get_metric_data",
            {"MetricDataQueries": math("SUM(m1, 2)"), "StartTime": NOW - datetime.timedelta(hours=1), "EndTime": NOW},
            VALIDATION,
            "a function's arguments",
        ),
        ("list_metrics", {"RecentlyActive": "PT4H"}, VALUE, "unknown recency"),
        ("list_metrics", {"Dimensions": [{"Name": f"d{n}"} for n in range(11)]}, VALUE, "11 filters"),
        ("put_alarm_mute_rule", {"Rule": schedule()}, VALIDATION, "no name"),
        ("put_alarm_mute_rule", {"Name": "m"}, VALIDATION, "no rule"),
        ("put_alarm_mute_rule", {"Name": "m", "Rule": schedule("rate(1 day)")}, VALIDATION, "a rate"),
        ("put_alarm_mute_rule", {"Name": "m", "Rule": schedule("cron(0 25 * * *)")}, VALIDATION, "hour 25"),
        ("put_alarm_mute_rule", {"Name": "m", "Rule": schedule("cron(61 2 * * *)")}, VALIDATION, "minute 61"),
        ("put_alarm_mute_rule", {"Name": "m", "Rule": schedule("cron(*/5 2 * * *)")}, VALIDATION, "a step"),
        ("put_alarm_mute_rule", {"Name": "m", "Rule": schedule("cron(0 2 ? * SUN)")}, VALIDATION, "a question mark"),
        ("put_alarm_mute_rule", {"Name": "m", "Rule": schedule("at(2026-02-30T10:00)")}, VALIDATION, "30 February"),
        ("put_alarm_mute_rule", {"Name": "m", "Rule": schedule(duration="PT30S")}, VALIDATION, "too short"),
        ("put_alarm_mute_rule", {"Name": "m", "Rule": schedule(duration="P16D")}, VALIDATION, "too long"),
        ("put_alarm_mute_rule", {"Name": "m", "Rule": schedule(Timezone="Mars/Olympus")}, VALIDATION, "unknown time zone"),
        (
            "put_alarm_mute_rule",
            {"Name": "m", "Rule": schedule(), "MuteTargets": {"AlarmNames": ["unknown"]}},
            VALIDATION,
            "unknown alarm",
        ),
        (
            "put_alarm_mute_rule",
            {"Name": "m", "Rule": schedule(), "StartDate": NOW, "ExpireDate": NOW},
            VALIDATION,
            "expires when it starts",
        ),
        ("get_alarm_mute_rule", {"AlarmMuteRuleName": "unknown"}, NOT_FOUND, "unknown rule"),
        ("list_alarm_mute_rules", {"Statuses": ["MUTED"]}, VALIDATION, "unknown status"),
        ("delete_alarm_mute_rule", {}, VALIDATION, "no name"),
    ]
)

ROLE = {"RoleArn": "arn:aws:iam::123456789012:role/tidewatch", "RoleSessionName": "it"}

STS = [
    ("assume_role", {"RoleSessionName": "it"}, VALIDATION, "no role"),
    ("assume_role", {**ROLE, "RoleArn": "arn:aws:iam::12:role/tidewatch"}, VALIDATION, "account of two digits"),
    ("assume_role", {**ROLE, "RoleSessionName": "a b"}, VALIDATION, "space in the session's name"),
    ("assume_role", {**ROLE, "DurationSeconds": 899}, VALIDATION, "too short"),
    ("assume_role", {**ROLE, "DurationSeconds": 43201}, VALIDATION, "too long"),
    ("assume_role_with_web_identity", ROLE, VALIDATION, "no token"),
    ("assume_role_with_web_identity", {**ROLE, "WebIdentityToken": "rubbish"}, "InvalidIdentityToken", "no JWT"),
    (
        "assume_role_with_web_identity",
        {**ROLE, "WebIdentityToken": token(-1)},
        "ExpiredTokenException",
        "token that has expired",
    ),
]
