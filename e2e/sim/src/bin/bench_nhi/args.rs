//! The commands and options of `bench-nhi`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tidewatch_sim::clock::Clock;
use tidewatch_sim::fault::FaultKind;
use tidewatch_sim::methods::MethodName;
use tidewatch_sim::mode::{HELD_OUT_SEEDS, Mode};

#[derive(Debug, Parser)]
#[command(about = "Judge localisation methods on simulated clusters with known faults")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) table: Table,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The table of methods (also what runs without a subcommand, after `scale`, `onset`, `week` and `innocent`).
    Table(Table),
    /// Trials modelled on real software and machines: connections that fail at a node, heavy loss, nodes short of CPU,
    /// restarts.
    Reality(Reality),
    /// Windows recorded on real software, replayed: what was named, how soon, and what was named wrongly.
    Recorded(Recorded),
    /// Healthy but messy traffic: false verdicts.
    Week(Week),
    /// Faults of workloads and remotes alone: is the infrastructure blamed in any of them?
    Innocent(Innocent),
    /// The table that turns the engine's log-odds into its confidence, from development seeds.
    Calibrate(Calibrate),
    /// Time until a fault and its end are detected, by the kind of fault and its share of loss.
    Onset(Onset),
    /// Every verdict as a JSON line, to compare two versions of the engine byte by byte.
    Verdicts(Verdicts),
    /// Time and memory of the engine for windows of 1,000 to 100,000 records.
    Scale(Scale),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Table {
    /// Use the development seeds (for tuning) instead of the held-out ones (for judging).
    #[arg(long)]
    pub(crate) dev: bool,
    /// Trials in each mode.
    #[arg(long, default_value_t = 210)]
    pub(crate) trials: u64,
    /// Skip this many seeds of the range, for another sample of it.
    #[arg(long, default_value_t = 0)]
    pub(crate) skip: u64,
    /// Only these methods.
    #[arg(long = "method", value_enum)]
    pub(crate) methods: Vec<MethodName>,
    /// Only this mode; `wild` is run only when asked for.
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// Only this kind of fault.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<FaultKind>,
    /// Print what was missed, trial by trial.
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Seconds of a window; a divisor of 60.
    #[arg(long, default_value = "30", value_parser = clock)]
    pub(crate) window: Clock,
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
}

pub(crate) fn clock(text: &str) -> Result<Clock, String> {
    let seconds = text.parse().ok().and_then(Clock::new);
    seconds.ok_or_else(|| "a number of seconds that 60 is a multiple of".to_owned())
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Reality {
    /// Use the development seeds instead of the held-out ones.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Skip this many seeds of the range.
    #[arg(long, default_value_t = 0)]
    pub(crate) skip: u64,
    /// Clusters in each mode, each with one trial of every kind.
    #[arg(long, default_value_t = 60)]
    pub(crate) clusters: u64,
    /// Only these modes.
    #[arg(long = "mode", value_enum)]
    pub(crate) modes: Vec<Mode>,
    /// Only these kinds.
    #[arg(long = "kind", value_enum)]
    pub(crate) kinds: Vec<FaultKind>,
    /// Seconds of a window; a divisor of 60.
    #[arg(long, default_value = "15", value_parser = clock)]
    pub(crate) window: Clock,
    /// Print what was wrong, trial by trial, in the engine's words.
    #[arg(long)]
    pub(crate) verbose: bool,
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Recorded {
    /// Holds NAME.jsonl or NAME.jsonl.zst, and NAME.truth.jsonl where something was at fault.
    pub(crate) directory: PathBuf,
    /// Seconds of an evaluation window.
    #[arg(long, default_value_t = 15)]
    pub(crate) window: u32,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Week {
    /// Days of traffic.
    #[arg(long, default_value_t = 7)]
    pub(crate) days: usize,
    /// First cluster; each further one is the next seed.
    #[arg(long, default_value_t = HELD_OUT_SEEDS)]
    pub(crate) seed: u64,
    /// Clusters that are simulated, side by side; the days are shared out between them.
    #[arg(long, default_value_t = 2)]
    pub(crate) clusters: usize,
    #[arg(long, value_enum, default_value = "hard")]
    pub(crate) mode: Mode,
    /// Nodes are short of CPU now and then, for half an hour to four hours: one, all, or one by turns.
    #[arg(long)]
    pub(crate) shortages: bool,
    /// Seconds of a window; a divisor of 60.
    #[arg(long, default_value = "30", value_parser = clock)]
    pub(crate) window: Clock,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Innocent {
    /// Use the development seeds instead of the held-out ones.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Skip this many seeds of the range.
    #[arg(long, default_value_t = 0)]
    pub(crate) skip: u64,
    /// Clusters in each mode, each with five trials: one of every such kind of fault.
    #[arg(long, default_value_t = 600)]
    pub(crate) clusters: u64,
    /// Only this mode.
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// So many times as many benign one-window blips of nodes: two in a row are rare otherwise.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) times_blips: f64,
    /// So many times as many benign bursts of services.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) times_bursts: f64,
    /// Seconds of a window; a divisor of 60.
    #[arg(long, default_value = "30", value_parser = clock)]
    pub(crate) window: Clock,
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Calibrate {
    #[arg(long, default_value_t = 0)]
    pub(crate) skip: u64,
    #[arg(long, default_value_t = 1_500)]
    pub(crate) trials: u64,
    /// By default that which the engine hasn't been tuned on.
    #[arg(long, value_enum, default_value = "wild")]
    pub(crate) mode: Mode,
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Scale {
    #[arg(long, default_value_t = HELD_OUT_SEEDS)]
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Onset {
    #[arg(long, default_value_t = HELD_OUT_SEEDS)]
    pub(crate) seed: u64,
    /// Trials for each kind and size.
    #[arg(long, default_value_t = 20)]
    pub(crate) trials: u64,
    /// Seconds of a window; a divisor of 60.
    #[arg(long, default_value = "15", value_parser = clock)]
    pub(crate) window: Clock,
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Verdicts {
    /// Use the development seeds instead of the held-out ones.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Seeds of the table's trials, each in every mode.
    #[arg(long, default_value_t = 30)]
    pub(crate) seeds: u64,
    /// Seconds of a window of the trials on real machines; a divisor of 60.
    #[arg(long, default_value = "15", value_parser = clock)]
    pub(crate) window: Clock,
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
}
