//! One monitor's verdict: what the cluster's verdict means for the flows that the monitor selects.

use std::collections::BTreeSet;

use tidewatch_records::{Endpoint, EndpointKind, FlowWindow, Role};

use crate::config::Config;
use crate::decide::attribution::{attribution, indicator};
use crate::decide::monitor_share::MonitorShare;
use crate::decide::reason;
use crate::decide::recent_traffic::{RecentTraffic, WindowTraffic};
use crate::decide::severity::sort_worst_first;
use crate::input::record::{FlowKey, decided, key};
use crate::verdict::{ComponentFault, ComponentId, Coverage, NodeShortage, Verdict, WHOLE_INTERNET};

/// Ratio that is taken as benign where the cluster's verdict doesn't tell one; the engine's prior.
const BENIGN_RATIO: f64 = 5e-4;

/// The verdict of a monitor that selects `flows`, given the verdict `cluster` on the same window of the whole cluster.
///
/// `flows` are the records of either end: what the other end's agent saw of data towards the monitor's pods is the
/// monitor's traffic as well. An infrastructure fault counts if one of `flows` crosses it, a workload or external fault if
/// the local or the remote side of one of `flows` is the service, pod or remote at fault. Evidence is recomputed on
/// `flows` where they show the fault ([`Showing`]). Where nothing is at fault and `recent` traffic is too little to
/// have shown it (the rule in `docs/health.md`), data is insufficient; a workload fault that keeps connections from opening
/// is itself enough to know why they are few.
pub fn project<'a>(
    cluster: &Verdict,
    _config: Config,
    recent: &mut RecentTraffic,
    flows: impl Iterator<Item = &'a FlowWindow>,
) -> Verdict {
    let mut shares: Vec<MonitorShare<'_>> = cluster.components.iter().map(MonitorShare::new).collect();
    let mut seen = Seen::default();
    for flow in flows {
        seen.add(flow);
        for share in &mut shares {
            if crosses(share.component(), flow) {
                share.add(flow);
            }
        }
    }
    let mut components: Vec<ComponentFault> =
        shares.into_iter().filter_map(|share| share.into_fault(cluster, recent)).collect();
    sort_worst_first(&mut components);
    let (traffic, enough) = recent.add(WindowTraffic {
        start: cluster.window_start,
        seconds: cluster.window_seconds,
        segments: seen.segments,
        attempts: seen.attempts,
        benign: seen.segments as f64 * BENIGN_RATIO,
    });
    let explains =
        |fault: &ComponentFault| fault.evidence.attempts_failed > 0 && !fault.evidence.untested_path;
    let explained = components.iter().any(explains);
    let nhi = indicator(&components, enough || explained);
    let attribution = attribution(&components);
    let shortages: Vec<NodeShortage> = cluster
        .shortages
        .iter()
        .filter(|shortage| seen.nodes.contains(shortage.node.as_str()))
        .cloned()
        .collect();
    let told = reason::ReasonInput {
        nhi,
        attribution,
        components: &components,
        shortages: &shortages,
        nodes: seen.nodes.len(),
        traffic,
    };
    Verdict {
        window_start: cluster.window_start,
        window_seconds: cluster.window_seconds,
        nhi,
        attribution,
        reason: reason::sentence(&told),
        components,
        shortages,
        coverage: Coverage { records: seen.records, flows: seen.flows.len() as u64 },
        traffic,
    }
}

/// All that the monitor's flows did.
#[derive(Debug, Default)]
struct Seen<'a> {
    records: u64,
    flows: BTreeSet<FlowKey>,
    nodes: BTreeSet<&'a str>,
    segments: u64,
    attempts: u64,
}

impl<'a> Seen<'a> {
    fn add(&mut self, flow: &'a FlowWindow) {
        self.records += 1;
        self.flows.insert(key(flow));
        self.nodes.extend([&flow.local, &flow.remote].into_iter().filter_map(|end| end.node.as_deref()));
        self.segments = self.segments.saturating_add(flow.data_segments_out);
        self.attempts = self.attempts.saturating_add(decided(flow));
    }
}

/// True if the flow crosses the component (infrastructure) or has it at one of its ends.
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
            outside && (name == WHOLE_INTERNET || far.ip.to_string() == *name)
        }
    }
}

fn is_named(full: &str, namespace: &str, name: &str) -> bool {
    full.split_once('/') == Some((namespace, name))
}
