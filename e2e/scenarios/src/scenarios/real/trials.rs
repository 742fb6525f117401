//! Each fault on top of real software's traffic: the right component with the right attribution and nothing beside it, and how
//! long that took.

use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use tidewatch_crds::network_monitor::{ComponentKind, FaultCause};
use tidewatch_lab::Fault;
use tidewatch_lab::fault::Direction;

use super::allowed::Allowed;
use super::form::Form;
use super::life::name_of_files;
use super::listener::Listener;
use super::load::{Load, machine};
use super::recording::Recording;
use crate::bed::{Bed, Windows};
use crate::cluster::name_of;
use crate::expect::{Expected, FalseVerdict, verdict_of};
use crate::interrupt::interrupted;
use crate::wait::{Look, wait_for};

/// Until the verdict is there. What is promised of it is in docs/health.md; this is what is waited for on a machine that
/// is short of CPU.
const ONSET_LIMIT: Duration = Duration::from_secs(180);
const MILD_ONSET_LIMIT: Duration = Duration::from_secs(360);
/// Until nothing is said any more.
const HEAL_LIMIT: Duration = Duration::from_secs(240);
/// Time for which a verdict is watched once it is there: it must stay, and no other component may be named beside it.
const WATCHED: Duration = Duration::from_secs(30);

const NAMESPACE: &str = "real";
const LOSS: &[FaultCause] = &[FaultCause::PacketLoss];
const FAILING: &[FaultCause] = &[FaultCause::ConnectionFailures, FaultCause::PacketLoss];

/// A fault, or several, and the verdict on it.
struct Trial {
    name: &'static str,
    /// Part of the short form: at ease, at saturation.
    brief: (bool, bool),
    faults: Vec<Fault>,
    expected: Expected,
    limit: Duration,
}

impl Trial {
    fn new(name: &'static str, fault: Fault, expected: Expected) -> Self {
        Self { name, brief: (false, false), faults: vec![fault], expected, limit: ONSET_LIMIT }
    }

    fn and(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// As `bench-nhi recorded` reads it.
    fn note(&self, recording: &Recording, span: (Timestamp, Timestamp)) {
        let Some(fault) = &self.expected.fault else { return };
        let components: Vec<_> = fault.components.iter().map(|it| kind_and_name(it.kind, &it.name)).collect();
        let attribution = format!("{:?}", fault.attribution).to_lowercase();
        let causes: Vec<_> =
            fault.components.iter().flat_map(|it| &it.causes).map(|it| cause_name(*it)).collect();
        recording.note(self.name, &components, &attribution, &causes, span);
    }

    fn mild(self) -> Self {
        Self { limit: MILD_ONSET_LIMIT, ..self }
    }

    fn brief(self, ease: bool, saturation: bool) -> Self {
        Self { brief: (ease, saturation), ..self }
    }
}

fn trials() -> Vec<Trial> {
    let pair = |name: &str| Expected::infrastructure(ComponentKind::ZonePair, name);
    let node =
        |name: &str, causes: &[FaultCause]| Expected::infrastructure(ComponentKind::Node, name).by(causes);
    let service =
        |name: &str, cause: FaultCause| Expected::workload(&format!("{NAMESPACE}/{name}"), &[cause]);
    vec![
        Trial::new("zone-pair-loss-5", Fault::zone_link("zone-1", "zone-2", 0.05), pair("zone-1~zone-2"))
            .brief(false, true),
        Trial::new("zone-pair-loss-2", Fault::zone_link("zone-2", "zone-3", 0.02), pair("zone-2~zone-3")),
        Trial::new("one-way-loss", Fault::zone_link_one_way("zone-3", "zone-1", 0.05), pair("zone-1~zone-3")),
        Trial::new("node-loss-5", Fault::node("zone-2-b", 0.05), node("zone-2-b", LOSS)),
        Trial::new("node-loss-15", Fault::node("zone-3-b", 0.15), node("zone-3-b", LOSS)),
        Trial::new("zone-pair-loss-half", Fault::zone_link("zone-2", "zone-3", 0.005), pair("zone-2~zone-3"))
            .mild(),
        Trial::new("node-loss-1", Fault::node("zone-3-a", 0.01), node("zone-3-a", LOSS)).mild(),
        Trial::new(
            "zone-pair-down",
            Fault::zone_link("zone-1", "zone-3", 1.0),
            pair("zone-1~zone-3").by(&[
                FaultCause::PacketLoss,
                FaultCause::Unreachable,
                FaultCause::ConnectionFailures,
            ]),
        ),
        Trial::new(
            "two-faults",
            Fault::zone_link("zone-1", "zone-2", 0.03),
            pair("zone-1~zone-2").and(service("redis", FaultCause::Refused)),
        )
        .and(Fault::refuse(NAMESPACE, "redis")),
        Trial::new("port-blocked", Fault::block(NAMESPACE, "web"), service("web", FaultCause::Unreachable)),
        Trial::new(
            "connection-refused",
            Fault::refuse(NAMESPACE, "redis"),
            service("redis", FaultCause::Refused),
        ),
        Trial::new("lossy-remote", Fault::remote("dynamodb", 0.05), Expected::external("dynamodb")),
        // Clients without a time-out for connecting, and few of them.
        Trial::new(
            "patient-clients",
            Fault::block(NAMESPACE, "postgres"),
            service("postgres", FaultCause::Unreachable),
        ),
        Trial::new(
            "conntrack-full",
            Fault::conntrack_full("zone-3-b"),
            node("zone-3-b", &[FaultCause::ConntrackFull]),
        )
        .brief(true, false),
        Trial::new(
            "new-connections-fail",
            Fault::connections("zone-2-a", 1.0, Direction::Both),
            node("zone-2-a", FAILING),
        ),
        Trial::new(
            "new-connections-fail-30",
            Fault::connections("zone-2-b", 0.3, Direction::Both),
            node("zone-2-b", FAILING),
        ),
        Trial::new(
            "inbound-connections-fail",
            Fault::connections("zone-3-a", 1.0, Direction::Inbound),
            node("zone-3-a", FAILING),
        ),
        Trial::new(
            "outbound-connections-fail",
            Fault::connections("zone-3-b", 1.0, Direction::Outbound),
            node("zone-3-b", FAILING),
        ),
    ]
}

pub(super) fn names() -> Vec<&'static str> {
    trials().into_iter().map(|trial| trial.name).collect()
}

/// A component as `tidewatch analyze` writes it.
fn kind_and_name(kind: ComponentKind, name: &str) -> String {
    match kind {
        ComponentKind::Node => format!("node/{name}"),
        ComponentKind::Zone => format!("zone/{name}"),
        ComponentKind::ZonePair => format!("zone-pair/{name}"),
        ComponentKind::Service => format!("service/{name}"),
        ComponentKind::Pod => format!("pod/{name}"),
        ComponentKind::AwsService => format!("service/aws/{name}"),
        ComponentKind::Internet => format!("internet/{name}"),
    }
}

/// A cause as `tidewatch analyze` writes it.
fn cause_name(cause: FaultCause) -> &'static str {
    match cause {
        FaultCause::PacketLoss => "packet_loss",
        FaultCause::Latency => "latency",
        FaultCause::Unreachable => "unreachable",
        FaultCause::Refused => "refused",
        FaultCause::Overload => "overload",
        FaultCause::ConnectionFailures => "connection_failures",
        FaultCause::ConntrackFull => "conntrack_full",
        FaultCause::AllowanceExceeded => "allowance_exceeded",
        FaultCause::Unknown => "unknown",
    }
}

pub(super) fn at_ease(bed: &Bed) -> anyhow::Result<()> {
    all(bed, Load::Ease, Windows::Short)
}

pub(super) fn at_saturation(bed: &Bed) -> anyhow::Result<()> {
    all(bed, Load::Saturation, Windows::Short)
}

pub(super) fn at_ease_with_defaults(bed: &Bed) -> anyhow::Result<()> {
    all(bed, Load::Ease, Windows::Default)
}

pub(super) fn at_saturation_with_defaults(bed: &Bed) -> anyhow::Result<()> {
    all(bed, Load::Saturation, Windows::Default)
}

/// Tries them one after the other, also after one that failed.
fn all(bed: &Bed, load: Load, windows: Windows) -> anyhow::Result<()> {
    let form = Form::chosen()?;
    bed.install_windows(windows)?;
    let recording = Recording::begin(bed)?;
    load.set(bed)?;
    let mut failures = Vec::new();
    for trial in trials() {
        let (ease, saturation) = trial.brief;
        let brief = if load == Load::Ease { ease } else { saturation };
        if !form.includes(trial.name, brief) || interrupted() {
            continue;
        }
        bed.report.step(&format!("{}, {load}", trial.name));
        if let Err(error) = run(bed, &trial, load, windows, &recording) {
            bed.report.wrong(&format!("{error:#}"));
            failures.push(format!("{}: {error:#}", trial.name));
            bed.lab_ref()?.heal_all()?;
            nothing_is_said(bed).context("healing after a trial that failed")?;
        }
    }
    recording.end(bed, &format!("faults-{}", name_of_files(load, windows)))?;
    if failures.is_empty() {
        return Ok(());
    }
    // A verdict that is wrong or missing isn't tried a second time.
    Err(FalseVerdict(failures.join("\n  ")).into())
}

fn run(bed: &Bed, trial: &Trial, load: Load, windows: Windows, recording: &Recording) -> anyhow::Result<()> {
    bed.report.note(&machine()?);
    let (times, account) = Listener::while_running(bed, &Allowed::only(&trial.expected), || {
        let (from, onset) = (Timestamp::now(), Instant::now());
        let found = begin(bed, trial)
            .and_then(|()| says(bed, &trial.expected, trial.limit).context("after the onset"));
        let named = onset.elapsed();
        let stays = found.and_then(|()| {
            bed.report.right(&trial.expected.to_string(), named);
            super::life::pass(WATCHED)
        });
        bed.lab_ref()?.heal_all()?;
        let healing = Instant::now();
        trial.note(recording, (from, Timestamp::now()));
        stays?;
        says(bed, &Expected::healthy(), HEAL_LIMIT).context("after the healing")?;
        bed.report.right("healed: Healthy", healing.elapsed());
        let healed = healing.elapsed();
        nothing_is_said(bed)?;
        Ok((named, healed))
    })?;
    let (named, healed) = times;
    let window = if windows == Windows::Short { "short" } else { "default" };
    bed.report.plain(&format!(
        "BENCH {{\"bench\":\"real\",\"trial\":\"{}\",\"load\":\"{load}\",\"windows\":\"{window}\",\"named_seconds\":{:.1},\"healed_seconds\":{:.1}}}",
        trial.name,
        named.as_secs_f64(),
        healed.as_secs_f64()
    ));
    account.is_true()
}

fn begin(bed: &Bed, trial: &Trial) -> anyhow::Result<()> {
    for fault in &trial.faults {
        bed.lab_ref()?.fault(fault.clone())?;
        bed.report.note(&format!("fault: {fault}"));
    }
    Ok(())
}

/// Waits until no monitor blames anyone: those of a part of the traffic can be slower to see that a fault is over.
pub(super) fn nothing_is_said(bed: &Bed) -> anyhow::Result<()> {
    let namespace = bed.workload.namespace();
    wait_for(HEAL_LIMIT, "no monitor blames anyone", || match bed.cluster.monitors(namespace) {
        Ok(monitors) => {
            let blaming = monitors.iter().find_map(|monitor| {
                let status = monitor.status.as_ref()?;
                status.degradation.as_ref()?;
                Some(format!("{}: {}", name_of(&monitor.metadata), verdict_of(status)))
            });
            blaming.map_or(Look::Done(()), Look::NotYet)
        }
        Err(error) => Look::NotYet(format!("{error:#}")),
    })?;
    Ok(())
}

/// Waits until the monitor of everything says so.
pub(super) fn says(bed: &Bed, expected: &Expected, limit: Duration) -> anyhow::Result<()> {
    wait_for(limit, format!("the monitor says {expected}"), || match bed.main_status() {
        Ok(status) if expected.is_met_by(&status) => Look::Done(()),
        Ok(status) => Look::NotYet(verdict_of(&status)),
        Err(error) => Look::NotYet(format!("{error:#}")),
    })?;
    Ok(())
}
