//! One trial: a cluster from a seed, half an hour of healthy history, a fault, and the time after it.

use jiff::{SignedDuration, Timestamp};
use tidewatch_records::FlowWindow;

use crate::build::{Shape, build};
use crate::cluster::Cluster;
use crate::fault::{Fault, FaultKind, Harm};
use crate::mess::{Mess, Weather};
use crate::mode::{HISTORY_WINDOWS, Mode, RECOVERY_WINDOWS, WINDOW_SECONDS};
use crate::plan::plan;
use crate::random::Dice;
use crate::traffic::{Moment, generate};
use crate::truth::{Culprit, Phase, Truth};

/// 2026-11-22T12:00:00Z, the first window of every simulation.
const FIRST_WINDOW: i64 = 1_795_348_800;

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
            history: HISTORY_WINDOWS,
            next_window: 0,
            dice,
        }
    }

    /// A healthy cluster that never meets a fault.
    pub fn endless(mode: Mode, seed: u64) -> Self {
        Self { history: usize::MAX, ..Self::with_kind(mode, seed, FaultKind::Healthy) }
    }

    /// A trial whose fault loses exactly this share of packets.
    pub fn with_loss(mode: Mode, seed: u64, kind: FaultKind, loss: f64) -> Self {
        Self { loss: Some(loss), ..Self::with_kind(mode, seed, kind) }
    }

    /// The same cluster with the same past, but another future: from here on, another fault and other mess.
    #[must_use]
    pub fn branch(&self, kind: FaultKind, number: u64) -> Self {
        let mut dice = self.dice.clone();
        for _ in 0..=number {
            dice = dice.split();
        }
        Self { kind, dice, ..self.clone() }
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The fault, once it is drawn (at its onset, since it depends on which pods there are then).
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Windows of the whole trial.
    pub fn windows(&self) -> usize {
        self.history.saturating_add(self.mode.fault_windows()).saturating_add(RECOVERY_WINDOWS)
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
            self.fault = plan(self.kind, self.mode, &self.cluster, &mut dice);
            for injection in &mut self.fault.injections {
                if let (Harm::Loss { ratio, .. }, Some(loss)) = (&mut injection.harm, self.loss) {
                    *ratio = loss;
                }
            }
        }
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
        let start = window_start(window);
        let moment = Moment {
            start,
            seconds: WINDOW_SECONDS,
            minute,
            weather: &self.weather,
            fault: &self.fault,
            intensity,
        };
        let flows_touched = generate(&self.cluster, &self.shape, &moment, &mut self.dice, records);
        Some(Truth {
            window_start: start,
            window_seconds: WINDOW_SECONDS,
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

    fn phase(&self, window: usize) -> Phase {
        if window < self.history {
            Phase::History
        } else if window < self.history.saturating_add(self.mode.fault_windows()) {
            Phase::Fault
        } else {
            Phase::Recovery
        }
    }

    /// What the trial's fault makes guilty.
    pub fn culprits(&self) -> Vec<Culprit> {
        let culprit = |injection: &crate::fault::Injection| {
            let component = injection.place.component(&self.cluster)?;
            Some(Culprit { class: component.class(), component, cause: injection.harm.cause() })
        };
        self.fault.injections.iter().filter_map(culprit).collect()
    }
}

fn window_start(window: usize) -> Timestamp {
    let first = Timestamp::from_second(FIRST_WINDOW).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset = i64::try_from(window).unwrap_or(0).saturating_mul(i64::from(WINDOW_SECONDS));
    first.checked_add(SignedDuration::from_secs(offset)).unwrap_or(first)
}
