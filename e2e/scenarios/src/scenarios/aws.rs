//! AWS from within a cluster: the chart's AWS values, credentials as IRSA gives them, and alarms and canaries that come,
//! tell their state, and go without a trace.

use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::json;
use tidewatch_crds::anomaly_alarm::AlarmState;
use tidewatch_crds::canary::RunResult;

use crate::bed::{Bed, SHOP};
use crate::double::{AwsDouble, Resource};
use crate::paths;
use crate::wait::{Look, wait_for};

/// The double takes as long as AWS to make, start and delete a canary, and refuses nothing.
const LIMIT: Duration = Duration::from_secs(180);
/// A run each minute, the minute that an alarm looks at, and its evaluation a minute later at most.
const ALARM_LIMIT: Duration = Duration::from_secs(300);
/// Reads of each kind that must go by without a write.
const IDLE_READS: usize = 3;
const KUBECTL_LIMIT: Duration = Duration::from_secs(150);

const OWN: (&str, &str) = ("123456789012", "eu-west-1");
const OTHER: (&str, &str) = ("210987654321", "us-east-1");
const ALARMS: [&str; 3] = ["latency", "elsewhere", "website-fails"];
const CANARY: &str = "website";

/// The resources that must exist in AWS: account and Region, kind, prefix of the name, and number.
const IN_AWS: [((&str, &str), &str, &str, usize); 7] = [
    // The metric's, the network's and the composite of both.
    (OWN, "alarm", "lab-shop-latency-", 3),
    (OWN, "alarm", "lab-shop-website-fails-", 1),
    (OTHER, "alarm", "lab-shop-elsewhere-", 1),
    (OWN, "detector", "", 1),
    (OWN, "canary", "lab-shop-website-", 1),
    (OWN, "function", "cwsyn-lab-shop-website-", 1),
    (OWN, "layer", "cwsyn-lab-shop-website-", 1),
];

pub(super) fn run(bed: &Bed) -> anyhow::Result<()> {
    let double = AwsDouble::start(bed.lab_ref()?)?;
    double.forget_calls()?;
    let tried = bed.install_with(&["values-aws.yaml"]).and_then(|()| tried(bed, &double));
    // Also after a failure: only an operator that uses AWS can delete what it made there.
    let deleted = deleted(bed, &double);
    let restored = bed.install_with(&[]);
    tried.and(deleted).and(restored)
}

fn tried(bed: &Bed, double: &AwsDouble<'_>) -> anyhow::Result<()> {
    bed.apply(&paths::manifest("aws.yaml"))?;
    for name in ALARMS {
        let ((), took) = wait_for(LIMIT, format!("alarm {name} is in place"), || ready_alarm(bed, name))?;
        bed.report.right(&format!("alarm {name} is in place"), took);
    }
    let ((), took) = wait_for(LIMIT, format!("canary {CANARY} runs"), || ready_canary(bed))?;
    bed.report.right("the canary runs", took);
    is_in_aws(&double.resources()?)?;
    as_its_roles(double)?;
    at_rest(bed, double)?;
    follows(bed, double)
}

fn ready_alarm(bed: &Bed, name: &str) -> Look<()> {
    match bed.cluster.alarm_status(SHOP, name) {
        Ok(status) if holds(&status.conditions, "Ready", "True", "InPlace") => Look::Done(()),
        Ok(status) => Look::NotYet(format!("{:?}; {:?}", status.conditions, status.last_error)),
        Err(error) => Look::NotYet(format!("{error:#}")),
    }
}

fn ready_canary(bed: &Bed) -> Look<()> {
    match bed.cluster.canary_status(SHOP, CANARY) {
        Ok(status) if holds(&status.conditions, "Ready", "True", "Running") => Look::Done(()),
        Ok(status) => Look::NotYet(format!("{:?}; {:?}", status.conditions, status.aws)),
        Err(error) => Look::NotYet(format!("{error:#}")),
    }
}

fn holds(conditions: &[Condition], kind: &str, status: &str, reason: &str) -> bool {
    conditions.iter().any(|it| it.type_ == kind && it.status == status && it.reason == reason)
}

/// All of it is there, with the tags that say whose it is, and nothing else.
fn is_in_aws(found: &[Resource]) -> anyhow::Result<()> {
    let mut expected = 0;
    for ((account, region), kind, begins, count) in IN_AWS {
        let of = |it: &&Resource| {
            (it.account.as_str(), it.region.as_str(), it.kind) == (account, region, kind)
                && it.name.starts_with(begins)
        };
        let those = found.iter().filter(of).count();
        if those != count {
            bail!("{those} of {count} {kind} {begins}… in {account} {region}: {}", listed(found));
        }
        expected += count;
    }
    // The canary's first run may have made it.
    let others = found.iter().filter(|it| it.kind != "log group").count();
    if others != expected {
        bail!("more than the {expected} that were declared: {}", listed(found));
    }
    let untagged = found
        .iter()
        .find(|it| ["alarm", "canary"].contains(&it.kind) && it.tag("tidewatch.dev/namespace") != Some(SHOP));
    match untagged {
        Some(it) => bail!("{} {} doesn't say whose it is: {}", it.kind, it.name, it.value),
        None => Ok(()),
    }
}

fn listed(found: &[Resource]) -> String {
    let one = |it: &Resource| format!("{} {} in {} {}", it.kind, it.name, it.account, it.region);
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The operator came by its token, and to the other account by a role.
fn as_its_roles(double: &AwsDouble<'_>) -> anyhow::Result<()> {
    let calls = double.calls()?;
    for operation in ["sts:AssumeRoleWithWebIdentity", "sts:AssumeRole"] {
        if !calls.iter().any(|call| call.operation == operation && call.succeeded) {
            bail!("no {operation} succeeded");
        }
    }
    Ok(())
}

/// Once all is in place, it is read again and again, and nothing but metric data is written.
fn at_rest(bed: &Bed, double: &AwsDouble<'_>) -> anyhow::Result<()> {
    const READS: [&str; 2] = ["monitoring:DescribeAlarms", "synthetics:DescribeCanaries"];
    double.forget_calls()?;
    let (calls, took) = wait_for(LIMIT, "everything is read again and metrics are published", || {
        let calls = match double.calls() {
            Ok(calls) => calls,
            Err(error) => return Look::NotYet(format!("{error:#}")),
        };
        let of = |wanted: &str| calls.iter().filter(|it| it.operation == wanted && it.succeeded).count();
        let seen = READS.map(of);
        let published = of(METRICS);
        if published > 0 && seen.iter().all(|count| *count >= IDLE_READS) {
            return Look::Done(calls);
        }
        Look::NotYet(format!("{READS:?}: {seen:?}; {METRICS}: {published}"))
    })?;
    let writes: Vec<_> = calls
        .iter()
        .filter(|call| !call.reads() && call.operation != METRICS)
        .map(|call| call.operation.as_str())
        .collect();
    if !writes.is_empty() {
        bail!("written to AWS while nothing changed: {}", writes.join(", "));
    }
    bed.report.right("at rest AWS is only read, apart from the monitor's metrics", took);
    Ok(())
}

const METRICS: &str = "monitoring:PutMetricData";

/// Checks that the objects show events in AWS: an alarm that fires, a canary that passes and then fails, and its alarm.
fn follows(bed: &Bed, double: &AwsDouble<'_>) -> anyhow::Result<()> {
    let ((), took) =
        wait_for(LIMIT, format!("canary {CANARY} passes"), || result_is(bed, RunResult::Passed))?;
    bed.report.right("the canary passes", took);

    let found = double.resources()?;
    let name = |kind: &str, begins: &str| -> anyhow::Result<String> {
        let found = found.iter().find(|it| it.kind == kind && it.name.starts_with(begins));
        Ok(found.with_context(|| format!("no {kind} {begins}…"))?.name.clone())
    };
    double.post(
        "canary-runs",
        &json!({
            "account": OWN.0, "region": OWN.1, "canary": name("canary", "lab-shop-website-")?,
            "outcome": {"Fail": {"reason": "no answer", "step": "home"}},
        }),
    )?;
    double.post(
        "alarm-state",
        &json!({
            "account": OTHER.0, "region": OTHER.1, "alarm": name("alarm", "lab-shop-elsewhere-")?,
            "state": "ALARM", "reason": "by hand",
        }),
    )?;
    let ((), took) = wait_for(LIMIT, "alarm elsewhere fires", || {
        firing(bed, "elsewhere", |status| status.reason.as_deref() == Some("by hand"))
    })?;
    bed.report.right("the other account's alarm fires", took);
    let ((), took) = wait_for(LIMIT, format!("canary {CANARY} fails"), || result_is(bed, RunResult::Failed))?;
    let status = bed.cluster.canary_status(SHOP, CANARY)?;
    let failure = status.last_failure.context("a canary that failed tells of no failure")?;
    if failure.check != "home" || !failure.message.contains("no answer") {
        bail!("the failure isn't told as AWS tells it: {failure:?}");
    }
    if !holds(&status.conditions, "Ready", "True", "Running") {
        bail!("a failing canary is as ready as one that passes: {:?}", status.conditions);
    }
    bed.report.right(&format!("the canary says: {}", failure.message), took);
    let ((), took) = wait_for(ALARM_LIMIT, "the canary's alarm fires", || {
        firing(bed, "website-fails", |status| {
            status.reading.as_ref().is_some_and(|reading| reading.value == Some(0.0))
        })
    })?;
    bed.report.right("the alarm on the canary fires at 0% success", took);
    Ok(())
}

fn result_is(bed: &Bed, result: RunResult) -> Look<()> {
    match bed.cluster.canary_status(SHOP, CANARY) {
        Ok(status) if status.result == Some(result) => Look::Done(()),
        Ok(status) => Look::NotYet(format!("{:?}; {:?}", status.result, status.last_run)),
        Err(error) => Look::NotYet(format!("{error:#}")),
    }
}

fn firing(bed: &Bed, name: &str, because: impl Fn(&tidewatch_crds::AnomalyAlarmStatus) -> bool) -> Look<()> {
    match bed.cluster.alarm_status(SHOP, name) {
        Ok(status)
            if status.state == Some(AlarmState::Alarm)
                && holds(&status.conditions, "Firing", "True", "Alarm")
                && because(&status) =>
        {
            Look::Done(())
        }
        Ok(status) => Look::NotYet(format!("{:?}; {:?}; {:?}", status.state, status.reason, status.reading)),
        Err(error) => Look::NotYet(format!("{error:#}")),
    }
}

/// Deletes the objects, which go once everything of theirs is gone from AWS.
fn deleted(bed: &Bed, double: &AwsDouble<'_>) -> anyhow::Result<()> {
    let file = paths::manifest("aws.yaml");
    let file = file.to_str().context("the path of the manifest isn't UTF-8")?;
    let limit = format!("--timeout={}s", KUBECTL_LIMIT.as_secs());
    bed.lab_ref()?.kubectl(
        &["delete", "--ignore-not-found", "--wait=true", &limit, "-f", file],
        KUBECTL_LIMIT + Duration::from_secs(10),
    )?;
    let left = double.resources()?;
    if !left.is_empty() {
        bail!("the objects are gone, and these are left in AWS: {}", listed(&left));
    }
    bed.report.note("the objects are gone, and nothing of theirs is left in AWS");
    Ok(())
}
