//! `make demo`: a real cluster loses packets between two zones, then a port is blocked, and Tidewatch tells which is
//! which. Exit status 0 only if it was right at each step.

use std::process::ExitCode;

use tidewatch_lab::Lab;
use tidewatch_scenarios::bed::{Bed, Keep};
use tidewatch_scenarios::demo;
use tidewatch_scenarios::interrupt::{interrupted, on_interrupt};
use tidewatch_scenarios::report::{Report, seconds};

const LAB: &str = "demo";

fn main() -> ExitCode {
    let report = Report::new();
    match run(report) {
        Ok(true) => {
            report.plain(&report.good(&format!(
                "\nTidewatch was right at each step. ({} in all)",
                seconds(report.elapsed())
            )));
            ExitCode::SUCCESS
        }
        Ok(false) => {
            report.plain(&report.bad("\nTidewatch was not right at each step: see ✗ above."));
            ExitCode::FAILURE
        }
        Err(error) => {
            report.wrong(&format!("{error:#}"));
            if interrupted() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}

fn run(report: Report) -> anyhow::Result<bool> {
    let keep = if std::env::var("DEMO_KEEP").is_ok_and(|value| value == "1") { Keep::Yes } else { Keep::No };
    let lab = std::env::var("TIDEWATCH_LAB").unwrap_or_else(|_| LAB.to_owned());
    let at_interrupt = lab.clone();
    on_interrupt(move || {
        if let Err(error) = Lab::down_by_name(&at_interrupt) {
            eprintln!("{error}");
        }
    })?;

    let mut bed = Bed::make(&lab, &keep, report)?;
    let right = demo::tell(&bed);
    if !matches!(right, Ok(true)) {
        bed.explain();
    }
    if keep == Keep::Yes {
        what_to_try(&bed, &lab)?;
        bed.leave();
    } else {
        report.step("taking the cluster down");
        drop(bed);
        report.note("nothing of it is left (DEMO_KEEP=1 leaves it up)");
    }
    right
}

fn what_to_try(bed: &Bed, lab: &str) -> anyhow::Result<()> {
    let kubeconfig = bed.lab_ref()?.kubeconfig_path();
    bed.report.plain(&format!(
        "\nThe cluster stays up. Try:
  export KUBECONFIG={}
  kubectl get netmon -A --watch
  kubectl -n shop describe netmon shop
  tidewatch-lab fault --name {lab} node zone-2-b --loss 5%
  tidewatch-lab fault --name {lab} refuse shop/orders
  tidewatch-lab fault --name {lab} remote dynamodb --loss 5%
  tidewatch-lab heal --name {lab} all
  tidewatch-lab down --name {lab}",
        kubeconfig.display()
    ));
    Ok(())
}
