//! Draws the faults and the trouble of real machines: where, how bad, and what goes on in the cluster beside it.

use std::collections::BTreeSet;

use super::shortage::Shortage;
use super::sky::{Event, Replacement, Sky, What, any, movable};
use crate::cluster::{Cluster, NodeIndex, Peer, PodIndex, ServiceIndex};
use crate::fault::{Fault, FaultKind, Harm, Injection, Limit, Place, Scope};
use crate::mode::Mode;
use crate::plan::{self, ALL_LANES, node, shared_place, zone, zone_pair};
use crate::random::Dice;

/// Courses are told in steps of 30 s: three minutes.
const STEPS: usize = 6;
/// Connections that are opened through a place in half a minute, and flows and services that open them: where fewer do,
/// that they fail can't be told from their own trouble.
const CONNECTS: f64 = 15.0;
const CONNECTING_FLOWS: usize = 8;
const CONNECTING_SERVICES: usize = 3;
/// A flow that opens fewer is no witness.
const WITNESS: f64 = 0.3;

/// The inputs of a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub kind: FaultKind,
    pub mode: Mode,
    /// Second of the onset.
    pub onset: f64,
    /// True if the nodes' kernels report their connection-tracking tables.
    pub tells: bool,
    /// True if the nodes are EC2 instances that report the allowances of their type.
    pub ena: bool,
    /// The service whose few clients are patient.
    pub patient: ServiceIndex,
}

/// Seconds that a fault of a real machine lasts.
pub(crate) fn lasts(fault: &Fault) -> f64 {
    30.0 * fault.intensity.len() as f64
}

pub(crate) fn plan(setting: Setting, cluster: &Cluster, sky: &mut Sky, dice: &mut Dice) -> Fault {
    let kind = setting.kind;
    if FaultKind::TABLE.contains(&kind) {
        return plan::plan(kind, setting.mode, cluster, dice);
    }
    let injections = match kind {
        FaultKind::ConntrackTwoNodes => two_nodes(setting, cluster, dice),
        FaultKind::ConntrackFull
        | FaultKind::ConntrackPartial
        | FaultKind::ConntrackOutbound
        | FaultKind::ConntrackInbound
        | FaultKind::ConntrackInterZone
        | FaultKind::ConnectionsZonePair => vec![connections(setting, cluster, dice)],
        FaultKind::HeavyNode => heavy(node, cluster, dice),
        FaultKind::HeavyZone => heavy(zone, cluster, dice),
        FaultKind::HeavyZonePair => heavy(zone_pair, cluster, dice),
        FaultKind::HeavyMixed => {
            let mut both = heavy(if dice.chance(0.5) { node } else { zone_pair }, cluster, dice);
            let kind = if dice.chance(0.5) { FaultKind::Blocked } else { FaultKind::Refused };
            both.extend(plan::workload(kind, cluster, dice, &[setting.patient]));
            both
        }
        FaultKind::PatientBlocked => {
            vec![Injection { place: Place::Service(setting.patient), harm: Harm::Block { cuts_open: true } }]
        }
        FaultKind::PolicyIngress => policy_ingress(setting, cluster, dice),
        FaultKind::PolicyEgress => policy_egress(setting, cluster, dice),
        FaultKind::StarvedLoss => {
            starve_some(setting, cluster, sky, dice);
            plan::any_infrastructure(setting.mode, cluster, dice, 1.0)
        }
        FaultKind::StarvedLatency => {
            starve_some(setting, cluster, sky, dice);
            let draw = if dice.chance(0.5) { node } else { zone_pair };
            let place = shared_place(draw, ALL_LANES, cluster, dice);
            vec![Injection { place, harm: Harm::Delay { add_us: dice.log_uniform(2_000.0, 20_000.0) } }]
        }
        _ => {
            trouble(setting, cluster, sky, dice);
            Vec::new()
        }
    };
    Fault { kind, injections, intensity: vec![1.0; STEPS] }
}

fn heavy(draw: plan::Draw, cluster: &Cluster, dice: &mut Dice) -> Vec<Injection> {
    let ratio = dice.log_uniform(0.05, 0.3);
    vec![Injection { place: shared_place(draw, ALL_LANES, cluster, dice), harm: plan::loss(ratio) }]
}

/// The connections opened through a place that the harm applies to, and the numbers of flows and services that open
/// them.
fn witnesses(cluster: &Cluster, injection: &Injection) -> (f64, usize, usize) {
    let fault = Fault { kind: FaultKind::Healthy, injections: vec![*injection], intensity: Vec::new() };
    let (mut connects, mut flows, mut services) = (0.0, 0, BTreeSet::new());
    for flow in cluster.flows.iter().filter(|flow| matches!(flow.client, Peer::Pod(_))) {
        if !cluster.is_active(flow.client) || !cluster.is_active(flow.server) {
            continue;
        }
        if !fault.effect(cluster, flow, &cluster.route(flow), 1.0).is_none() {
            connects += flow.connects;
            if flow.connects >= WITNESS {
                flows += 1;
                services.insert(match flow.server {
                    Peer::Pod(_) => (cluster.service_of(flow.server), None),
                    Peer::Remote(remote) => (None, Some(remote)),
                });
            }
        }
    }
    (connects, flows, services.len())
}

/// Connections that can't be opened, at a place where enough are; after many tries, where most are.
fn connections(setting: Setting, cluster: &Cluster, dice: &mut Dice) -> Injection {
    let told = match (setting.tells, setting.ena) {
        (false, _) => None,
        (true, true) if dice.chance(0.5) => Some(Limit::Allowance),
        (true, _) => Some(Limit::Conntrack),
    };
    let (ratio, scope) = match setting.kind {
        FaultKind::ConntrackPartial => (if dice.chance(0.5) { 0.3 } else { 0.9 }, Scope::All),
        FaultKind::ConntrackOutbound => (1.0, Scope::Outbound),
        FaultKind::ConntrackInbound => (1.0, Scope::Inbound),
        FaultKind::ConntrackInterZone => (1.0, Scope::InterZone),
        _ => (1.0, Scope::All),
    };
    let pair = setting.kind == FaultKind::ConnectionsZonePair;
    // Between zones no node's figures tell, and a security group tells nobody.
    let told = told.filter(|_| !pair && scope != Scope::InterZone);
    let harm = Harm::Unanswered { ratio, sticky: dice.chance(0.5), scope, told };
    let mut best: Option<(f64, Injection)> = None;
    for _ in 0..200 {
        let place = if pair { zone_pair(cluster, dice) } else { node(cluster, dice) };
        let injection = Injection { place, harm };
        let (connects, flows, services) = witnesses(cluster, &injection);
        if connects >= CONNECTS && flows >= CONNECTING_FLOWS && services >= CONNECTING_SERVICES {
            return injection;
        }
        if best.is_none_or(|(most, _)| connects > most) {
            best = Some((connects, injection));
        }
    }
    best.map_or(Injection { place: Place::Node(0), harm }, |(_, injection)| injection)
}

fn two_nodes(setting: Setting, cluster: &Cluster, dice: &mut Dice) -> Vec<Injection> {
    let first = connections(setting, cluster, dice);
    for _ in 0..100 {
        let second = connections(setting, cluster, dice);
        if second.place != first.place {
            return vec![first, Injection { harm: first.harm, ..second }];
        }
    }
    vec![first]
}

/// Several services of one namespace, as many as have clients enough to be heard.
fn policy_ingress(setting: Setting, cluster: &Cluster, dice: &mut Dice) -> Vec<Injection> {
    let cuts_open = dice.chance(0.5);
    let heard = |service: &ServiceIndex| {
        let reach = plan::reach(cluster, Place::Service(*service), ALL_LANES);
        let found = cluster.services.get(*service);
        found.is_some_and(|s| !s.host_network)
            && *service != setting.patient
            && reach.flows >= 4
            && reach.clients >= 2
            && reach.connects >= 4.0
    };
    let all: Vec<ServiceIndex> = (0..cluster.services.len()).filter(heard).collect();
    let namespace = |service: &ServiceIndex| cluster.services.get(*service).map(|s| s.namespace.clone());
    let mut best = Vec::new();
    for _ in 0..8 {
        let chosen = dice.pick(&all).and_then(namespace);
        let inside: Vec<ServiceIndex> =
            all.iter().copied().filter(|service| namespace(service) == chosen).collect();
        if inside.len() > best.len() {
            best = inside;
        }
    }
    let block = |service| Injection { place: Place::Service(service), harm: Harm::Block { cuts_open } };
    best.into_iter().map(block).collect()
}

/// The pods of one service, of those that call at least two others often enough.
fn policy_egress(setting: Setting, cluster: &Cluster, dice: &mut Dice) -> Vec<Injection> {
    let calls = |service: ServiceIndex| {
        let flows = cluster.flows.iter().filter(|flow| cluster.service_of(flow.client) == Some(service));
        let connects: f64 = flows.clone().map(|flow| flow.connects).sum();
        let callees: BTreeSet<Option<ServiceIndex>> =
            flows.map(|flow| cluster.service_of(flow.server)).collect();
        (connects, callees.len())
    };
    let often = |service: &ServiceIndex| {
        let (connects, callees) = calls(*service);
        *service != setting.patient && connects >= 20.0 && callees >= 2
    };
    let all: Vec<ServiceIndex> = (0..cluster.services.len()).filter(often).collect();
    let chosen = dice.pick(&all).copied().unwrap_or(0);
    let pods: Vec<PodIndex> = cluster.services.get(chosen).map(|s| s.pods.clone()).unwrap_or_default();
    let active = pods.into_iter().filter(|pod| cluster.pods.get(*pod).is_some_and(|pod| pod.active));
    let harm = Harm::Unanswered { ratio: 1.0, sticky: true, scope: Scope::Outbound, told: None };
    active.map(|pod| Injection { place: Place::Pod(pod), harm }).collect()
}

/// CPU shortage beside a fault: at one node or at all.
fn starve_some(setting: Setting, cluster: &Cluster, sky: &mut Sky, dice: &mut Dice) {
    let nodes = if dice.chance(0.5) { all(cluster) } else { vec![any(cluster.nodes.len(), dice)] };
    let shortage = Shortage::draw(dice);
    let begins = setting.onset - dice.uniform(0.0, 120.0);
    short(sky, (begins, setting.onset + 300.0), nodes, shortage);
}

fn all(cluster: &Cluster) -> Vec<NodeIndex> {
    (0..cluster.nodes.len()).collect()
}

fn short(sky: &mut Sky, (from, until): (f64, f64), nodes: Vec<NodeIndex>, shortage: Shortage) {
    sky.events.push(Event { from, until, what: What::Short { nodes, shortage } });
}

/// Adds the events of this kind that are normal in a cluster and nobody's fault.
fn trouble(setting: Setting, cluster: &Cluster, sky: &mut Sky, dice: &mut Dice) {
    let (onset, end) = (setting.onset, setting.onset + 30.0 * STEPS as f64);
    let one = vec![any(cluster.nodes.len(), dice)];
    match setting.kind {
        FaultKind::StarvedNode => short(sky, (onset, end), one, Shortage::draw(dice)),
        FaultKind::StarvedAll => {
            // Machines differ; on one machine they don't.
            if dice.chance(0.5) {
                short(sky, (onset, end), all(cluster), Shortage::draw(dice));
            } else {
                for node in all(cluster) {
                    short(sky, (onset, end), vec![node], Shortage::draw(dice));
                }
            }
        }
        FaultKind::Saturated => short(sky, (onset, end), all(cluster), Shortage::saturation(dice)),
        FaultKind::StarvedByTurns => sky.by_turns(onset, end - onset, &one, Shortage::draw(dice), dice),
        FaultKind::Stalls => {
            let nodes = match dice.integer(0, 2) {
                0 => one,
                // The guests of one machine.
                1 => all(cluster).into_iter().filter(|_| dice.chance(0.3)).collect(),
                _ => all(cluster),
            };
            for _ in 0..dice.integer(1, 3) {
                let from = dice.uniform(onset, end);
                let until = from + dice.uniform(0.5, 2.5);
                sky.events.push(Event { from, until, what: What::Stall { nodes: nodes.clone() } });
            }
        }
        FaultKind::Noisy => sky.noisy = Some((12.0, end)),
        FaultKind::Probes => {
            for _ in 0..dice.integer(2, 4) {
                sky.roll(cluster, any(cluster.services.len(), dice), onset, true, dice);
            }
        }
        FaultKind::Rollouts => rollouts(setting, cluster, sky, dice),
        _ => {}
    }
}

/// Rolling restarts of some services, a drained node, and pods that are killed.
fn rollouts(setting: Setting, cluster: &Cluster, sky: &mut Sky, dice: &mut Dice) {
    for _ in 0..dice.integer(1, 4) {
        sky.roll(cluster, any(cluster.services.len(), dice), setting.onset, dice.chance(0.3), dice);
    }
    let drained = any(cluster.nodes.len(), dice);
    let mut going: Vec<(PodIndex, Option<NodeIndex>)> = Vec::new();
    if dice.chance(0.6) {
        going.extend(movable(cluster, drained).into_iter().map(|pod| (pod, Some(drained))));
    }
    for _ in 0..dice.integer(1, 4) {
        let pod = any(cluster.pods.len(), dice);
        let host = cluster.pods.get(pod).and_then(|pod| cluster.services.get(pod.service));
        if host.is_some_and(|service| !service.host_network) {
            going.push((pod, None));
        }
    }
    let mut at = setting.onset;
    for (pod, not_on) in going {
        at += dice.uniform(0.5, 8.0);
        if sky.replacements.iter().all(|next| next.pod != pod) {
            let abrupt = dice.chance(0.6);
            sky.replacements.push(Replacement { pod, at, abrupt, starts_for: 0.0, not_on });
        }
    }
    if dice.chance(0.4) {
        short(sky, (setting.onset, setting.onset + 180.0), all(cluster), Shortage::draw(dice));
    }
}
