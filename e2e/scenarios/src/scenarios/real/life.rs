//! Ordinary life of a cluster, in which nothing is wrong: rollouts, pods that are killed, scaling, a node that is drained,
//! restarts of Tidewatch itself. Whoever is blamed in it is blamed wrongly.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tidewatch_crds::network_monitor::NetworkHealthIndicator;

use super::allowed::Allowed;
use super::form::Form;
use super::listener::Listener;
use super::load::{Load, machine};
use super::recording::Recording;
use super::trials::nothing_is_said;
use crate::bed::{Bed, Windows};
use crate::cluster::name_of;
use crate::interrupt::interrupted;
use crate::pods::Located;
use crate::wait::{Look, wait_for};

/// The node that is drained.
const DRAINED: &str = "zone-2-b";
/// Time limit of one event on a machine without a free CPU.
const EVENT_LIMIT: Duration = Duration::from_secs(300);
/// Until the monitors know what is usual, after the traffic has become another.
const SETTLE_LIMIT: Duration = Duration::from_secs(240);

/// One thing that happens in every cluster.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// `kubectl rollout restart` of a Deployment.
    Rollout(&'static str),
    /// A pod is deleted.
    Delete(&'static str),
    /// A pod's process crashes.
    Crash(&'static str),
    /// More pods, then as many as before.
    Scale(&'static str, u32),
    /// A node is drained, then used again.
    Drain,
    OperatorCrash,
    AgentCrash,
}

const EASE: [Event; 9] = [
    Event::Rollout("web"),
    Event::Delete("redis"),
    Event::Scale("edge", 5),
    Event::Crash("cache"),
    Event::Drain,
    Event::OperatorCrash,
    Event::AgentCrash,
    Event::Rollout("pgbench-pool"),
    Event::Delete("postgres"),
];
const SATURATION: [Event; 9] = [
    Event::Drain,
    Event::OperatorCrash,
    Event::Rollout("redis"),
    Event::Delete("web"),
    Event::AgentCrash,
    Event::Crash("postgres"),
    Event::Scale("cache", 5),
    Event::Rollout("wrk-edge"),
    Event::Delete("edge"),
];

pub(super) fn at_ease(bed: &Bed) -> anyhow::Result<()> {
    live(bed, Load::Ease, Windows::Short, &EASE)
}

pub(super) fn at_saturation(bed: &Bed) -> anyhow::Result<()> {
    live(bed, Load::Saturation, Windows::Short, &SATURATION)
}

pub(super) fn at_ease_with_defaults(bed: &Bed) -> anyhow::Result<()> {
    live(bed, Load::Ease, Windows::Default, &EASE)
}

pub(super) fn at_saturation_with_defaults(bed: &Bed) -> anyhow::Result<()> {
    live(bed, Load::Saturation, Windows::Default, &SATURATION)
}

fn live(bed: &Bed, load: Load, windows: Windows, events: &[Event]) -> anyhow::Result<()> {
    let form = Form::chosen()?;
    bed.install_windows(windows)?;
    let recording = Recording::begin(bed)?;
    nothing_is_said(bed)?;
    let begun = Instant::now();
    let lived = Listener::while_running(bed, &Allowed::ordinary_life(), || {
        load.set(bed)?;
        all_judged(bed)?;
        let length = form.life()?;
        let pause = length / u32::try_from(events.len() + 1).unwrap_or(u32::MAX);
        let lived = Instant::now();
        let mut upcoming = events.iter().cycle();
        // The short form has no time for all of them.
        while lived.elapsed() < length {
            pass(pause)?;
            let Some(event) = upcoming.next() else { break };
            if lived.elapsed() < length {
                happen(bed, *event).with_context(|| format!("{event:?}"))?;
            }
        }
        bed.report.note(&machine()?);
        pass(form.afterwards())
    });
    recording.end(bed, &format!("life-{}", name_of_files(load, windows)))?;
    let ((), account) = lived?;
    account.is_true()?;
    let statements = account.statements;
    bed.report.right(&format!("ordinary life {load}: {statements} statements, none untrue"), begun.elapsed());
    Ok(())
}

/// As part of a file's name.
pub(super) fn name_of_files(load: Load, windows: Windows) -> String {
    let load = if load == Load::Ease { "ease" } else { "saturation" };
    let windows = if windows == Windows::Short { "short" } else { "default" };
    format!("{load}-{windows}")
}

/// Waits until each monitor has judged a window and says what it sees.
fn all_judged(bed: &Bed) -> anyhow::Result<()> {
    let ((), took) =
        wait_for(SETTLE_LIMIT, "the monitor of everything says Healthy", || match bed.main_status() {
            Ok(status) if status.network_health_indicator == Some(NetworkHealthIndicator::Healthy) => {
                Look::Done(())
            }
            Ok(status) => Look::NotYet(crate::expect::verdict_of(&status)),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })?;
    bed.report.right("Healthy to begin with", took);
    Ok(())
}

/// Lets time go by.
pub(super) fn pass(time: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        if interrupted() {
            bail!("interrupted");
        }
        std::thread::sleep(left.min(Duration::from_millis(500)));
    }
    Ok(())
}

fn happen(bed: &Bed, event: Event) -> anyhow::Result<()> {
    let namespace = bed.workload.namespace();
    let kubectl =
        |arguments: &[&str]| bed.lab_ref()?.kubectl(arguments, EVENT_LIMIT).map_err(anyhow::Error::from);
    bed.report.line(&format!("  event: {event:?}"));
    match event {
        Event::Rollout(name) => {
            kubectl(&["rollout", "restart", "--namespace", namespace, &format!("deployment/{name}")])?;
        }
        Event::Delete(app) => {
            let pod = a_pod(bed, app)?.name;
            kubectl(&["delete", "pod", "--namespace", namespace, &pod, "--wait=true"])?;
        }
        Event::Crash(app) => a_pod(bed, app)?.kill()?,
        Event::Scale(name, pods) => {
            let deployment = format!("deployment/{name}");
            for replicas in [pods, 3] {
                kubectl(&[
                    "scale",
                    "--namespace",
                    namespace,
                    &format!("--replicas={replicas}"),
                    &deployment,
                ])?;
                bed.wait_for_deployments_within(namespace, EVENT_LIMIT)?;
            }
        }
        Event::Drain => {
            let options = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--grace-period=3"];
            let drained = kubectl(&[&["drain", DRAINED, "--timeout=120s"], &options[..]].concat());
            let used = drained.and_then(|_| bed.wait_for_deployments_within(namespace, EVENT_LIMIT));
            kubectl(&["uncordon", DRAINED])?;
            used?;
        }
        Event::OperatorCrash => bed.located("operator")?.iter().try_for_each(Located::kill)?,
        Event::AgentCrash => bed.located("agent")?.first().context("no agent")?.kill()?,
    }
    bed.wait_for_deployments_within(namespace, EVENT_LIMIT)
}

/// A running pod of this app.
pub(super) fn a_pod(bed: &Bed, app: &str) -> anyhow::Result<Located> {
    let pods = bed.cluster.pods(bed.workload.namespace(), &format!("app={app}"))?;
    let running = |pod: &&k8s_openapi::api::core::v1::Pod| {
        pod.metadata.deletion_timestamp.is_none()
            && pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"))
    };
    let pod = pods.iter().find(running).with_context(|| {
        format!(
            "no pod of {app} runs: {}",
            pods.iter().map(|pod| name_of(&pod.metadata)).collect::<Vec<_>>().join(", ")
        )
    })?;
    Located::find(bed.lab_ref()?, pod)
}
