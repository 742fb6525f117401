//! Runs trials: each one's records are made once and judged by all methods.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tidewatch_health::Class;
use tidewatch_records::FlowWindow;

use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::methods::{Atlas, Blamed, Finding, Method, MethodName, Observed};
use crate::mode::Mode;
use crate::score::{Named, Outcome, Slander, means};
use crate::trial::Trial;
use crate::truth::{Phase, Truth};

/// Outcomes of each method in each trial, in the order of seeds.
pub fn run(
    mode: Mode,
    clock: Clock,
    seeds: &[(u64, FaultKind)],
    methods: &[MethodName],
    threads: usize,
) -> Vec<Vec<Outcome>> {
    let all = in_parallel(seeds.len(), threads, |turn| {
        let (seed, kind) = seeds.get(turn).copied().unwrap_or((0, FaultKind::Healthy));
        run_trial(Trial::in_windows_of(mode, seed, kind, clock), seed, kind, methods)
    });
    let mut by_method: Vec<Vec<Outcome>> = methods.iter().map(|_| Vec::new()).collect();
    for outcomes in all {
        for (into, outcome) in by_method.iter_mut().zip(outcomes) {
            into.push(outcome);
        }
    }
    by_method
}

/// `job(0)`, `job(1)`, … on some threads; results in order.
pub fn in_parallel<T: Send>(jobs: usize, threads: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if turn >= jobs {
                        break;
                    }
                    let result = job(turn);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((turn, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(turn, _)| *turn);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Follows one method through one trial.
#[derive(Debug, Clone)]
pub(crate) struct Follower<M> {
    method: M,
    outcome: Outcome,
    fault_windows: u32,
    recovery_windows: u32,
    /// Recovery windows up to and including the last that still blamed a culprit.
    blamed_until: u32,
}

impl<M: Method> Follower<M> {
    pub(crate) fn new(method: M, seed: u64, kind: FaultKind) -> Self {
        let outcome = Outcome {
            seed,
            kind,
            culprits: Vec::new(),
            last: Vec::new(),
            quiet: 0,
            quiet_alarming: 0,
            quiet_blamed: Vec::new(),
            quiet_infrastructure: 0,
            slanders: Vec::new(),
            afterwards: Vec::new(),
            attribution: None,
            sentence: String::new(),
            wrongly: Vec::new(),
            detected_after: None,
            recovered_after: None,
            insufficient: 0,
        };
        Self { method, outcome, fault_windows: 0, recovery_windows: 0, blamed_until: 0 }
    }

    /// From here on the trial is one of this kind.
    pub(crate) fn branch(&self, kind: FaultKind) -> Self
    where
        M: Clone,
    {
        let outcome = Outcome { kind, ..self.outcome.clone() };
        Self { outcome, ..self.clone() }
    }

    fn quiet(&mut self, finding: Finding) {
        self.outcome.quiet += 1;
        self.outcome.quiet_alarming += usize::from(!finding.blamed.is_empty());
        let infrastructure = finding.blamed.iter().any(|b| b.component.class() == Class::Infrastructure);
        self.outcome.quiet_infrastructure += usize::from(infrastructure);
        self.outcome.quiet_blamed.extend(finding.blamed);
    }

    fn during_fault(&mut self, finding: Finding, trial: &Trial) {
        self.fault_windows += 1;
        let named = finding.blamed.iter().any(|blamed| self.outcome.is_culprit(&blamed.component));
        if named && self.outcome.detected_after.is_none() {
            let since = f64::from(self.fault_windows * trial.clock().seconds) - trial.lag().0;
            self.outcome.detected_after = Some(since as u32);
        }
        self.slander(&finding);
        self.wrongly(&finding);
        self.outcome.attribution = finding.attribution;
        self.outcome.sentence = finding.sentence;
        self.outcome.last = finding.blamed;
    }

    /// Notes the components that are named although they aren't at fault.
    fn wrongly(&mut self, finding: &Finding) {
        let window = (self.fault_windows + self.recovery_windows).saturating_sub(1);
        let wrong: Vec<Named> = finding
            .blamed
            .iter()
            .filter(|blamed| !self.outcome.is_culprit(&blamed.component))
            .map(|blamed| Named { window, blamed: blamed.clone(), sentence: finding.sentence.clone() })
            .collect();
        self.outcome.wrongly.extend(wrong);
    }

    fn during_recovery(&mut self, finding: &Finding) {
        self.recovery_windows += 1;
        self.slander(finding);
        if self.outcome.kind.is_benign() {
            self.wrongly(finding);
        }
        let known = |b: &Blamed| {
            self.outcome.is_culprit(&b.component)
                || self.outcome.last.iter().any(|before| before.component == b.component)
        };
        let news: Vec<Blamed> = finding.blamed.iter().filter(|b| !known(b)).cloned().collect();
        self.outcome.afterwards.extend(news);
        let culprits = &self.outcome.culprits;
        if finding.blamed.iter().any(|b| culprits.iter().any(|c| means(&b.component, &c.component))) {
            self.blamed_until = self.recovery_windows;
        }
    }

    /// Notes infrastructure that is blamed although none is at fault in this window or was before.
    fn slander(&mut self, finding: &Finding) {
        let culprits = &self.outcome.culprits;
        if self.outcome.kind == FaultKind::Healthy
            || culprits.iter().any(|culprit| culprit.class == Class::Infrastructure)
        {
            return;
        }
        let window = (self.fault_windows + self.recovery_windows).saturating_sub(1);
        let infrastructure = finding.blamed.iter().filter(|b| b.component.class() == Class::Infrastructure);
        self.outcome.slanders.extend(infrastructure.map(|blamed| Slander { window, blamed: blamed.clone() }));
    }

    pub(crate) fn window(&mut self, index: usize, truth: &Truth, trial: &Trial, observed: &Observed<'_>) {
        if index + trial.clock().quiet_windows() < trial.history_windows() {
            self.method.observe_history(observed);
            return;
        }
        let finding = self.method.verdict(observed);
        self.outcome.insufficient += usize::from(finding.insufficient);
        match truth.phase {
            Phase::History => self.quiet(finding),
            Phase::Fault => {
                if self.fault_windows == 0 {
                    self.outcome.culprits = trial.culprits();
                }
                if self.outcome.kind == FaultKind::Healthy {
                    self.quiet(finding.clone());
                }
                self.during_fault(finding, trial);
            }
            Phase::Recovery if self.outcome.kind == FaultKind::Healthy => self.quiet(finding),
            Phase::Recovery => self.during_recovery(&finding),
        }
    }

    pub(crate) fn finish(mut self, trial: &Trial) -> Outcome {
        if self.blamed_until < self.recovery_windows {
            let since = f64::from((self.blamed_until + 1) * trial.clock().seconds) - trial.lag().1;
            self.outcome.recovered_after = Some(since as u32);
        }
        if self.outcome.kind == FaultKind::Healthy {
            // The last "fault" window of a healthy trial is one of its quiet windows, already counted for confidence.
            self.outcome.quiet_blamed.truncate(self.outcome.quiet_blamed.len() - self.outcome.last.len());
        }
        self.outcome
    }
}

/// One trial, judged by each of `methods`.
pub fn run_trial(mut trial: Trial, seed: u64, kind: FaultKind, methods: &[MethodName]) -> Vec<Outcome> {
    let mut followers: Vec<Follower<Box<dyn Method>>> =
        methods.iter().map(|name| Follower::new(name.make(), seed, kind)).collect();
    let paths = methods.iter().any(|name| !name.is_ours());
    let mut atlas = Atlas::default();
    let mut records: Vec<FlowWindow> = Vec::new();
    let mut index = 0;
    while let Some(truth) = trial.step(&mut records) {
        let crossings = if paths { atlas.crossings(&records) } else { Vec::new() };
        let observed = Observed {
            start: truth.window_start,
            seconds: truth.window_seconds,
            flows: &records,
            nodes: trial.nodes(),
            crossings: &crossings,
            atlas: &atlas,
        };
        for follower in &mut followers {
            follower.window(index, &truth, &trial, &observed);
        }
        index += 1;
    }
    followers.into_iter().map(|follower| follower.finish(&trial)).collect()
}
