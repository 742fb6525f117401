//! One sentence that a person can act on.

use crate::verdict::{
    Attribution, Cause, Class, ComponentFault, ComponentId, Evidence, HealthIndicator, Limit, LimitReached,
    NodeShortage, Resource, Showing, Traffic, Verdict,
};

/// Components that are spelled out; the rest are counted.
const SPELLED: usize = 3;

/// Beginnings of sentences about a workload or a remote at fault, by what is known of the cluster's network.
const FINE: &str = "the network is fine, but ";
const FINE_INSIDE: &str = "the cluster's network is fine, but ";
const FINE_ELSEWHERE: &str = "the network is fine elsewhere, but ";
const TOO_LITTLE_TRAFFIC: &str = "there is too little traffic to tell how the network is, but ";
const TOO_FEW_NODES: &str = "too few nodes reported to tell how the network is, but ";

impl Verdict {
    /// Takes back that the network is healthy, where too few nodes reported for anybody to know.
    pub fn withdraw_all_clear(&mut self) {
        if self.nhi == HealthIndicator::Healthy {
            self.nhi = HealthIndicator::InsufficientData;
            self.reason = without_all_clear(&self.reason);
        }
    }
}

/// The sentence without the claim that the network is fine, where so few nodes reported that nobody knows.
fn without_all_clear(sentence: &str) -> String {
    let at_fault = [FINE, FINE_INSIDE, FINE_ELSEWHERE].iter().find_map(|fine| sentence.strip_prefix(fine));
    at_fault.map_or_else(
        || "too few nodes reported to tell how the network is".to_owned(),
        |at_fault| format!("{TOO_FEW_NODES}{at_fault}"),
    )
}

/// Share of attempts that fail in the same way, from which on all of them are said to.
const NEARLY_ALL: f64 = 0.9;

/// Share of segments lost from which on open connections aren't fine.
const LOSSY: f64 = 0.01;

/// The parts of a verdict that its sentence is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReasonInput<'a> {
    pub(crate) nhi: HealthIndicator,
    pub(crate) attribution: Attribution,
    pub(crate) components: &'a [ComponentFault],
    pub(crate) shortages: &'a [NodeShortage],
    /// Nodes that told how they were, of those that the verdict is about.
    pub(crate) nodes: usize,
    pub(crate) traffic: Traffic,
}

/// The verdict in a sentence.
pub(crate) fn sentence(told: &ReasonInput<'_>) -> String {
    let mut sentence = faults(told);
    for resource in [Resource::Cpu, Resource::Memory] {
        let short: Vec<&NodeShortage> =
            told.shortages.iter().filter(|shortage| shortage.resource == resource).collect();
        if let Some(shortage) = shortage(resource, &short, told.nodes) {
            sentence.push_str("; ");
            sentence.push_str(&shortage);
        }
    }
    sentence
}

fn faults(told: &ReasonInput<'_>) -> String {
    let components = told.components;
    if components.is_empty() {
        return match told.nhi {
            HealthIndicator::InsufficientData => too_little(&told.traffic),
            HealthIndicator::Healthy | HealthIndicator::Degraded if told.shortages.is_empty() => {
                "nothing is out of the ordinary".to_owned()
            }
            HealthIndicator::Healthy | HealthIndicator::Degraded => {
                "nothing is out of the ordinary in the network".to_owned()
            }
        };
    }
    let mut parts: Vec<String> = components.iter().take(SPELLED).map(describe).collect();
    if components.len() > SPELLED {
        parts.push(format!("and {} more", components.len() - SPELLED));
    }
    let all = parts.join("; ");
    let is_untested = components.iter().any(|fault| fault.evidence.untested_path);
    match told.attribution {
        Attribution::Workload | Attribution::External if told.nhi == HealthIndicator::InsufficientData => {
            format!("{TOO_LITTLE_TRAFFIC}{all}")
        }
        _ if is_untested => match told.nhi {
            HealthIndicator::Healthy => format!("{FINE_ELSEWHERE}{all}"),
            HealthIndicator::InsufficientData => format!("{TOO_LITTLE_TRAFFIC}{all}"),
            HealthIndicator::Degraded => all,
        },
        Attribution::Workload => format!("{FINE}{all}"),
        Attribution::External => format!("{FINE_INSIDE}{all}"),
        Attribution::Undetermined => format!("the traffic can't tell these apart: {all}"),
        Attribution::None | Attribution::Infrastructure | Attribution::Mixed => all,
    }
}

fn too_little(traffic: &Traffic) -> String {
    let attempts = match traffic.attempts {
        0 => String::new(),
        attempts => format!(" and {}", count(attempts, "connection attempt")),
    };
    let seen = match (traffic.segments, traffic.attempts) {
        (0, 0) => "no traffic".to_owned(),
        _ => format!("{}{attempts}", count(traffic.segments, "data segment")),
    };
    format!(
        "too little traffic to tell: {seen} in {} s, and it takes about {} segments to see a loss of 1%",
        traffic.seconds, traffic.needed
    )
}

fn shortage(resource: Resource, short: &[&NodeShortage], nodes: usize) -> Option<String> {
    short.first()?;
    let (what, waits) = match resource {
        Resource::Cpu => ("CPU", "tasks wait for it"),
        Resource::Memory => ("memory", "tasks wait for it"),
    };
    let who = match short {
        [only] if nodes != 1 => format!("node {} is", only.node),
        [_] => "the node is".to_owned(),
        all if all.len() == nodes => format!("all {nodes} nodes are"),
        all => format!("{} of {nodes} nodes are", all.len()),
    };
    let up_to = if short.len() == 1 { "" } else { "up to " };
    let mut how: Vec<String> = Vec::new();
    let pressure = short.iter().map(|shortage| shortage.pressure_ratio).fold(0.0, f64::max);
    if pressure > 0.0 {
        how.push(format!("{waits} {up_to}{:.0}% of the time", pressure * 100.0));
    }
    if let Some(steal) = short.iter().filter_map(|shortage| shortage.steal_ratio).max_by(f64::total_cmp) {
        how.push(format!("the hypervisor takes {up_to}{:.0}% of its time", steal * 100.0));
    }
    Some(format!(
        "{who} short of {what} ({}): slow round trips there are caused by the nodes themselves",
        how.join(", ")
    ))
}

fn describe(fault: &ComponentFault) -> String {
    let what = what(fault);
    match fault.showing {
        Showing::Now => what,
        Showing::Elsewhere => {
            format!("{what} (in the whole cluster; the flows watched here don't show it now)")
        }
        Showing::Passing => format!("{what} (passing: it no longer shows)"),
    }
}

fn what(fault: &ComponentFault) -> String {
    let place = place(&fault.component);
    let evidence = &fault.evidence;
    let failed = format!("{} of {}", evidence.attempts_failed, evidence.attempts);
    match fault.cause {
        Cause::Refused if nearly_all_fail(evidence) => {
            format!(
                "{place} refuses connections ({failed} attempts{}): nothing listens there",
                within(evidence)
            )
        }
        Cause::Refused => format!(
            "{place} refuses some connections ({failed} attempts{}): not all that is behind it listens",
            within(evidence)
        ),
        Cause::Unreachable if fault.class == Class::Infrastructure && nearly_all_fail(evidence) => {
            format!("nothing gets through {place} ({failed} connection attempts failed)")
        }
        Cause::Unreachable if fault.class == Class::Infrastructure => format!(
            "nothing gets through {place} on {} of {} ({failed} connection attempts failed)",
            evidence.flows_affected,
            count(evidence.flows, "flow"),
        ),
        Cause::Unreachable => {
            let what =
                if nearly_all_fail(evidence) { "connection requests" } else { "some connection requests" };
            let (others, network) = if evidence.untested_path {
                (
                    ", and too little else goes the same way to tell whether the network carries it",
                    ", or a broken path",
                )
            } else {
                (" while its nodes' other traffic is fine", "")
            };
            format!(
                "{place} doesn't answer {what} ({failed} failed{}){others}: look for a NetworkPolicy or security group \
                 that blocks it, or a process that hangs{network}",
                within(evidence)
            )
        }
        Cause::Overload => {
            let lost = if evidence.loses_more() {
                format!(" and {} of the segments were retransmitted", percent(evidence.retransmission_ratio))
            } else {
                String::new()
            };
            format!("{place} can't keep up: {failed} connection attempts failed{lost}")
        }
        Cause::Latency => format!("round trips {} take {}", at(fault), times(evidence)),
        Cause::PacketLoss => format!(
            "packets are lost {}: {} of segments retransmitted instead of {}, {} of {}, {}",
            at(fault),
            percent(evidence.retransmission_ratio),
            percent(evidence.baseline_ratio),
            evidence.flows_affected,
            count(evidence.flows, "flow"),
            count(evidence.services_affected, "service"),
        ),
        Cause::ConnectionFailures if evidence.loses_more() && evidence.retransmission_ratio >= LOSSY => {
            format!(
                "new connections fail {}: {failed} attempts went unanswered, and {} of segments retransmitted instead of {}",
                at(fault),
                percent(evidence.retransmission_ratio),
                percent(evidence.baseline_ratio),
            )
        }
        Cause::ConnectionFailures => format!(
            "new connections fail {}: {failed} attempts went unanswered while established connections are fine",
            at(fault)
        ),
        Cause::ConntrackFull => {
            format!("the connection-tracking table of {place} is full{}", limit(evidence))
        }
        Cause::AllowanceExceeded => {
            format!("{place} is over {}{}", allowance(evidence.limit.as_ref()), limit(evidence))
        }
        Cause::Unknown => format!("{place} is at fault"),
    }
}

fn nearly_all_fail(evidence: &Evidence) -> bool {
    evidence.attempts_failed as f64 >= NEARLY_ALL * evidence.attempts as f64
}

/// The time that the attempts took, where it is longer than the window.
fn within(evidence: &Evidence) -> String {
    evidence.attempts_seconds.map_or_else(String::new, |seconds| format!(" within {seconds} s"))
}

fn times(evidence: &Evidence) -> String {
    let now_and_usual = |now: Option<u64>, usual: Option<u64>| {
        let (now, usual) = now.zip(usual)?;
        Some(format!("{} instead of {}", duration(now), duration(usual)))
    };
    let median = now_and_usual(evidence.rtt_p50_us, evidence.baseline_rtt_p50_us);
    let quickest = now_and_usual(evidence.rtt_min_us, evidence.baseline_rtt_min_us);
    match (median, quickest) {
        (Some(median), Some(quickest)) => format!("{median}, even the quickest {quickest}"),
        (Some(times), None) | (None, Some(times)) => times,
        (None, None) => "longer than usual".to_owned(),
    }
}

fn allowance(reached: Option<&LimitReached>) -> &'static str {
    match reached.map(|reached| reached.limit) {
        Some(Limit::ConntrackAllowance) => "its instance type's allowance of tracked connections",
        Some(Limit::PacketRateAllowance) => "its instance type's allowance of packets per second",
        Some(Limit::BandwidthInAllowance) => "its instance type's allowance of inbound bandwidth",
        Some(Limit::BandwidthOutAllowance) => "its instance type's allowance of outbound bandwidth",
        Some(Limit::ConntrackTable) | None => "an allowance of its instance type",
    }
}

/// The extent to which a limit was reached, and its effect on traffic.
fn limit(evidence: &Evidence) -> String {
    let mut text = String::new();
    if let Some(reached) = &evidence.limit {
        if let Some((entries, most)) = reached.entries.zip(reached.most_entries) {
            text.push_str(&format!(" ({entries} of {most} entries)"));
        }
        text.push_str(&format!(": {} turned away", count(reached.turned_away, "packet")));
    }
    if evidence.attempts_failed > 0 {
        let (failed, all) = (evidence.attempts_failed, evidence.attempts);
        text.push_str(&format!(", {failed} of {all} connection attempts failed"));
    }
    if evidence.loses_more() {
        let (now, usual) = (percent(evidence.retransmission_ratio), percent(evidence.baseline_ratio));
        text.push_str(&format!(", {now} of segments retransmitted instead of {usual}"));
    }
    text
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

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Two digits that tell: a loss of 0.012% isn't none.
fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    match percent {
        0.0 => "none".to_owned(),
        _ if percent < 0.1 => format!("{percent:.3}%"),
        _ => format!("{percent:.2}%"),
    }
}

fn duration(micros: u64) -> String {
    let millis = micros as f64 / 1_000.0;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{millis:.2} ms"),
        _ => format!("{millis:.1} ms"),
    }
}

#[cfg(test)]
#[path = "reason_tests.rs"]
mod tests;
