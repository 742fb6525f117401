//! One sentence that a person can act on.

use crate::verdict::{Attribution, Cause, Class, ComponentFault, ComponentId, HealthIndicator};

/// Components that are spelled out; the rest are counted.
const SPELLED: usize = 3;

/// The verdict in a sentence.
pub(crate) fn sentence(
    nhi: HealthIndicator,
    attribution: Attribution,
    components: &[ComponentFault],
) -> String {
    if components.is_empty() {
        return match nhi {
            HealthIndicator::InsufficientData => {
                "too little traffic to tell: a loss of 1% might go unseen".to_owned()
            }
            HealthIndicator::Healthy | HealthIndicator::Degraded => {
                "nothing is out of the ordinary".to_owned()
            }
        };
    }
    let mut parts: Vec<String> = components.iter().take(SPELLED).map(describe).collect();
    if components.len() > SPELLED {
        parts.push(format!("and {} more", components.len() - SPELLED));
    }
    let all = parts.join("; ");
    match attribution {
        Attribution::Workload => format!("the network is fine, but {all}"),
        Attribution::External => format!("the cluster's network is fine, but {all}"),
        Attribution::Undetermined => format!("the traffic can't tell these apart: {all}"),
        Attribution::None | Attribution::Infrastructure | Attribution::Mixed => all,
    }
}

fn describe(fault: &ComponentFault) -> String {
    let what = place(&fault.component);
    let evidence = &fault.evidence;
    match fault.cause {
        Cause::Refused => format!(
            "{what} refuses connections ({} of {} attempts failed): nothing listens there",
            evidence.attempts_failed, evidence.attempts
        ),
        Cause::Unreachable if fault.class == Class::Infrastructure => format!("nothing gets through {what}"),
        Cause::Unreachable => format!(
            "{what} doesn't answer connection requests ({} of {} failed) while its nodes' other traffic is fine: \
             look for a NetworkPolicy or security group that blocks it, or a process that hangs",
            evidence.attempts_failed, evidence.attempts
        ),
        Cause::Overload => format!(
            "{what} can't keep up: {} of {} connection attempts failed and {} of the segments towards it were \
             retransmitted",
            evidence.attempts_failed,
            evidence.attempts,
            percent(evidence.retransmission_ratio)
        ),
        Cause::Latency => match (evidence.rtt_p50_us, evidence.baseline_rtt_p50_us) {
            (Some(now), Some(usual)) => {
                format!("round trips {} take {} instead of {}", at(fault), duration(now), duration(usual))
            }
            _ => format!("round trips {} take longer than usual", at(fault)),
        },
        Cause::PacketLoss => format!(
            "packets are lost {}: {} of segments retransmitted instead of {}, {} of {} flows, {} {}",
            at(fault),
            percent(evidence.retransmission_ratio),
            percent(evidence.baseline_ratio),
            evidence.flows_affected,
            evidence.flows,
            evidence.services_affected,
            if evidence.services_affected == 1 { "service" } else { "services" }
        ),
        Cause::ConnectionFailures => format!(
            "new connections fail {}: {} of {} attempts, while established ones are fine",
            at(fault),
            evidence.attempts_failed,
            evidence.attempts
        ),
        Cause::ConntrackFull => format!("the connection-tracking table of {what} is full"),
        Cause::AllowanceExceeded => format!("{what} has used up an allowance of its instance type"),
        Cause::Unknown => format!("{what} is at fault"),
    }
}

fn at(fault: &ComponentFault) -> String {
    match &fault.component {
        ComponentId::ZonePair(a, b) => format!("between {a} and {b}"),
        other => format!("at {}", place(other)),
    }
}

fn place(component: &ComponentId) -> String {
    match component {
        ComponentId::Node(name) => format!("node {name}"),
        ComponentId::Zone(name) => format!("zone {name}"),
        ComponentId::ZonePair(a, b) => format!("the path between {a} and {b}"),
        ComponentId::Service { namespace, name } => format!("service {namespace}/{name}"),
        ComponentId::Pod { namespace, name } => format!("pod {namespace}/{name}"),
        ComponentId::AwsService(name) => format!("AWS service {name}"),
        ComponentId::Internet(name) => format!("the internet at {name}"),
    }
}

fn percent(ratio: f64) -> String {
    format!("{:.2}%", ratio * 100.0)
}

fn duration(micros: u64) -> String {
    if micros < 1_000 { format!("{micros} µs") } else { format!("{:.1} ms", micros as f64 / 1_000.0) }
}
