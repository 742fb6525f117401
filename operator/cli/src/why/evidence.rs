//! The numbers that a verdict stands on, beside what they usually are.

use serde::Serialize;
use tidewatch_crds::network_monitor::{
    ComponentKind, FaultCause, FaultClass, FaultyComponent, NodeShortage, Traffic,
};
use tidewatch_crds::{AnomalyAlarm, Canary, NetworkMonitor, NetworkMonitorStatus};

use crate::count::counted;
use crate::objects::api_name;
use crate::status::coverage_sentence;

/// Findings about one component, metric or check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The component, metric or check, and what happens at it.
    pub subject: String,
    /// One number or fact each.
    pub facts: Vec<String>,
}

/// Components at fault, nodes that are short of resources, and the traffic that was seen.
pub(super) fn of_monitor(monitor: &NetworkMonitor) -> Vec<Evidence> {
    let Some(status) = &monitor.status else { return Vec::new() };
    let components = status.degradation.as_ref().map(|it| it.components.as_slice()).unwrap_or_default();
    let mut evidence: Vec<Evidence> = components.iter().map(of_component).collect();
    evidence.extend(of_shortages(&status.node_shortages));
    evidence.extend(of_traffic(status));
    evidence
}

fn of_component(component: &FaultyComponent) -> Evidence {
    let mut facts = Vec::new();
    if let Some(ratio) = component.retransmission_ratio {
        let usual = component.baseline_ratio.map(|it| format!(" instead of {}", percent(it)));
        facts.push(format!("{} of segments retransmitted{}", percent(ratio), usual.unwrap_or_default()));
    }
    let compared = |what: &str, now: &Option<String>, usual: &Option<String>| {
        let now = now.as_ref()?;
        let usual = usual.as_ref().map(|it| format!(" instead of {it}")).unwrap_or_default();
        Some(format!("{what} {now}{usual}"))
    };
    facts.extend(compared("median round trip", &component.rtt_p50, &component.baseline_rtt_p50));
    facts.extend(compared("quickest round trip", &component.rtt_min, &component.baseline_rtt_min));
    if let (Some(failed), Some(attempts)) = (component.failed_attempts, component.attempts) {
        facts.push(format!("{failed} of {attempts} attempts to connect failed"));
    }
    if let Some(again) = component.requests_sent_again {
        facts.push(format!("{again} connection requests sent again"));
    }
    facts.extend(component.limit.clone());
    facts.push(match component.affected_flows {
        Some(affected) => format!("{affected} of {} flows affected", component.total_flows),
        None => format!("{} flows through it", component.total_flows),
    });
    facts.push(format!("confidence {}", percent(component.confidence)));
    let (kind, name) = (kind(component.kind), &component.name);
    let name = if name.is_empty() { kind.to_owned() } else { format!("{kind} {name}") };
    let subject = format!("{name}: {} ({})", cause(component.cause), class(component.class));
    Evidence { subject, facts }
}

fn of_shortages(shortages: &[NodeShortage]) -> Option<Evidence> {
    let fact = |shortage: &NodeShortage| match &shortage.steal {
        Some(steal) => format!("{}; {steal} of CPU time went to other machines", shortage.message),
        None => shortage.message.clone(),
    };
    let subject = "nodes short of resources (no fault of the network's)".to_owned();
    (!shortages.is_empty()).then(|| Evidence { subject, facts: shortages.iter().map(fact).collect() })
}

fn of_traffic(status: &NetworkMonitorStatus) -> Option<Evidence> {
    let fact = |traffic: &Traffic| {
        let mut parts = vec![counted(traffic.flows, "flow", "flows"), size(traffic.bytes)];
        let round_trips = [("median", &traffic.rtt_p50), ("99%", &traffic.rtt_p99)];
        let round_trips: Vec<String> = round_trips
            .into_iter()
            .filter_map(|(name, rtt)| Some(format!("{} ({name})", rtt.as_ref()?)))
            .collect();
        if !round_trips.is_empty() {
            parts.push(format!("round trip {}", round_trips.join(" and ")));
        }
        parts.push(counted(traffic.retransmissions, "retransmission", "retransmissions"));
        parts.push(counted(traffic.timeouts, "time-out", "time-outs"));
        format!("{}: {}", api_name(&traffic.category), parts.join(", "))
    };
    let mut facts: Vec<String> = status.traffic.iter().map(fact).collect();
    facts.extend(status.coverage.as_ref().map(coverage_sentence));
    let at = status.numbers_as_of.map(|at| format!(" in the window of {at}")).unwrap_or_default();
    (!facts.is_empty()).then(|| Evidence { subject: format!("traffic{at}"), facts })
}

/// A number of bytes in its largest decimal unit.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        // With a digit after the point below ten units.
        Some((unit, name)) if bytes < 10 * unit => {
            format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10))
        }
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

pub(super) fn of_alarm(alarm: &AnomalyAlarm) -> Vec<Evidence> {
    let Some(status) = &alarm.status else { return Vec::new() };
    let mut evidence = Vec::new();
    if let Some(reading) = &status.reading {
        let number = |what: &str, value: Option<f64>| value.map(|value| format!("{what} {value}"));
        let facts = [
            number("value", reading.value),
            number("lower edge of the band", reading.lower),
            number("upper edge of the band", reading.upper),
            number("threshold", reading.threshold),
            reading.at.map(|at| format!("read at {at}")),
        ];
        evidence
            .push(Evidence { subject: "metric".to_owned(), facts: facts.into_iter().flatten().collect() });
    }
    if let Some(training) = &status.training {
        evidence.push(Evidence {
            subject: "training of the band".to_owned(),
            facts: vec![training.message.clone()],
        });
    }
    if let Some(state) = status.network_state {
        let facts = vec![format!("the alarm of the network is {}", state.as_str())];
        evidence.push(Evidence { subject: "network".to_owned(), facts });
    }
    evidence.extend(status.last_error.as_ref().map(refused));
    evidence
}

fn refused(error: &tidewatch_crds::anomaly_alarm::LastError) -> Evidence {
    let next = error.next_try.map(|at| format!("tried again at {at}"));
    let mut facts = vec![format!("{}: {}", error.code, error.message)];
    facts.extend(next);
    Evidence { subject: format!("AWS refused {}", error.operation), facts }
}

pub(super) fn of_canary(canary: &Canary) -> Vec<Evidence> {
    let Some(status) = &canary.status else { return Vec::new() };
    let mut evidence = Vec::new();
    if let Some(failure) = &status.last_failure {
        let phases = &failure.phases;
        let named = [
            ("name lookup", phases.dns_ms),
            ("connect", phases.connect_ms),
            ("TLS", phases.tls_ms),
            ("first byte", phases.first_byte_ms),
            ("body", phases.body_ms),
        ];
        let phases: Vec<String> =
            named.into_iter().filter_map(|(name, ms)| Some(format!("{name} {} ms", ms?))).collect();
        let mut facts = vec![failure.message.clone()];
        facts.extend(failure.expected.as_ref().map(|it| format!("expected {it}")));
        facts.extend(failure.got.as_ref().map(|it| format!("got {it}")));
        facts.extend((!phases.is_empty()).then(|| phases.join(", ")));
        facts.push(format!("at {}", failure.at));
        facts.extend(failure.trace_id.as_ref().map(|it| format!("trace {it}")));
        evidence.push(Evidence { subject: format!("last failure: check {}", failure.check), facts });
    }
    if let Some(success) = &status.success {
        let shares = [("hour", &success.hour), ("24 hours", &success.day)];
        let facts = shares.into_iter().filter_map(|(of, share)| {
            Some(format!("{}% of the runs of the last {of} passed", share.as_ref()?))
        });
        evidence.push(Evidence { subject: "success".to_owned(), facts: facts.collect() });
    }
    if let Some(aws) = &status.aws {
        evidence.extend(aws.last_error.as_ref().map(refused));
        evidence.extend(aws.failure_artifacts.as_ref().map(|place| Evidence {
            subject: "artifacts of the failure".to_owned(),
            facts: vec![place.clone()],
        }));
    }
    evidence
}

fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent >= 10.0 || percent == 0.0 { format!("{percent:.0}%") } else { format!("{percent:.2}%") }
}

fn kind(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::Node => "node",
        ComponentKind::Zone => "zone",
        ComponentKind::ZonePair => "zones",
        ComponentKind::Service => "service",
        ComponentKind::Pod => "pod",
        ComponentKind::AwsService => "AWS service",
        ComponentKind::Internet => "the internet",
    }
}

fn class(class: FaultClass) -> &'static str {
    match class {
        FaultClass::Infrastructure => "infrastructure",
        FaultClass::Workload => "workload",
        FaultClass::External => "outside the cluster",
    }
}

fn cause(cause: FaultCause) -> &'static str {
    match cause {
        FaultCause::PacketLoss => "packets are lost",
        FaultCause::Latency => "round trips are slow",
        FaultCause::Unreachable => "connection attempts are not answered",
        FaultCause::Refused => "connection attempts are refused",
        FaultCause::Overload => "it is overloaded",
        FaultCause::ConnectionFailures => "new connections fail",
        FaultCause::ConntrackFull => "the connection-tracking table is full",
        FaultCause::AllowanceExceeded => "the instance has used up an allowance of its type",
        FaultCause::Unknown => "the cause isn't known",
    }
}

#[test]
fn sizes_are_written_in_their_largest_unit() {
    let cases = [(0, "0 B"), (999, "999 B"), (5_500, "5.5 kB"), (61_000, "61 kB"), (9_999_999, "9.9 MB")];
    for (bytes, text) in cases.into_iter().chain([(120_000_000_000, "120 GB"), (u64::MAX, "18446744 TB")]) {
        assert_eq!(size(bytes), text);
    }
}
