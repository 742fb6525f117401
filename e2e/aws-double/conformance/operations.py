"""Every operation once or more, with what boto3 makes of the answers."""

import base64
import datetime
import json

# Where the double's clock must stand, so that a slow machine sees what a fast one sees.
NOW = datetime.datetime(2026, 11, 23, 2, 0, tzinfo=datetime.timezone.utc)
TOPIC = "arn:aws:sns:eu-west-1:123456789012:topic"

STATIC = dict(
    AlarmName="static",
    AlarmDescription="<too> & \"hot\"",
    Namespace="NS",
    MetricName="M",
    Dimensions=[{"Name": "D", "Value": "V"}],
    Statistic="Average",
    Period=60,
    EvaluationPeriods=3,
    DatapointsToAlarm=2,
    Threshold=80.5,
    ComparisonOperator="GreaterThanThreshold",
    TreatMissingData="notBreaching",
    AlarmActions=[TOPIC],
)

BAND = dict(
    AlarmName="band",
    EvaluationPeriods=3,
    DatapointsToAlarm=2,
    ComparisonOperator="LessThanLowerOrGreaterThanUpperThreshold",
    ThresholdMetricId="t1",
    Metrics=[
        {
            "Id": "m1",
            "ReturnData": True,
            "MetricStat": {
                "Metric": {"Namespace": "NS", "MetricName": "M", "Dimensions": [{"Name": "D", "Value": "V"}]},
                "Period": 300,
                "Stat": "Average",
            },
        },
        {"Id": "t1", "ReturnData": True, "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"},
    ],
)

SINGLE = {"Namespace": "NS", "MetricName": "M", "Dimensions": [{"Name": "D", "Value": "V"}], "Stat": "Average"}


def equal(got, expected):
    assert got == expected, f"got {got!r}, expected {expected!r}"


def alarms(cw):
    cw.put_metric_alarm(**STATIC, Tags=[{"Key": "owner", "Value": "tidewatch"}])
    [alarm] = cw.describe_alarms(AlarmNames=["static", "unknown"])["MetricAlarms"]
    for member, value in STATIC.items():
        equal(alarm[member], value)
    equal(alarm["StateValue"], "INSUFFICIENT_DATA")
    equal(alarm["ActionsEnabled"], True)
    equal(alarm["AlarmConfigurationUpdatedTimestamp"], NOW)
    cw.set_alarm_state(
        AlarmName="static", StateValue="ALARM", StateReason="test", StateReasonData=json.dumps({"why": "test"})
    )
    [alarm] = cw.describe_alarms(StateValue="ALARM", ActionPrefix=TOPIC)["MetricAlarms"]
    equal((alarm["AlarmName"], alarm["StateReason"], alarm["StateReasonData"]), ("static", "test", '{"why": "test"}'))
    equal(cw.describe_alarms(StateValue="OK")["MetricAlarms"], [])
    found = cw.describe_alarms_for_metric(Namespace="NS", MetricName="M", Dimensions=STATIC["Dimensions"])
    equal([alarm["AlarmName"] for alarm in found["MetricAlarms"]], ["static"])
    cw.disable_alarm_actions(AlarmNames=["static"])
    equal(cw.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"], False)
    cw.enable_alarm_actions(AlarmNames=["static"])
    equal(cw.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"], True)
    return alarm["AlarmArn"]


def newer_kinds_of_alarm(cw):
    """PromQL, wall-clock windows, warm-up, percentiles: kept and shown as they were put."""
    criteria = {"PromQLCriteria": {"Query": "sum(up) < 3", "PendingPeriod": 60, "RecoveryPeriod": 120}}
    promql = dict(AlarmName="new-promql", EvaluationCriteria=criteria, EvaluationInterval=60)
    window = {"WallClockWindow": {"Timezone": "Asia/Tokyo"}}
    warm_up = {"WarmUpPeriodDurationInMinutes": 10, "OnlyStartEvaluatingAfterWarmUpPeriodEnds": True}
    propagated = {"AlarmTagsPropagation": {"Enabled": True, "IncludedTagKeys": ["team"]}}
    percentile = {name: value for name, value in STATIC.items() if name != "Statistic"}
    percentile.update(
        AlarmName="new-percentile",
        ExtendedStatistic="p99.9",
        EvaluateLowSampleCountPercentile="ignore",
        EvaluationWindow=window,
        WarmUpConfiguration=warm_up,
        ActionConfiguration=propagated,
    )
    for request, state in [(promql, "OK"), (percentile, "INSUFFICIENT_DATA")]:
        cw.put_metric_alarm(**request)
        [alarm] = cw.describe_alarms(AlarmNames=[request["AlarmName"]])["MetricAlarms"]
        for member, value in request.items():
            equal(alarm[member], value)
        equal(alarm["StateValue"], state)
    cw.delete_alarms(AlarmNames=["new-promql", "new-percentile"])


def tags(cw, arn):
    listed = lambda: {tag["Key"]: tag["Value"] for tag in cw.list_tags_for_resource(ResourceARN=arn)["Tags"]}
    equal(listed(), {"owner": "tidewatch"})
    cw.tag_resource(ResourceARN=arn, Tags=[{"Key": "owner", "Value": "me"}, {"Key": "empty", "Value": ""}])
    equal(listed(), {"owner": "me", "empty": ""})
    cw.untag_resource(ResourceARN=arn, TagKeys=["owner", "unknown"])
    equal(listed(), {"empty": ""})


def composites(cw):
    cw.put_composite_alarm(AlarmName="composite", AlarmRule='ALARM("static") AND NOT OK(static)')
    equal(cw.describe_alarms(AlarmNames=["composite"])["CompositeAlarms"], [])
    [alarm] = cw.describe_alarms(AlarmNames=["composite"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    equal(alarm["StateValue"], "ALARM")
    equal(json.loads(alarm["StateReasonData"])["triggeringAlarms"][0]["state"]["value"], "ALARM")
    [child] = cw.describe_alarms(ChildrenOfAlarmName="composite")["MetricAlarms"]
    equal(child["AlarmName"], "static")


def detectors(cw):
    cw.put_metric_alarm(**BAND)
    [implicit] = cw.describe_anomaly_detectors(Namespace="NS")["AnomalyDetectors"]
    equal(implicit["SingleMetricAnomalyDetector"], SINGLE)
    equal(implicit["StateValue"], "PENDING_TRAINING")
    excluded = {"StartTime": NOW - datetime.timedelta(days=2), "EndTime": NOW - datetime.timedelta(days=1)}
    put = cw.put_anomaly_detector(
        SingleMetricAnomalyDetector=SINGLE,
        Configuration={"ExcludedTimeRanges": [excluded], "MetricTimezone": "Asia/Tokyo", "AdaptationSpeed": "FAST"},
        MetricCharacteristics={"PeriodicSpikes": True},
    )
    equal(put["AnomalyDetectorId"], implicit["AnomalyDetectorId"])
    [detector] = cw.describe_anomaly_detectors(AnomalyDetectorIds=[put["AnomalyDetectorId"]])["AnomalyDetectors"]
    equal(detector["Configuration"]["ExcludedTimeRanges"], [excluded])
    equal(detector["MetricCharacteristics"], {"PeriodicSpikes": True})
    math = {"MetricDataQueries": [dict(BAND["Metrics"][0], ReturnData=False), {"Id": "e1", "Expression": "m1 * 8"}]}
    cw.put_anomaly_detector(MetricMathAnomalyDetector=math)
    [detector] = cw.describe_anomaly_detectors(AnomalyDetectorTypes=["METRIC_MATH"])["AnomalyDetectors"]
    equal(detector["MetricMathAnomalyDetector"]["MetricDataQueries"][1]["Expression"], "m1 * 8")
    cw.delete_anomaly_detector(MetricMathAnomalyDetector=math)
    cw.delete_alarms(AlarmNames=["band"])
    equal(len(cw.describe_anomaly_detectors()["AnomalyDetectors"]), 1)
    cw.delete_anomaly_detector(AnomalyDetectorId=put["AnomalyDetectorId"])
    equal(cw.describe_anomaly_detectors()["AnomalyDetectors"], [])


def metrics(cw):
    start = NOW.replace(second=0) - datetime.timedelta(minutes=30)
    at = lambda minute: start + datetime.timedelta(minutes=minute)
    dimensions = [{"Name": "D", "Value": "V"}]
    common = {"MetricName": "M", "Dimensions": dimensions, "Unit": "Milliseconds"}
    cw.put_metric_data(
        Namespace="NS",
        MetricData=[
            {**common, "Timestamp": at(0), "Value": 1.5},
            {**common, "Timestamp": at(1), "Values": [10.0, 20.0], "Counts": [3.0, 1.0]},
            {**common, "Timestamp": at(3), "StatisticValues": dict(SampleCount=2, Sum=6, Minimum=2, Maximum=4)},
        ],
    )
    # Large enough for boto3 to compress it.
    many = [{"MetricName": f"many-{n}", "Value": float(n), "Timestamp": NOW} for n in range(600)]
    cw.put_metric_data(Namespace="Many", MetricData=many)
    listed = [m for page in cw.get_paginator("list_metrics").paginate(Namespace="Many") for m in page["Metrics"]]
    equal(len(listed), 600)
    [metric] = cw.list_metrics(Namespace="NS", Dimensions=[{"Name": "D"}], RecentlyActive="PT3H")["Metrics"]
    equal(metric, {"Namespace": "NS", "MetricName": "M", "Dimensions": dimensions})

    def stat(name, id):
        metric = {"Namespace": "NS", "MetricName": "M", "Dimensions": dimensions}
        return {"Id": id, "MetricStat": {"Metric": metric, "Period": 60, "Stat": name}}

    asked = dict(
        MetricDataQueries=[
            stat("Average", "avg"),
            stat("p50", "p50"),
            {"Id": "filled", "Expression": "FILL(avg, 0) + MAX(avg)", "Label": "twice"},
        ],
        StartTime=at(0),
        EndTime=at(5),
        ScanBy="TimestampAscending",
    )
    results = {result["Id"]: result for result in cw.get_metric_data(**asked)["MetricDataResults"]}
    equal(results["avg"]["Values"], [1.5, 12.5, 3.0])
    equal(results["avg"]["Timestamps"], [at(0), at(1), at(3)])
    equal(results["p50"]["Values"], [1.5, 10.0])
    equal((results["filled"]["Values"], results["filled"]["Label"]), ([14.0, 25.0, 12.5, 15.5, 12.5], "twice"))
    pages = list(cw.get_paginator("get_metric_data").paginate(**asked, PaginationConfig={"PageSize": 4}))
    equal(sum(len(result["Values"]) for page in pages for result in page["MetricDataResults"]), 10)
    equal(len(pages), 3)


def mute_rules(cw):
    cw.put_alarm_mute_rule(
        Name="nights",
        Description="backups",
        Rule={"Schedule": {"Expression": "cron(0 2 * * *)", "Duration": "PT4H", "Timezone": "Europe/Berlin"}},
        MuteTargets={"AlarmNames": ["static"]},
        StartDate=NOW - datetime.timedelta(days=1),
        ExpireDate=NOW + datetime.timedelta(days=30),
        Tags=[{"Key": "owner", "Value": "tidewatch"}],
    )
    at = (NOW - datetime.timedelta(minutes=5)).strftime("at(%Y-%m-%dT%H:%M)")
    cw.put_alarm_mute_rule(Name="now", Rule={"Schedule": {"Expression": at, "Duration": "PT1H"}})
    rule = cw.get_alarm_mute_rule(AlarmMuteRuleName="nights")
    equal(rule["Rule"]["Schedule"]["Timezone"], "Europe/Berlin")
    equal((rule["MuteTargets"]["AlarmNames"], rule["MuteType"]), (["static"], "RECURRING"))
    equal(rule["ExpireDate"], NOW + datetime.timedelta(days=30))
    equal(cw.list_tags_for_resource(ResourceARN=rule["AlarmMuteRuleArn"])["Tags"][0]["Value"], "tidewatch")
    [active] = [
        rule
        for rule in cw.list_alarm_mute_rules(Statuses=["ACTIVE"])["AlarmMuteRuleSummaries"]
        if rule["AlarmMuteRuleArn"].endswith(":now")
    ]
    equal(active["MuteType"], "ONE_TIME")
    equal(len(cw.list_alarm_mute_rules(AlarmName="static")["AlarmMuteRuleSummaries"]), 1)
    for name in ["nights", "now", "now"]:
        cw.delete_alarm_mute_rule(AlarmMuteRuleName=name)
    equal(cw.list_alarm_mute_rules()["AlarmMuteRuleSummaries"], [])


def pages_and_history(cw):
    for n in range(5):
        cw.put_metric_alarm(**dict(STATIC, AlarmName=f"page-{n}"))
    pages = cw.get_paginator("describe_alarms").paginate(AlarmNamePrefix="page-", PaginationConfig={"PageSize": 2})
    equal([len(page["MetricAlarms"]) for page in pages], [2, 2, 1])
    cw.delete_alarms(AlarmNames=["composite"])
    cw.delete_alarms(AlarmNames=["static", "unknown"] + [f"page-{n}" for n in range(5)])
    equal(cw.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])["MetricAlarms"], [])
    history = cw.describe_alarm_history(AlarmName="static", ScanBy="TimestampAscending")["AlarmHistoryItems"]
    kinds = [item["HistoryItemType"] for item in history]
    equal(kinds, ["ConfigurationUpdate", "StateUpdate", "Action"] + ["ConfigurationUpdate"] * 3)
    for item in history:
        json.loads(item["HistoryData"])
    composite = cw.describe_alarm_history(AlarmTypes=["CompositeAlarm"], HistoryItemType="StateUpdate", MaxRecords=1)
    equal(composite["AlarmHistoryItems"][0]["AlarmName"], "composite")


def sts(client, web_identity_client, assumed):
    me = client.get_caller_identity()
    equal(me["Account"], "123456789012")
    role = client.assume_role(RoleArn="arn:aws:iam::210987654321:role/path/tidewatch", RoleSessionName="it", DurationSeconds=900)
    equal(role["AssumedRoleUser"]["Arn"], "arn:aws:sts::210987654321:assumed-role/tidewatch/it")
    equal(role["Credentials"]["Expiration"], NOW + datetime.timedelta(seconds=900))
    keys = role["Credentials"]
    equal(assumed(keys).get_caller_identity()["Account"], "210987654321")
    web = web_identity_client.assume_role_with_web_identity(
        RoleArn="arn:aws:iam::123456789012:role/irsa", RoleSessionName="pod", WebIdentityToken=token(3600)
    )
    equal(web["SubjectFromWebIdentityToken"], "system:serviceaccount:tidewatch:tidewatch")
    equal((web["Audience"], web["Provider"]), ("sts.amazonaws.com", "https://oidc.example"))


def token(seconds):
    claims = {
        "iss": "https://oidc.example",
        "sub": "system:serviceaccount:tidewatch:tidewatch",
        "aud": ["sts.amazonaws.com"],
        "exp": int(NOW.timestamp()) + seconds,
    }
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2lnbmF0dXJl"


def all_of_cloudwatch(cw):
    newer_kinds_of_alarm(cw)
    tags(cw, alarms(cw))
    composites(cw)
    detectors(cw)
    metrics(cw)
    mute_rules(cw)
    pages_and_history(cw)
