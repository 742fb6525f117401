//! What a reconcile starts from: plain structs, gathered from what the process already knows. Nothing here asks the API
//! server.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidewatch_agent_fleet::Fleet;
use tidewatch_cluster::Index;
use tidewatch_crds::network_monitor::{FaultyComponent, Hint};
use tidewatch_crds::{NetworkMonitor, NetworkMonitorStatus};
use tidewatch_evaluation::Evaluation;
use tidewatch_health::{Class, ComponentFault, ComponentId, Config, RecentTraffic, Verdict, project};
use tidewatch_records::Name;

use super::components::{faulty_component, same_component};
use super::hints::{Onset, hints};
use super::reporting::Reporting;
use super::selection::{Selection, Unresolved};
use super::spec::{SpecError, ValidSpec};
use super::traffic::TrafficTotals;

/// Everything that the status depends on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Observed {
    pub now: Timestamp,
    pub generation: Option<i64>,
    pub fleet: Fleet,
    /// Why the cluster isn't known as it is now, if it isn't: then nothing can be told.
    pub unknown: Option<String>,
    pub monitor: Result<Monitored, Vec<SpecError>>,
}

/// What was seen for a valid spec.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Monitored {
    pub spec: ValidSpec,
    pub unresolved: Vec<Unresolved>,
    pub view: View,
    /// How publishing goes, where it is asked for.
    pub publishing: Option<Publishing>,
}

/// How publishing to CloudWatch goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Publishing {
    /// The chart doesn't allow the operator to use AWS.
    Disabled,
    /// Nothing was sent yet.
    Waiting,
    Ok,
    Failing {
        denied: bool,
        why: String,
    },
}

/// What the collector has to say.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum View {
    /// No window has closed yet, and it isn't late either.
    Waiting,
    /// A window should have closed and didn't.
    NoData {
        last: Option<Timestamp>,
    },
    Window(Box<WindowView>),
}

/// One judged window, as far as the monitor means it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WindowView {
    pub start: Timestamp,
    pub verdict: Verdict,
    /// What changed around the onset of each workload fault that is new or nearly so.
    pub hints: BTreeMap<ComponentId, Vec<Hint>>,
    pub traffic: TrafficTotals,
    /// Of the nodes that the monitor is about.
    pub reporting: Reporting,
    /// Nodes that reported this window.
    pub nodes_reporting: u64,
    /// Nodes whose agent was ready.
    pub nodes_ready: u64,
    /// Connections over the whole cluster.
    pub connections_seen: u64,
    pub connections_reported: u64,
}

/// When a window that doesn't come is missed: after three of them, and a window of the agents' and the time that the
/// collector waits for slow nodes.
pub(super) fn late_after(window_seconds: u32, agent_window_seconds: u32) -> Duration {
    const WAIT: u64 = 15;
    Duration::from_secs(3 * u64::from(window_seconds) + u64::from(agent_window_seconds) + WAIT)
}

/// Puts together what was seen. `lately` is the monitor's traffic of the windows before.
pub(super) fn observe(
    monitor: &NetworkMonitor,
    spec: Result<ValidSpec, Vec<SpecError>>,
    evaluation: Option<&Evaluation>,
    index: &Index,
    fleet: Fleet,
    clock: Clock,
    lately: &mut RecentTraffic,
) -> Observed {
    Observed {
        now: clock.now,
        generation: monitor.metadata.generation,
        fleet,
        unknown: None,
        monitor: spec.map(|spec| {
            let (selection, unresolved) = Selection::new(&spec, index);
            let mut view = view(&spec, &selection, evaluation, index, clock, lately);
            if let View::Window(window) = &mut view {
                window.hints = hints_of(&window.verdict, &spec, monitor.status.as_ref(), index);
            }
            Monitored { spec, unresolved, view, publishing: None }
        }),
    }
}

/// The times that lateness is told by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub now: Timestamp,
    /// When this process began to wait for windows of this length.
    pub waiting_since: Timestamp,
    /// Start of the last window that any agent vouched for, if there was one.
    pub last_window: Option<Timestamp>,
    pub agent_window_seconds: u32,
}

fn view(
    spec: &ValidSpec,
    selection: &Selection,
    evaluation: Option<&Evaluation>,
    index: &Index,
    clock: Clock,
    lately: &mut RecentTraffic,
) -> View {
    let late = late_after(spec.window_seconds, clock.agent_window_seconds);
    let is_late =
        |since: Timestamp| clock.now.duration_since(since).unsigned_abs() > late && clock.now > since;
    let Some(evaluation) = evaluation else {
        return if is_late(clock.waiting_since) { View::NoData { last: None } } else { View::Waiting };
    };
    let window = &evaluation.window;
    let end = end_of(window.start, window.seconds);
    if is_late(end) {
        return View::NoData { last: Some(end) };
    }
    if window.accounting.is_empty() {
        // No agent vouches for this window, so it says nothing about the traffic.
        let last = clock.last_window.map(|start| end_of(start, window.seconds));
        let is_silent = match last.filter(|last| *last > clock.waiting_since) {
            // One window without a report may be an accident. Two in a row mean that reports don't arrive.
            Some(last) => end.duration_since(last) >= window_length(window.seconds) * 2,
            // This process has only just begun, and agents may be on their way to it.
            None => is_late(clock.waiting_since),
        };
        return if is_silent { View::NoData { last: last.or(Some(window.start)) } } else { View::Waiting };
    }
    let selected: Vec<_> = window.flows.iter().filter(|flow| selection.selects(flow)).collect();
    let far: Vec<_> = window
        .flows
        .iter()
        .filter(|flow| selection.selects_far_end(flow) && !selection.selects(flow))
        .collect();
    let both = || selected.iter().chain(&far).copied();
    let (connections_seen, connections_reported) = window.connections();
    let config = Config { sensitivity: spec.sensitivity };
    let mut verdict = project(&evaluation.verdict, config, lately, both());
    let is_agentless = |name: &Name| index.node(name).is_some_and(|node| node.is_agentless());
    let reporting = Reporting::of(&selection.nodes(index), is_agentless, window);
    if reporting.is_too_little() {
        verdict.withdraw_all_clear();
    }
    View::Window(Box::new(WindowView {
        start: window.start,
        verdict,
        hints: BTreeMap::new(),
        traffic: TrafficTotals::of(selected.iter().copied(), far.iter().copied()),
        reporting,
        nodes_reporting: window.accounting.len() as u64,
        nodes_ready: window.expected.len() as u64,
        connections_seen,
        connections_reported,
    }))
}

fn end_of(start: Timestamp, seconds: u32) -> Timestamp {
    start.checked_add(window_length(seconds)).unwrap_or(start)
}

fn window_length(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}

/// Looked for only where the status may take them: it costs a look at every pod.
fn hints_of(
    verdict: &Verdict,
    spec: &ValidSpec,
    status: Option<&NetworkMonitorStatus>,
    index: &Index,
) -> BTreeMap<ComponentId, Vec<Hint>> {
    let told = status.and_then(|status| status.degradation.as_ref());
    // A fault that turns out to be of another kind may have another reason.
    let is_told = |fault: &ComponentFault| {
        let is_same = |shown: &FaultyComponent| {
            same_component(shown, &fault.component) && shown.cause == faulty_component(fault).cause
        };
        told.is_some_and(|told| told.components.iter().any(is_same))
    };
    let mut found = BTreeMap::new();
    for fault in verdict.components.iter().filter(|fault| fault.class == Class::Workload) {
        let onset = Onset { since: fault.since, window_seconds: verdict.window_seconds };
        if onset.is_recent(verdict.window_start) || !is_told(fault) {
            let hints = hints(&fault.component, fault.cause, onset, spec.boundary.as_deref(), index);
            found.insert(fault.component.clone(), hints);
        }
    }
    found
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
