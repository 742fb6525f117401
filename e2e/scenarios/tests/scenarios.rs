//! All scenarios on the shop, in lanes that run at the same time, each on a lab of its own.

use std::process::ExitCode;

use tidewatch_scenarios::{runner, scenarios};

fn main() -> anyhow::Result<ExitCode> {
    runner::run(scenarios::lanes(), "scen")
}
