//! One fault at a time: the right verdict soon after its onset, Healthy soon after its end, and never the network's
//! fault where it isn't.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tidewatch_crds::network_monitor::{ComponentKind, FaultCause};
use tidewatch_lab::Fault;

use super::Scenario;
use crate::bed::{Bed, SHOP};
use crate::expect::{Expected, blames_the_network, verdict_of};
use crate::paths;
use crate::report::seconds;
use crate::wait::{Look, wait_for};

pub const ONSET_LIMIT: Duration = Duration::from_secs(90);
pub const HEAL_LIMIT: Duration = Duration::from_secs(120);
/// Hints come with the verdict, or in one of the next two windows.
const HINT_LIMIT: Duration = Duration::from_secs(30);
const KUBECTL_LIMIT: Duration = Duration::from_secs(30);

pub const SCENARIOS: [Scenario; 8] = [
    Scenario {
        name: "zone-pair-loss-2",
        proves: "2% loss between two zones is the infrastructure's fault, and that zone pair's",
        run: |bed| {
            let expected = Expected::infrastructure(ComponentKind::ZonePair, "zone-1~zone-2");
            try_fault(bed, &Fault::zone_link("zone-1", "zone-2", 0.02), &expected)
        },
    },
    Scenario {
        name: "zone-pair-loss-5",
        proves: "5% loss between two zones likewise, and what is counted is what the kernel counts",
        run: super::healthy::zone_pair_loss_with_counters,
    },
    Scenario {
        name: "one-way-loss",
        proves: "loss in one direction between two zones is that zone pair's",
        run: |bed| {
            let expected = Expected::infrastructure(ComponentKind::ZonePair, "zone-1~zone-3");
            try_fault(bed, &Fault::zone_link_one_way("zone-3", "zone-1", 0.05), &expected)
        },
    },
    Scenario {
        name: "node-loss",
        proves: "5% loss at a node is the infrastructure's fault, and that node's",
        run: |bed| {
            let expected = Expected::infrastructure(ComponentKind::Node, "zone-2-b");
            try_fault(bed, &Fault::node("zone-2-b", 0.05), &expected)
        },
    },
    Scenario {
        name: "port-blocked",
        proves: "a blocked port is the workload's own doing, and the policy that came with it is named",
        run: port_blocked,
    },
    Scenario {
        name: "connection-refused",
        proves: "a service that refuses connections is the workload's own doing",
        run: |bed| {
            let expected = Expected::workload("shop/orders", &[FaultCause::Refused]);
            try_fault(bed, &Fault::refuse(SHOP, "orders"), &expected)
        },
    },
    Scenario {
        name: "overloaded-service",
        proves: "a service that accepts no more is overloaded, which is the workload's own doing",
        run: |bed| {
            let expected = Expected::workload("shop/shipping", &[FaultCause::Overload]);
            try_fault(bed, &Fault::overload(SHOP, "shipping"), &expected)
        },
    },
    Scenario {
        name: "lossy-remote",
        proves: "loss towards a remote service is neither the cluster network's nor the workload's fault",
        run: |bed| {
            let expected = Expected::external("dynamodb");
            try_fault(bed, &Fault::remote("dynamodb", 0.05), &expected)
        },
    },
];

/// A NetworkPolicy appears, and payments doesn't answer any more.
fn port_blocked(bed: &Bed) -> anyhow::Result<()> {
    let expected = Expected::workload("shop/payments", &[FaultCause::Unreachable]);
    let policy = paths::manifest("deny-payments.yaml");
    bed.apply(&policy)?;
    let tried = try_fault_while(bed, &Fault::block(SHOP, "payments"), &expected, |bed| {
        let named = names_policy(bed, "shop/deny-payments");
        let deleted = delete(bed, &policy);
        named.and(deleted)
    });
    // Nothing is left of a scenario that failed before its verdict.
    let deleted = delete(bed, &policy);
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

/// Begins the fault, waits for the verdict, ends it, waits for Healthy.
pub fn try_fault(bed: &Bed, fault: &Fault, expected: &Expected) -> anyhow::Result<()> {
    try_fault_while(bed, fault, expected, |_| Ok(()))
}

/// As [`try_fault`]; `meanwhile` runs once the verdict is there, with the fault still on.
pub fn try_fault_while(
    bed: &Bed,
    fault: &Fault,
    expected: &Expected,
    meanwhile: impl FnOnce(&Bed) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let id = bed.lab_ref()?.fault(fault.clone())?;
    bed.report.note(&format!("fault: {fault}"));
    let found = watch(bed, expected, expected, ONSET_LIMIT).context("after the onset");
    let also = found
        .as_ref()
        .map(|_| ())
        .map_err(|error| anyhow::anyhow!("{error:#}"))
        .and_then(|()| meanwhile(bed));
    bed.lab_ref()?.heal(&id)?;
    let took = found?;
    bed.report.right(&format!("{expected}"), took);
    also?;
    let healed = watch(bed, &Expected::healthy(), expected, HEAL_LIMIT).context("after the healing")?;
    bed.report.right("healed: Healthy", healed);
    Ok(())
}

/// Waits until the shop's monitor says `awaited`; no other fault than that of `allowed` may be the network's.
fn watch(bed: &Bed, awaited: &Expected, allowed: &Expected, limit: Duration) -> anyhow::Result<Duration> {
    let may_be_the_network = *allowed != Expected::healthy()
        && allowed.indicator == tidewatch_crds::network_monitor::NetworkHealthIndicator::Degraded;
    let mut blamed = None;
    let mut last = String::new();
    let (outcome, took) = wait_for(limit, format!("monitor {SHOP} says {awaited}"), || {
        let status = match bed.cluster.status(SHOP, SHOP) {
            Ok(status) => status,
            Err(error) => return Look::NotYet(format!("{error:#}")),
        };
        let verdict = verdict_of(&status);
        if !may_be_the_network && blames_the_network(&status) {
            blamed = Some(verdict.clone());
        }
        if verdict != last {
            bed.report.note(&verdict);
            last.clone_from(&verdict);
        }
        if awaited.is_met_by(&status) { Look::Done(()) } else { Look::NotYet(verdict) }
    })?;
    let () = outcome;
    if let Some(verdict) = blamed {
        bail!("the network was blamed for what isn't its fault: {verdict} (after {})", seconds(took));
    }
    Ok(took)
}
