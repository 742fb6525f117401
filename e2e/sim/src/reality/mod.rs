//! Clusters on real machines: events in continuous time, nodes that run short of CPU and say so, connection attempts
//! that wait, round trips with their shortest. Windows may have any length that a minute is a multiple of.
//!
//! Kept apart from [`crate::mess`] and [`crate::traffic`], so that the table's trials at 30 s stay the same to the bit.

mod callers;
mod extras;
mod flow;
mod measure;
mod plan;
mod round_trip;
mod shortage;
mod sky;

use tidewatch_records::{FlowWindow, Lifecycle, NodeWindow};

pub use measure::measure;

use self::callers::{Caller, Manner};
use self::extras::Dialler;
use self::flow::{Part, RealFlow};
use self::plan::Setting;
use self::shortage::{Told, figures};
use self::sky::{Conditions, Sky};
use crate::build::Shape;
use crate::clock::Clock;
use crate::cluster::{Cluster, Flow, Peer, PodIndex, ServiceIndex};
use crate::fault::{Effect, Fault, FaultKind, Limit};
use crate::mode::Mode;
use crate::plan::{ALL_LANES, reach};
use crate::random::Dice;
use crate::traffic::{FlowDraw, Moment};

/// A pod that starts is known to start for so long after its replacement.
const KNOWN_TO_START_S: f64 = 30.0;

/// The state of a trial on real machines that other trials don't have.
#[derive(Debug, Clone)]
pub(crate) struct Reality {
    pub clock: Clock,
    sky: Sky,
    callers: Vec<(Manner, Caller)>,
    told: Told,
    tells_limits: bool,
    ena: bool,
    patient: ServiceIndex,
    dialler: Option<Dialler>,
    /// Pods that came up lately, and until when that is known of them.
    came: Vec<(PodIndex, f64)>,
    /// Seconds from the beginning to the fault's onset and its end.
    fault: Option<(f64, f64)>,
    /// Where within its window the onset lies.
    phase: f64,
    pub nodes: Vec<NodeWindow>,
}

impl Reality {
    pub(crate) fn new(clock: Clock, shortages: bool, cluster: &mut Cluster, dice: &mut Dice) -> Self {
        let patient = patient_service(cluster, dice);
        let callers = cluster.flows.iter().map(|flow| {
            let patient = cluster.service_of(flow.server) == Some(patient);
            let manner = if patient { Manner::patient(dice) } else { Manner::draw(dice) };
            (manner, Caller::default())
        });
        Self {
            callers: callers.collect(),
            clock,
            sky: Sky { shortages, ..Sky::default() },
            told: Told::draw(dice),
            tells_limits: dice.chance(0.6),
            ena: dice.chance(0.5),
            patient,
            dialler: None,
            came: Vec::new(),
            fault: None,
            phase: dice.uniform(0.0, 1.0),
            nodes: Vec::new(),
        }
    }

    /// Another future: another moment of the onset.
    pub(crate) fn branch(&mut self, dice: &mut Dice) {
        self.phase = dice.uniform(0.0, 1.0);
    }

    /// Draws the fault, `history` windows after the beginning.
    pub(crate) fn plan(
        &mut self,
        kind: FaultKind,
        mode: Mode,
        history: usize,
        cluster: &Cluster,
        dice: &mut Dice,
    ) -> Fault {
        let onset = self.clock.offset(history) + self.phase * f64::from(self.clock.seconds);
        let setting = Setting {
            kind,
            mode,
            onset,
            tells: self.told != Told::Nothing && self.tells_limits,
            ena: self.ena,
            patient: self.patient,
        };
        let fault = plan::plan(setting, cluster, &mut self.sky, dice);
        if kind == FaultKind::DeadPorts {
            self.dialler = Some(Dialler::draw(cluster, dice));
        }
        self.fault = Some((onset, onset + plan::lasts(&fault)));
        fault
    }

    /// Seconds from the beginning of a window until the onset, and until the end, if it lies in that window.
    pub(crate) fn lag(&self) -> (f64, f64) {
        let seconds = f64::from(self.clock.seconds);
        let (onset, end) = self.fault.unwrap_or_default();
        (onset % seconds, end % seconds)
    }

    /// Windows after the history that lie in the fault, the first in part.
    pub(crate) fn fault_windows(&self, mode: Mode, kind: FaultKind) -> usize {
        let seconds = f64::from(self.clock.seconds);
        let lasts = if FaultKind::TABLE.contains(&kind) { 30.0 * mode.fault_windows() as f64 } else { 180.0 };
        (self.phase + lasts / seconds) as usize
    }

    /// The parts of a window in which the fault is what it is.
    fn parts(&self, (from, until): (f64, f64), fault: &Fault) -> Vec<Part> {
        let (onset, end) = self.fault.unwrap_or((f64::INFINITY, f64::INFINITY));
        let mut cuts = vec![from];
        cuts.extend([onset, end].into_iter().filter(|at| *at > from && *at < until));
        cuts.push(until);
        let parts = cuts.iter().zip(cuts.iter().skip(1)).map(|(from, until)| {
            let step = ((from - onset) / 30.0).floor();
            let on = *from >= onset && *from < end;
            let intensity = if on { fault.intensity.get(step as usize).copied() } else { None };
            Part { from: *from, until: *until, intensity: intensity.unwrap_or(0.0) }
        });
        parts.collect()
    }

    /// The window's records.
    pub(crate) fn window(
        &mut self,
        window: usize,
        cluster: &mut Cluster,
        shape: &Shape,
        fault: &Fault,
        dice: &mut Dice,
        records: &mut Vec<FlowWindow>,
    ) -> Passed {
        let from = self.clock.offset(window);
        let until = from + f64::from(self.clock.seconds);
        let mut spared = fault.spared(cluster);
        let active = self.fault.is_some_and(|(onset, end)| until > onset && from < end);
        spared.extend(self.dialler.iter().filter_map(|dialler| dialler.spares(cluster)));
        spared.push(self.patient);
        let mut conditions = self.sky.step(cluster, shape, &spared, (from, until), dice);
        self.coming(&conditions, from);
        let parts = self.parts((from, until), fault);
        let weather = std::mem::take(&mut conditions.weather);
        let moment = Moment {
            start: self.clock.start(window),
            seconds: self.clock.seconds,
            minute: from / 60.0,
            weather: &weather,
            fault,
            intensity: 1.0,
        };
        let conditions = Conditions { weather: weather.clone(), ..conditions };
        let benign: Vec<f64> = cluster.services.iter().map(|s| s.benign_at(moment.minute)).collect();
        let mut touched = 0;
        let mut refused = vec![0; cluster.nodes.len()];
        for (flow, (manner, caller)) in cluster.flows.iter().zip(&mut self.callers) {
            if !cluster.is_active(flow.client) || !cluster.is_active(flow.server) {
                continue;
            }
            if waits_for_start(flow, &conditions) {
                caller.forget();
                continue;
            }
            if is_among(flow, &conditions.weather.arriving) {
                caller.forget();
            }
            let route = cluster.route(flow);
            let effects: Vec<(Part, Effect)> = parts
                .iter()
                .map(|part| (*part, fault.effect(cluster, flow, &route, part.intensity)))
                .collect();
            touched += usize::from(effects.iter().any(|(_, effect)| !effect.is_none()));
            let draw = FlowDraw {
                cluster,
                shape,
                moment: &moment,
                flow,
                route,
                effect: Effect::default(),
                benign: &benign,
            };
            RealFlow { draw, conditions: &conditions, manner: *manner }
                .records(&effects, caller, dice, records);
            for node in [route.client_node, route.server_node].into_iter().flatten() {
                if let Some(refused) = refused.get_mut(node) {
                    *refused += caller.open();
                }
            }
        }
        extras::probes(&moment, cluster, &conditions, dice, records);
        if let Some(dialler) = self.dialler.as_ref().filter(|_| active) {
            dialler.records(&moment, cluster, dice, records);
        }
        self.mark(cluster, &conditions, records);
        self.figures(&moment, cluster, &conditions, (fault, active, &refused), dice);
        let intensity = parts.iter().map(|part| part.intensity).fold(0.0, f64::max);
        Passed { touched, intensity }
    }

    fn coming(&mut self, conditions: &Conditions, from: f64) {
        self.came.retain(|(_, until)| *until > from);
        let arriving = conditions.weather.arriving.iter().chain(conditions.starting.keys());
        self.came.extend(arriving.map(|pod| (*pod, from + KNOWN_TO_START_S)));
    }

    /// Marks the pods that come and go in the records, as the collector does.
    fn mark(&self, cluster: &Cluster, conditions: &Conditions, records: &mut [FlowWindow]) {
        let mut stages: Vec<(std::sync::Arc<str>, Lifecycle)> = Vec::new();
        let mut tell = |pod: PodIndex, stage| {
            stages.extend(cluster.pods.get(pod).map(|pod| (pod.name.clone(), stage)));
        };
        self.came.iter().for_each(|(pod, _)| tell(*pod, Lifecycle::Starting));
        conditions.weather.leaving.iter().for_each(|pod| tell(*pod, Lifecycle::Terminating));
        conditions.gone.keys().for_each(|pod| tell(*pod, Lifecycle::Gone));
        if stages.is_empty() {
            return;
        }
        for end in records.iter_mut().flat_map(|record| [&mut record.local, &mut record.remote]) {
            if let Some(pod) = &end.pod {
                end.lifecycle = stages.iter().rfind(|(name, _)| name == pod).map(|(_, stage)| *stage);
            }
        }
    }

    fn figures(
        &mut self,
        moment: &Moment<'_>,
        cluster: &Cluster,
        conditions: &Conditions,
        (fault, active, refused): (&Fault, bool, &[u64]),
        dice: &mut Dice,
    ) {
        self.nodes.clear();
        if self.told == Told::Nothing {
            return;
        }
        for (index, node) in cluster.nodes.iter().enumerate() {
            let mut state = conditions.nodes.get(index).copied().unwrap_or(shortage::NodeState::WELL);
            if let Some(limit) = limit_of(fault, index).filter(|_| active) {
                state.limit = Some(limit);
                state.refused_entries = refused.get(index).copied().unwrap_or(0).max(1);
            }
            let node_figures = figures(&state, self.told, self.ena, f64::from(moment.seconds), dice);
            if !moment.weather.silent.contains(&index) {
                self.nodes.push(NodeWindow {
                    window_start: moment.start,
                    window_seconds: moment.seconds,
                    reporter: node.name.clone(),
                    node: node_figures,
                });
            }
        }
    }
}

/// A summary of one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    pub touched: usize,
    pub intensity: f64,
}

fn limit_of(fault: &Fault, node: usize) -> Option<Limit> {
    fault.injections.iter().find_map(|injection| match (injection.place, injection.harm) {
        (crate::fault::Place::Node(at), crate::fault::Harm::Unanswered { told, .. }) if at == node => told,
        _ => None,
    })
}

fn is_among(flow: &Flow, pods: &std::collections::BTreeSet<PodIndex>) -> bool {
    [flow.client, flow.server].iter().any(|peer| matches!(peer, Peer::Pod(pod) if pods.contains(pod)))
}

/// True if an end of the flow hasn't started yet, so that no traffic is sent to it and it makes no calls.
fn waits_for_start(flow: &Flow, conditions: &Conditions) -> bool {
    [flow.client, flow.server]
        .iter()
        .any(|peer| matches!(peer, Peer::Pod(pod) if conditions.starting.contains_key(pod)))
}

/// A service whose few clients keep their connections, so that it is hardly ever dialled; its flows are made so.
fn patient_service(cluster: &mut Cluster, dice: &mut Dice) -> ServiceIndex {
    let fits = |service: &ServiceIndex| {
        let found = cluster.services.get(*service);
        let reach = reach(cluster, crate::fault::Place::Service(*service), ALL_LANES);
        found.is_some_and(|s| !s.host_network && s.pods.len() >= 2) && reach.flows >= 4 && reach.clients >= 2
    };
    let fitting: Vec<ServiceIndex> = (0..cluster.services.len()).filter(fits).collect();
    let chosen = dice.pick(&fitting).copied().unwrap_or(0);
    let (connects, open) = (dice.log_uniform(0.02, 0.3), dice.integer(1, 2) as u64);
    let of_chosen: Vec<bool> =
        cluster.flows.iter().map(|flow| cluster.service_of(flow.server) == Some(chosen)).collect();
    for (flow, _) in cluster.flows.iter_mut().zip(of_chosen).filter(|(_, chosen)| *chosen) {
        flow.connects = connects;
        flow.open = open;
    }
    chosen
}
