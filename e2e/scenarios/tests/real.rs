//! The scenarios on real software. `REAL=whole` runs all of them, at their full length.

use std::process::ExitCode;

use tidewatch_scenarios::{runner, scenarios};

fn main() -> anyhow::Result<ExitCode> {
    runner::run(vec![scenarios::real::lane()?], "real")
}
