//! The demo's story: what is done to the cluster, what Tidewatch should say, what it says, and after how long.

use std::time::Duration;

use anyhow::Context;
use tidewatch_crds::network_monitor::{ComponentKind, EvaluationSpec, FaultCause, NetworkMonitorStatus};
use tidewatch_lab::Fault;

use crate::bed::{Bed, OPERATOR_NAMESPACE, SHOP};
use crate::expect::{Expected, verdict_of};
use crate::pods::{Located, Resident};
use crate::report::seconds;
use crate::scenarios::faults::{HEAL_LIMIT, ONSET_LIMIT};
use crate::traffic;

/// Until the agents report and the engine knows what is usual.
const FIRST_LIMIT: Duration = Duration::from_secs(180);
const KUBECTL_LIMIT: Duration = Duration::from_secs(30);
/// Where the length of the agents' windows is in their DaemonSet.
const AGENT_WINDOW: &str =
    "jsonpath={.spec.template.spec.containers[0].env[?(@.name==\"TIDEWATCH_WINDOW\")].value}";

/// One step of the story.
struct Step {
    title: &'static str,
    does: Deed,
    expected: Expected,
    limit: Duration,
}

enum Deed {
    Nothing,
    Fault(Fault),
    Heal,
}

/// Traffic that the closing table shows.
struct Noted {
    title: &'static str,
    status: NetworkMonitorStatus,
}

/// Tells the story. True if Tidewatch was right at each step.
pub fn tell(bed: &Bed) -> anyhow::Result<bool> {
    let mut right = true;
    let mut noted = Vec::new();
    bed.report.plain(&windows(bed)?);
    for step in story() {
        right &= take(bed, &step)?;
        noted.push(Noted { title: step.title, status: bed.cluster.status(SHOP, SHOP)? });
    }
    for Noted { title, status } in noted.iter().take(2) {
        bed.report.plain(&format!("\nTraffic of one window, {title}:"));
        for line in traffic::table(status) {
            bed.report.plain(&format!("  {line}"));
        }
    }
    show_memory(bed)?;
    Ok(right)
}

/// The lengths of the windows that the demo runs with, on which detection times depend.
fn windows(bed: &Bed) -> anyhow::Result<String> {
    let agents = bed.lab_ref()?.kubectl(
        &["get", "daemonset", "tidewatch-agent", "--namespace", OPERATOR_NAMESPACE, "--output", AGENT_WINDOW],
        KUBECTL_LIMIT,
    );
    let agents = agents.context("the agents' window")?.stdout;
    let monitor = bed.cluster.monitor(SHOP, SHOP)?;
    let evaluation = monitor.spec.evaluation.window;
    Ok(format!(
        "Windows: agents {}, evaluation {evaluation} (a cluster with the chart's defaults has 15s and {})",
        agents.trim(),
        EvaluationSpec::default().window
    ))
}

/// Prints the memory that Tidewatch itself uses, at the end of the demo.
fn show_memory(bed: &Bed) -> anyhow::Result<()> {
    let largest = |component| -> anyhow::Result<Resident> {
        let pods = bed.located(component)?;
        let resident = pods.iter().map(Located::resident).collect::<anyhow::Result<Vec<_>>>()?;
        resident
            .into_iter()
            .max_by(|a, b| a.mib.total_cmp(&b.mib))
            .with_context(|| format!("no pod of the {component} runs"))
    };
    let (operator, agent) = (largest("operator")?, largest("agent")?);
    bed.report.plain(
        "\nResident memory, of which the program itself is a part that is smaller in a release build:",
    );
    for (name, resident, target) in [("operator", operator, 80), ("largest agent", agent, 20)] {
        let Resident { mib, program_mib } = resident;
        bed.report
            .plain(&format!("  {name}: {mib:.1} MiB (target {target}), {program_mib:.1} MiB of it program"));
    }
    bed.report.plain(&format!(
        "BENCH {{\"bench\":\"demo\",\"operator_rss_mib\":{:.1},\"operator_program_mib\":{:.1},\"agent_rss_mib\":{:.1},\"agent_program_mib\":{:.1}}}",
        operator.mib, operator.program_mib, agent.mib, agent.program_mib
    ));
    Ok(())
}

fn story() -> [Step; 5] {
    let pair = Expected::infrastructure(ComponentKind::ZonePair, "zone-1~zone-2");
    let blocked = Expected::workload("shop/payments", &[FaultCause::Unreachable]);
    let healed = |title| Step { title, does: Deed::Heal, expected: Expected::healthy(), limit: HEAL_LIMIT };
    [
        Step { title: "all is well", does: Deed::Nothing, expected: Expected::healthy(), limit: FIRST_LIMIT },
        Step {
            title: "the link between zone-1 and zone-2 loses 2% of its packets",
            does: Deed::Fault(Fault::zone_link("zone-1", "zone-2", 0.02)),
            expected: pair,
            limit: ONSET_LIMIT,
        },
        healed("the link is repaired"),
        Step {
            title: "somebody blocks the port of payments",
            does: Deed::Fault(Fault::block(SHOP, "payments")),
            expected: blocked,
            limit: ONSET_LIMIT,
        },
        healed("the port is open again"),
    ]
}

fn take(bed: &Bed, step: &Step) -> anyhow::Result<bool> {
    bed.report.step(step.title);
    match &step.does {
        Deed::Nothing => {}
        Deed::Heal => bed.lab_ref()?.heal_all()?,
        Deed::Fault(fault) => {
            bed.lab_ref()?.fault(fault.clone())?;
            bed.report.note(&format!("$ tidewatch-lab fault {fault}"));
        }
    }
    bed.report.line(&format!("  expected  {}", step.expected));
    let outcome = bed.wait_for_verdict(SHOP, &step.expected, step.limit);
    if matches!(step.does, Deed::Nothing) {
        bed.wait_for_coverage(step.limit)?;
    }
    let status = bed.cluster.status(SHOP, SHOP)?;
    let observed = format!("observed  {}", verdict_of(&status));
    match &outcome {
        Ok(took) => bed
            .report
            .line(&format!("  {observed}  {}", bed.report.good(&format!("✓ after {}", seconds(*took))))),
        Err(error) => {
            bed.report.line(&format!("  {observed}  {}", bed.report.bad("✗")));
            bed.report.wrong(&format!("{error:#}"));
        }
    }
    if let Some(degradation) = &status.degradation {
        bed.report.note(&format!("summary   {}", degradation.summary));
    }
    show_monitors(bed)?;
    Ok(outcome.is_ok())
}

/// Prints the monitors as a user sees them.
fn show_monitors(bed: &Bed) -> anyhow::Result<()> {
    let columns = bed.lab_ref()?.kubectl(&["get", "netmon", "--namespace", SHOP], KUBECTL_LIMIT);
    for line in columns.context("kubectl get netmon")?.stdout.lines() {
        bed.report.note(&format!("  {line}"));
    }
    Ok(())
}
