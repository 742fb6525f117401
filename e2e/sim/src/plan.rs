//! Draws a fault: a place that enough traffic passes for anyone to be hurt, a size, a course over time.

use std::collections::BTreeSet;

use crate::build::CALLED_REMOTES;
use crate::cluster::{Cluster, Flow, Peer, ServiceIndex};
use crate::fault::{Direction, Fault, FaultKind, Harm, Injection, Place};
use crate::mode::Mode;
use crate::random::Dice;

pub(crate) const ALL_LANES: (f64, f64) = (0.0, 1.0);

/// An infrastructure fault is put where at least this many services pass: what fewer share can't be told from a fault
/// of theirs (flow-records.md asks for three).
const SERVICES: usize = 3;
const FLOWS: usize = 8;
/// A workload fault is put on a service with at least this many pods and clients.
const PODS: usize = 2;
const CLIENT_FLOWS: usize = 4;

/// The traffic that crosses a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    pub flows: usize,
    pub services: usize,
    /// Pods at the far or near end, whichever matters to tell a pod from its service.
    pub clients: usize,
    pub connects: f64,
}

pub fn reach(cluster: &Cluster, place: Place, lanes: (f64, f64)) -> Reach {
    let mut services = BTreeSet::new();
    let mut clients = BTreeSet::new();
    let mut reach = Reach { flows: 0, services: 0, clients: 0, connects: 0.0 };
    for flow in cluster.flows.iter().filter(|flow| flow.lane >= lanes.0 && flow.lane < lanes.1) {
        let active = cluster.is_active(flow.client) && cluster.is_active(flow.server);
        if active && place.holds(cluster, flow, &cluster.route(flow)) {
            reach.flows += 1;
            reach.connects += flow.connects;
            services.insert(server_key(cluster, flow));
            if let Peer::Pod(pod) = flow.client {
                clients.insert(pod);
            }
        }
    }
    reach.services = services.len();
    reach.clients = clients.len();
    reach
}

fn server_key(cluster: &Cluster, flow: &Flow) -> (Option<ServiceIndex>, Option<usize>) {
    match flow.server {
        Peer::Pod(_) => (cluster.service_of(flow.server), None),
        Peer::Remote(remote) => (None, Some(remote)),
    }
}

pub fn plan(kind: FaultKind, mode: Mode, cluster: &Cluster, dice: &mut Dice) -> Fault {
    let windows = mode.fault_windows();
    let steady = vec![1.0; windows];
    let (injections, intensity) = match kind {
        FaultKind::Healthy => (Vec::new(), vec![0.0; windows]),
        FaultKind::Node => (infrastructure(node, mode, cluster, dice), steady),
        FaultKind::ZonePair => (infrastructure(zone_pair, mode, cluster, dice), steady),
        FaultKind::ZonePairOneWay => (one_way(infrastructure(zone_pair, mode, cluster, dice)), steady),
        FaultKind::Zone => (infrastructure(zone, mode, cluster, dice), steady),
        FaultKind::Blocked | FaultKind::Refused | FaultKind::Overloaded | FaultKind::SickPod => {
            (workload(kind, cluster, dice, &[]), steady)
        }
        FaultKind::LossyRemote => (lossy_remote(mode, cluster, dice), steady),
        FaultKind::Latency => (latency(cluster, dice), steady),
        FaultKind::Mixed => (mixed(mode, cluster, dice), steady),
        FaultKind::Flapping => (any_infrastructure(mode, cluster, dice, 2.0), flapping(windows, dice)),
        FaultKind::Partial => (partial(cluster, dice), steady),
        FaultKind::SlowOnset => {
            let ramp = (1..=windows).map(|n| n as f64 / windows as f64).collect();
            (any_infrastructure(mode, cluster, dice, 2.0), ramp)
        }
        // Those of real machines are drawn in [`crate::reality`].
        _ => (Vec::new(), steady),
    };
    Fault { kind, injections, intensity }
}

pub(crate) type Draw = fn(&Cluster, &mut Dice) -> Place;

pub(crate) fn node(cluster: &Cluster, dice: &mut Dice) -> Place {
    Place::Node(dice.integer(0, cluster.nodes.len().saturating_sub(1)))
}

pub(crate) fn zone(cluster: &Cluster, dice: &mut Dice) -> Place {
    Place::Zone(dice.integer(0, cluster.zones.len().saturating_sub(1)))
}

/// In either order: the order says which way a one-way fault goes.
pub(crate) fn zone_pair(cluster: &Cluster, dice: &mut Dice) -> Place {
    let mut zones: Vec<usize> = (0..cluster.zones.len()).collect();
    dice.shuffle(&mut zones);
    match zones.as_slice() {
        [a, b, ..] => Place::ZonePair(*a, *b),
        _ => Place::Zone(0),
    }
}

/// Draws until enough passes the place; after many tries the last one stands.
pub(crate) fn shared_place(draw: Draw, lanes: (f64, f64), cluster: &Cluster, dice: &mut Dice) -> Place {
    let mut place = draw(cluster, dice);
    for _ in 0..200 {
        let reach = reach(cluster, place, lanes);
        if reach.services >= SERVICES && reach.flows >= FLOWS {
            break;
        }
        place = draw(cluster, dice);
    }
    place
}

pub(crate) fn loss(ratio: f64) -> Harm {
    Harm::Loss { ratio: ratio.min(0.3), direction: Direction::Both, lanes: ALL_LANES }
}

pub(crate) fn infrastructure(draw: Draw, mode: Mode, cluster: &Cluster, dice: &mut Dice) -> Vec<Injection> {
    let (low, high) = mode.loss();
    let ratio = dice.log_uniform(low, high);
    vec![Injection { place: shared_place(draw, ALL_LANES, cluster, dice), harm: loss(ratio) }]
}

fn one_way(mut injections: Vec<Injection>) -> Vec<Injection> {
    for injection in &mut injections {
        if let Harm::Loss { direction, .. } = &mut injection.harm {
            *direction = Direction::Forward;
        }
    }
    injections
}

/// A node or a zone pair, at `times` the usual loss.
pub(crate) fn any_infrastructure(
    mode: Mode,
    cluster: &Cluster,
    dice: &mut Dice,
    times: f64,
) -> Vec<Injection> {
    let draw = if dice.chance(0.5) { node } else { zone_pair };
    let mut injections = infrastructure(draw, mode, cluster, dice);
    for injection in &mut injections {
        if let Harm::Loss { ratio, .. } = &mut injection.harm {
            *ratio = (*ratio * times).min(0.1);
        }
    }
    injections
}

/// A service with pods and clients enough, none of `taken`.
pub(crate) fn service(
    cluster: &Cluster,
    pods: usize,
    dice: &mut Dice,
    taken: &[ServiceIndex],
) -> ServiceIndex {
    let fits = |service: &ServiceIndex| {
        let active = |s: &crate::cluster::Service| {
            s.pods.iter().filter(|pod| cluster.pods.get(**pod).is_some_and(|pod| pod.active)).count()
        };
        let place = Place::Service(*service);
        let reach = reach(cluster, place, ALL_LANES);
        cluster.services.get(*service).is_some_and(|s| !s.host_network && active(s) >= pods)
            && reach.flows >= CLIENT_FLOWS
            && reach.clients >= 2
            && reach.connects >= 4.0
            && !taken.contains(service)
    };
    let fitting: Vec<ServiceIndex> = (0..cluster.services.len()).filter(fits).collect();
    dice.pick(&fitting).copied().unwrap_or(0)
}

pub(crate) fn workload(
    kind: FaultKind,
    cluster: &Cluster,
    dice: &mut Dice,
    taken: &[ServiceIndex],
) -> Vec<Injection> {
    let injection = match kind {
        FaultKind::Blocked => {
            let place = Place::Service(service(cluster, PODS, dice, taken));
            Injection { place, harm: Harm::Block { cuts_open: dice.chance(0.5) } }
        }
        FaultKind::Refused => {
            Injection { place: Place::Service(service(cluster, PODS, dice, taken)), harm: Harm::Refuse }
        }
        FaultKind::Overloaded => Injection {
            place: Place::Service(service(cluster, PODS, dice, taken)),
            harm: Harm::Overload {
                loss: dice.log_uniform(0.005, 0.04),
                syn_loss: dice.log_uniform(0.15, 0.7),
                rtt_factor: dice.log_uniform(2.0, 10.0),
            },
        },
        _ => sick_pod(cluster, dice, taken),
    };
    vec![injection]
}

/// One pod of at least three loses packets on its own interface.
fn sick_pod(cluster: &Cluster, dice: &mut Dice, taken: &[ServiceIndex]) -> Injection {
    let ratio = dice.log_uniform(0.02, 0.2);
    let mut pod = 0;
    for _ in 0..50 {
        let owner = service(cluster, PODS + 1, dice, taken);
        let pods: Vec<usize> = cluster
            .services
            .get(owner)
            .map(|s| {
                s.pods.iter().copied().filter(|p| cluster.pods.get(*p).is_some_and(|p| p.active)).collect()
            })
            .unwrap_or_default();
        pod = dice.pick(&pods).copied().unwrap_or(0);
        if reach(cluster, Place::Pod(pod), ALL_LANES).flows >= 3 {
            break;
        }
    }
    Injection { place: Place::Pod(pod), harm: loss(ratio) }
}

fn lossy_remote(mode: Mode, cluster: &Cluster, dice: &mut Dice) -> Vec<Injection> {
    let (low, high) = mode.loss();
    // Remotes are lossier than one's own network in the first place: a fault stands out from that.
    let ratio = dice.log_uniform(low, high).max(0.01);
    let busy = |remote: &usize| reach(cluster, Place::Remote(*remote), ALL_LANES).flows >= CLIENT_FLOWS;
    let remotes: Vec<usize> = (0..CALLED_REMOTES).filter(busy).collect();
    vec![Injection { place: Place::Remote(dice.pick(&remotes).copied().unwrap_or(0)), harm: loss(ratio) }]
}

fn latency(cluster: &Cluster, dice: &mut Dice) -> Vec<Injection> {
    let draw = match dice.integer(0, 2) {
        0 => node,
        1 => zone,
        _ => zone_pair,
    };
    let place = shared_place(draw, ALL_LANES, cluster, dice);
    vec![Injection { place, harm: Harm::Delay { add_us: dice.log_uniform(1_000.0, 20_000.0) } }]
}

/// One of the infrastructure and one of a workload.
fn mixed(mode: Mode, cluster: &Cluster, dice: &mut Dice) -> Vec<Injection> {
    let draw = if dice.chance(0.5) { node } else { zone_pair };
    let mut both = infrastructure(draw, mode, cluster, dice);
    let kinds = [FaultKind::Blocked, FaultKind::Refused, FaultKind::Overloaded, FaultKind::SickPod];
    let kind = dice.pick(&kinds).copied().unwrap_or(FaultKind::Blocked);
    both.extend(workload(kind, cluster, dice, &[]));
    both
}

/// One queue of a node's network card loses packets: a part of the node's flows, hit hard.
fn partial(cluster: &Cluster, dice: &mut Dice) -> Vec<Injection> {
    let share = dice.uniform(0.3, 0.5);
    let start = dice.uniform(0.0, 1.0 - share);
    let lanes = (start, start + share);
    let place = shared_place(node, lanes, cluster, dice);
    let ratio = dice.log_uniform(0.02, 0.1);
    vec![Injection { place, harm: Harm::Loss { ratio, direction: Direction::Both, lanes } }]
}

/// On and off by the window: on in three of five on average, in the first, and in the last two, since nobody is asked to
/// name in less than 60 s what has just come back.
fn flapping(windows: usize, dice: &mut Dice) -> Vec<f64> {
    (0..windows).map(|n| if n == 0 || n + 2 >= windows || dice.chance(0.6) { 1.0 } else { 0.0 }).collect()
}
