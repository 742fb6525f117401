//! From the engine's words for components and causes to the API's.

use tidewatch_crds::network_monitor::{ComponentKind, FaultCause, FaultClass, FaultyComponent};
use tidewatch_health::{Cause, Class, ComponentFault, ComponentId};

use super::traffic::{two_digit_ratio, two_digits};

/// A component at fault as the status shows it, without hints.
pub(super) fn faulty_component(fault: &ComponentFault) -> FaultyComponent {
    let (kind, name) = kind_and_name(&fault.component);
    let evidence = &fault.evidence;
    let failed = evidence.attempts_failed > 0;
    FaultyComponent {
        kind,
        name,
        class: match fault.class {
            Class::Infrastructure => FaultClass::Infrastructure,
            Class::Workload => FaultClass::Workload,
            Class::External => FaultClass::External,
        },
        cause: match fault.cause {
            Cause::PacketLoss => FaultCause::PacketLoss,
            Cause::Latency => FaultCause::Latency,
            Cause::Unreachable => FaultCause::Unreachable,
            Cause::Refused => FaultCause::Refused,
            Cause::Overload => FaultCause::Overload,
            Cause::ConnectionFailures => FaultCause::ConnectionFailures,
            Cause::ConntrackFull => FaultCause::ConntrackFull,
            Cause::AllowanceExceeded => FaultCause::AllowanceExceeded,
            Cause::Unknown => FaultCause::Unknown,
        },
        since: fault.since,
        confidence: two_digit_ratio(fault.confidence.min(1.0)),
        retransmission_ratio: two_digit_ratio(evidence.retransmission_ratio),
        baseline_ratio: two_digit_ratio(evidence.baseline_ratio),
        affected_flows: two_digits(evidence.flows_affected),
        total_flows: two_digits(evidence.flows),
        failed_attempts: failed.then(|| two_digits(evidence.attempts_failed)),
        attempts: failed.then(|| two_digits(evidence.attempts)),
        hints: Vec::new(),
    }
}

/// Whether `shown` is `component`.
pub(super) fn same_component(shown: &FaultyComponent, component: &ComponentId) -> bool {
    let (kind, name) = kind_and_name(component);
    shown.kind == kind && shown.name == name
}

fn kind_and_name(component: &ComponentId) -> (ComponentKind, String) {
    match component {
        ComponentId::Node(name) => (ComponentKind::Node, name.clone()),
        ComponentId::Zone(name) => (ComponentKind::Zone, name.clone()),
        ComponentId::ZonePair(a, b) => (ComponentKind::ZonePair, format!("{a}~{b}")),
        ComponentId::Service { namespace, name } => (ComponentKind::Service, format!("{namespace}/{name}")),
        ComponentId::Pod { namespace, name } => (ComponentKind::Pod, format!("{namespace}/{name}")),
        ComponentId::AwsService(name) => (ComponentKind::AwsService, name.clone()),
        ComponentId::Internet(name) => (ComponentKind::Internet, name.clone()),
    }
}

/// A cause in a sentence.
pub(super) fn cause_text(cause: Cause) -> &'static str {
    match cause {
        Cause::PacketLoss => "packet loss",
        Cause::Latency => "high latency",
        Cause::Unreachable => "no answer to connection attempts",
        Cause::Refused => "connections refused",
        Cause::Overload => "overload",
        Cause::ConnectionFailures => "failing new connections",
        Cause::ConntrackFull => "a full connection-tracking table",
        Cause::AllowanceExceeded => "an instance allowance that is used up",
        Cause::Unknown => "an unknown fault",
    }
}
