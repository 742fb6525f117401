//! The times that the engine takes to name a fault and to clear it, by kind of fault. They run from the onset, which
//! lies anywhere in a window, to the end of the first window that names the fault.

use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::methods::MethodName;
use crate::mode::Mode;
use crate::run::{in_parallel, run_trial};
use crate::score::{Outcome, Score, score};
use crate::trial::Trial;

/// A fault whose detection is timed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Matter {
    Loss(FaultKind, f64),
    /// Nothing passes between two zones.
    Down,
    /// A kind as it is drawn.
    Kind(FaultKind),
}

impl Matter {
    pub const ALL: [Self; 15] = [
        Self::Loss(FaultKind::ZonePair, 0.002),
        Self::Loss(FaultKind::ZonePair, 0.005),
        Self::Loss(FaultKind::ZonePair, 0.01),
        Self::Loss(FaultKind::ZonePair, 0.02),
        Self::Loss(FaultKind::ZonePair, 0.05),
        Self::Loss(FaultKind::Node, 0.002),
        Self::Loss(FaultKind::Node, 0.005),
        Self::Loss(FaultKind::Node, 0.01),
        Self::Loss(FaultKind::Node, 0.02),
        Self::Loss(FaultKind::Node, 0.05),
        Self::Down,
        Self::Kind(FaultKind::Blocked),
        Self::Kind(FaultKind::Refused),
        Self::Kind(FaultKind::PatientBlocked),
        Self::Kind(FaultKind::ConntrackFull),
    ];

    pub fn name(self) -> String {
        match self {
            Self::Loss(kind, loss) => format!("{} {}%", kind.name(), (loss * 1e4).round() / 100.0),
            Self::Down => "zone-pair down".to_owned(),
            Self::Kind(kind) => kind.name().to_owned(),
        }
    }

    /// Seconds within which it is to be named.
    pub fn limit_seconds(self) -> u32 {
        match self {
            Self::Loss(_, loss) if loss < 0.01 => 240,
            Self::Loss(_, loss) if loss < 0.05 => 120,
            _ => 60,
        }
    }

    fn trial(self, seed: u64, clock: Clock) -> Trial {
        let of = |kind| Trial::real(Mode::Easy, seed, kind, clock, false);
        match self {
            Self::Loss(kind, loss) => of(kind).with_loss(loss),
            Self::Down => of(FaultKind::ZonePair).with_loss(1.0),
            Self::Kind(kind) => of(kind),
        }
    }

    fn kind(self) -> FaultKind {
        match self {
            Self::Loss(kind, _) | Self::Kind(kind) => kind,
            Self::Down => FaultKind::ZonePair,
        }
    }
}

/// The results of the trials of one kind of fault.
#[derive(Debug, Clone)]
pub struct Onset {
    pub matter: Matter,
    /// Share of trials that were named within the limit.
    pub in_time: f64,
    pub score: Score,
    /// The longest that it took; none if one was never named.
    pub longest: Option<u32>,
}

/// Trials in the "easy" mode, since a "hard" fault is over after two minutes.
pub fn measure(clock: Clock, first_seed: u64, trials: u64, threads: usize) -> Vec<Onset> {
    Matter::ALL.into_iter().map(|matter| measure_one(matter, clock, first_seed, trials, threads)).collect()
}

fn measure_one(matter: Matter, clock: Clock, first_seed: u64, trials: u64, threads: usize) -> Onset {
    let outcomes: Vec<Outcome> = in_parallel(trials as usize, threads, |turn| {
        let seed = first_seed + turn as u64;
        run_trial(matter.trial(seed, clock), seed, matter.kind(), &[MethodName::Tidewatch])
    })
    .into_iter()
    .flatten()
    .collect();
    let soon = |o: &&Outcome| o.detected_after.is_some_and(|after| after <= matter.limit_seconds());
    let in_time = outcomes.iter().filter(soon).count() as f64 / outcomes.len().max(1) as f64;
    let longest: Option<Vec<u32>> = outcomes.iter().map(|outcome| outcome.detected_after).collect();
    let longest = longest.and_then(|all| all.into_iter().max());
    Onset { matter, in_time, score: score(outcomes.iter()), longest }
}
