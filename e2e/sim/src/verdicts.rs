//! Every verdict of the engine on simulated trials, as JSON Lines. Two versions of the engine that print the same lines
//! judge the same, bit for bit.

use serde::Serialize;
use tidewatch_health::{Config, Engine, Memory, RecentTraffic, Sensitivity, Verdict, Window, project};
use tidewatch_records::FlowWindow;

use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::mode::Mode;
use crate::run::in_parallel;
use crate::trial::Trial;

const SENSITIVITIES: [Sensitivity; 3] = [Sensitivity::Low, Sensitivity::Standard, Sensitivity::High];

/// One trial to judge: a seed's own of the table, or one on real machines in windows of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Case {
    pub mode: Mode,
    pub seed: u64,
    pub kind: FaultKind,
    #[serde(skip)]
    pub real: Option<Clock>,
}

/// The verdicts of one window: on the whole cluster, and on one namespace's flows as a monitor selects them.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    case: Case,
    sensitivity: Sensitivity,
    cluster: &'a Verdict,
    monitor: &'a Verdict,
}

/// The engine's memory at the end of a trial.
#[derive(Debug, Serialize)]
struct End<'a> {
    #[serde(flatten)]
    case: Case,
    sensitivity: Sensitivity,
    memory: &'a Memory,
}

/// The cases for `seeds` seeds from `first` on: the table's in every mode, and those on real machines, of each kind.
pub fn cases(first: u64, seeds: u64, window: Clock) -> Vec<Case> {
    let modes = [Mode::Easy, Mode::Hard, Mode::Small, Mode::Wild];
    let seeds = first..first.saturating_add(seeds);
    let of_table = seeds
        .clone()
        .flat_map(|seed| modes.map(|mode| Case { mode, seed, kind: FaultKind::of_seed(seed), real: None }));
    let real = FaultKind::real().zip(seeds.cycle()).map(|(kind, seed)| Case {
        mode: Mode::Small,
        seed,
        kind,
        real: Some(window),
    });
    of_table.chain(real).collect()
}

/// The lines of each case, in the order of cases.
pub fn lines(cases: &[Case], threads: usize) -> Vec<serde_json::Result<String>> {
    in_parallel(cases.len(), threads, |turn| cases.get(turn).map_or(Ok(String::new()), judge))
}

fn judge(case: &Case) -> serde_json::Result<String> {
    let mut trial = match case.real {
        None => Trial::with_kind(case.mode, case.seed, case.kind),
        Some(clock) => Trial::real(case.mode, case.seed, case.kind, clock, false),
    };
    let mut engines: Vec<(Engine, RecentTraffic)> = SENSITIVITIES
        .map(|sensitivity| (Engine::new(Config { sensitivity }), RecentTraffic::default()))
        .into_iter()
        .collect();
    let (mut records, mut out, mut windows) = (Vec::new(), String::new(), 0);
    while let Some(truth) = trial.step(&mut records) {
        let window = Window {
            start: truth.window_start,
            seconds: truth.window_seconds,
            flows: &records,
            nodes: trial.nodes(),
        };
        windows += 1;
        for (engine, lately) in &mut engines {
            if windows == trial.history_windows() {
                // As a restart of the operator does.
                let kept = serde_json::to_string(&engine.memory())?;
                *engine = Engine::resume(engine.config(), &serde_json::from_str(&kept)?);
            }
            let cluster = engine.evaluate(&window);
            let selected = records.iter().filter(|flow| is_selected(flow, case.seed));
            let monitor = project(&cluster, engine.config(), lately, selected);
            let sensitivity = engine.config().sensitivity;
            let line = Line { case: *case, sensitivity, cluster: &cluster, monitor: &monitor };
            out.push_str(&serde_json::to_string(&line)?);
            out.push('\n');
        }
    }
    for (engine, _) in &engines {
        let sensitivity = engine.config().sensitivity;
        let end = End { case: *case, sensitivity, memory: &engine.memory() };
        out.push_str(&serde_json::to_string(&end)?);
        out.push('\n');
    }
    Ok(out)
}

/// Flows of about a third of the namespaces, which ones depends on the seed.
fn is_selected(flow: &FlowWindow, seed: u64) -> bool {
    [&flow.local, &flow.remote].into_iter().any(|end| {
        let namespace =
            end.pod.as_deref().and_then(|pod| pod.split_once('/')).map(|(namespace, _)| namespace);
        namespace.is_some_and(|name| {
            name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))) % 3 == 0
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_case_gives_the_same_lines() {
        let real = Some(Clock { seconds: 15 });
        let case = Case { mode: Mode::Small, seed: 3, kind: FaultKind::HeavyNode, real };
        let all = lines(&[case, case], 2);
        let [Ok(one), Ok(other)] = all.as_slice() else { panic!("two cases: {all:?}") };
        assert_eq!(one, other);
        let named = one.lines().filter(|line| line.contains(r#""nhi":"degraded""#)).count();
        assert!(named > 0 && named < one.lines().count());
    }
}
