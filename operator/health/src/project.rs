//! One monitor's verdict: what the cluster's verdict means for the flows that the monitor selects.

use std::collections::BTreeSet;

use tidewatch_records::{Endpoint, EndpointKind, FlowWindow, Role};

use crate::config::Config;
use crate::engine::{attribution, indicator};
use crate::finding::ratio;
use crate::power;
use crate::reason;
use crate::verdict::{ComponentFault, ComponentId, Coverage, Evidence, Verdict};

/// Ratio that is taken as benign where the cluster's verdict doesn't tell one; the engine's prior.
const BENIGN_RATIO: f64 = 5e-4;

/// The verdict of a monitor that selects `flows`, given the verdict `cluster` on the same window of the whole cluster.
///
/// An infrastructure fault counts if one of `flows` crosses it, a workload or external fault if the local or the
/// remote side of one of `flows` is the service, pod or remote at fault. Evidence is recomputed on `flows`. Where
/// nothing is at fault and `flows` are too few to have shown it (the rule in `docs/health.md`), data is insufficient;
/// a workload fault that keeps connections from opening is itself enough to know why they are few.
pub fn project<'a>(
    cluster: &Verdict,
    _config: Config,
    flows: impl Iterator<Item = &'a FlowWindow>,
) -> Verdict {
    let mut shares: Vec<Share<'_>> = cluster.components.iter().map(Share::new).collect();
    let (mut records, mut distinct) = (0, BTreeSet::new());
    let (mut segments, mut attempts) = (0_u64, 0_u64);
    for flow in flows {
        records += 1;
        distinct.insert((flow.role, flow.local.ip, flow.remote.ip, flow.local.port, flow.remote.port));
        segments = segments.saturating_add(flow.data_segments_out);
        attempts = attempts.saturating_add(decided(flow));
        for share in &mut shares {
            if crosses(&share.fault.component, flow) {
                share.add(flow);
            }
        }
    }
    let trials = segments as f64 + 2.0 * attempts as f64;
    let components: Vec<ComponentFault> =
        shares.into_iter().filter(|share| share.evidence.flows > 0).map(Share::into_fault).collect();
    let explained = components.iter().any(|fault| fault.evidence.attempts_failed > 0);
    let enough = explained || power::suffices(trials, segments as f64 * BENIGN_RATIO);
    let nhi = indicator(&components, enough);
    let attribution = attribution(&components);
    Verdict {
        window_start: cluster.window_start,
        window_seconds: cluster.window_seconds,
        nhi,
        attribution,
        reason: reason::sentence(nhi, attribution, &components),
        components,
        shortages: cluster.shortages.clone(),
        coverage: Coverage { records, flows: distinct.len() as u64 },
    }
}

/// Whether the flow passes the component (infrastructure), or has it at one of its ends.
fn crosses(component: &ComponentId, flow: &FlowWindow) -> bool {
    let ends = [&flow.local, &flow.remote];
    let (near, far) = (&flow.local, &flow.remote);
    let leaves_node = near.node != far.node;
    match component {
        ComponentId::Node(name) => leaves_node && ends.iter().any(|end| end.node.as_deref() == Some(name)),
        ComponentId::Zone(name) => leaves_node && ends.iter().any(|end| end.zone.as_deref() == Some(name)),
        ComponentId::ZonePair(a, b) => {
            let is = |end: &Endpoint, zone: &str| end.zone.as_deref() == Some(zone);
            (is(near, a) && is(far, b)) || (is(near, b) && is(far, a))
        }
        // The flows that a service serves, as the engine blames it; not those in which it is the client.
        ComponentId::Service { namespace, name } => {
            let server = if flow.role == Role::Client { far } else { near };
            server.service.as_deref().is_some_and(|service| is_named(service, namespace, name))
        }
        ComponentId::Pod { namespace, name } => {
            ends.iter().any(|end| end.pod.as_deref().is_some_and(|pod| is_named(pod, namespace, name)))
        }
        ComponentId::AwsService(name) => {
            far.service.as_deref().and_then(|service| service.strip_prefix("aws/")) == Some(name.as_str())
        }
        ComponentId::Internet(name) => {
            // An AWS service is a component of its own.
            let outside = matches!(far.kind, Some(EndpointKind::Internet | EndpointKind::Vpc));
            outside && (name == ANYWHERE || far.ip.to_string() == *name)
        }
    }
}

/// The name of the internet as a whole.
pub(crate) const ANYWHERE: &str = "0.0.0.0/0";

fn is_named(full: &str, namespace: &str, name: &str) -> bool {
    full.split_once('/') == Some((namespace, name))
}

fn decided(flow: &FlowWindow) -> u64 {
    match flow.role {
        Role::Client => {
            let connections = &flow.connections;
            connections.established.saturating_add(connections.refused).saturating_add(connections.timed_out)
        }
        Role::Server => 0,
    }
}

/// A component at fault, and what the monitor's flows saw of it.
struct Share<'a> {
    fault: &'a ComponentFault,
    evidence: Evidence,
    segments: u64,
    retransmissions: u64,
    rtt_weight: u64,
    rtt: u128,
    services: BTreeSet<&'a str>,
}

impl<'a> Share<'a> {
    fn new(fault: &'a ComponentFault) -> Self {
        Self {
            fault,
            evidence: Evidence::default(),
            segments: 0,
            retransmissions: 0,
            rtt_weight: 0,
            rtt: 0,
            services: BTreeSet::new(),
        }
    }

    fn add(&mut self, flow: &'a FlowWindow) {
        self.evidence.flows += 1;
        self.segments = self.segments.saturating_add(flow.data_segments_out);
        self.retransmissions = self.retransmissions.saturating_add(flow.retransmissions);
        let failed = match flow.role {
            Role::Client => flow.connections.refused.saturating_add(flow.connections.timed_out),
            Role::Server => 0,
        };
        self.evidence.attempts = self.evidence.attempts.saturating_add(decided(flow));
        self.evidence.attempts_failed = self.evidence.attempts_failed.saturating_add(failed);
        if let Some(rtt) = &flow.rtt_us {
            self.rtt_weight = self.rtt_weight.saturating_add(rtt.count);
            self.rtt = self.rtt.saturating_add(u128::from(rtt.count) * u128::from(rtt.p50));
        }
        let usual = flow.data_segments_out as f64 * self.fault.evidence.baseline_ratio;
        if flow.retransmissions as f64 > 2.0 * usual || failed > 0 {
            self.evidence.flows_affected += 1;
            let server = if flow.role == Role::Client { &flow.remote } else { &flow.local };
            self.services.extend(server.service.as_deref());
        }
    }

    fn into_fault(self) -> ComponentFault {
        let rtt_p50_us = (self.rtt_weight > 0)
            .then(|| u64::try_from(self.rtt / u128::from(self.rtt_weight)).unwrap_or(u64::MAX));
        ComponentFault {
            evidence: Evidence {
                retransmission_ratio: ratio(self.retransmissions as f64, self.segments as f64),
                baseline_ratio: self.fault.evidence.baseline_ratio,
                rtt_p50_us,
                baseline_rtt_p50_us: self.fault.evidence.baseline_rtt_p50_us,
                services_affected: self.services.len() as u64,
                ..self.evidence
            },
            ..self.fault.clone()
        }
    }
}
