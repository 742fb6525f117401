//! A cluster-week of healthy but messy traffic: how often does the engine blame the infrastructure for nothing?

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tidewatch_health::{Class, ComponentId, Config, Engine, Window};

use crate::trial::Trial;

/// Seconds of a day.
pub const DAY: u32 = 24 * 3600;

/// The components that the engine blamed while nothing was at fault.
#[derive(Debug, Clone, Default)]
pub struct Endurance {
    pub windows: usize,
    pub records: u64,
    /// Verdicts, a component blamed in consecutive windows being one.
    pub false_infrastructure: usize,
    pub false_others: usize,
    /// Windows in which anything was blamed.
    pub alarming: usize,
    /// Each false verdict's window and component.
    pub verdicts: Vec<(usize, String)>,
    /// In the engine alone.
    pub spent: Duration,
}

/// Runs the engine over `windows` healthy windows of an endless trial, after the usual history.
pub fn endure(mut trial: Trial, windows: usize) -> Endurance {
    let history = trial.clock().history_windows();
    let mut engine = Engine::new(Config::default());
    let mut records = Vec::new();
    let mut before: BTreeSet<ComponentId> = BTreeSet::new();
    let mut result = Endurance::default();
    for index in 0..history + windows {
        let Some(truth) = trial.step(&mut records) else { break };
        let began = Instant::now();
        let verdict = engine.evaluate(&Window {
            start: truth.window_start,
            seconds: truth.window_seconds,
            flows: &records,
            nodes: trial.nodes(),
        });
        result.spent += began.elapsed();
        let sentence = verdict.reason;
        let blamed: BTreeSet<ComponentId> =
            verdict.components.into_iter().map(|fault| fault.component).collect();
        if index >= history {
            result.windows += 1;
            result.records += records.len() as u64;
            result.alarming += usize::from(!blamed.is_empty());
            for component in blamed.difference(&before) {
                result.verdicts.push((index, format!("{component}: {sentence}")));
                match component.class() {
                    Class::Infrastructure => result.false_infrastructure += 1,
                    Class::Workload | Class::External => result.false_others += 1,
                }
            }
        }
        before = blamed;
    }
    result
}
