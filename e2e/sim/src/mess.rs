//! The events of a healthy cluster's day that must not raise an alarm: bursts, rollouts, autoscaling, batches,
//! one-window blips, an agent that misses a window.

use std::collections::{BTreeMap, BTreeSet};

use crate::build::Shape;
use crate::cluster::{Cluster, NodeIndex, PodIndex, ServiceIndex};
use crate::random::Dice;

/// Chances a window, cluster-wide.
const ROLLOUT: f64 = 0.010;
const AUTOSCALE: f64 = 0.020;
const BATCH: f64 = 0.004;
/// Hour of the day at which two services start a batch every night; simulations begin at noon.
const NIGHTLY_AT_MINUTE: f64 = 14.0 * 60.0;
const DAY: f64 = 24.0 * 60.0;
/// Chance a window that one node's agent reports nothing.
const SILENT_AGENT: f64 = 0.010;
/// A benign burst doesn't lift a service beyond this ratio: more than that sustained is no longer benign.
pub(crate) const BURST_CEILING: f64 = 0.008;

/// The state of the healthy mess.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mess {
    bursts: Vec<Burst>,
    rollout: Option<Rollout>,
    batches: Vec<Batch>,
}

#[derive(Debug, Clone)]
struct Burst {
    service: ServiceIndex,
    windows_left: usize,
    ratio_factor: f64,
    volume_factor: f64,
}

#[derive(Debug, Clone)]
struct Rollout {
    waiting: Vec<PodIndex>,
}

#[derive(Debug, Clone)]
struct Batch {
    client: ServiceIndex,
    windows_left: usize,
    volume_factor: f64,
}

/// The effect of these events in one window.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weather {
    /// (retransmission ratio, volume) multiply by these for flows towards the service.
    pub towards: BTreeMap<ServiceIndex, (f64, f64)>,
    /// Volume multiplies by this, and the ratio grows a little, for flows from the service.
    pub from: BTreeMap<ServiceIndex, f64>,
    /// Extra loss on a node's flows in this window alone.
    pub blips: BTreeMap<NodeIndex, f64>,
    /// Pods that are being replaced in this window: their connections break.
    pub leaving: BTreeSet<PodIndex>,
    /// Pods that came up in this window: the first connections may come too early.
    pub arriving: BTreeSet<PodIndex>,
    /// Nodes whose agent reports nothing.
    pub silent: BTreeSet<NodeIndex>,
}

impl Mess {
    /// One window passes. Pods replaced in the last window have their new identity from now on. Services in `spared`
    /// keep their pods (a fault has them as its target).
    pub(crate) fn step(
        &mut self,
        cluster: &mut Cluster,
        leaving_before: &BTreeSet<PodIndex>,
        shape: &Shape,
        spared: &[ServiceIndex],
        minute: f64,
        dice: &mut Dice,
    ) -> Weather {
        let mut weather = Weather::default();
        for pod in leaving_before {
            let node = dice.integer(0, cluster.nodes.len().saturating_sub(1));
            cluster.replace_pod(*pod, node);
            weather.arriving.insert(*pod);
        }
        self.bursts(cluster, shape, &mut weather, dice);
        self.rollout(cluster, spared, &mut weather, dice);
        self.batch(cluster, minute, &mut weather, dice);
        if dice.chance(AUTOSCALE) {
            autoscale(cluster, spared, dice);
        }
        for node in 0..cluster.nodes.len() {
            if dice.chance(shape.blips_per_node) {
                weather.blips.insert(node, dice.log_uniform(0.001, 0.005));
            }
        }
        if dice.chance(SILENT_AGENT) {
            weather.silent.insert(dice.integer(0, cluster.nodes.len().saturating_sub(1)));
        }
        weather
    }

    fn bursts(&mut self, cluster: &Cluster, shape: &Shape, weather: &mut Weather, dice: &mut Dice) {
        for service in 0..cluster.services.len() {
            if dice.chance(shape.bursts_per_service) {
                self.bursts.push(Burst {
                    service,
                    windows_left: dice.integer(1, 3),
                    ratio_factor: dice.log_uniform(2.0, 8.0),
                    volume_factor: dice.log_uniform(1.0, 4.0),
                });
            }
        }
        self.bursts.retain_mut(|burst| {
            let (ratio, volume) = weather.towards.entry(burst.service).or_insert((1.0, 1.0));
            *ratio *= burst.ratio_factor;
            *volume *= burst.volume_factor;
            burst.windows_left = burst.windows_left.saturating_sub(1);
            burst.windows_left > 0
        });
    }

    fn rollout(
        &mut self,
        cluster: &Cluster,
        spared: &[ServiceIndex],
        weather: &mut Weather,
        dice: &mut Dice,
    ) {
        if self.rollout.is_none() && dice.chance(ROLLOUT) {
            let service = dice.integer(0, cluster.services.len().saturating_sub(1));
            if let Some(found) =
                cluster.services.get(service).filter(|s| !s.host_network && !spared.contains(&service))
            {
                self.rollout = Some(Rollout { waiting: found.pods.clone() });
            }
        }
        let Some(rollout) = &mut self.rollout else { return };
        for _ in 0..dice.integer(1, 2) {
            if let Some(pod) = rollout.waiting.pop() {
                weather.leaving.insert(pod);
            }
        }
        if rollout.waiting.is_empty() {
            self.rollout = None;
        }
    }

    fn batch(&mut self, cluster: &Cluster, minute: f64, weather: &mut Weather, dice: &mut Dice) {
        let nightly = (minute % DAY - NIGHTLY_AT_MINUTE).abs() < 1e-6;
        let starting = if nightly { 2 } else { usize::from(dice.chance(BATCH)) };
        for _ in 0..starting {
            self.batches.push(Batch {
                client: dice.integer(0, cluster.services.len().saturating_sub(1)),
                windows_left: if nightly { dice.integer(30, 90) } else { dice.integer(6, 16) },
                volume_factor: dice.log_uniform(5.0, 20.0),
            });
        }
        self.batches.retain_mut(|batch| {
            weather.from.insert(batch.client, batch.volume_factor);
            batch.windows_left = batch.windows_left.saturating_sub(1);
            batch.windows_left > 0
        });
    }
}

/// A service loses or regains a pod; it keeps two at least.
pub(crate) fn autoscale(cluster: &mut Cluster, spared: &[ServiceIndex], dice: &mut Dice) {
    let service = dice.integer(0, cluster.services.len().saturating_sub(1));
    let Some(pods) = cluster.services.get(service).filter(|s| !s.host_network).map(|s| s.pods.clone()) else {
        return;
    };
    let active = pods.iter().filter(|pod| cluster.pods.get(**pod).is_some_and(|pod| pod.active)).count();
    let Some(pod) = dice.pick(&pods).copied().and_then(|index| cluster.pods.get_mut(index)) else { return };
    if !pod.active {
        pod.active = true;
    } else if active > 2 && !spared.contains(&service) {
        pod.active = false;
    }
}
