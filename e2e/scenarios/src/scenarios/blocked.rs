//! A port that a NetworkPolicy blocks: the workload's own doing, and the status says which change did it.
//! A canary on the port sees it from without.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tidewatch_crds::network_monitor::FaultCause;
use tidewatch_lab::Fault;

use super::canary;
use super::faults::Trial;
use crate::bed::{Bed, SHOP};
use crate::expect::Expected;
use crate::paths;
use crate::wait::{Look, wait_for};

/// Hints come with the verdict, or in one of the next two windows.
const HINT_LIMIT: Duration = Duration::from_secs(30);
const KUBECTL_LIMIT: Duration = Duration::from_secs(30);

/// A NetworkPolicy appears, and payments doesn't answer any more.
pub(super) fn run(bed: &Bed) -> anyhow::Result<()> {
    let expected = Expected::workload("shop/payments", &[FaultCause::Unreachable]);
    let policy = paths::manifest("deny-payments.yaml");
    let trial = Trial::of(Fault::block(SHOP, "payments"), expected);
    let tried = canary::begin(bed)
        .and_then(|()| bed.apply(&policy))
        .and_then(|()| {
            trial.run_while(bed, |bed| {
                let seen = canary::times_out(bed).and_then(|()| names_policy(bed, "shop/deny-payments"));
                let deleted = delete(bed, &policy);
                seen.and(deleted)
            })
        })
        .and_then(|()| canary::passes(bed));
    // Nothing is left of a scenario that failed before its verdict.
    let deleted = delete(bed, &policy).and(canary::end(bed));
    tried.and(deleted)
}

/// Waits until the shop's monitor names the policy in the fault's hints, and in its summary.
fn names_policy(bed: &Bed, name: &str) -> anyhow::Result<()> {
    let (message, took) = wait_for(HINT_LIMIT, format!("the hints name NetworkPolicy {name}"), || {
        let status = match bed.cluster.status(SHOP, SHOP) {
            Ok(status) => status,
            Err(error) => return Look::NotYet(format!("{error:#}")),
        };
        let Some(degradation) = status.degradation else { return Look::NotYet("no degradation".to_owned()) };
        let mut hints = degradation.components.iter().flat_map(|component| &component.hints);
        match hints.find(|hint| hint.kind == "NetworkPolicy" && hint.name == name) {
            Some(hint) if degradation.summary.contains(&hint.message) => Look::Done(hint.message.clone()),
            Some(_) => Look::NotYet(format!("not in the summary: {}", degradation.summary)),
            None => Look::NotYet(format!("{:?}", degradation.components)),
        }
    })?;
    bed.report.right(&message, took);
    Ok(())
}

fn delete(bed: &Bed, manifest: &Path) -> anyhow::Result<()> {
    let file = manifest.to_str().context("the path of the manifest isn't UTF-8")?;
    bed.lab_ref()?.kubectl(&["delete", "--ignore-not-found", "-f", file], KUBECTL_LIMIT)?;
    Ok(())
}
