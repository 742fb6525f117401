//! The healthy run: nothing is wrong, nothing is said, nothing is written, and every counter is the kernel's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tidewatch_crds::network_monitor::ComponentKind;
use tidewatch_lab::Fault;

use super::Extent;
use super::faults::{HEAL_LIMIT, Trial};
use crate::api_writes::ApiWrites;
use crate::bed::{Bed, SHOP, WINDOW};
use crate::expect::{Expected, FalseVerdict, verdict_of};
use crate::interrupt::interrupted;
use crate::report::seconds;
use crate::status_changes::{Change, Reason, Since};
use crate::truth::{Comparison, Measurement};
use crate::wait::{Look, wait_for};

/// The API server's name for a write of a monitor's status.
const STATUS_WRITES: &str = "APPLY networkmonitors/status";

/// For how long nothing may be written.
const MINUTES: Duration = Duration::from_secs(300);
const FEWER_MINUTES: Duration = Duration::from_secs(120);
const MEASURED: Duration = Duration::from_secs(60);
/// After the standstill, what it made too quiet to judge is written once more; then nothing is for two windows.
const QUIET: Duration = Duration::from_secs(2 * WINDOW.as_secs());
const QUIET_LIMIT: Duration = Duration::from_secs(120);
/// The counters of a scenario with retransmissions in it.
const MEASURED_WITH_LOSS: Duration = Duration::from_secs(45);

pub(super) fn run(bed: &Bed) -> anyhow::Result<()> {
    let took = bed.heal(HEAL_LIMIT)?;
    bed.report.right("Healthy to begin with", took);
    // The measurement stops the shop at both its edges, which readiness probes and small monitors notice: it comes
    // before the minutes in which nothing may be written.
    compare(bed, MEASURED)?;
    bed.heal(HEAL_LIMIT)?;
    wait_until_quiet(bed)?;
    let length = match Extent::chosen()? {
        Extent::All => MINUTES,
        Extent::Main => FEWER_MINUTES,
    };
    let length = shortened()?.unwrap_or(length);
    let begun = Instant::now();
    let (before, since) = (ApiWrites::now(&bed.cluster)?, Since::now(&bed.cluster, SHOP)?);
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| stays_healthy(bed, length));
        let rejected = super::rogue::run_quietly(bed);
        let watched = watched.join().map_err(|_| anyhow::anyhow!("the watch panicked"))?;
        watched.and(rejected)
    })?;
    let mut writes = ApiWrites::now(&bed.cluster)?.since(&before);
    let explained = explained(bed, &since.changes(&bed.cluster)?)?;
    if writes.get(STATUS_WRITES) == Some(&explained) {
        writes.remove(STATUS_WRITES);
    }
    if !writes.is_empty() {
        bail!(
            "writes while nothing changed, besides leases and {explained} that are explained: {}",
            listed(&writes)
        );
    }
    bed.report.right("Healthy throughout, without an API write that nothing explains", begun.elapsed());
    Ok(())
}

/// The number of writes that had a reason. On a machine of two cores nodes become short of CPU, and round trips follow:
/// that is told, once for each monitor. Anything else has no reason while nothing changes.
fn explained(bed: &Bed, changes: &[Change]) -> anyhow::Result<u64> {
    let mut with_numbers = BTreeSet::new();
    for change in changes {
        match change.reason() {
            Reason::Shortages => {}
            Reason::Numbers(_) if with_numbers.insert(&change.monitor) => {}
            Reason::Numbers(number) => {
                bail!("the numbers of {} were written twice in minutes: {number}", change.monitor)
            }
            Reason::Other(_) => bail!("a status changed while nothing else did: {change}"),
        }
        bed.report.note(&format!("a status was written for a reason: {change}"));
    }
    Ok(u64::try_from(changes.len())?)
}

/// Waits until nothing but leases has been written for a while.
fn wait_until_quiet(bed: &Bed) -> anyhow::Result<()> {
    let mut last = ApiWrites::now(&bed.cluster)?;
    let mut since = Instant::now();
    wait_for(QUIET_LIMIT, format!("nothing is written for {}", seconds(QUIET)), || {
        let now = match ApiWrites::now(&bed.cluster) {
            Ok(now) => now,
            Err(error) => return Look::NotYet(format!("{error:#}")),
        };
        let written = now.since(&last);
        if !written.is_empty() {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() >= QUIET { Look::Done(()) } else { Look::NotYet(listed(&written)) }
    })?;
    Ok(())
}

/// `HEALTHY_SECONDS` shortens the run for whoever works on something else.
fn shortened() -> anyhow::Result<Option<Duration>> {
    let Ok(text) = std::env::var("HEALTHY_SECONDS") else { return Ok(None) };
    let seconds =
        text.parse().with_context(|| format!("HEALTHY_SECONDS={text}: write a number of seconds"))?;
    Ok(Some(Duration::from_secs(seconds)))
}

fn stays_healthy(bed: &Bed, length: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < length {
        if interrupted() {
            bail!("interrupted");
        }
        let status = bed.cluster.status(SHOP, SHOP)?;
        if !Expected::healthy().is_met_by(&status) {
            let summary = status.degradation.as_ref().map(|degradation| degradation.summary.clone());
            let after = begun.elapsed().as_secs();
            let summary = summary.unwrap_or_default();
            let verdict = verdict_of(&status);
            return Err(FalseVerdict(format!("after {after} s of health: {verdict}; {summary}")).into());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn listed(writes: &BTreeMap<String, u64>) -> String {
    writes.iter().map(|(what, count)| format!("{count} × {what}")).collect::<Vec<_>>().join(", ")
}

/// Measures, and fails where agents and kernel differ.
fn compare(bed: &Bed, length: Duration) -> anyhow::Result<()> {
    let measurement = Measurement::begin(bed)?;
    told(bed, &measurement.end_after(bed, length)?)
}

fn told(bed: &Bed, comparison: &Comparison) -> anyhow::Result<()> {
    for counter in &comparison.counters {
        bed.report.note(&counter.to_string());
    }
    let differing: Vec<_> = comparison.differing().iter().map(ToString::to_string).collect();
    if !differing.is_empty() {
        bail!("agents and kernel differ by more than 1%: {}", differing.join("; "));
    }
    Ok(())
}

/// 5% loss between two zones, with the counters compared while it lasts.
pub(super) fn zone_pair_loss_with_counters(bed: &Bed) -> anyhow::Result<()> {
    let expected = Expected::infrastructure(ComponentKind::ZonePair, "zone-2~zone-3");
    let fault = Fault::zone_link("zone-2", "zone-3", 0.05);
    let measurement = Measurement::begin(bed)?;
    Trial::of(fault, expected)
        .run_while(bed, |bed| told(bed, &measurement.end_after(bed, MEASURED_WITH_LOSS)?))
}
