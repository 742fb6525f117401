//! Connections that aren't the services' own: kubelet's probes, and who dials ports that nothing listens on.

use std::net::{IpAddr, Ipv4Addr};

use tidewatch_records::{Category, Connections, Endpoint, EndpointKind, FlowWindow, Name, Role};

use super::round_trip::RoundTrips;
use super::sky::{Conditions, any};
use crate::cluster::{Cluster, NodeIndex, Peer, PodIndex, Service};
use crate::random::Dice;
use crate::traffic::Moment;

/// Seconds between kubelet's probes of a pod.
const PROBE_EVERY: f64 = 7.0;
/// The dialler of dead ports and its address.
const SCANNER: &str = "ops/scanner-7c9d8-x2x4q";
const SCANNER_IP: Ipv4Addr = Ipv4Addr::new(10, 129, 0, 1);
const DEAD_PORT: u16 = 9_999;

/// A node itself, as its agent names a socket of no pod.
fn node_endpoint(cluster: &Cluster, node: NodeIndex) -> Option<Endpoint> {
    let found = cluster.nodes.get(node)?;
    Some(Endpoint {
        node: Some(found.name.clone()),
        zone: cluster.zones.get(found.zone).cloned(),
        kind: Some(EndpointKind::Node),
        ..Endpoint::of(found.ip)
    })
}

fn short_connections(
    (moment, cluster): (&Moment<'_>, &Cluster),
    (node, local, remote, category): (NodeIndex, Endpoint, Endpoint, Category),
    connections: Connections,
    floor_us: f64,
    dice: &mut Dice,
) -> Option<FlowWindow> {
    let reporter = cluster.nodes.get(node).filter(|_| !moment.weather.silent.contains(&node))?.name.clone();
    let established = connections.established;
    let trips = RoundTrips { floor_us, factor: 1.0, shortages: Vec::new() };
    Some(FlowWindow {
        window_start: moment.start,
        window_seconds: moment.seconds,
        reporter,
        role: Role::Client,
        local,
        remote,
        category: Some(category),
        connections,
        data_segments_out: 2 * established,
        retransmissions: connections.timed_out,
        spurious_retransmissions: 0,
        syn_retransmissions: 0,
        timeouts: connections.timed_out,
        bytes_out: 300 * established,
        bytes_in: 400 * established,
        rtt_us: trips.sockets(established, 0, 4.0, dice),
        handshake_us: trips.handshakes(established, 0, dice),
    })
}

/// Kubelet's probes of all pods; those that don't listen yet refuse them.
pub(crate) fn probes(
    moment: &Moment<'_>,
    cluster: &Cluster,
    conditions: &Conditions,
    dice: &mut Dice,
    records: &mut Vec<FlowWindow>,
) {
    for (index, pod) in cluster.pods.iter().enumerate().filter(|(_, pod)| pod.active) {
        let Some(service) = cluster.services.get(pod.service).filter(|s| !s.host_network) else { continue };
        let probes = dice.poisson(f64::from(moment.seconds) / PROBE_EVERY);
        let starting = conditions.starting.get(&index).copied().unwrap_or(0.0);
        let refused = dice.binomial(probes, starting);
        let Some(local) = node_endpoint(cluster, pod.node).filter(|_| probes > 0) else { continue };
        let remote = cluster.endpoint(Peer::Pod(index), false, Some(service.port));
        let connections = Connections {
            attempted: probes,
            established: probes - refused,
            refused,
            closed: probes,
            ..Connections::default()
        };
        let ends = (pod.node, local, remote, Category::IntraNode);
        records.extend(short_connections((moment, cluster), ends, connections, 60.0, dice));
    }
}

/// A client that dials ports on which nothing listens, and the pods and nodes that it dials.
#[derive(Debug, Clone)]
pub(crate) struct Dialler {
    /// A pod of its own, or one that has other things to do: a scraper that reads a wrong annotation.
    pod: Option<PodIndex>,
    node: NodeIndex,
    targets: Vec<PodIndex>,
    /// Nodes' own addresses that it dials too.
    hosts: Vec<NodeIndex>,
    /// Attempts on one target a second.
    rate: f64,
    /// Share of attempts that are answered by RST; the others meet a firewall.
    refused: f64,
}

impl Dialler {
    pub(crate) fn draw(cluster: &Cluster, dice: &mut Dice) -> Self {
        let busy: Vec<&Service> =
            cluster.services.iter().filter(|s| !s.host_network && s.pods.len() > 1).collect();
        let mut targets: Vec<PodIndex> = Vec::new();
        while targets.len() < 6 {
            let Some(service) = dice.pick(&busy) else { break };
            targets.extend(service.pods.iter().copied());
            if targets.len() > 30 {
                break;
            }
        }
        targets.truncate(dice.integer(4, 12));
        let scraper = cluster.services.len().checked_sub(3).and_then(|index| cluster.services.get(index));
        let pod = scraper.and_then(|s| s.pods.first()).copied().filter(|_| dice.chance(0.5));
        let node = pod.and_then(|pod| cluster.pods.get(pod)).map(|pod| pod.node);
        Self {
            pod,
            node: node.unwrap_or_else(|| any(cluster.nodes.len(), dice)),
            targets,
            hosts: (0..cluster.nodes.len()).filter(|_| dice.chance(0.2)).collect(),
            rate: dice.log_uniform(1.0 / 60.0, 1.0),
            refused: dice.pick(&[1.0, 1.0, 0.5, 0.0]).copied().unwrap_or(1.0),
        }
    }

    fn local(&self, cluster: &Cluster) -> Option<Endpoint> {
        if let Some(pod) = self.pod {
            return Some(cluster.endpoint(Peer::Pod(pod), true, None));
        }
        let place = node_endpoint(cluster, self.node)?;
        Some(Endpoint {
            ip: IpAddr::V4(SCANNER_IP),
            pod: Some(SCANNER.into()),
            workload: Some("ops/Deployment/scanner".into()),
            kind: Some(EndpointKind::Pod),
            ..place
        })
    }

    /// Its records: of a port that no Service has, only the pod is known.
    pub(crate) fn records(
        &self,
        moment: &Moment<'_>,
        cluster: &Cluster,
        dice: &mut Dice,
        records: &mut Vec<FlowWindow>,
    ) {
        let pods = self.targets.iter().filter(|pod| cluster.is_active(Peer::Pod(**pod))).map(|pod| {
            let endpoint = cluster.endpoint(Peer::Pod(*pod), false, Some(DEAD_PORT));
            Endpoint { service: None::<Name>, ..endpoint }
        });
        let hosts = self
            .hosts
            .iter()
            .filter_map(|node| Some(Endpoint { port: Some(DEAD_PORT), ..node_endpoint(cluster, *node)? }));
        let Some(local) = self.local(cluster) else { return };
        for remote in pods.chain(hosts) {
            let attempted = dice.poisson(self.rate * f64::from(moment.seconds));
            if attempted == 0 {
                continue;
            }
            let refused = dice.binomial(attempted, self.refused);
            let unanswered = attempted - refused;
            let connections = Connections {
                attempted,
                refused,
                timed_out: unanswered,
                waiting: dice.binomial(unanswered, 0.2),
                closed: refused + unanswered / 2,
                open: unanswered - unanswered / 2,
                ..Connections::default()
            };
            let category = match (&local.node, &remote.node) {
                (a, b) if a == b => Category::IntraNode,
                _ if local.zone == remote.zone => Category::IntraAz,
                _ => Category::InterAz,
            };
            let ends = (self.node, local.clone(), remote, category);
            records.extend(short_connections((moment, cluster), ends, connections, 300.0, dice));
        }
    }

    /// The service of the dialler's pod, if it is a pod of the cluster. That service must not be restarted while the
    /// dialler dials.
    pub(crate) fn spares(&self, cluster: &Cluster) -> Option<usize> {
        self.pod.and_then(|pod| cluster.pods.get(pod)).map(|pod| pod.service)
    }
}
