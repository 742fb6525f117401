//! From the status that stands and the one that should to what is to be done, in order.

use tidewatch_crds::NetworkMonitorStatus;
use tidewatch_crds::network_monitor::{AttributedTo, Degradation, NetworkHealthIndicator};

use super::conditions::{ConditionType, find};
use super::degradation::whole_second;

/// Reason of condition Ready, and of the Event, of a monitor whose window isn't a multiple of the agents'.
pub(super) const WINDOW_ROUNDED: &str = "WindowRounded";

/// One thing to do. Each may be repeated without harm.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    WriteStatus(Box<NetworkMonitorStatus>),
    /// Comes after the status that it speaks of, so that a crash in between loses an event rather than repeating it.
    Tell(Transition),
}

/// A transition, as an event on the monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transition {
    pub reason: Reason,
    pub note: String,
}

/// Reasons of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    NetworkDegraded,
    NetworkRecovered,
    WorkloadFault,
    WorkloadRecovered,
    ExternalFault,
    ExternalRecovered,
    AttributionChanged,
    InsufficientData,
    InvalidSpec,
    WindowRounded,
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NetworkDegraded => "NetworkDegraded",
            Self::NetworkRecovered => "NetworkRecovered",
            Self::WorkloadFault => "WorkloadFault",
            Self::WorkloadRecovered => "WorkloadRecovered",
            Self::ExternalFault => "ExternalFault",
            Self::ExternalRecovered => "ExternalRecovered",
            Self::AttributionChanged => "AttributionChanged",
            Self::InsufficientData => "InsufficientData",
            Self::InvalidSpec => "InvalidSpec",
            Self::WindowRounded => WINDOW_ROUNDED,
        }
    }

    pub(super) fn is_warning(self) -> bool {
        !matches!(self, Self::NetworkRecovered | Self::WorkloadRecovered | Self::ExternalRecovered)
    }
}

/// What to do so that `next` stands instead of `previous`; nothing if it does already.
pub(super) fn plan(previous: &NetworkMonitorStatus, next: NetworkMonitorStatus) -> Vec<Action> {
    if *previous == next {
        return Vec::new();
    }
    let transitions = transitions(previous, &next);
    let mut actions = vec![Action::WriteStatus(Box::new(next))];
    actions.extend(transitions.into_iter().map(Action::Tell));
    actions
}

fn transitions(previous: &NetworkMonitorStatus, next: &NetworkMonitorStatus) -> Vec<Transition> {
    let mut told = Vec::new();
    let mut tell = |reason, note: String| told.push(Transition { reason, note });
    let spec_error = |status: &NetworkMonitorStatus| {
        find(&status.conditions, ConditionType::Ready).filter(|ready| ready.status == "False").cloned()
    };
    if let Some(ready) = spec_error(next)
        && spec_error(previous).is_none_or(|before| before.message != ready.message)
    {
        tell(Reason::InvalidSpec, ready.message);
        return told;
    }
    let rounded = |status: &NetworkMonitorStatus| {
        find(&status.conditions, ConditionType::Ready).filter(|ready| ready.reason == WINDOW_ROUNDED).cloned()
    };
    if let Some(ready) = rounded(next)
        && rounded(previous).is_none_or(|before| before.message != ready.message)
    {
        tell(Reason::WindowRounded, ready.message);
    }
    match (&previous.degradation, &next.degradation) {
        (None, Some(now)) => tell(began(now.attribution), now.summary.clone()),
        (Some(before), Some(now)) if before.attribution != now.attribution => tell(
            Reason::AttributionChanged,
            format!("attribution {:?} after {:?}: {}", now.attribution, before.attribution, now.summary),
        ),
        (Some(before), None) if next.network_health_indicator == Some(NetworkHealthIndicator::Healthy) => {
            tell(ended(before.attribution), format!("over: {}", was(before)));
        }
        _ => {}
    }
    if next.network_health_indicator == Some(NetworkHealthIndicator::InsufficientData)
        && matches!(
            previous.network_health_indicator,
            Some(NetworkHealthIndicator::Healthy | NetworkHealthIndicator::Degraded)
        )
    {
        let why =
            find(&next.conditions, ConditionType::Degraded).map_or_else(String::new, |c| c.message.clone());
        tell(Reason::InsufficientData, why);
    }
    told
}

fn began(attribution: AttributedTo) -> Reason {
    match attribution {
        AttributedTo::Infrastructure | AttributedTo::Mixed => Reason::NetworkDegraded,
        AttributedTo::Workload => Reason::WorkloadFault,
        AttributedTo::External | AttributedTo::Undetermined => Reason::ExternalFault,
    }
}

fn ended(attribution: AttributedTo) -> Reason {
    match attribution {
        AttributedTo::Infrastructure | AttributedTo::Mixed => Reason::NetworkRecovered,
        AttributedTo::Workload => Reason::WorkloadRecovered,
        AttributedTo::External | AttributedTo::Undetermined => Reason::ExternalRecovered,
    }
}

fn was(degradation: &Degradation) -> String {
    let names: Vec<&str> = degradation.components.iter().map(|c| c.name.as_str()).collect();
    let since = whole_second(degradation.since);
    if names.is_empty() {
        format!("the fault that began at {since}")
    } else {
        format!("the fault at {} that began at {since}", names.join(", "))
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
