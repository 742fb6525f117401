//! The status, folded from the previous one and what was observed. Pure; folding the same observation twice changes
//! nothing the second time.

use std::time::Duration;

use jiff::Timestamp;
use tidewatch_agent_fleet::Fleet;
use tidewatch_crds::NetworkMonitorStatus;
use tidewatch_crds::network_monitor::{
    Agents, Coverage, Degradation, FaultClass, NetworkHealthIndicator, NodeShortage, Overview,
};
use tidewatch_health::HealthIndicator;
use tidewatch_kube::conditions::WATCH_FAILING;

use super::components::described;
use super::conditions::{ConditionType, Says, Truth, conditions};
use super::degradation::{is_infrastructure, whole_second};
use super::numbers::{Memory, NodeCount, Numbers};
use super::observe::{Monitored, Observed, Publishing, View, WindowView};
use super::plan::WINDOW_ROUNDED;
use super::selection::{Unresolved, UnresolvedReason};
use super::shortages;
use super::spec::SpecError;
use super::sufficiency;
use super::traffic::{percent_text, rtt_text};

/// The status that should stand, given the one that does.
pub(super) fn fold(
    previous: &NetworkMonitorStatus,
    observed: &Observed,
    memory: &mut Memory,
) -> NetworkMonitorStatus {
    let base = NetworkMonitorStatus {
        observed_generation: observed.generation,
        agents: Some(Agents { desired: observed.fleet.desired, ready: observed.fleet.ready }),
        ..NetworkMonitorStatus::default()
    };
    match &observed.monitor {
        Err(errors) => {
            memory.interrupted();
            unwatched(base, previous, observed, spec_says(errors))
        }
        Ok(monitored) => match &monitored.view {
            _ if observed.unknown.is_some() => {
                memory.interrupted();
                let why = observed.unknown.as_deref().unwrap_or_default();
                unwatched(base, previous, observed, unknown_says(why))
            }
            View::Waiting if previous.observed_generation == observed.generation => {
                waiting(base, previous, observed, monitored, memory)
            }
            View::Waiting => unwatched(base, previous, observed, no_window_says(observed, monitored, None)),
            View::NoData { last } => {
                memory.interrupted();
                unwatched(base, previous, observed, no_window_says(observed, monitored, Some(*last)))
            }
            View::Window(view) => window(base, previous, observed, monitored, view, memory),
        },
    }
}

/// Nothing can be said of the traffic.
fn unwatched(
    base: NetworkMonitorStatus,
    previous: &NetworkMonitorStatus,
    observed: &Observed,
    says: Vec<Says>,
) -> NetworkMonitorStatus {
    let expected = u64::try_from(observed.fleet.desired).unwrap_or(0);
    NetworkMonitorStatus {
        network_health_indicator: Some(NetworkHealthIndicator::InsufficientData),
        coverage: Some(Coverage { nodes_expected: expected, ..Coverage::default() }),
        overview: Some(Overview { coverage: Some(format!("0/{expected}")), ..Overview::default() }),
        conditions: conditions(&previous.conditions, says, observed.generation, observed.now),
        ..base
    }
}

/// The process just started, or every agent was late for a window: what stands stays until the next one, or until that is
/// late.
fn waiting(
    base: NetworkMonitorStatus,
    previous: &NetworkMonitorStatus,
    observed: &Observed,
    monitored: &Monitored,
    memory: &Memory,
) -> NetworkMonitorStatus {
    let is_first = memory.last_window().is_none();
    if is_first && previous.traffic.is_empty() && previous.degradation.is_none() {
        return unwatched(base, previous, observed, no_window_says(observed, monitored, None));
    }
    // Counts of agents and endpoints aren't known well either in the first seconds.
    previous.clone()
}

fn window(
    base: NetworkMonitorStatus,
    previous: &NetworkMonitorStatus,
    observed: &Observed,
    monitored: &Monitored,
    view: &WindowView,
    memory: &mut Memory,
) -> NetworkMonitorStatus {
    let numbers = Numbers::of(&view.traffic);
    let expected = view.nodes_ready.max(u64::try_from(observed.fleet.desired).unwrap_or(0));
    let nodes = NodeCount { reporting: view.nodes_reporting, expected };
    memory.take(view.start, &numbers, nodes, view.connections_seen, view.connections_reported);
    let degradation = memory.faults.degradation(previous, view);
    let doubt = doubt(previous, monitored, view, degradation.as_ref(), memory);
    let shown = Shown {
        indicator: indicator(degradation.as_ref(), doubt.as_ref()),
        shortages: memory.shortages.show(&view.verdict.shortages, &previous.node_shortages, view.start),
        degradation,
        doubt,
    };
    let says = window_says(observed, monitored, &shown);
    let candidate = NetworkMonitorStatus {
        network_health_indicator: Some(shown.indicator),
        degradation: shown.degradation,
        node_shortages: shown.shortages,
        traffic: view.traffic.rounded(),
        coverage: Some(coverage(memory)),
        numbers_as_of: Some(view.start),
        conditions: conditions(&previous.conditions, says, observed.generation, observed.now),
        ..base
    };
    let candidate = NetworkMonitorStatus { overview: Some(overview(&candidate, view)), ..candidate };
    let is_degraded = candidate.degradation.is_some();
    if without_numbers(previous) != without_numbers(&candidate)
        || memory.numbers_due(previous.numbers_as_of, is_degraded)
    {
        if previous.numbers_as_of != candidate.numbers_as_of {
            memory.wrote(&numbers);
        }
        return candidate;
    }
    memory.adopt(&numbers);
    previous.clone()
}

/// What is said of a window.
struct Shown {
    indicator: NetworkHealthIndicator,
    degradation: Option<Degradation>,
    shortages: Vec<NodeShortage>,
    doubt: Option<String>,
}

/// For how long what is known must be too little before that is said. The traffic of two minutes is judged together, so that
/// a pause alone isn't too little.
const TOO_LITTLE_FOR: Duration = Duration::from_secs(30);

/// Why it can't be told whether the network is healthy, if so.
fn doubt(
    previous: &NetworkMonitorStatus,
    monitored: &Monitored,
    view: &WindowView,
    degradation: Option<&Degradation>,
    memory: &mut Memory,
) -> Option<String> {
    let verdict = &view.verdict;
    let why = if let Some(NothingSelected::NoPods(says)) = nothing_selected(monitored) {
        Some(says)
    } else if view.reporting.is_too_little() {
        Some(view.reporting.sentence())
    } else {
        (verdict.nhi == HealthIndicator::InsufficientData)
            .then(|| sufficiency::sentence(&verdict.traffic, verdict.window_seconds))
    };
    let knew = previous.network_health_indicator.unwrap_or(NetworkHealthIndicator::InsufficientData);
    let did_know = knew != NetworkHealthIndicator::InsufficientData;
    let knows = memory.sufficiency.show(why.is_none(), did_know, TOO_LITTLE_FOR, view.start);
    // That a fault is over is said only where it can be told.
    let recovers = knew == NetworkHealthIndicator::Degraded && !is_infrastructure(degradation);
    why.filter(|_| !knows || recovers)
}

fn indicator(degradation: Option<&Degradation>, doubt: Option<&String>) -> NetworkHealthIndicator {
    if is_infrastructure(degradation) {
        NetworkHealthIndicator::Degraded
    } else if doubt.is_some() {
        NetworkHealthIndicator::InsufficientData
    } else {
        NetworkHealthIndicator::Healthy
    }
}

fn coverage(memory: &Memory) -> Coverage {
    let nodes = memory.nodes();
    let (connections_seen, connections_reported) = memory.connections();
    Coverage {
        nodes_reporting: nodes.reporting,
        nodes_expected: nodes.expected,
        connections_seen,
        connections_reported,
    }
}

/// How complete the reports are, in steps that a person would tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completeness {
    Whole,
    NearlyWhole,
    Partial,
    Little,
}

fn completeness(coverage: &Coverage) -> Completeness {
    let share = share(coverage);
    if share >= 0.999 {
        Completeness::Whole
    } else if share >= 0.99 {
        Completeness::NearlyWhole
    } else if share >= 0.5 {
        Completeness::Partial
    } else {
        Completeness::Little
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn share(coverage: &Coverage) -> f64 {
    if coverage.connections_seen == 0 {
        return 1.0;
    }
    coverage.connections_reported as f64 / coverage.connections_seen as f64
}

fn overview(status: &NetworkMonitorStatus, view: &WindowView) -> Overview {
    let component = status.degradation.as_ref().and_then(|d| {
        let first = d.components.first()?;
        let more = d.components.len().saturating_sub(1);
        Some(if more == 0 { first.name.clone() } else { format!("{} +{more}", first.name) })
    });
    let all = &view.traffic.all;
    Overview {
        component,
        rtt_p99: all.rtt_us.quantile(0.99).map(rtt_text),
        retransmissions: all.retransmission_ratio().map(percent_text),
        coverage: status.coverage.as_ref().map(|coverage| {
            let nodes = format!("{}/{}", coverage.nodes_reporting, coverage.nodes_expected);
            match completeness(coverage) {
                Completeness::Whole => nodes,
                _ => format!("{nodes} ({})", percent_text(share(coverage))),
            }
        }),
    }
}

/// `status` with everything blanked that moves from window to window in a steady state. What is left decides a write at
/// once; the rest waits for [`Memory::numbers_due`].
fn without_numbers(status: &NetworkMonitorStatus) -> impl PartialEq + use<> {
    let components = status.degradation.as_ref().map(|d| {
        let mut components: Vec<_> = d
            .components
            .iter()
            .map(|c| (format!("{:?}/{}", c.kind, c.name), c.class, c.cause, c.hints.clone()))
            .collect();
        components.sort_by(|a, b| a.0.cmp(&b.0));
        (d.since, d.attribution, components)
    });
    let mut shortages: Vec<_> =
        status.node_shortages.iter().map(|short| (short.node.clone(), short.resource)).collect();
    shortages.sort();
    let coverage = status.coverage.as_ref().map(|c| (c.nodes_reporting, c.nodes_expected, completeness(c)));
    let mut conditions = status.conditions.clone();
    // How much traffic there was moves with each window.
    conditions.iter_mut().filter(|c| c.reason == INSUFFICIENT_DATA).for_each(|c| c.message.clear());
    (
        (status.observed_generation, status.network_health_indicator, components, coverage),
        (status.agents, status.traffic.is_empty(), shortages, conditions),
    )
}

const INSUFFICIENT_DATA: &str = "InsufficientData";
const NOTHING_TO_WATCH: &str = "NothingToWatch";

fn spec_says(errors: &[SpecError]) -> Vec<Says> {
    let reason = errors.first().map_or("InvalidSpec", |error| error.reason.as_str());
    let message: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let unknown = "nothing is watched while the spec is wrong";
    vec![
        Says::new(ConditionType::Ready, Truth::False, reason, message.join("; ")),
        Says::new(ConditionType::Degraded, Truth::Unknown, reason, unknown),
        Says::new(ConditionType::WorkloadFault, Truth::Unknown, reason, unknown),
    ]
}

fn unknown_says(why: &str) -> Vec<Says> {
    let types = [ConditionType::Ready, ConditionType::Degraded, ConditionType::WorkloadFault];
    types.into_iter().map(|kind| Says::new(kind, Truth::Unknown, WATCH_FAILING, why)).collect()
}

/// `missed`: None while the first window isn't late; else the end of the last one that came, if any did.
fn no_window_says(
    observed: &Observed,
    monitored: &Monitored,
    missed: Option<Option<Timestamp>>,
) -> Vec<Says> {
    let window = monitored.spec.window_seconds;
    let problem = not_found(monitored).or_else(|| agents_missing(&observed.fleet));
    if problem.is_none() && observed.fleet.nowhere {
        return nowhere_says(monitored);
    }
    let (reason, message) = match (problem, missed) {
        (Some((reason, message)), _) => (reason, message),
        (None, None) => {
            ("WaitingForFirstWindow", format!("the first window of {window} s hasn't closed yet"))
        }
        (None, Some(None)) => (
            "NoData",
            "no window of flow records has closed since the operator started: see the agents' logs"
                .to_owned(),
        ),
        (None, Some(Some(last))) => {
            let last = whole_second(last);
            ("NoData", format!("no window of flow records has closed since {last}: see the agents' logs"))
        }
    };
    let mut says = vec![
        Says::new(ConditionType::Ready, Truth::Unknown, reason, message.clone()),
        Says::new(ConditionType::Degraded, Truth::Unknown, reason, message.clone()),
        Says::new(ConditionType::WorkloadFault, Truth::Unknown, reason, message),
    ];
    says.extend(endpoint_says(monitored));
    says
}

/// There are no agents and will be none: the monitor is in place, and there is nothing to wait for.
fn nowhere_says(monitored: &Monitored) -> Vec<Says> {
    let why = "no node can run an agent (Fargate, virtual kubelets and Windows can't, and agent.nodeSelector and agent.affinity choose among the others): nothing is watched";
    let mut says = vec![
        Says::new(ConditionType::Ready, Truth::True, NOTHING_TO_WATCH, why),
        Says::new(ConditionType::Degraded, Truth::Unknown, INSUFFICIENT_DATA, why),
        Says::new(ConditionType::WorkloadFault, Truth::Unknown, INSUFFICIENT_DATA, why),
    ];
    says.extend(endpoint_says(monitored));
    says
}

/// Why none of the local endpoints is anything that exists now.
enum NothingSelected {
    /// Something that is named isn't there: it may be misspelt, or come yet.
    NotFound(String),
    /// No pod has the labels: so it is with a workload that is scaled to zero, which is as it is wanted.
    NoPods(String),
}

/// None of the local endpoints names anything that exists: nothing is watched, which heals when something does.
fn nothing_selected(monitored: &Monitored) -> Option<NothingSelected> {
    let is_local = |missing: &&Unresolved| missing.path.starts_with("spec.local[");
    let local: Vec<&Unresolved> = monitored.unresolved.iter().filter(is_local).collect();
    if local.is_empty() || local.len() < monitored.spec.local.len() {
        return None;
    }
    let says: Vec<String> =
        local.iter().map(|missing| format!("{}: {}", missing.path, missing.message)).collect();
    let says = says.join("; ");
    Some(if local.iter().all(|missing| missing.reason == UnresolvedReason::NoPods) {
        NothingSelected::NoPods(format!("{says}: it is watched once there is one"))
    } else {
        NothingSelected::NotFound(says)
    })
}

fn not_found(monitored: &Monitored) -> Option<(&'static str, String)> {
    match nothing_selected(monitored) {
        Some(NothingSelected::NotFound(says)) => Some(("EndpointsNotFound", says)),
        _ => None,
    }
}

fn agents_missing(fleet: &Fleet) -> Option<(&'static str, String)> {
    if let Some(problem) = &fleet.problem {
        return Some(("AgentsNotDeployed", problem.clone()));
    }
    (fleet.ready == 0 && !fleet.nowhere)
        .then(|| ("AgentsNotReady", format!("none of the {} agents is ready yet", fleet.desired)))
}

fn window_says(observed: &Observed, monitored: &Monitored, shown: &Shown) -> Vec<Says> {
    let mut says = vec![ready_says(observed, monitored), degraded_says(shown), workload_says(shown)];
    says.extend(endpoint_says(monitored));
    says
}

fn ready_says(observed: &Observed, monitored: &Monitored) -> Says {
    let deployed = observed.fleet.problem.clone().map(|problem| ("AgentsNotDeployed", problem));
    if let Some((reason, message)) = not_found(monitored).or(deployed) {
        return Says::new(ConditionType::Ready, Truth::Unknown, reason, message);
    }
    if let Some(NothingSelected::NoPods(says)) = nothing_selected(monitored) {
        return Says::new(ConditionType::Ready, Truth::True, NOTHING_TO_WATCH, says);
    }
    let watched = "the selected traffic is being watched";
    match &monitored.spec.other_window {
        None => Says::new(ConditionType::Ready, Truth::True, "Watching", watched),
        Some(why) => Says::new(ConditionType::Ready, Truth::True, WINDOW_ROUNDED, format!("{watched} {why}")),
    }
}

fn degraded_says(shown: &Shown) -> Says {
    let says = |truth, reason, message: String| {
        // Said here as well, since it is what a person asks next.
        let message = match shortages::sentence(&shown.shortages) {
            Some(short) => format!("{message}; {short}"),
            None => message,
        };
        Says::new(ConditionType::Degraded, truth, reason, message)
    };
    match (shown.indicator, &shown.doubt) {
        (NetworkHealthIndicator::Degraded, _) => {
            says(Truth::True, "InfrastructureFault", at_fault(shown, FaultClass::Infrastructure))
        }
        (NetworkHealthIndicator::InsufficientData, why) => {
            says(Truth::Unknown, INSUFFICIENT_DATA, why.clone().unwrap_or_default())
        }
        (NetworkHealthIndicator::Healthy, _) => {
            says(Truth::False, "Healthy", "no infrastructure component is at fault".to_owned())
        }
    }
}

fn workload_says(shown: &Shown) -> Says {
    let says = |truth, reason, message| Says::new(ConditionType::WorkloadFault, truth, reason, message);
    let at_fault = at_fault(shown, FaultClass::Workload);
    match &shown.doubt {
        _ if !at_fault.is_empty() => says(Truth::True, "WorkloadFault", at_fault),
        Some(why) => says(Truth::Unknown, INSUFFICIENT_DATA, why.clone()),
        None => says(Truth::False, "Healthy", "no service or pod is at fault".to_owned()),
    }
}

/// What is at fault of `class`, in a stable order.
fn at_fault(shown: &Shown, class: FaultClass) -> String {
    let components = shown.degradation.iter().flat_map(|degradation| &degradation.components);
    let mut names: Vec<String> =
        components.filter(|component| component.class == class).map(described).collect();
    names.sort();
    names.join("; ")
}

fn endpoint_says(monitored: &Monitored) -> Vec<Says> {
    let mut says = Vec::new();
    let unresolved = &monitored.unresolved;
    says.push(match unresolved.first() {
        None => Says::new(
            ConditionType::EndpointsResolved,
            Truth::True,
            "AllFound",
            "every endpoint names something that exists",
        ),
        Some(first) => {
            let sentences: Vec<String> =
                unresolved.iter().map(|missing| format!("{}: {}", missing.path, missing.message)).collect();
            Says::new(
                ConditionType::EndpointsResolved,
                Truth::False,
                first.reason.as_str(),
                sentences.join("; "),
            )
        }
    });
    says.extend(monitored.publishing.as_ref().map(published_says));
    says
}

fn published_says(publishing: &Publishing) -> Says {
    let says = |truth, reason, message: &str| Says::new(ConditionType::Published, truth, reason, message);
    match publishing {
        Publishing::Disabled => says(
            Truth::False,
            "AWSDisabled",
            "the operator isn't allowed to use AWS: ask whoever runs Tidewatch to set the chart's aws.enabled; the rest of the monitor works",
        ),
        Publishing::Waiting => says(Truth::Unknown, "WaitingForFirstWindow", "no window was published yet"),
        Publishing::Ok => says(Truth::True, "Publishing", "CloudWatch took the last window"),
        Publishing::Failing { denied: true, why } => says(
            Truth::False,
            "Denied",
            &format!("{why}; allow cloudwatch:PutMetricData for the metrics' namespace (docs/iam.md)"),
        ),
        Publishing::Failing { denied: false, why } => says(Truth::Unknown, "AWSRefused", why),
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "status_fault_tests.rs"]
mod fault_tests;

#[cfg(test)]
#[path = "status_property_tests.rs"]
mod property_tests;
