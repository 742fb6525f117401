"""boto3 against the double: `python conformance.py URL`. Prints what it did as JSON; fails at the first difference.

Wants a double of its own, started with `--now 2026-11-23T02:00:00Z`.
"""

import datetime
import json
import sys
import urllib.request

from botocore.exceptions import ClientError

import constraints
import operations
import refusals
import synthetics
from clients import client

# The double keeps a state for each Region, so that the protocols don't meet.
PROTOCOLS = {"smithy-rpc-v2-cbor": "eu-west-1", "json": "us-east-1", "query": "ap-northeast-1"}
OTHERS = ["synthetics", "sts", "logs"]


def refused(api, call, request, expected, why):
    try:
        getattr(api, call)(**request)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == expected and 400 <= status < 500 and error.response["Error"]["Message"]:
            return
        sys.exit(f"{call}, {why}: {status} {error}, expected {expected}")
    sys.exit(f"{call}, {why}: accepted, expected {expected}")


def refuse_cloudwatch(api, region):
    api.put_metric_alarm(**dict(operations.STATIC, AlarmName="known"))
    api.put_composite_alarm(AlarmName="parent", AlarmRule="ALARM(known)")
    api.put_composite_alarm(AlarmName="other", AlarmRule="FALSE")
    for call, request, expected, why in refusals.CLOUDWATCH:
        if "ResourceARN" in request:
            request = dict(request, ResourceARN=request["ResourceARN"].format(region=region))
        refused(api, call, request, expected, why)
    for name in ["parent", "other", "known"]:
        api.delete_alarms(AlarmNames=[name])


def unsigned(url, region, protocol):
    api = client("cloudwatch", url, region, protocol, signed=False)
    refused(api, "describe_alarms", {}, "MissingAuthenticationToken", "no signature")


def admin(url, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_double/{path}", data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def steered(url):
    """The admin API: a fault, a state set by hand, a look at everything."""
    api = client("cloudwatch", url, "eu-north-1")
    api.put_metric_alarm(**operations.STATIC)
    admin(url, "POST", "inject", {"operation": "DescribeAlarms", "skip": 1, "times": 5, "kind": "Throttle"})
    api.describe_alarms()
    refused(api, "describe_alarms", {}, "Throttling", "a fault")
    admin(url, "DELETE", "faults")
    place = {"account": "123456789012", "region": "eu-north-1", "alarm": "static"}
    admin(url, "POST", "alarm-state", {**place, "state": "ALARM", "reason": "by hand"})
    operations.equal(api.describe_alarms()["MetricAlarms"][0]["StateReason"], "by hand")
    admin(url, "POST", "inject", {"operation": "PutMetricAlarm", "kind": {"Lag": "PT10S"}})
    api.put_metric_alarm(**dict(operations.STATIC, AlarmName="late"))
    operations.equal(len(api.describe_alarms()["MetricAlarms"]), 1)
    admin(url, "POST", "advance", {"by": "PT10S"})
    operations.equal(len(api.describe_alarms()["MetricAlarms"]), 2)
    [region] = [it for it in admin(url, "GET", "state")["regions"] if it["region"] == "eu-north-1"]
    operations.equal([alarm["AlarmName"] for alarm in region["alarms"]], ["late", "static"])


def expires(url, sts, assumed):
    keys = sts.assume_role(**refusals.ROLE, DurationSeconds=900)["Credentials"]
    admin(url, "POST", "advance", {"by": "PT15M"})
    refused(assumed(keys), "get_caller_identity", {}, "ExpiredToken", "a session that is over")


def canaries(url):
    region = synthetics.REGION
    api, logs = client("synthetics", url, region), client("logs", url, region)
    steer = lambda method, path, body=None: admin(url, method, path, body)
    it = synthetics.Synthetics(api, logs, client("cloudwatch", url, region), steer)
    synthetics.all_of_synthetics(it)
    for call, request, expected, why in synthetics.REFUSALS:
        refused(api, call, request, expected, why)
    for call, request, expected, why in synthetics.LOGS_REFUSALS:
        refused(logs, call, request, expected, why)
    unsigned = client("synthetics", url, region, signed=False)
    refused(unsigned, "get_canary", {"Name": "good"}, "MissingAuthenticationTokenException", "no signature")


def constrained(url):
    """Every constraint of every operation that is served, in each protocol; which were served, and how many were tried."""
    served, tried = set(), 0
    for service, protocol in [*(("cloudwatch", protocol) for protocol in PROTOCOLS), *((name, None) for name in OTHERS)]:
        api = client(service, url, "eu-central-1", protocol)
        prefix = "" if service in ("cloudwatch", "sts") else service + ":"
        names, count = constraints.hold(api)
        served |= {prefix + name for name in names}
        tried += count
    return sorted(served), tried


def main(url):
    now = admin(url, "GET", "state")["now"]
    if datetime.datetime.fromisoformat(now.replace("Z", "+00:00")) != operations.NOW:
        sys.exit(f"the double's clock stands at {now}; start it with --now {operations.NOW.isoformat()}")
    for protocol, region in PROTOCOLS.items():
        api = client("cloudwatch", url, region, protocol)
        operations.all_of_cloudwatch(api)
        refuse_cloudwatch(api, region)
        unsigned(url, region, protocol)
    sts = client("sts", url, "eu-west-1")

    def assumed(keys):
        return client("sts", url, "eu-west-1", key=keys["AccessKeyId"], token=keys["SessionToken"])

    operations.sts(sts, client("sts", url, "eu-west-1", signed=False), assumed)
    for call, request, expected, why in refusals.STS:
        refused(sts, call, request, expected, why)
    canaries(url)
    steered(url)
    expires(url, sts, assumed)
    calls = admin(url, "GET", "calls")
    own = {"monitoring": "", "sts": ""}
    name = lambda call: own.get(call["service"], call["service"] + ":") + call["operation"]
    succeeded = sorted({name(call) for call in calls if call["outcome"] == "Ok"})
    served, tried = constrained(url)
    print(json.dumps({
        "served": served,
        "constraints": tried,
        "operations": succeeded,
        "refusals": len(refusals.CLOUDWATCH) + len(refusals.STS) + len(synthetics.REFUSALS + synthetics.LOGS_REFUSALS) + 4,
        "protocols": list(PROTOCOLS),
    }))


main(sys.argv[1])
