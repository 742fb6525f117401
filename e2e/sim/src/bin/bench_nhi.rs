//! `bench-nhi`: how well does each method tell what is at fault? See docs/nhi-bench.md.

use std::time::Instant;

use clap::{Parser, Subcommand};
use tidewatch_sim::endurance::Endurance;
use tidewatch_sim::fault::FaultKind;
use tidewatch_sim::innocent::Weather;
use tidewatch_sim::methods::MethodName;
use tidewatch_sim::mode::{DEVELOPMENT_SEEDS, HELD_OUT_SEEDS, Mode};
use tidewatch_sim::score::{self, Outcome};
use tidewatch_sim::{calibrate, endurance, innocent, onset, report, run, scale};

#[derive(Debug, Parser)]
#[command(about = "Judge localisation methods on simulated clusters with known faults")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    table: Table,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The table of methods (also what runs without a subcommand, after `scale`, `onset`, `week` and `innocent`).
    Table(Table),
    /// Healthy but messy traffic: false verdicts.
    Week(Week),
    /// Faults of workloads and remotes alone: is the infrastructure blamed in any of them?
    Innocent(Innocent),
    /// The table that turns the engine's log-odds into its confidence, from development seeds.
    Calibrate(Calibrate),
    /// How soon a fault is detected, and its end, by how much it loses.
    Onset(Onset),
    /// Time and memory of the engine for windows of 1,000 to 100,000 records.
    Scale(Scale),
}

#[derive(Debug, Clone, clap::Args)]
struct Table {
    /// Use the development seeds (for tuning) instead of the held-out ones (for judging).
    #[arg(long)]
    dev: bool,
    /// Trials in each mode.
    #[arg(long, default_value_t = 210)]
    trials: u64,
    /// Skip this many seeds of the range, for another sample of it.
    #[arg(long, default_value_t = 0)]
    skip: u64,
    /// Only these methods.
    #[arg(long = "method", value_enum)]
    methods: Vec<MethodName>,
    /// Only this mode; `wild` is run only when asked for.
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Only this kind of fault.
    #[arg(long, value_enum)]
    kind: Option<FaultKind>,
    /// Print what was missed, trial by trial.
    #[arg(long)]
    verbose: bool,
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Debug, Clone, clap::Args)]
struct Week {
    /// Days of traffic.
    #[arg(long, default_value_t = 7)]
    days: usize,
    /// First cluster; each further one is the next seed.
    #[arg(long, default_value_t = HELD_OUT_SEEDS)]
    seed: u64,
    /// Clusters that are simulated, side by side; the days are shared out between them.
    #[arg(long, default_value_t = 2)]
    clusters: usize,
    #[arg(long, value_enum, default_value = "hard")]
    mode: Mode,
}

#[derive(Debug, Clone, clap::Args)]
struct Innocent {
    /// Use the development seeds instead of the held-out ones.
    #[arg(long)]
    dev: bool,
    /// Skip this many seeds of the range.
    #[arg(long, default_value_t = 0)]
    skip: u64,
    /// Clusters in each mode, each with five trials: one of every such kind of fault.
    #[arg(long, default_value_t = 600)]
    clusters: u64,
    /// Only this mode.
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// So many times as many benign one-window blips of nodes: two in a row are rare otherwise.
    #[arg(long, default_value_t = 1.0)]
    times_blips: f64,
    /// So many times as many benign bursts of services.
    #[arg(long, default_value_t = 1.0)]
    times_bursts: f64,
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Debug, Clone, clap::Args)]
struct Calibrate {
    #[arg(long, default_value_t = 0)]
    skip: u64,
    #[arg(long, default_value_t = 1_500)]
    trials: u64,
    /// By default that which the engine hasn't been tuned on.
    #[arg(long, value_enum, default_value = "wild")]
    mode: Mode,
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Debug, Clone, clap::Args)]
struct Scale {
    #[arg(long, default_value_t = HELD_OUT_SEEDS)]
    seed: u64,
}

#[derive(Debug, Clone, clap::Args)]
struct Onset {
    #[arg(long, default_value_t = HELD_OUT_SEEDS)]
    seed: u64,
    /// Trials for each kind and size.
    #[arg(long, default_value_t = 20)]
    trials: u64,
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() {
    let args = Args::parse();
    match args.command {
        Some(Command::Table(table)) => print_lines(print_table(&table)),
        Some(Command::Week(week)) => print_lines(vec![print_week(&week)]),
        Some(Command::Innocent(innocent)) => print_lines(print_innocent(&innocent)),
        Some(Command::Calibrate(calibrate)) => print_calibration(&calibrate),
        Some(Command::Onset(onset)) => print_lines(print_onset(&onset)),
        Some(Command::Scale(scale)) => print_lines(print_scale(&scale)),
        None => {
            let mut lines = Vec::new();
            if args.table.methods.is_empty() {
                // First, while the process is still small: it measures memory.
                lines.extend(print_scale(&Scale { seed: HELD_OUT_SEEDS }));
                lines.extend(print_onset(&Onset {
                    seed: HELD_OUT_SEEDS,
                    trials: 10,
                    threads: args.table.threads,
                }));
                lines.push(print_week(&Week {
                    days: 7,
                    seed: HELD_OUT_SEEDS,
                    clusters: 2,
                    mode: Mode::Hard,
                }));
                lines.extend(print_innocent(&Innocent {
                    dev: false,
                    skip: 0,
                    clusters: 600,
                    mode: None,
                    times_blips: 1.0,
                    times_bursts: 1.0,
                    threads: args.table.threads,
                }));
            }
            lines.extend(print_table(&args.table));
            print_lines(lines);
        }
    }
}

fn print_lines(lines: Vec<String>) {
    for line in lines {
        println!("{line}");
    }
}

fn print_week(week: &Week) -> String {
    let clusters = week.clusters.max(1);
    let windows = endurance::WEEK * week.days / 7 / clusters;
    let runs: Vec<Endurance> = std::thread::scope(|scope| {
        let run = |n: usize| scope.spawn(move || endurance::endure(week.mode, week.seed + n as u64, windows));
        let running: Vec<_> = (0..clusters).map(run).collect();
        running.into_iter().filter_map(|run| run.join().ok()).collect()
    });
    let sum = |of: fn(&Endurance) -> usize| runs.iter().map(of).sum::<usize>();
    let (infrastructure, others) = (sum(|run| run.false_infrastructure), sum(|run| run.false_others));
    println!(
        "{} days of healthy, messy traffic on {clusters} {} clusters: {} windows, {} records; false verdicts: {infrastructure} on \
         infrastructure, {others} on workloads or remotes; {} windows alarming",
        week.days,
        week.mode.name(),
        sum(|run| run.windows),
        runs.iter().map(|run| run.records).sum::<u64>(),
        sum(|run| run.alarming),
    );
    for (cluster, run) in runs.iter().enumerate() {
        for (window, component) in run.verdicts.iter().take(40) {
            println!("    seed {} window {window}: {component}", week.seed + cluster as u64);
        }
    }
    println!();
    let line = serde_json::json!({
        "bench": "nhi-week",
        "mode": week.mode.name(),
        "days": week.days,
        "false_infrastructure_verdicts": infrastructure,
        "false_other_verdicts": others,
        "windows_alarming": sum(|run| run.alarming),
        "windows": sum(|run| run.windows),
    });
    format!("BENCH {line}")
}

fn print_innocent(innocent: &Innocent) -> Vec<String> {
    let first = if innocent.dev { DEVELOPMENT_SEEDS } else { HELD_OUT_SEEDS } + innocent.skip;
    let modes = innocent.mode.map_or(Mode::JUDGED.to_vec(), |mode| vec![mode]);
    let mut lines = Vec::new();
    for mode in modes {
        let began = Instant::now();
        let weather = Weather { times_blips: innocent.times_blips, times_bursts: innocent.times_bursts };
        let found = innocent::measure(mode, first, innocent.clusters, weather, innocent.threads);
        print!("{}", report::innocence(mode, &found));
        println!(
            "seeds {first}…{}, {:.0} s on {} threads\n",
            first + innocent.clusters - 1,
            began.elapsed().as_secs_f64(),
            innocent.threads
        );
        lines.push(report::innocence_line(mode, &found));
    }
    lines
}

fn print_calibration(calibrate: &Calibrate) {
    let first = DEVELOPMENT_SEEDS + calibrate.skip;
    let seeds: Vec<(u64, FaultKind)> =
        (first..first + calibrate.trials).map(|seed| (seed, FaultKind::of_seed(seed))).collect();
    let outcomes = run::run(calibrate.mode, &seeds, &[MethodName::Tidewatch], calibrate.threads);
    print!("{}", calibrate::table(&score::statements(outcomes.iter().flatten())));
}

fn print_onset(onset: &Onset) -> Vec<String> {
    let mut lines = Vec::new();
    println!(
        "{:<10} {:>6} {:>9} {:>9} {:>16} {:>16}",
        "easy", "loss", "in 60 s", "in 180 s", "detect 50/95%", "recover 50/95%"
    );
    for size in onset::measure(onset.seed, onset.trials, onset.threads) {
        println!(
            "{:<10} {:>5.1}% {:>9.2} {:>9.2} {:>16} {:>16}",
            size.kind.name(),
            size.loss * 100.0,
            size.within_60_s,
            size.within_180_s,
            report::times(&size.score.detect),
            report::times(&size.score.recover),
        );
        let line = serde_json::json!({
            "bench": "nhi-onset",
            "kind": size.kind.name(),
            "loss": size.loss,
            "detected_in_60_s": size.within_60_s,
            "detected_in_180_s": size.within_180_s,
        });
        lines.push(format!("BENCH {line}"));
    }
    println!();
    lines
}

fn print_scale(scale: &Scale) -> Vec<String> {
    println!("{:>9} {:>11} {:>12} {:>10} {:>10}", "records", "a window", "a record", "kept", "peak RSS");
    let mut lines = Vec::new();
    for cost in scale::measure(scale.seed) {
        let seconds = cost.window.as_secs_f64();
        println!(
            "{:>9} {:>8.1} ms {:>9.2} µs {:>6.1} MiB {:>6.1} MiB",
            cost.records,
            seconds * 1e3,
            seconds * 1e6 / cost.records.max(1) as f64,
            cost.kept_kib as f64 / 1024.0,
            cost.peak_kib as f64 / 1024.0,
        );
        let line = serde_json::json!({
            "bench": "nhi-scale",
            "records": cost.records,
            "seconds": seconds,
            "kept_mib": cost.kept_kib as f64 / 1024.0,
            "peak_rss_mib": cost.peak_kib as f64 / 1024.0,
        });
        lines.push(format!("BENCH {line}"));
    }
    println!();
    lines
}

/// The BENCH lines of the table it prints.
fn print_table(table: &Table) -> Vec<String> {
    let methods = if table.methods.is_empty() { MethodName::ALL.to_vec() } else { table.methods.clone() };
    let first = if table.dev { DEVELOPMENT_SEEDS } else { HELD_OUT_SEEDS } + table.skip;
    let seeds: Vec<(u64, FaultKind)> = (first..first + table.trials)
        .map(|seed| (seed, table.kind.unwrap_or_else(|| FaultKind::of_seed(seed))))
        .collect();
    let mut lines = Vec::new();
    let modes = table.mode.map_or(Mode::JUDGED.to_vec(), |mode| vec![mode]);
    for mode in modes {
        let began = Instant::now();
        let results: Vec<(MethodName, Vec<Outcome>)> =
            methods.iter().copied().zip(run::run(mode, &seeds, &methods, table.threads)).collect();
        println!("{}", report::methods(mode, &results));
        println!("{}", report::kinds(&results));
        for (name, outcomes) in &results {
            if table.verbose {
                println!("{}", report::misses(*name, outcomes));
            }
            if *name == MethodName::Tidewatch {
                println!("{}", report::confidence(outcomes));
            }
            lines.push(report::bench_line(mode, *name, outcomes));
        }
        println!(
            "seeds {first}…{}, {:.0} s on {} threads\n",
            first + table.trials - 1,
            began.elapsed().as_secs_f64(),
            table.threads
        );
    }
    lines
}
