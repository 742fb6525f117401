//! Faults: where, what it does to a flow there, and when.

use tidewatch_health::{Cause, ComponentId};

use crate::cluster::{
    Cluster, Flow, NodeIndex, Peer, PodIndex, RemoteIndex, RemoteKind, Route, ServiceIndex, ZoneIndex,
};
pub use crate::kind::FaultKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Node(NodeIndex),
    Zone(ZoneIndex),
    ZonePair(ZoneIndex, ZoneIndex),
    Service(ServiceIndex),
    Pod(PodIndex),
    Remote(RemoteIndex),
}

impl Place {
    pub fn component(self, cluster: &Cluster) -> Option<ComponentId> {
        let zone = |zone: ZoneIndex| cluster.zones.get(zone).map(|name| name.to_string());
        Some(match self {
            Self::Node(node) => ComponentId::Node(cluster.nodes.get(node)?.name.to_string()),
            Self::Zone(index) => ComponentId::Zone(zone(index)?),
            Self::ZonePair(a, b) => ComponentId::zone_pair(&zone(a)?, &zone(b)?),
            Self::Service(service) => {
                let service = cluster.services.get(service)?;
                ComponentId::Service { namespace: service.namespace.clone(), name: service.name.clone() }
            }
            Self::Pod(pod) => {
                let (namespace, name) = cluster.pods.get(pod)?.name.split_once('/')?;
                ComponentId::Pod { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            Self::Remote(remote) => {
                let remote = cluster.remotes.get(remote)?;
                match &remote.kind {
                    RemoteKind::Aws(name) => {
                        ComponentId::AwsService(name.strip_prefix("aws/").unwrap_or(name).to_owned())
                    }
                    RemoteKind::Internet => ComponentId::Internet(remote.ip.to_string()),
                }
            }
        })
    }

    /// True if the flow crosses this place.
    pub fn holds(self, cluster: &Cluster, flow: &Flow, route: &Route) -> bool {
        match self {
            Self::Node(node) => route.touches_node(node),
            Self::Zone(zone) => route.touches_zone(zone),
            Self::ZonePair(a, b) => route.between(a, b).is_some(),
            Self::Service(service) => cluster.service_of(flow.server) == Some(service),
            Self::Pod(pod) => flow.client == Peer::Pod(pod) || flow.server == Peer::Pod(pod),
            Self::Remote(remote) => {
                flow.client == Peer::Remote(remote) || flow.server == Peer::Remote(remote)
            }
        }
    }
}

/// The direction between a zone pair's zones that is harmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Both,
    /// Only packets from the first zone to the second.
    Forward,
}

/// The new connections through a place that are harmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    All,
    /// Opened from the node.
    Outbound,
    /// Opened towards the node.
    Inbound,
    /// Between the node and another zone, or the outside.
    InterZone,
}

impl Scope {
    fn holds(self, place: Place, flow: &Flow, route: &Route) -> bool {
        match (self, place) {
            (Self::Outbound, Place::Pod(pod)) => flow.client == Peer::Pod(pod),
            (Self::Outbound, Place::Node(node)) => route.client_node == Some(node),
            (Self::Inbound, Place::Node(node)) => route.server_node == Some(node),
            (Self::InterZone, _) => route.client_zone != route.server_zone,
            _ => true,
        }
    }
}

/// The limit of a node that was reached, where its figures tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Conntrack,
    Allowance,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Harm {
    /// Packets are lost. `lanes` is the part of the flows that pass the faulty queue, as a range of [`Flow::lane`].
    Loss { ratio: f64, direction: Direction, lanes: (f64, f64) },
    /// Every round trip takes longer, nothing is lost.
    Delay { add_us: f64 },
    /// SYNs go unanswered. `cuts_open`: connections already open die too (NetworkPolicy), or live on (security group).
    Block { cuts_open: bool },
    /// SYNs are answered by RST.
    Refuse,
    /// The server can't keep up: its backlog overflows (`syn_loss`), it drops some segments, and it answers late.
    Overload { loss: f64, syn_loss: f64, rtt_factor: f64 },
    /// Connections can't be opened, established ones are fine. `sticky`: the share `ratio` of connections, whichever
    /// way their SYN is sent again; otherwise of SYNs.
    Unanswered { ratio: f64, sticky: bool, scope: Scope, told: Option<Limit> },
}

impl Harm {
    pub fn cause(&self) -> Cause {
        match self {
            Self::Loss { .. } => Cause::PacketLoss,
            Self::Delay { .. } => Cause::Latency,
            Self::Block { .. } => Cause::Unreachable,
            Self::Refuse => Cause::Refused,
            Self::Overload { .. } => Cause::Overload,
            Self::Unanswered { told: None, .. } => Cause::ConnectionFailures,
            Self::Unanswered { told: Some(Limit::Conntrack), .. } => Cause::ConntrackFull,
            Self::Unanswered { told: Some(Limit::Allowance), .. } => Cause::AllowanceExceeded,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Injection {
    pub place: Place,
    pub harm: Harm,
}

/// The harm that a trial injects at its places, with an intensity (0..=1) for each fault window.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    pub injections: Vec<Injection>,
    pub intensity: Vec<f64>,
}

/// All that the faults do to one flow in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// Probability that a packet is lost, client to server and back.
    pub loss: (f64, f64),
    pub delay_us: f64,
    pub rtt_factor: f64,
    /// Probability that the server's backlog drops a SYN, on top of the loss.
    pub syn_loss: f64,
    /// Share of connections that stay unanswered for as long as the fault lasts.
    pub unanswered: f64,
    pub blocked: bool,
    pub cuts_open: bool,
    pub refused: bool,
}

impl Default for Effect {
    fn default() -> Self {
        Self {
            loss: (0.0, 0.0),
            delay_us: 0.0,
            rtt_factor: 1.0,
            syn_loss: 0.0,
            unanswered: 0.0,
            blocked: false,
            cuts_open: false,
            refused: false,
        }
    }
}

impl Effect {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn lose(&mut self, out: f64, back: f64) {
        self.loss.0 = 1.0 - (1.0 - self.loss.0) * (1.0 - out);
        self.loss.1 = 1.0 - (1.0 - self.loss.1) * (1.0 - back);
    }

    fn add(&mut self, injection: &Injection, flow: &Flow, route: &Route, intensity: f64) {
        match injection.harm {
            Harm::Loss { ratio, direction, lanes } => {
                if flow.lane < lanes.0 || flow.lane >= lanes.1 {
                    return;
                }
                let ratio = ratio * intensity;
                let (out, back) = match (direction, injection.place) {
                    (Direction::Both, _) => (true, true),
                    (Direction::Forward, Place::ZonePair(a, b)) => {
                        let forward = route.between(a, b) == Some(true);
                        (forward, !forward)
                    }
                    (Direction::Forward, _) => (true, false),
                };
                self.lose(if out { ratio } else { 0.0 }, if back { ratio } else { 0.0 });
            }
            Harm::Delay { add_us } => self.delay_us += add_us * intensity,
            Harm::Block { cuts_open } => {
                self.blocked = true;
                self.cuts_open |= cuts_open;
            }
            Harm::Refuse => {
                self.refused = true;
                self.cuts_open = true;
            }
            Harm::Overload { loss, syn_loss, rtt_factor } => {
                self.lose(loss * intensity, loss * intensity * 0.2);
                self.syn_loss = self.syn_loss.max(syn_loss * intensity);
                self.rtt_factor *= 1.0 + (rtt_factor - 1.0) * intensity;
            }
            Harm::Unanswered { ratio, sticky, scope, .. } => {
                if !scope.holds(injection.place, flow, route) {
                    return;
                }
                let hurt = if sticky { &mut self.unanswered } else { &mut self.syn_loss };
                *hurt = hurt.max(ratio);
            }
        }
    }
}

impl Fault {
    pub fn none() -> Self {
        Self { kind: FaultKind::Healthy, injections: Vec::new(), intensity: Vec::new() }
    }

    /// The effect of the faults on this flow at `intensity`.
    pub fn effect(&self, cluster: &Cluster, flow: &Flow, route: &Route, intensity: f64) -> Effect {
        let mut effect = Effect::default();
        if intensity > 0.0 {
            for injection in &self.injections {
                if injection.place.holds(cluster, flow, route) {
                    effect.add(injection, flow, route, intensity);
                }
            }
        }
        effect
    }

    /// Services whose pods have to stay what they are while the fault lasts, so that its name stays true.
    pub fn spared(&self, cluster: &Cluster) -> Vec<ServiceIndex> {
        let service = |injection: &Injection| match injection.place {
            Place::Service(service) => Some(service),
            Place::Pod(pod) => cluster.pods.get(pod).map(|pod| pod.service),
            _ => None,
        };
        self.injections.iter().filter_map(service).collect()
    }
}
