//! The healthy mess in continuous time: what goes on in a cluster all day, and how much of it falls into a window.
//!
//! [`crate::mess`] counts in windows of 30 s; here everything has a beginning and an end in seconds, so that a blip can
//! straddle two windows and a shorter window sees more of it.

use std::collections::{BTreeMap, BTreeSet};

use super::shortage::{NodeState, Shortage};
use crate::build::Shape;
use crate::cluster::{Cluster, NodeIndex, PodIndex, ServiceIndex};
use crate::mess::{Weather, autoscale};
use crate::mode::WINDOW_SECONDS;
use crate::random::Dice;

/// Rates a second, cluster-wide; [`crate::mess`] has them for windows of 30 s.
const ROLLOUT: f64 = 0.010 / 30.0;
const AUTOSCALE: f64 = 0.020 / 30.0;
const BATCH: f64 = 0.004 / 30.0;
const SILENT_AGENT: f64 = 0.010 / 30.0;
/// Second of the day at which two services start a batch every night; simulations begin at noon.
const NIGHTLY_AT: f64 = 14.0 * 3_600.0;
const DAY: f64 = 24.0 * 3_600.0;
/// Where shortages of CPU are part of the weather: one begins every four hours on average.
const SHORTAGE: f64 = 1.0 / (4.0 * 3_600.0);

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A service's ratio and volume multiply.
    Burst {
        service: ServiceIndex,
        ratio: f64,
        volume: f64,
    },
    /// Loss at a node for some seconds.
    Blip {
        node: NodeIndex,
        loss: f64,
    },
    Batch {
        client: ServiceIndex,
        volume: f64,
    },
    Short {
        nodes: Vec<NodeIndex>,
        shortage: Shortage,
    },
    /// Machines that stand still from the beginning to the end.
    Stall {
        nodes: Vec<NodeIndex>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub from: f64,
    pub until: f64,
    pub what: What,
}

/// A pod that is to be replaced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replacement {
    pub pod: PodIndex,
    pub at: f64,
    /// Killed, or its node drained: what dials it until the endpoints are told meets nobody.
    pub abrupt: bool,
    /// From then on until it listens, only kubelet dials it.
    pub starts_for: f64,
    /// Where the new one isn't put.
    pub not_on: Option<NodeIndex>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Sky {
    pub events: Vec<Event>,
    pub replacements: Vec<Replacement>,
    /// Pods that don't listen yet, and until when.
    pub starting: BTreeMap<PodIndex, f64>,
    /// So many times as many bursts until then.
    pub noisy: Option<(f64, f64)>,
    /// True if nodes run short of CPU now and then.
    pub shortages: bool,
}

/// The effect of all events in one window.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    pub weather: Weather,
    pub nodes: Vec<NodeState>,
    /// Pods that go without notice in this window, and the share of it in which nobody is there.
    pub gone: BTreeMap<PodIndex, f64>,
    /// Pods that kubelet alone dials, and the share of the window.
    pub starting: BTreeMap<PodIndex, f64>,
}

impl Sky {
    /// The window from `from` to `until`, in seconds since the simulation began. Services in `spared` keep their pods.
    pub(crate) fn step(
        &mut self,
        cluster: &mut Cluster,
        shape: &Shape,
        spared: &[ServiceIndex],
        (from, until): (f64, f64),
        dice: &mut Dice,
    ) -> Conditions {
        let mut conditions =
            Conditions { nodes: vec![NodeState::WELL; cluster.nodes.len()], ..Conditions::default() };
        self.replace(cluster, from, &mut conditions, dice);
        self.draw(cluster, shape, spared, (from, until), dice);
        self.leave((from, until), cluster, spared, &mut conditions);
        let seconds = until - from;
        self.events.retain(|event| event.until > from);
        for event in &self.events {
            let share = (event.until.min(until) - event.from.max(from)).max(0.0) / seconds;
            if share > 0.0 {
                event.what.fall(share, seconds, &mut conditions, dice);
            }
        }
        if dice.chance(SILENT_AGENT * seconds) {
            conditions.weather.silent.insert(any(cluster.nodes.len(), dice));
        }
        self.starting.retain(|_, ready| *ready > from);
        let starting = self.starting.iter().map(|(pod, ready)| (*pod, (ready.min(until) - from) / seconds));
        conditions.starting = starting.collect();
        conditions
    }

    /// Pods that left in a window before have their new identity from now on.
    fn replace(&mut self, cluster: &mut Cluster, from: f64, conditions: &mut Conditions, dice: &mut Dice) {
        let (due, later) = self.replacements.iter().copied().partition(|next| next.at < from);
        self.replacements = later;
        let due: Vec<Replacement> = due;
        for next in due {
            let mut node = any(cluster.nodes.len(), dice);
            if next.not_on == Some(node) {
                node = (node + 1) % cluster.nodes.len().max(1);
            }
            cluster.replace_pod(next.pod, node);
            if next.starts_for > 0.0 {
                self.starting.insert(next.pod, from + next.starts_for);
            } else {
                conditions.weather.arriving.insert(next.pod);
            }
        }
    }

    fn leave(
        &mut self,
        (from, until): (f64, f64),
        cluster: &Cluster,
        spared: &[ServiceIndex],
        conditions: &mut Conditions,
    ) {
        self.replacements
            .retain(|next| cluster.pods.get(next.pod).is_some_and(|pod| !spared.contains(&pod.service)));
        for next in self.replacements.iter().filter(|next| next.at >= from && next.at < until) {
            if next.abrupt {
                let gone = ((until - next.at) / (until - from)).clamp(0.0, 1.0);
                conditions.gone.insert(next.pod, gone);
            }
            conditions.weather.leaving.insert(next.pod);
        }
    }

    /// Draws the events that begin in this window.
    fn draw(
        &mut self,
        cluster: &mut Cluster,
        shape: &Shape,
        spared: &[ServiceIndex],
        (from, until): (f64, f64),
        dice: &mut Dice,
    ) {
        let seconds = until - from;
        let usual = f64::from(WINDOW_SECONDS);
        let noise = self.noisy.filter(|(_, end)| *end > from).map_or(1.0, |(times, _)| times);
        for service in 0..cluster.services.len() {
            if dice.chance(noise * shape.bursts_per_service * seconds / usual) {
                let ratio = dice.log_uniform(2.0, 8.0);
                let volume = dice.log_uniform(1.0, 4.0);
                self.begin(
                    from,
                    seconds,
                    dice.uniform(30.0, 90.0),
                    What::Burst { service, ratio, volume },
                    dice,
                );
            }
        }
        for node in 0..cluster.nodes.len() {
            if dice.chance(shape.blips_per_node * seconds / usual) {
                // As much as is lost by a blip of the usual window.
                let lasts = dice.uniform(3.0, 20.0);
                let loss = (dice.log_uniform(0.001, 0.005) * usual / lasts).min(0.03);
                self.begin(from, seconds, lasts, What::Blip { node, loss }, dice);
            }
        }
        let nightly = (from % DAY - NIGHTLY_AT).abs() < 1e-6;
        for _ in 0..if nightly { 2 } else { usize::from(dice.chance(BATCH * seconds)) } {
            let lasts = if nightly { dice.uniform(900.0, 2_700.0) } else { dice.uniform(180.0, 480.0) };
            let client = any(cluster.services.len(), dice);
            let volume = dice.log_uniform(5.0, 20.0);
            self.begin(from, seconds, lasts, What::Batch { client, volume }, dice);
        }
        if dice.chance(ROLLOUT * seconds) {
            let service = any(cluster.services.len(), dice);
            self.roll(cluster, service, from, false, dice);
        }
        if dice.chance(AUTOSCALE * seconds) {
            autoscale(cluster, spared, dice);
        }
        if self.shortages && dice.chance(SHORTAGE * seconds) {
            let lasts = dice.log_uniform(1_200.0, 14_400.0);
            let nodes = match dice.uniform(0.0, 1.0) {
                x if x < 0.25 => (0..cluster.nodes.len()).collect(),
                _ => vec![any(cluster.nodes.len(), dice)],
            };
            let shortage = if dice.chance(0.15) { Shortage::saturation(dice) } else { Shortage::draw(dice) };
            if dice.chance(0.3) {
                self.by_turns(from, lasts, &nodes, shortage, dice);
            } else {
                self.begin(from, seconds, lasts, What::Short { nodes, shortage }, dice);
            }
        }
    }

    fn begin(&mut self, from: f64, within: f64, lasts: f64, what: What, dice: &mut Dice) {
        let from = from + dice.uniform(0.0, within);
        self.events.push(Event { from, until: from + lasts, what });
    }

    /// A shortage that comes and goes.
    pub(crate) fn by_turns(
        &mut self,
        from: f64,
        lasts: f64,
        nodes: &[NodeIndex],
        shortage: Shortage,
        dice: &mut Dice,
    ) {
        let mut at = from + dice.uniform(0.0, 10.0);
        while at < from + lasts {
            let until = (at + dice.uniform(8.0, 60.0)).min(from + lasts);
            self.events.push(Event {
                from: at,
                until,
                what: What::Short { nodes: nodes.to_vec(), shortage },
            });
            at = until + dice.uniform(8.0, 60.0);
        }
    }

    /// The service's pods are replaced one after the other.
    pub(crate) fn roll(
        &mut self,
        cluster: &Cluster,
        service: ServiceIndex,
        from: f64,
        slow_start: bool,
        dice: &mut Dice,
    ) {
        let Some(found) = cluster.services.get(service).filter(|s| !s.host_network) else { return };
        let mut at = from;
        for pod in &found.pods {
            at += dice.uniform(8.0, 20.0);
            if self.replacements.iter().all(|next| next.pod != *pod) {
                let starts_for = if slow_start { dice.uniform(10.0, 45.0) } else { 0.0 };
                let next = Replacement { pod: *pod, at, abrupt: false, starts_for, not_on: None };
                self.replacements.push(next);
            }
        }
    }
}

impl What {
    fn fall(&self, share: f64, seconds: f64, conditions: &mut Conditions, dice: &mut Dice) {
        let partly = |factor: f64| 1.0 + (factor - 1.0) * share;
        let weather = &mut conditions.weather;
        match self {
            Self::Burst { service, ratio, volume } => {
                let towards = weather.towards.entry(*service).or_insert((1.0, 1.0));
                towards.0 *= partly(*ratio);
                towards.1 *= partly(*volume);
            }
            Self::Blip { node, loss } => *weather.blips.entry(*node).or_insert(0.0) += loss * share,
            Self::Batch { client, volume } => {
                weather.from.insert(*client, partly(*volume));
            }
            Self::Short { nodes, shortage } => {
                for node in nodes {
                    if let Some(state) = conditions.nodes.get_mut(*node) {
                        state.starve(shortage.in_window(share, dice));
                    }
                }
            }
            Self::Stall { nodes } => {
                for node in nodes {
                    if let Some(state) = conditions.nodes.get_mut(*node) {
                        state.stalled_s += share * seconds;
                    }
                }
            }
        }
    }
}

pub(crate) fn any(of: usize, dice: &mut Dice) -> usize {
    dice.integer(0, of.saturating_sub(1))
}

/// Pods on the node that can be moved.
pub(crate) fn movable(cluster: &Cluster, node: NodeIndex) -> BTreeSet<PodIndex> {
    let host = |service: ServiceIndex| cluster.services.get(service).is_none_or(|s| s.host_network);
    let on = cluster.pods.iter().enumerate().filter(|(_, pod)| pod.node == node && !host(pod.service));
    on.map(|(index, _)| index).collect()
}
