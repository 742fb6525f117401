//! Canaries that the operator runs: on their schedule, with a reason that a person understands where one fails.

use std::time::Duration;

use anyhow::{Context, bail};
use tidewatch_crds::CanaryStatus;
use tidewatch_crds::canary::RunResult;

use crate::bed::{Bed, SHOP};
use crate::paths;
use crate::wait::{Look, wait_for};

const LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "payments";

/// Ready's status and reason, and what its message or the failure says.
const ODD: [(&str, &str, &str, &str); 5] = [
    ("api-server", "True", "Running", "allowed"),
    ("nowhere", "True", "Running", "nowhere.shop.svc.cluster.local"),
    ("secretive", "False", "SecretsNotAllowed", "canary.secretNamespaces"),
    ("pattern", "False", "InvalidSpec", "spec.checks[page].http.expect.bodyMatches"),
    ("suspended", "True", "Suspended", "suspended"),
];

pub(super) fn run(bed: &Bed) -> anyhow::Result<()> {
    let tried = begin(bed).and_then(|()| tells_of_its_run(bed)).and_then(|()| odd(bed));
    let deleted = delete(bed, "canaries-odd.yaml").and(end(bed));
    tried.and(deleted)
}

fn tells_of_its_run(bed: &Bed) -> anyhow::Result<()> {
    let status = bed.cluster.canary_status(SHOP, NAME)?;
    let run = status.last_run.context("a canary that passed tells of no run")?;
    if run.checks.len() != 2 || run.checks.iter().any(|check| check.phases.dns_ms.is_none()) {
        bail!("the run doesn't tell how long the name took: {run:?}");
    }
    if run.trace_id.is_none() {
        bail!("tracing is active, and the run has no trace: {run:?}");
    }
    Ok(())
}

/// Those that can't pass or run say why.
fn odd(bed: &Bed) -> anyhow::Result<()> {
    bed.apply(&paths::manifest("canaries-odd.yaml"))?;
    ODD.iter().try_for_each(|(name, ready, reason, says)| says_why(bed, name, ready, reason, says))
}

/// Declares the canary on payments, and waits until it passes.
pub(super) fn begin(bed: &Bed) -> anyhow::Result<()> {
    bed.apply(&paths::manifest("canary-payments.yaml"))?;
    passes(bed)
}

pub(super) fn end(bed: &Bed) -> anyhow::Result<()> {
    delete(bed, "canary-payments.yaml")
}

pub(super) fn passes(bed: &Bed) -> anyhow::Result<()> {
    let ((), took) = wait_for(LIMIT, format!("canary {SHOP}/{NAME} passes"), || look(bed, NAME, passed))?;
    bed.report.right("the canary on payments passes", took);
    Ok(())
}

/// Waits until the canary's port doesn't answer, and says so.
pub(super) fn times_out(bed: &Bed) -> anyhow::Result<()> {
    let (message, took) = wait_for(LIMIT, format!("canary {SHOP}/{NAME} fails"), || {
        look(bed, NAME, |status| {
            let failure = status.last_failure.as_ref().filter(|_| status.result == Some(RunResult::Failed));
            match failure {
                Some(failure) if failure.check == "port" && failure.message.contains("connect timed out") => {
                    Look::Done(failure.message.clone())
                }
                other => Look::NotYet(format!("{:?}, {other:?}", status.result)),
            }
        })
    })?;
    bed.report.right(&format!("the canary on payments says: {message}"), took);
    Ok(())
}

fn passed(status: &CanaryStatus) -> Look<()> {
    match status.result {
        Some(RunResult::Passed) => Look::Done(()),
        _ => Look::NotYet(format!("{:?}; {:?}", status.last_failure, status.conditions)),
    }
}

fn says_why(bed: &Bed, name: &str, ready: &str, reason: &str, says: &str) -> anyhow::Result<()> {
    let (text, took) = wait_for(LIMIT, format!("canary {SHOP}/{name} says {says:?}"), || {
        look(bed, name, |status| {
            let is_ready = status
                .conditions
                .iter()
                .any(|c| c.type_ == "Ready" && c.status == ready && c.reason == reason);
            let mut texts = status.conditions.iter().map(|condition| condition.message.clone());
            match texts.find(|text| is_ready && text.contains(says)) {
                Some(text) => Look::Done(text),
                None => Look::NotYet(format!("{:?}", status.conditions)),
            }
        })
    })?;
    bed.report.right(&format!("{name}: {text}"), took);
    Ok(())
}

fn look<T>(bed: &Bed, name: &str, judge: impl Fn(&CanaryStatus) -> Look<T>) -> Look<T> {
    match bed.cluster.canary_status(SHOP, name) {
        Ok(status) => judge(&status),
        Err(error) => Look::NotYet(format!("{error:#}")),
    }
}

fn delete(bed: &Bed, manifest: &str) -> anyhow::Result<()> {
    let file = paths::manifest(manifest);
    let file = file.to_str().context("the path of the manifest isn't UTF-8")?;
    bed.lab_ref()?.kubectl(&["delete", "--ignore-not-found", "-f", file], LIMIT)?;
    Ok(())
}
