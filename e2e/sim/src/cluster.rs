//! The simulated cluster: what exists, who talks to whom, and how much.
//!
//! Everything is kept in tables and referred to by index; a pod keeps its index when a rollout replaces it (its flows
//! stay, its name, address and node change).

use std::net::{IpAddr, Ipv4Addr};

use tidewatch_records::{Category, Endpoint, EndpointKind, Name};

pub type ZoneIndex = usize;
pub type NodeIndex = usize;
pub type ServiceIndex = usize;
pub type PodIndex = usize;
pub type RemoteIndex = usize;

#[derive(Debug, Clone)]
pub struct Node {
    pub name: Name,
    pub zone: ZoneIndex,
    pub ip: IpAddr,
}

#[derive(Debug, Clone)]
pub struct Service {
    pub namespace: String,
    pub name: String,
    /// `namespace/name`
    pub id: Name,
    pub workload: Name,
    pub port: u16,
    /// A DaemonSet on the nodes' own network: peers see the node's address, not a pod's.
    pub host_network: bool,
    pub pods: Vec<PodIndex>,
    /// Retransmission ratio of this service when all is well, averaged over its hourly drift.
    pub benign: f64,
    /// Size (of the logarithm) and phase of the drift.
    pub drift: (f64, f64),
}

impl Service {
    /// The benign ratio at `minute` of the simulation: it swings by the hour.
    pub fn benign_at(&self, minute: f64) -> f64 {
        let (size, phase) = self.drift;
        self.benign * (size * (std::f64::consts::TAU * minute / 60.0 + phase).sin()).exp()
    }
}

#[derive(Debug, Clone)]
pub struct Pod {
    pub service: ServiceIndex,
    /// `namespace/name`
    pub name: Name,
    pub ip: IpAddr,
    pub node: NodeIndex,
    /// Scaled in; an inactive pod has no traffic.
    pub active: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteKind {
    /// `aws/name`
    Aws(Name),
    Internet,
}

#[derive(Debug, Clone)]
pub struct Remote {
    pub kind: RemoteKind,
    pub ip: IpAddr,
    pub port: u16,
    pub rtt_us: f64,
    pub benign: f64,
    pub drift: (f64, f64),
}

/// One end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    Pod(PodIndex),
    Remote(RemoteIndex),
}

/// A client and a server that talk for the whole trial.
#[derive(Debug, Clone)]
pub struct Flow {
    pub client: Peer,
    pub server: Peer,
    /// Mean data segments a window, client to server and back.
    pub segments: (f64, f64),
    /// Mean connections opened a window.
    pub connects: f64,
    /// Connections open at any time.
    pub open: u64,
    /// This flow's own lasting deviation from its service's benign ratio and from its path's round-trip time.
    pub benign_factor: f64,
    pub rtt_factor: f64,
    /// Where a network card's hash puts the flow, in 0..1.
    pub lane: f64,
}

#[derive(Debug, Clone)]
pub struct Cluster {
    pub zones: Vec<Name>,
    pub nodes: Vec<Node>,
    pub services: Vec<Service>,
    pub pods: Vec<Pod>,
    pub remotes: Vec<Remote>,
    pub flows: Vec<Flow>,
    /// Round-trip time between two zones, by index (a < b).
    pub zone_rtt_us: Vec<((ZoneIndex, ZoneIndex), f64)>,
    /// Pods ever made, so that no name or address is used twice.
    pub pods_made: u32,
}

/// Where a flow runs, resolved to indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub client_node: Option<NodeIndex>,
    pub server_node: Option<NodeIndex>,
    pub client_zone: Option<ZoneIndex>,
    pub server_zone: Option<ZoneIndex>,
    pub category: Category,
}

impl Route {
    /// True if the flow leaves its node.
    pub fn uses_network(&self) -> bool {
        self.category != Category::IntraNode
    }

    pub fn touches_node(&self, node: NodeIndex) -> bool {
        self.uses_network() && (self.client_node == Some(node) || self.server_node == Some(node))
    }

    pub fn touches_zone(&self, zone: ZoneIndex) -> bool {
        self.uses_network() && (self.client_zone == Some(zone) || self.server_zone == Some(zone))
    }

    /// For a flow between these two zones, true if its client is in the first; `None` for any other flow.
    pub fn between(&self, a: ZoneIndex, b: ZoneIndex) -> Option<bool> {
        match (self.client_zone, self.server_zone) {
            (Some(client), Some(server)) if client == a && server == b => Some(true),
            (Some(client), Some(server)) if client == b && server == a => Some(false),
            _ => None,
        }
    }
}

impl Cluster {
    fn place(&self, peer: Peer) -> (Option<NodeIndex>, Option<ZoneIndex>) {
        let Peer::Pod(pod) = peer else { return (None, None) };
        let node = self.pods.get(pod).map(|pod| pod.node);
        (node, node.and_then(|node| self.nodes.get(node)).map(|node| node.zone))
    }

    pub fn route(&self, flow: &Flow) -> Route {
        let (client_node, client_zone) = self.place(flow.client);
        let (server_node, server_zone) = self.place(flow.server);
        let category = match (flow.client, flow.server) {
            (Peer::Pod(_), Peer::Pod(_)) if client_node == server_node => Category::IntraNode,
            (Peer::Pod(_), Peer::Pod(_)) if client_zone == server_zone => Category::IntraAz,
            (Peer::Pod(_), Peer::Pod(_)) => Category::InterAz,
            (Peer::Remote(remote), _) | (_, Peer::Remote(remote)) => {
                match self.remotes.get(remote).map(|remote| &remote.kind) {
                    Some(RemoteKind::Aws(_)) => Category::AwsService,
                    _ => Category::Internet,
                }
            }
        };
        Route { client_node, server_node, client_zone, server_zone, category }
    }

    /// Round-trip time of a route when nothing is wrong.
    pub fn base_rtt_us(&self, flow: &Flow, route: &Route) -> f64 {
        match route.category {
            Category::IntraNode => 80.0,
            Category::IntraAz => 260.0,
            Category::InterAz => {
                let (a, b) = (route.client_zone.unwrap_or(0), route.server_zone.unwrap_or(0));
                let pair = (a.min(b), a.max(b));
                self.zone_rtt_us.iter().find(|(key, _)| *key == pair).map_or(900.0, |(_, rtt)| *rtt)
            }
            _ => {
                let ((Peer::Remote(remote), _) | (_, Peer::Remote(remote))) = (flow.client, flow.server)
                else {
                    return 1_000.0;
                };
                self.remotes.get(remote).map_or(1_000.0, |remote| remote.rtt_us)
            }
        }
    }

    /// The service that a peer belongs to, if it is in the cluster.
    pub fn service_of(&self, peer: Peer) -> Option<ServiceIndex> {
        match peer {
            Peer::Pod(pod) => self.pods.get(pod).map(|pod| pod.service),
            Peer::Remote(_) => None,
        }
    }

    pub fn is_active(&self, peer: Peer) -> bool {
        match peer {
            Peer::Pod(pod) => self.pods.get(pod).is_some_and(|pod| pod.active),
            Peer::Remote(_) => true,
        }
    }

    /// The port that the flow's server listens on.
    pub fn server_port(&self, server: Peer) -> Option<u16> {
        match server {
            Peer::Pod(_) => self.service_of(server).and_then(|s| self.services.get(s)).map(|s| s.port),
            Peer::Remote(remote) => self.remotes.get(remote).map(|remote| remote.port),
        }
    }

    /// The endpoint as the collector resolves it. A pod on the host's network is known where it is local (by its
    /// socket's cgroup); seen from afar it is only the node's address.
    pub fn endpoint(&self, peer: Peer, local: bool, port: Option<u16>) -> Endpoint {
        match peer {
            Peer::Pod(index) => self.pod_endpoint(index, local, port),
            Peer::Remote(index) => {
                let Some(remote) = self.remotes.get(index) else {
                    return Endpoint::of(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                };
                let mut endpoint = Endpoint { port, ..Endpoint::of(remote.ip) };
                match &remote.kind {
                    RemoteKind::Aws(service) => {
                        endpoint.kind = Some(EndpointKind::Aws);
                        endpoint.service = Some(service.clone());
                    }
                    RemoteKind::Internet => endpoint.kind = Some(EndpointKind::Internet),
                }
                endpoint
            }
        }
    }

    fn pod_endpoint(&self, index: PodIndex, local: bool, port: Option<u16>) -> Endpoint {
        let unknown = Endpoint::of(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let Some(pod) = self.pods.get(index) else { return unknown };
        let (Some(service), Some(node)) = (self.services.get(pod.service), self.nodes.get(pod.node)) else {
            return unknown;
        };
        let mut endpoint = Endpoint { port, ..Endpoint::of(pod.ip) };
        endpoint.node = Some(node.name.clone());
        endpoint.zone = self.zones.get(node.zone).cloned();
        if service.host_network && !local {
            endpoint.kind = Some(EndpointKind::Node);
            return endpoint;
        }
        endpoint.kind = Some(EndpointKind::Pod);
        endpoint.pod = Some(pod.name.clone());
        endpoint.workload = Some(service.workload.clone());
        endpoint.service = Some(service.id.clone());
        endpoint
    }

    /// Replaces the pod by a new one of the same service on `node`.
    pub fn replace_pod(&mut self, index: PodIndex, node: NodeIndex) {
        self.pods_made += 1;
        let serial = self.pods_made;
        let node_ip = self.nodes.get(node).map(|node| node.ip);
        let Some(pod) = self.pods.get_mut(index) else { return };
        let Some(service) = self.services.get(pod.service) else { return };
        pod.name = pod_name(service, serial);
        pod.ip = if service.host_network { node_ip.unwrap_or(pod.ip) } else { pod_ip(serial) };
        pod.node = node;
    }
}

pub fn pod_ip(serial: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 128, 0, 0)) + serial))
}

pub fn pod_name(service: &Service, serial: u32) -> Name {
    format!("{}/{}-{serial:05x}", service.namespace, service.name).into()
}
