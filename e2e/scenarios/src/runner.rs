//! Running scenarios: lanes at the same time, each on a lab of its own, and the results.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use tidewatch_lab::Lab;

use crate::bed::{Bed, Keep};
use crate::expect::FalseVerdict;
use crate::interrupt::{interrupted, on_interrupt};
use crate::report::{Report, seconds};
use crate::scenarios::{Extent, Lane, Scenario};

/// Learning what is usual takes some windows.
const SETTLE_LIMIT: Duration = Duration::from_secs(180);

/// Runs those scenarios of `lanes` that are wanted, on labs of this name, and tells what became of them.
pub fn run(lanes: Vec<Lane>, lab: &str) -> anyhow::Result<ExitCode> {
    let lanes = wanted(lanes)?;
    if std::env::args().any(|argument| argument == "--list") {
        for scenario in lanes.iter().flat_map(|lane| &lane.scenarios) {
            println!("{}: test", scenario.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let keep = if std::env::var_os("KEEP_LAB").is_some() { Keep::Yes } else { Keep::No };
    let labs = labs(lab, lanes.len());
    let at_interrupt = labs.clone();
    on_interrupt(move || {
        for lab in &at_interrupt {
            if let Err(error) = Lab::down_by_name(lab) {
                eprintln!("{error}");
            }
        }
    })?;

    let report = Report::new();
    println!(
        "running {} scenarios on {} clusters at the same time",
        lanes.iter().map(|lane| lane.scenarios.len()).sum::<usize>(),
        lanes.len()
    );
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let keep = &keep;
        let running: Vec<_> = lanes
            .iter()
            .zip(&labs)
            .map(|(lane, lab)| {
                let report = report.of_lane(lane.name);
                (lane, scope.spawn(move || run_lane(lane, lab, keep, report)))
            })
            .collect();
        running.into_iter().flat_map(|(lane, thread)| outcomes_of(lane, thread.join())).collect()
    });
    Ok(tell(&outcomes, report))
}

/// The result of a scenario.
struct Outcome {
    name: &'static str,
    result: anyhow::Result<Passed>,
}

struct Passed {
    took: Duration,
    first_failure: Option<String>,
}

/// Names of `count` labs: one has the name that is asked for, several have a number behind it.
fn labs(name: &str, count: usize) -> Vec<String> {
    let name = std::env::var("TIDEWATCH_LAB").unwrap_or_else(|_| name.to_owned());
    if count == 1 { vec![name] } else { (1..=count).map(|number| format!("{name}{number}")).collect() }
}

fn run_lane(lane: &Lane, lab: &str, keep: &Keep, report: Report) -> anyhow::Result<Vec<Outcome>> {
    let mut bed = Bed::make_with(lab, keep, report, lane.workload)?;
    let outcomes = lane
        .scenarios
        .iter()
        .map(|scenario| Outcome { name: scenario.name, result: run_or_again(&bed, scenario) })
        .collect();
    if *keep == Keep::Yes {
        bed.leave();
    }
    Ok(outcomes)
}

/// A lane that had no bed, or that panicked, has failed in each of its scenarios.
fn outcomes_of(lane: &Lane, ended: std::thread::Result<anyhow::Result<Vec<Outcome>>>) -> Vec<Outcome> {
    let why = match ended {
        Ok(Ok(outcomes)) => return outcomes,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => "the lane panicked".to_owned(),
    };
    let failed =
        |scenario: &Scenario| Outcome { name: scenario.name, result: Err(anyhow::anyhow!(why.clone())) };
    lane.scenarios.iter().map(failed).collect()
}

fn tell(outcomes: &[Outcome], report: Report) -> ExitCode {
    println!();
    for Outcome { name, result } in outcomes {
        match result {
            Ok(Passed { took, first_failure: None }) => {
                println!("test {name} ... {} ({})", report.good("ok"), seconds(*took));
            }
            Ok(Passed { took, first_failure: Some(first) }) => println!(
                "test {name} ... {} ({}, at the second try; the first: {first})",
                report.good("ok"),
                seconds(*took)
            ),
            Err(error) => println!("test {name} ... {}\n    {error:#}", report.bad("FAILED")),
        }
    }
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {}",
        outcomes.len() - failed,
        seconds(report.elapsed())
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whole clusters on two cores can stall for seconds, so that what has a limit comes late. So there is a second try,
/// and the first one's failure is told beside the result; but not where somebody was blamed who isn't at fault.
fn run_or_again(bed: &Bed, scenario: &Scenario) -> anyhow::Result<Passed> {
    match run_once(bed, scenario) {
        Ok(took) => Ok(Passed { took, first_failure: None }),
        Err(error) if interrupted() || error.is::<FalseVerdict>() => Err(error),
        Err(error) => {
            bed.report.step(&format!("{}: a second try", scenario.name));
            let took = run_once(bed, scenario)?;
            Ok(Passed { took, first_failure: Some(format!("{error:#}")) })
        }
    }
}

fn run_once(bed: &Bed, scenario: &Scenario) -> anyhow::Result<Duration> {
    if interrupted() {
        bail!("interrupted");
    }
    bed.report.step(&format!("{}: {}", scenario.name, scenario.proves));
    let begun = Instant::now();
    let outcome = bed.heal(SETTLE_LIMIT).and_then(|_| (scenario.run)(bed));
    if let Err(error) = &outcome {
        bed.report.wrong(&format!("{error:#}"));
        bed.explain();
    }
    outcome.map(|()| begun.elapsed())
}

/// Those that `SCENARIO` (a list with commas) or the arguments name, else those of the extent that `SCENARIOS` chooses;
/// lanes that have none are left out.
fn wanted(mut lanes: Vec<Lane>) -> anyhow::Result<Vec<Lane>> {
    let mut names: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    names.extend(std::env::var("SCENARIO").into_iter().flat_map(|list| {
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    }));
    let known: Vec<_> = lanes.iter().flat_map(|lane| &lane.scenarios).map(|scenario| scenario.name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no scenario {unknown}; there are {}", known.join(", "));
    }
    let extent = Extent::chosen()?;
    for lane in &mut lanes {
        lane.scenarios.retain(|scenario| match names.as_slice() {
            [] => extent.includes(scenario),
            names => names.iter().any(|name| name == scenario.name),
        });
    }
    lanes.retain(|lane| !lane.scenarios.is_empty());
    Ok(lanes)
}
