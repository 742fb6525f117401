//! Crashes and outages of Tidewatch itself.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use tidewatch_crds::network_monitor::{ComponentKind, NetworkMonitorStatus};
use tidewatch_lab::Fault;

use super::faults::{HEAL_LIMIT, ONSET_LIMIT};
use crate::bed::{Bed, SHOP, WINDOW};
use crate::expect::{Expected, verdict_of};
use crate::metrics::Metrics;
use crate::pods::Located;
use crate::wait::{Look, wait_for};

/// An agent's window and the collector's patience after it.
const GRACE: Duration = Duration::from_secs(8);
/// The kubelet notices, starts the container again, and the new leader waits for the old one's lease.
const RESTART: Duration = Duration::from_secs(30);
const OUTAGE: Duration = Duration::from_secs(120);
const COMMAND_LIMIT: Duration = Duration::from_secs(15);

pub(super) fn agent_killed(bed: &Bed) -> anyhow::Result<()> {
    let agents = bed.located("agent")?;
    for agent in agents.iter().take(2) {
        agent.kill()?;
        bed.report.note(&format!("killed the agent of {}", agent.node));
    }
    right_again(bed, &Expected::healthy(), RESTART + 2 * WINDOW + GRACE)
}

pub(super) fn operator_killed(bed: &Bed) -> anyhow::Result<()> {
    let expected = Expected::infrastructure(ComponentKind::ZonePair, "zone-2~zone-3");
    let fault = bed.lab_ref()?.fault(Fault::zone_link("zone-2", "zone-3", 0.05))?;
    let outcome = bed.wait_for_verdict(SHOP, &expected, ONSET_LIMIT).and_then(|took| {
        bed.report.right(&format!("{expected}"), took);
        for operator in bed.located("operator")? {
            operator.kill()?;
        }
        bed.report.note("killed the operator");
        right_again(bed, &expected, RESTART + 2 * WINDOW + GRACE)
    });
    bed.lab_ref()?.heal(&fault)?;
    outcome?;
    let healed = bed.wait_for_verdict(SHOP, &Expected::healthy(), HEAL_LIMIT)?;
    bed.report.right("healed: Healthy", healed);
    Ok(())
}

/// From now on the status says `expected`, of a window that began after now and that all nodes reported.
///
/// The status itself needn't be written for that (it isn't while nothing changes); the metrics tell the window.
fn right_again(bed: &Bed, expected: &Expected, limit: Duration) -> anyhow::Result<()> {
    let since = Timestamp::now();
    let nodes = bed.lab_ref()?.nodes().len() as u64;
    let ((), took) =
        wait_for(limit, format!("all nodes report again, and the status says {expected}"), || {
            let (status, judged) = match (bed.cluster.status(SHOP, SHOP), Judged::now(bed)) {
                (Ok(status), Ok(judged)) => (status, judged),
                (Err(error), _) | (_, Err(error)) => return Look::NotYet(format!("{error:#}")),
            };
            let newer = judged.window_start > since.as_second() as f64;
            let all = judged.nodes == nodes as f64 && reporting(&status) == nodes;
            if newer && all && expected.is_met_by(&status) {
                return Look::Done(());
            }
            Look::NotYet(format!(
                "{}, {} of {nodes} nodes in the status, {} in the last window, which began {} the kill",
                verdict_of(&status),
                reporting(&status),
                judged.nodes,
                if newer { "after" } else { "before" }
            ))
        })?;
    bed.report.right("all nodes report again, and the status is right", took);
    Ok(())
}

/// The shop's last judged window, as the operator's metrics tell.
struct Judged {
    window_start: f64,
    nodes: f64,
}

impl Judged {
    fn now(bed: &Bed) -> anyhow::Result<Self> {
        let metrics = Metrics::now(&bed.cluster)?;
        let shop = format!("namespace=\"{SHOP}\",name=\"{SHOP}\"");
        let value =
            |name: &str| metrics.sum(&format!("tidewatch_networkmonitor_{name}"), |labels| labels == shop);
        Ok(Self { window_start: value("window_start_timestamp_seconds"), nodes: value("nodes_reporting") })
    }
}

fn reporting(status: &NetworkMonitorStatus) -> u64 {
    status.coverage.map_or(0, |coverage| coverage.nodes_reporting)
}

pub(super) fn collector_unreachable(bed: &Bed) -> anyhow::Result<()> {
    let operators = bed.located("operator")?;
    let begun = Instant::now();
    set_collector_blocked(bed, &operators, true)?;
    bed.report.note("the collector's port drops everything for two minutes");
    let outcome = outage(bed, begun);
    set_collector_blocked(bed, &operators, false)?;
    outcome?;

    let nodes = bed.lab_ref()?.nodes().len() as u64;
    let limit = 2 * WINDOW + GRACE + RESTART;
    let ((), took) = wait_for(limit, "all nodes report again and the shop is Healthy", || {
        match bed.cluster.status(SHOP, SHOP) {
            Ok(status) if reporting(&status) == nodes && Expected::healthy().is_met_by(&status) => {
                Look::Done(())
            }
            Ok(status) => {
                Look::NotYet(format!("{}, {} of {nodes} nodes", verdict_of(&status), reporting(&status)))
            }
            Err(error) => Look::NotYet(format!("{error:#}")),
        }
    })?;
    bed.report.right("after the outage all nodes report, and the status is right", took);
    let coverage = bed.cluster.status(SHOP, SHOP)?.coverage.context("no coverage in the status")?;
    let (seen, reported) = (coverage.connections_seen, coverage.connections_reported);
    bed.report.note(&format!("coverage over the last minutes: {reported} of {seen} connections reported"));
    if reported > seen {
        bail!("more connections reported ({reported}) than seen ({seen})");
    }
    Ok(())
}

/// For as long as the outage lasts: soon no node reports, and nobody is blamed for what isn't seen.
fn outage(bed: &Bed, begun: Instant) -> anyhow::Result<()> {
    // The rest of the window in which it began, two windows without a report, and one window's margin.
    let ((), took) = wait_for(4 * WINDOW + GRACE, "the coverage shows that no node reports", || {
        match bed.cluster.status(SHOP, SHOP) {
            Ok(status) if reporting(&status) == 0 => Look::Done(()),
            Ok(status) => {
                Look::NotYet(format!("{} nodes report; {}", reporting(&status), verdict_of(&status)))
            }
            Err(error) => Look::NotYet(format!("{error:#}")),
        }
    })?;
    bed.report.right("the coverage shows that no node reports", took);
    while begun.elapsed() < OUTAGE {
        let status = bed.cluster.status(SHOP, SHOP)?;
        if status.degradation.is_some() {
            bail!("a fault was named while nothing was seen: {}", verdict_of(&status));
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    Ok(())
}

fn set_collector_blocked(bed: &Bed, operators: &[Located], blocked: bool) -> anyhow::Result<()> {
    let action = if blocked { "-I" } else { "-D" };
    for operator in operators {
        let rule = ["iptables", "-w", action, "INPUT", "-p", "tcp", "--dport", "4317", "-j", "DROP"];
        bed.lab_ref()?.exec_in(&operator.place(), &rule, COMMAND_LIMIT)?;
    }
    Ok(())
}
