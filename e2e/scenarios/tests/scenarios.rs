//! All scenarios on one lab, in order.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use tidewatch_lab::Lab;
use tidewatch_scenarios::bed::{Bed, Keep};
use tidewatch_scenarios::expect::FalseVerdict;
use tidewatch_scenarios::interrupt::{interrupted, on_interrupt};
use tidewatch_scenarios::report::{Report, seconds};
use tidewatch_scenarios::scenarios::{self, Scenario};

const LAB: &str = "scen";
/// Learning what is usual takes some windows.
const SETTLE_LIMIT: Duration = Duration::from_secs(180);

fn main() -> anyhow::Result<ExitCode> {
    let wanted = wanted()?;
    if std::env::args().any(|argument| argument == "--list") {
        for scenario in &wanted {
            println!("{}: test", scenario.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let lab = std::env::var("TIDEWATCH_LAB").unwrap_or_else(|_| LAB.to_owned());
    let keep = if std::env::var_os("KEEP_LAB").is_some() { Keep::Yes } else { Keep::No };
    let at_interrupt = lab.clone();
    on_interrupt(move || {
        if let Err(error) = Lab::down_by_name(&at_interrupt) {
            eprintln!("{error}");
        }
    })?;

    let report = Report::new();
    println!("running {} scenarios", wanted.len());
    let mut bed = Bed::make(&lab, &keep, report)?;
    let results: Vec<_> = wanted.iter().map(|scenario| (scenario, run_or_again(&bed, scenario))).collect();
    if keep == Keep::Yes {
        bed.leave();
    }
    drop(bed);

    let (passed, failed): (Vec<_>, Vec<_>) = results.iter().partition(|(_, result)| result.is_ok());
    println!();
    for (scenario, result) in &results {
        match result {
            Ok(Passed { took, first_failure: None }) => {
                println!("test {} ... {} ({})", scenario.name, report.good("ok"), seconds(*took));
            }
            Ok(Passed { took, first_failure: Some(first) }) => println!(
                "test {} ... {} ({}, at the second try; the first: {first})",
                scenario.name,
                report.good("ok"),
                seconds(*took)
            ),
            Err(error) => println!("test {} ... {}\n    {error:#}", scenario.name, report.bad("FAILED")),
        }
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out; finished in {}",
        passed.len(),
        failed.len(),
        seconds(report.elapsed())
    );
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Passed {
    took: Duration,
    first_failure: Option<String>,
}

/// A whole cluster on two cores can stall for seconds, so that what has a limit comes late. So there is a second try,
/// and the first one's failure is told beside the result; but not where somebody was blamed who isn't at fault.
fn run_or_again(bed: &Bed, scenario: &Scenario) -> anyhow::Result<Passed> {
    match run(bed, scenario) {
        Ok(took) => Ok(Passed { took, first_failure: None }),
        Err(error) if interrupted() || error.is::<FalseVerdict>() => Err(error),
        Err(error) => {
            bed.report.step(&format!("{}: a second try", scenario.name));
            let took = run(bed, scenario)?;
            Ok(Passed { took, first_failure: Some(format!("{error:#}")) })
        }
    }
}

fn run(bed: &Bed, scenario: &Scenario) -> anyhow::Result<Duration> {
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

/// Those that `SCENARIO` (a list with commas) or the arguments name, else all.
fn wanted() -> anyhow::Result<Vec<Scenario>> {
    let mut names: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    names.extend(std::env::var("SCENARIO").into_iter().flat_map(|list| {
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    }));
    let all = scenarios::all();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|scenario| scenario.name != name.as_str()))
    {
        let known: Vec<_> = all.iter().map(|scenario| scenario.name).collect();
        bail!("there is no scenario {unknown}; there are {}", known.join(", "));
    }
    Ok(all
        .into_iter()
        .filter(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name))
        .collect())
}
