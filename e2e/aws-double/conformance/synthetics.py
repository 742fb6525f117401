"""Every Synthetics operation that the double serves, with what boto3 makes of the answers, and what is refused."""

import base64
import io
import json
import urllib.error
import zipfile

from botocore.exceptions import ClientError

from operations import NOW, equal

REGION = "eu-central-1"
PLACE = {"account": "123456789012", "region": REGION}
ROLE = "arn:aws:iam::123456789012:role/canary"


def package(**files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in files.items():
            writer.writestr(name.replace("__", "."), content)
    return archive.getvalue()


CANARY = dict(
    Name="heartbeat",
    Code={"ZipFile": package(index__js="exports.handler = async () => {};"), "Handler": "index.handler"},
    ArtifactS3Location="s3://artifacts/canaries",
    ExecutionRoleArn=ROLE,
    Schedule={"Expression": "rate(1 minute)", "RetryConfig": {"MaxRetries": 0}},
    RunConfig={"TimeoutInSeconds": 30, "EnvironmentVariables": {"URL": "https://example.com"}},
    RuntimeVersion="syn-nodejs-puppeteer-11.0",
    Tags={"owner": "tidewatch", "hash": "1"},
)
CHECKS = {
    "steps": {
        "1": {
            "stepName": "home",
            "checkerType": "HTTP",
            "url": "https://example.com",
            "httpMethod": "GET",
            "assertions": [{"type": "STATUS_CODE", "operator": "IN_RANGE", "rangeMin": 200, "rangeMax": 299}],
        }
    }
}


class Synthetics:
    """A client, and the double's clock and surroundings."""

    def __init__(self, api, logs, cloudwatch, admin):
        self.api, self.logs, self.cloudwatch, self.admin = api, logs, cloudwatch, admin

    def wait(self, by="PT30S"):
        self.admin("POST", "advance", {"by": by})

    def tell(self, path, **body):
        return self.admin("POST", path, {**PLACE, **body})

    def get(self, name="heartbeat"):
        return self.api.get_canary(Name=name)["Canary"]

    def state(self, name="heartbeat"):
        return self.get(name)["Status"]["State"]

    def provisioned(self):
        [here] = [it for it in self.admin("GET", "provisioned")["regions"] if it["region"] == REGION]
        return here


def created(it):
    canary = it.api.create_canary(**CANARY)["Canary"]
    equal((canary["Status"]["State"], canary["Status"]["StateReasonCode"]), ("CREATING", "CREATE_PENDING"))
    equal(canary["Timeline"]["Created"].replace(microsecond=0) >= NOW, True)
    it.wait()
    canary = it.get()
    equal(canary["Status"]["State"], "READY")
    equal(canary["Tags"], CANARY["Tags"])
    equal(canary["RunConfig"]["TimeoutInSeconds"], 30)
    equal("EnvironmentVariables" in canary["RunConfig"], False)
    equal(canary["EngineArn"].split(":")[6], f"cwsyn-heartbeat-{canary['Id']}")
    equal([found["Name"] for found in it.api.describe_canaries(Names=["heartbeat", "unknown"])["Canaries"]], ["heartbeat"])


def run(it):
    it.api.start_canary(Name="heartbeat")
    equal(it.state(), "STARTING")
    it.wait("PT2M")
    equal(it.state(), "RUNNING")
    it.tell("canary-runs", canary="heartbeat", outcome={"Fail": {"reason": "no answer", "step": "home"}}, times=1)
    it.wait("PT1M")
    it.tell("canary-runs", canary="heartbeat", outcome="TimeOut", times=1)
    it.wait("PT1M")
    runs = it.api.get_canary_runs(Name="heartbeat")["CanaryRuns"]
    equal([found["Status"]["State"] for found in runs], ["FAILED", "FAILED", "PASSED", "PASSED"])
    equal(runs[1]["Status"]["StateReason"], "Step home: no answer")
    first = it.api.get_canary_runs(Name="heartbeat", MaxResults=3)
    rest = it.api.get_canary_runs(Name="heartbeat", NextToken=first["NextToken"])["CanaryRuns"]
    equal([found["Id"] for found in first["CanaryRuns"] + rest], [found["Id"] for found in runs])
    [last] = it.api.describe_canaries_last_run(Names=["heartbeat"])["CanariesLastRun"]
    equal(last["LastRun"]["Id"], runs[0]["Id"])
    metric = {
        "Namespace": "CloudWatchSynthetics",
        "MetricName": "SuccessPercent",
        "Dimensions": [{"Name": "CanaryName", "Value": "heartbeat"}],
    }
    query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}}
    times = dict(StartTime=runs[-1]["Timeline"]["Started"].replace(second=0), EndTime=runs[0]["Timeline"]["Completed"])
    found = it.cloudwatch.get_metric_data(MetricDataQueries=[query], ScanBy="TimestampAscending", **times)
    equal(found["MetricDataResults"][0]["Values"], [100.0, 100.0, 0.0])


def updated(it):
    before = it.get()["Timeline"]
    it.api.update_canary(Name="heartbeat", RunConfig={"EnvironmentVariables": {"OTHER": "x"}, "TimeoutInSeconds": 20})
    equal(it.state(), "UPDATING")
    it.wait()
    after = it.get()
    equal((after["Status"]["State"], after["Status"]["StateReasonCode"]), ("RUNNING", "UPDATE_COMPLETE"))
    equal(after["Timeline"]["LastModified"] > before["LastModified"], True)
    equal(after["RunConfig"]["TimeoutInSeconds"], 20)
    it.tell("canary-update-fails", canary="heartbeat", reason="not today")
    it.api.update_canary(Name="heartbeat", RunConfig={"TimeoutInSeconds": 10})
    it.wait()
    status = it.get()["Status"]
    equal((status["State"], status["StateReasonCode"], status["StateReason"]), ("RUNNING", "ROLLBACK_COMPLETE", "not today"))


def tagged(it, arn):
    it.api.tag_resource(ResourceArn=arn, Tags={"hash": "2", "team/a": "b c"})
    it.api.untag_resource(ResourceArn=arn, TagKeys=["owner", "unknown"])
    equal(it.api.list_tags_for_resource(ResourceArn=arn)["Tags"], {"hash": "2", "team/a": "b c"})
    equal(it.get()["Tags"], {"hash": "2", "team/a": "b c"})


def dry_run(it):
    id = it.api.start_canary_dry_run(Name="heartbeat", RunConfig={"TimeoutInSeconds": 15})["DryRunConfig"]["DryRunId"]
    it.wait()
    trial = it.api.get_canary(Name="heartbeat", DryRunId=id)["Canary"]
    equal((trial["DryRunConfig"]["LastDryRunExecutionStatus"], trial["RunConfig"]["TimeoutInSeconds"]), ("PASSED", 15))
    [run] = it.api.get_canary_runs(Name="heartbeat", RunType="DRY_RUN")["CanaryRuns"]
    equal(run["DryRunConfig"]["DryRunId"], id)
    it.api.update_canary(Name="heartbeat", DryRunId=id)
    it.wait()
    equal(it.get()["RunConfig"]["TimeoutInSeconds"], 15)


def grouped(it, arn):
    group = it.api.create_group(Name="shop", Tags={"owner": "tidewatch"})["Group"]
    it.api.associate_resource(GroupIdentifier=group["Arn"], ResourceArn=arn)
    [found] = it.api.list_associated_groups(ResourceArn=arn)["Groups"]
    equal(found["Name"], "shop")
    equal(it.api.list_group_resources(GroupIdentifier="shop")["Resources"], [arn])
    equal(it.api.get_group(GroupIdentifier=group["Id"])["Group"]["Tags"], {"owner": "tidewatch"})
    equal(it.api.list_tags_for_resource(ResourceArn=group["Arn"])["Tags"], {"owner": "tidewatch"})
    equal([found["Id"] for found in it.api.list_groups()["Groups"]], [group["Id"]])
    it.api.disassociate_resource(GroupIdentifier="shop", ResourceArn=arn)
    it.api.delete_group(GroupIdentifier=group["Id"])
    equal(it.api.list_groups()["Groups"], [])


def runtimes(it):
    names, token = [], {}
    while True:
        page = it.api.describe_runtime_versions(MaxResults=10, **token)
        names += [found["VersionName"] for found in page["RuntimeVersions"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    equal(len(names) == len(set(names)) >= 20, True)
    it.tell(
        "runtime",
        VersionName="syn-nodejs-puppeteer-18.0",
        Description="tomorrow's",
        ReleaseDate="2026-11-01T00:00:00Z",
        DeprecationDate="2026-11-20T00:00:00Z",
    )
    [added] = [
        found
        for found in it.api.describe_runtime_versions()["RuntimeVersions"]
        if found["VersionName"] == "syn-nodejs-puppeteer-18.0"
    ]
    equal(added["DeprecationDate"] < NOW, True)


def deleted(it):
    it.api.stop_canary(Name="heartbeat")
    equal(it.state(), "STOPPING")
    it.wait()
    equal(it.state(), "STOPPED")
    equal((len(it.provisioned()["functions"]), len(it.provisioned()["layers"])), (1, 1))
    it.api.delete_canary(Name="heartbeat", DeleteLambda=False)
    equal(it.state(), "DELETING")
    it.wait()
    equal((it.provisioned()["functions"], it.provisioned()["layers"]), ([], []))
    pages = it.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/aws/lambda/cwsyn-heartbeat-")
    [group] = [found for page in pages for found in page["logGroups"]]
    equal(group["arn"].endswith(f"log-group:{group['logGroupName']}:*"), True)
    it.logs.delete_log_group(logGroupName=group["logGroupName"])
    equal(it.logs.describe_log_groups()["logGroups"], [])


def blueprint(it):
    """A document that the blueprint's schema takes, and one that it doesn't."""
    for name, document, state in [("good", CHECKS, "PASSED"), ("bad", {**CHECKS, "userAgent": "x"}, "FAILED")]:
        code = {"BlueprintTypes": ["multi-checks"], "ZipFile": package(**{"blueprint-config__json": json.dumps(document)})}
        it.api.create_canary(**{**CANARY, "Name": name, "Code": code, "RuntimeVersion": "syn-nodejs-5.2"})
        it.wait()
        it.api.start_canary(Name=name)
        it.wait()
        equal(it.api.get_canary_runs(Name=name)["CanaryRuns"][-1]["Status"]["State"], state)
        it.api.stop_canary(Name=name)
        it.wait()


def steered(it):
    """What the other parts don't ask of the admin API."""
    late = {**CANARY, "Name": "late", "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}
    late["Code"] = {"S3Bucket": "code", "S3Key": "a.zip", "Handler": "index.handler"}
    content = base64.b64encode(CANARY["Code"]["ZipFile"]).decode()
    version = it.tell("object", bucket="code", key="a.zip", content=content)["version"]
    it.tell("canary-settings", delay="PT0S")
    for usable, state in [(False, "ERROR"), (True, "READY")]:
        it.tell("network", id="subnet-1", usable=usable)
        it.api.create_canary(**{**late, "Code": {**late["Code"], "S3Version": version}})
        equal(it.state("late"), state)
        it.api.delete_canary(Name="late")
    it.tell("canary-settings", delay="PT10S", quota=400)
    try:
        it.tell("canary-runs", canary="good", outcome="Pass", time=3)
    except urllib.error.HTTPError as error:
        equal("time" in json.loads(error.read())["error"], True)
    else:
        raise AssertionError("an unknown member was taken")


def failing_role(it):
    it.tell("role", role=ROLE, assumable=False)
    it.api.create_canary(**{**CANARY, "Name": "roleless"})
    it.wait()
    status = it.get("roleless")["Status"]
    equal((status["State"], status["StateReasonCode"]), ("ERROR", "CREATE_FAILED"))
    equal("cannot be assumed by Lambda" in status["StateReason"], True)
    it.tell("role", role=ROLE, assumable=True)


def pages(it):
    for n in range(4):
        it.api.create_canary(**{**CANARY, "Name": f"page-{n}"})
    names, token = [], {}
    while True:
        page = it.api.describe_canaries(MaxResults=3, **token)
        names += [found["Name"] for found in page["Canaries"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    equal(names, ["bad", "good", "page-0", "page-1", "page-2", "page-3", "roleless"])


def faults(it):
    for kind, code, status in [
        ("Throttle", "ThrottlingException", 429),
        ("ServerError", "InternalServerException", 500),
        ("Unavailable", "ServiceUnavailableException", 503),
        ("Denied", "AccessDeniedException", 403),
        ("ExpiredCredentials", "ExpiredTokenException", 403),
        ("NotFound", "ResourceNotFoundException", 404),
        ("QuotaExceeded", "ServiceQuotaExceededException", 402),
    ]:
        # Nobody has a quota of reads.
        wanted = "CreateGroup" if kind == "QuotaExceeded" else "GetCanary"
        it.admin("POST", "inject", {"operation": wanted, "kind": kind})
        try:
            it.api.create_group(Name="one-too-many") if wanted == "CreateGroup" else it.get("good")
        except ClientError as error:
            equal((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]), (code, status))
        else:
            raise AssertionError(f"{kind} met nothing")
    it.admin("POST", "inject", {"operation": "synthetics:TagResource", "kind": "Throttle"})
    try:
        it.api.tag_resource(ResourceArn=f"arn:aws:synthetics:{REGION}:123456789012:canary:good", Tags={"a": "b"})
    except ClientError as error:
        equal(error.response["Error"]["Code"], "TooManyRequestsException")
    else:
        raise AssertionError("the throttle met nothing")


def all_of_synthetics(it):
    arn = f"arn:aws:synthetics:{REGION}:123456789012:canary:heartbeat"
    created(it)
    run(it)
    updated(it)
    tagged(it, arn)
    dry_run(it)
    grouped(it, arn)
    runtimes(it)
    deleted(it)
    blueprint(it)
    failing_role(it)
    steered(it)
    pages(it)
    faults(it)


VALIDATION = "ValidationException"
CONFLICT = "ConflictException"
MISSING = "ResourceNotFoundException"
BAD = "BadRequestException"
NEW = {**CANARY, "Name": "new"}


def changed(**changes):
    return {name: value for name, value in {**NEW, **changes}.items() if value is not None}


# They find what all_of_synthetics leaves: "good" is stopped, "page-0" is being created, "roleless" has failed.
REFUSALS = [
    ("create_canary", changed(Name="Upper"), VALIDATION, "upper case"),
    ("create_canary", changed(Name="x" * 256), VALIDATION, "256 characters"),
    ("create_canary", changed(Name="good"), CONFLICT, "a name that is taken"),
    ("create_canary", changed(Code=None), VALIDATION, "no code"),
    ("create_canary", changed(Code={"Handler": "index.handler"}), VALIDATION, "code from nowhere"),
    ("create_canary", changed(Code={**CANARY["Code"], "Handler": "handler"}), VALIDATION, "no function"),
    ("create_canary", changed(Code={**CANARY["Code"], "BlueprintTypes": ["multi-checks"]}), VALIDATION, "both"),
    (
        "create_canary",
        changed(Code={"ZipFile": bytes(226 * 1024), "Handler": "index.handler"}),
        "RequestEntityTooLargeException",
        "a large package",
    ),
    ("create_canary", changed(ArtifactS3Location="s3://a.b"), VALIDATION, "a bucket with a dot"),
    ("create_canary", changed(ExecutionRoleArn="role"), VALIDATION, "no ARN"),
    ("create_canary", changed(Schedule={"Expression": "rate(2 hours)"}), VALIDATION, "rarer than hourly"),
    ("create_canary", changed(Schedule={"Expression": "cron(0 8 * * ?)"}), VALIDATION, "five fields"),
    ("create_canary", changed(RunConfig={"TimeoutInSeconds": 61}), VALIDATION, "longer than the frequency"),
    ("create_canary", changed(RunConfig={"MemoryInMB": 1000}), VALIDATION, "no multiple of 64"),
    ("create_canary", changed(RunConfig={"EnvironmentVariables": {"AB": "x" * 4096}}), VALIDATION, "4 KB"),
    ("create_canary", changed(RuntimeVersion="syn-nodejs-puppeteer-5.2"), VALIDATION, "a deprecated runtime"),
    ("create_canary", changed(RuntimeVersion="syn-nodejs-puppeteer-99.0"), VALIDATION, "no such runtime"),
    ("create_canary", changed(VpcConfig={"SubnetIds": ["subnet-1"]}), VALIDATION, "half a VPC"),
    ("create_canary", changed(Tags={"aws:a": "b"}), VALIDATION, "AWS's prefix"),
    ("create_canary", changed(SuccessRetentionPeriodInDays=456), VALIDATION, "too long"),
    ("get_canary", {"Name": "unknown"}, MISSING, "unknown"),
    ("get_canary", {"Name": "good", "DryRunId": "rubbish"}, VALIDATION, "no UUID"),
    ("start_canary", {"Name": "unknown"}, MISSING, "unknown"),
    ("start_canary", {"Name": "page-0"}, CONFLICT, "being created"),
    ("start_canary", {"Name": "roleless"}, CONFLICT, "in error"),
    ("stop_canary", {"Name": "good"}, CONFLICT, "stopped already"),
    ("stop_canary", {"Name": "unknown"}, MISSING, "unknown"),
    ("update_canary", {"Name": "page-0"}, CONFLICT, "being created"),
    ("update_canary", {"Name": "unknown"}, MISSING, "unknown"),
    ("update_canary", {"Name": "good", "RunConfig": {"TimeoutInSeconds": 2}}, VALIDATION, "too short"),
    ("delete_canary", {"Name": "page-0"}, CONFLICT, "being created"),
    ("delete_canary", {"Name": "unknown"}, MISSING, "unknown"),
    ("start_canary_dry_run", {"Name": "page-0"}, CONFLICT, "being created"),
    ("describe_canaries", {"MaxResults": 21}, VALIDATION, "too many"),
    ("describe_canaries", {"Names": list("abcdef")}, VALIDATION, "six names"),
    ("describe_canaries", {"NextToken": "rubbish"}, VALIDATION, "a token nobody gave"),
    ("describe_canaries_last_run", {"MaxResults": 101}, VALIDATION, "too many"),
    ("get_canary_runs", {"Name": "unknown"}, MISSING, "unknown"),
    ("get_canary_runs", {"Name": "good", "RunType": "WET_RUN"}, VALIDATION, "unknown type"),
    ("describe_runtime_versions", {"MaxResults": 0}, VALIDATION, "none"),
    ("tag_resource", {"ResourceArn": "arn:x", "Tags": {"a": "b"}}, BAD, "no ARN"),
    (
        "tag_resource",
        {"ResourceArn": f"arn:aws:synthetics:{REGION}:123456789012:canary:unknown", "Tags": {"a": "b"}},
        "NotFoundException",
        "unknown",
    ),
    ("list_tags_for_resource", {"ResourceArn": "arn:x"}, BAD, "no ARN"),
    ("create_group", {"Name": ""}, VALIDATION, "no name"),
    ("get_group", {"GroupIdentifier": "unknown"}, MISSING, "unknown"),
    ("delete_group", {"GroupIdentifier": "unknown"}, MISSING, "unknown"),
    (
        "associate_resource",
        {"GroupIdentifier": "unknown", "ResourceArn": f"arn:aws:synthetics:{REGION}:123456789012:canary:good"},
        MISSING,
        "unknown",
    ),
]
LOGS_REFUSALS = [
    ("delete_log_group", {"logGroupName": "unknown"}, MISSING, "unknown"),
    ("delete_log_group", {"logGroupName": ""}, "InvalidParameterException", "no name"),
    ("describe_log_groups", {"limit": 51}, "InvalidParameterException", "too many"),
]
