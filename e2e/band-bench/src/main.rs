//! `make bench-bands`: accuracy of the band engine and of other common methods on generated series with known anomalies, and
//! the score of the engine by the rules of the Numenta Anomaly Benchmark.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;

mod calibration;
mod cost;
mod judge;
mod kinds;
mod losses;
mod methods;
mod nab;
mod series;
mod table;

/// First held-out seed: the seeds from here on aren't used during development.
const HELD_OUT: u64 = 1_000_001;

/// Measure the accuracy of the band engine on generated series
#[derive(Debug, Parser)]
#[command(name = "bench-bands")]
struct Args {
    /// Number of series of each kind
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Use the seeds for development, not the held-out ones
    #[arg(long)]
    dev: bool,
    /// Only the kind of this name
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Print only the missed anomalies, delays and false alarms of the engine by kind
    #[arg(long)]
    losses: bool,
    /// Print only the measured share of values outside the band at each width
    #[arg(long)]
    calibration: bool,
    /// With --kind: print only the trace of this seed's series, as CSV
    #[arg(long, value_name = "SEED", requires = "kind")]
    trace: Option<u64>,
    /// Print only the score on a checkout of the Numenta Anomaly Benchmark
    #[arg(long, value_name = "DIR")]
    nab: Option<PathBuf>,
    /// With --nab: print the result of each file too
    #[arg(long)]
    verbose: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(directory) = &args.nab {
        return nab::run(directory, args.verbose).context("score the Numenta Anomaly Benchmark");
    }
    let first = if args.dev { 1 } else { HELD_OUT };
    let seeds: Vec<u64> = (first..first + args.seeds).collect();
    let kinds: Vec<kinds::Kind> = kinds::ALL
        .into_iter()
        .filter(|kind| args.kind.as_ref().is_none_or(|name| kind.name() == name))
        .collect();
    anyhow::ensure!(
        !kinds.is_empty(),
        "--kind: there is no such kind; write one of {}",
        kinds::ALL.map(kinds::Kind::name).join(", ")
    );
    if let (Some(seed), [kind]) = (args.trace, kinds.as_slice()) {
        losses::trace(*kind, seed);
        return Ok(());
    }
    if args.losses {
        losses::run(&kinds, &seeds);
        return Ok(());
    }
    if args.calibration {
        calibration::run(&seeds);
        return Ok(());
    }
    table::run(&kinds, &seeds);
    if args.kind.is_none() {
        calibration::run(&seeds);
        cost::run()?;
    }
    Ok(())
}
