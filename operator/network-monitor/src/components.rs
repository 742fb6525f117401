//! From the engine's words for components and causes to the API's.

use tidewatch_crds::network_monitor::{ComponentKind, FaultCause, FaultClass, FaultyComponent};
use tidewatch_health::{Cause, Class, ComponentFault, ComponentId, Evidence, Limit, LimitReached};

use super::traffic::{rtt_text, two_digit_ratio, two_digits};

/// A component at fault as the status shows it, without hints.
pub(super) fn faulty_component(fault: &ComponentFault) -> FaultyComponent {
    let (kind, name) = kind_and_name(&fault.component);
    let shown = FaultyComponent {
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
        retransmission_ratio: None,
        baseline_ratio: None,
        rtt_min: None,
        baseline_rtt_min: None,
        rtt_p50: None,
        baseline_rtt_p50: None,
        failed_attempts: None,
        requests_sent_again: None,
        attempts: None,
        limit: None,
        affected_flows: None,
        total_flows: two_digits(fault.evidence.flows),
        hints: Vec::new(),
    };
    with_evidence(shown, fault.cause, &fault.evidence)
}

/// The evidence that the cause stands on, and no other: a share of retransmissions beside slow round trips would be taken
/// for their cause.
fn with_evidence(shown: FaultyComponent, cause: Cause, evidence: &Evidence) -> FaultyComponent {
    let affected = (evidence.flows_affected > 0).then(|| two_digits(evidence.flows_affected));
    match cause {
        Cause::PacketLoss => FaultyComponent {
            retransmission_ratio: Some(two_digit_ratio(evidence.retransmission_ratio)),
            baseline_ratio: Some(two_digit_ratio(evidence.baseline_ratio)),
            affected_flows: affected,
            ..shown
        },
        Cause::Latency => FaultyComponent {
            rtt_min: evidence.rtt_min_us.map(rtt_text),
            baseline_rtt_min: evidence.baseline_rtt_min_us.map(rtt_text),
            rtt_p50: evidence.rtt_p50_us.map(rtt_text),
            baseline_rtt_p50: evidence.baseline_rtt_p50_us.map(rtt_text),
            affected_flows: affected,
            ..shown
        },
        // A full backlog shows in both.
        Cause::Overload => {
            let is_lossy = evidence.retransmission_ratio > evidence.baseline_ratio;
            let ratio = |ratio: f64| is_lossy.then(|| two_digit_ratio(ratio));
            FaultyComponent {
                retransmission_ratio: ratio(evidence.retransmission_ratio),
                baseline_ratio: ratio(evidence.baseline_ratio),
                affected_flows: affected,
                ..with_attempts(shown, evidence)
            }
        }
        Cause::Unreachable | Cause::Refused | Cause::ConnectionFailures => with_attempts(shown, evidence),
        Cause::ConntrackFull | Cause::AllowanceExceeded => FaultyComponent {
            limit: evidence.limit.as_ref().map(limit_text),
            ..with_attempts(shown, evidence)
        },
        Cause::Unknown => FaultyComponent { affected_flows: affected, ..shown },
    }
}

fn with_attempts(shown: FaultyComponent, evidence: &Evidence) -> FaultyComponent {
    let shown_if = |some: bool, count: u64| some.then(|| two_digits(count));
    let (failed, again) = (evidence.attempts_failed, evidence.requests_sent_again);
    FaultyComponent {
        failed_attempts: shown_if(failed > 0, failed),
        requests_sent_again: shown_if(again > 0, again),
        attempts: shown_if(failed > 0 || again > 0, evidence.attempts),
        ..shown
    }
}

/// Which limit is reached, by the name that its owner gives it.
fn limit_text(reached: &LimitReached) -> String {
    match (reached.limit, reached.most_entries) {
        (Limit::ConntrackTable, Some(most)) => format!("net.netfilter.nf_conntrack_max ({most})"),
        (Limit::ConntrackTable, None) => "net.netfilter.nf_conntrack_max".to_owned(),
        (Limit::ConntrackAllowance, _) => "conntrack_allowance_exceeded".to_owned(),
        (Limit::PacketRateAllowance, _) => "pps_allowance_exceeded".to_owned(),
        (Limit::BandwidthInAllowance, _) => "bw_in_allowance_exceeded".to_owned(),
        (Limit::BandwidthOutAllowance, _) => "bw_out_allowance_exceeded".to_owned(),
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

/// What happens where, in a few words.
pub(super) fn described(component: &FaultyComponent) -> String {
    let kind = match component.kind {
        ComponentKind::Node => "node",
        ComponentKind::Zone => "zone",
        ComponentKind::ZonePair => "zone-pair",
        ComponentKind::Service => "service",
        ComponentKind::Pod => "pod",
        ComponentKind::AwsService => "service/aws",
        ComponentKind::Internet => "internet",
    };
    format!("{} at {kind}/{}", cause_text(component.cause), component.name)
}

fn cause_text(cause: FaultCause) -> &'static str {
    match cause {
        FaultCause::PacketLoss => "packet loss",
        FaultCause::Latency => "high latency",
        FaultCause::Unreachable => "no answer to connection attempts",
        FaultCause::Refused => "connections refused",
        FaultCause::Overload => "overload",
        FaultCause::ConnectionFailures => "failing new connections",
        FaultCause::ConntrackFull => "a full connection-tracking table",
        FaultCause::AllowanceExceeded => "an instance allowance that is used up",
        FaultCause::Unknown => "an unknown fault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, fault};

    /// The names of the fields of evidence that a component with `cause` has.
    fn fields(cause: Cause) -> Vec<String> {
        let mut fault = fault(ComponentId::Node("a".to_owned()), cause, at(0));
        fault.evidence = Evidence {
            rtt_p50_us: Some(4_400),
            baseline_rtt_p50_us: Some(1_300),
            rtt_min_us: Some(3_100),
            baseline_rtt_min_us: Some(400),
            attempts: 100,
            attempts_failed: 40,
            ..fault.evidence
        };
        let shown = serde_json::to_value(faulty_component(&fault)).unwrap();
        let always = ["kind", "name", "class", "cause", "since", "confidence", "totalFlows"];
        shown.as_object().unwrap().keys().filter(|key| !always.contains(&key.as_str())).cloned().collect()
    }

    #[test]
    fn the_evidence_fits_the_cause() {
        let (loss, attempts) = (["baselineRatio", "retransmissionRatio"], ["attempts", "failedAttempts"]);
        let latency = ["affectedFlows", "baselineRttMin", "baselineRttP50", "rttMin", "rttP50"];
        for (cause, expected) in [
            (Cause::PacketLoss, [&["affectedFlows"][..], &loss].concat()),
            (Cause::Latency, latency.to_vec()),
            (Cause::Unreachable, attempts.to_vec()),
            (Cause::Refused, attempts.to_vec()),
            (Cause::ConnectionFailures, attempts.to_vec()),
            (Cause::Overload, [&["affectedFlows"][..], &attempts, &loss].concat()),
            (Cause::Unknown, vec!["affectedFlows"]),
        ] {
            let mut expected = expected;
            expected.sort_unstable();
            let mut found = fields(cause);
            found.sort_unstable();
            assert_eq!(found, expected, "{cause:?}");
        }
    }

    #[test]
    fn a_limit_is_named_as_its_owner_names_it() {
        let mut full = fault(ComponentId::Node("a".to_owned()), Cause::ConntrackFull, at(0));
        let reached =
            |limit, most_entries| LimitReached { limit, turned_away: 9, entries: most_entries, most_entries };
        full.evidence.limit = Some(reached(Limit::ConntrackTable, Some(262_144)));
        let of_table = faulty_component(&full).limit;
        assert_eq!(of_table.as_deref(), Some("net.netfilter.nf_conntrack_max (262144)"));
        full.evidence.limit = Some(reached(Limit::PacketRateAllowance, None));
        assert_eq!(faulty_component(&full).limit.as_deref(), Some("pps_allowance_exceeded"));
    }

    #[test]
    fn round_trips_are_shown_in_milliseconds() {
        let mut slow = fault(ComponentId::Zone("zone-1".to_owned()), Cause::Latency, at(0));
        slow.evidence.rtt_min_us = Some(2_950);
        slow.evidence.baseline_rtt_min_us = Some(412);
        let shown = faulty_component(&slow);
        assert_eq!(shown.rtt_min.as_deref(), Some("3ms"));
        assert_eq!(shown.baseline_rtt_min.as_deref(), Some("0.41ms"));
    }
}
