//! One trial: a cluster from a seed, half an hour of healthy history, a fault, and the time after it.

use tidewatch_records::{FlowWindow, NodeWindow};

use crate::build::{Shape, build};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::fault::{Fault, FaultKind, Harm};
use crate::mess::{Mess, Weather};
use crate::mode::{Mode, WINDOW_SECONDS};
use crate::plan::plan;
use crate::random::Dice;
use crate::reality::Reality;
use crate::traffic::{Moment, generate};
use crate::truth::{Culprit, Phase, Truth};

/// A simulated cluster that is stepped window by window.
#[derive(Debug, Clone)]
pub struct Trial {
    mode: Mode,
    seed: u64,
    kind: FaultKind,
    shape: Shape,
    cluster: Cluster,
    mess: Mess,
    weather: Weather,
    fault: Fault,
    /// The loss to inject instead of what would be drawn.
    loss: Option<f64>,
    history: usize,
    next_window: usize,
    dice: Dice,
    /// Where the trial is one of real machines.
    reality: Option<Box<Reality>>,
}

impl Trial {
    /// The trial of this seed; the seed also says which kind of fault it has.
    pub fn new(mode: Mode, seed: u64) -> Self {
        Self::with_kind(mode, seed, FaultKind::of_seed(seed))
    }

    pub fn with_kind(mode: Mode, seed: u64, kind: FaultKind) -> Self {
        Self::with_shape(mode, mode.shape(seed), seed, kind)
    }

    /// Of another size than the mode's, for what is measured by size.
    pub fn with_shape(mode: Mode, shape: Shape, seed: u64, kind: FaultKind) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(2).wrapping_add(u64::from(mode == Mode::Hard)));
        let cluster = build(&shape, &mut dice);
        Self {
            mode,
            seed,
            kind,
            shape,
            cluster,
            mess: Mess::default(),
            weather: Weather::default(),
            fault: Fault::none(),
            loss: None,
            history: Clock::default().history_windows(),
            next_window: 0,
            dice,
            reality: None,
        }
    }

    /// A cluster on real machines, seen in windows of another length perhaps. `shortages`: nodes are short of CPU now and
    /// then, for hours.
    pub fn real(mode: Mode, seed: u64, kind: FaultKind, clock: Clock, shortages: bool) -> Self {
        Self::real_with_shape(mode, mode.shape(seed), seed, kind, clock, shortages)
    }

    pub fn real_with_shape(
        mode: Mode,
        shape: Shape,
        seed: u64,
        kind: FaultKind,
        clock: Clock,
        shortages: bool,
    ) -> Self {
        let mut trial = Self::with_shape(mode, shape, seed, kind);
        let mut dice = trial.dice.split();
        let reality = Reality::new(clock, shortages, &mut trial.cluster, &mut dice);
        Self { history: clock.history_windows(), reality: Some(Box::new(reality)), ..trial }
    }

    /// Of the table's trials those whose windows have the usual length are made as ever; others as on real machines.
    pub fn in_windows_of(mode: Mode, seed: u64, kind: FaultKind, clock: Clock) -> Self {
        if clock == Clock::default() {
            Self::with_kind(mode, seed, kind)
        } else {
            Self::real(mode, seed, kind, clock, false)
        }
    }

    /// A healthy cluster that never meets a fault.
    #[must_use]
    pub fn endless(self) -> Self {
        Self { history: usize::MAX, ..self }
    }

    /// The fault loses exactly this share of packets.
    #[must_use]
    pub fn with_loss(self, loss: f64) -> Self {
        Self { loss: Some(loss), ..self }
    }

    /// The same cluster with the same past, but another future: from here on, another fault and other mess.
    #[must_use]
    pub fn branch(&self, kind: FaultKind, number: u64) -> Self {
        let mut dice = self.dice.clone();
        for _ in 0..=number {
            dice = dice.split();
        }
        let mut branch = Self { kind, dice, ..self.clone() };
        if let Some(reality) = &mut branch.reality {
            reality.branch(&mut branch.dice);
        }
        branch
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The fault, once it is drawn (at its onset, since it depends on which pods there are then).
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    pub fn clock(&self) -> Clock {
        self.reality.as_ref().map_or(Clock::default(), |reality| reality.clock)
    }

    /// The nodes' figures in the last window.
    pub fn nodes(&self) -> &[NodeWindow] {
        self.reality.as_ref().map_or(&[], |reality| &reality.nodes)
    }

    /// Seconds from the beginning of their windows to the fault's onset and to its end.
    pub fn lag(&self) -> (f64, f64) {
        self.reality.as_ref().map_or((0.0, 0.0), |reality| reality.lag())
    }

    /// Windows of healthy traffic before the fault.
    pub fn history_windows(&self) -> usize {
        self.history
    }

    fn fault_windows(&self) -> usize {
        let usual = self.mode.fault_windows();
        self.reality.as_ref().map_or(usual, |reality| reality.fault_windows(self.mode, self.kind))
    }

    /// Windows of the whole trial.
    pub fn windows(&self) -> usize {
        self.history.saturating_add(self.fault_windows()).saturating_add(self.clock().recovery_windows())
    }

    /// The next window: clears `records` and fills it; its truth, or none when the trial is over.
    pub fn step(&mut self, records: &mut Vec<FlowWindow>) -> Option<Truth> {
        records.clear();
        let window = self.next_window;
        if window >= self.windows() {
            return None;
        }
        self.next_window += 1;
        if window == self.history {
            let mut dice = self.dice.split();
            self.fault = match &mut self.reality {
                None => plan(self.kind, self.mode, &self.cluster, &mut dice),
                Some(reality) => reality.plan(self.kind, self.mode, self.history, &self.cluster, &mut dice),
            };
            for injection in &mut self.fault.injections {
                if let (Harm::Loss { ratio, .. }, Some(loss)) = (&mut injection.harm, self.loss) {
                    *ratio = loss;
                }
            }
        }
        let (flows_touched, intensity) = match &mut self.reality {
            None => self.usual_window(window, records),
            Some(reality) => {
                let passed = reality.window(
                    window,
                    &mut self.cluster,
                    &self.shape,
                    &self.fault,
                    &mut self.dice,
                    records,
                );
                (passed.touched, passed.intensity)
            }
        };
        Some(Truth {
            window_start: self.clock().start(window),
            window_seconds: self.clock().seconds,
            mode: self.mode,
            seed: self.seed,
            kind: self.kind,
            phase: self.phase(window),
            intensity,
            components: if intensity > 0.0 { self.culprits() } else { Vec::new() },
            flows_touched,
            records: records.len(),
        })
    }

    /// A window of the table's trials: flows that the fault touched, and its intensity.
    fn usual_window(&mut self, window: usize, records: &mut Vec<FlowWindow>) -> (usize, f64) {
        let spared = self.fault.spared(&self.cluster);
        let leaving = std::mem::take(&mut self.weather.leaving);
        let minute = window as f64 * f64::from(WINDOW_SECONDS) / 60.0;
        self.weather =
            self.mess.step(&mut self.cluster, &leaving, &self.shape, &spared, minute, &mut self.dice);
        self.weather
            .leaving
            .retain(|pod| self.cluster.pods.get(*pod).is_none_or(|pod| !spared.contains(&pod.service)));
        let intensity = window.checked_sub(self.history).and_then(|n| self.fault.intensity.get(n)).copied();
        let intensity = intensity.unwrap_or(0.0);
        let moment = Moment {
            start: Clock::default().start(window),
            seconds: WINDOW_SECONDS,
            minute,
            weather: &self.weather,
            fault: &self.fault,
            intensity,
        };
        (generate(&self.cluster, &self.shape, &moment, &mut self.dice, records), intensity)
    }

    fn phase(&self, window: usize) -> Phase {
        if window < self.history {
            Phase::History
        } else if window < self.history.saturating_add(self.fault_windows()) {
            Phase::Fault
        } else {
            Phase::Recovery
        }
    }

    /// The components that are at fault in this trial.
    pub fn culprits(&self) -> Vec<Culprit> {
        let culprit = |injection: &crate::fault::Injection| {
            let component = injection.place.component(&self.cluster)?;
            Some(Culprit { class: component.class(), component, cause: injection.harm.cause() })
        };
        self.fault.injections.iter().filter_map(culprit).collect()
    }
}
