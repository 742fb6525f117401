//! `bench-nhi`: how well does each method tell what is at fault? See docs/nhi-bench.md.

mod args;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tidewatch_sim::clock::Clock;
use tidewatch_sim::endurance::Endurance;
use tidewatch_sim::fault::FaultKind;
use tidewatch_sim::innocent::Weather;
use tidewatch_sim::methods::MethodName;
use tidewatch_sim::mode::{DEVELOPMENT_SEEDS, HELD_OUT_SEEDS, Mode};
use tidewatch_sim::score::{self, Outcome};
use tidewatch_sim::{
    Trial, calibrate, endurance, innocent, onset, reality, recorded, report, run, scale, verdicts,
};

use self::args::{Args, Calibrate, Command, Innocent, Onset, Reality, Scale, Table, Verdicts, Week};

fn main() -> ExitCode {
    let args = Args::parse();
    match args.command {
        Some(Command::Recorded(recorded)) => match recorded::replay_all(&recorded.directory, recorded.window)
        {
            Ok(replays) => print!("{}", report::recorded(&replays, recorded.window)),
            Err(error) => {
                eprintln!("{error:#}");
                return ExitCode::FAILURE;
            }
        },
        Some(Command::Table(table)) => print_lines(print_table(&table)),
        Some(Command::Reality(reality)) => print_lines(print_reality(&reality)),
        Some(Command::Week(week)) => print_lines(vec![print_week(&week)]),
        Some(Command::Innocent(innocent)) => print_lines(print_innocent(&innocent)),
        Some(Command::Calibrate(calibrate)) => print_calibration(&calibrate),
        Some(Command::Onset(onset)) => print_lines(print_onset(&onset)),
        Some(Command::Scale(scale)) => print_lines(print_scale(&scale)),
        Some(Command::Verdicts(verdicts)) => {
            if let Err(error) = print_verdicts(&verdicts) {
                eprintln!("{error:#}");
                return ExitCode::FAILURE;
            }
        }
        None => {
            let mut lines = Vec::new();
            if args.table.methods.is_empty() {
                // First, while the process is still small: it measures memory.
                lines.extend(print_scale(&Scale { seed: HELD_OUT_SEEDS }));
                lines.extend(print_onset(&Onset {
                    seed: HELD_OUT_SEEDS,
                    trials: 10,
                    window: Clock { seconds: 15 },
                    threads: args.table.threads,
                }));
                for (shortages, seconds) in [(false, 30), (true, 15)] {
                    lines.push(print_week(&Week {
                        days: 7,
                        seed: HELD_OUT_SEEDS,
                        clusters: 2,
                        mode: Mode::Hard,
                        shortages,
                        window: Clock { seconds },
                    }));
                }
                lines.extend(print_innocent(&Innocent {
                    dev: false,
                    skip: 0,
                    clusters: 600,
                    mode: None,
                    times_blips: 1.0,
                    times_bursts: 1.0,
                    window: Clock::default(),
                    threads: args.table.threads,
                }));
                lines.extend(print_reality(&Reality {
                    dev: false,
                    skip: 0,
                    clusters: 40,
                    modes: Vec::new(),
                    kinds: Vec::new(),
                    window: Clock { seconds: 15 },
                    verbose: false,
                    threads: args.table.threads,
                }));
            }
            lines.extend(print_table(&args.table));
            print_lines(lines);
        }
    }
    ExitCode::SUCCESS
}

fn print_lines(lines: Vec<String>) {
    for line in lines {
        println!("{line}");
    }
}

fn print_verdicts(args: &Verdicts) -> anyhow::Result<()> {
    let first = if args.dev { DEVELOPMENT_SEEDS } else { HELD_OUT_SEEDS };
    let mut out = std::io::stdout().lock();
    for lines in verdicts::lines(&verdicts::cases(first, args.seeds, args.window), args.threads) {
        out.write_all(lines?.as_bytes())?;
    }
    Ok(())
}

fn healthy(week: &Week, seed: u64) -> Trial {
    let trial = if week.shortages {
        Trial::real(week.mode, seed, FaultKind::Healthy, week.window, true)
    } else {
        Trial::in_windows_of(week.mode, seed, FaultKind::Healthy, week.window)
    };
    trial.endless()
}

fn print_reality(reality: &Reality) -> Vec<String> {
    let first = if reality.dev { DEVELOPMENT_SEEDS } else { HELD_OUT_SEEDS } + reality.skip;
    let modes = if reality.modes.is_empty() {
        vec![Mode::Easy, Mode::Hard, Mode::Small]
    } else {
        reality.modes.clone()
    };
    let kinds: Vec<FaultKind> =
        if reality.kinds.is_empty() { FaultKind::real().collect() } else { reality.kinds.clone() };
    let mut lines = Vec::new();
    for mode in modes {
        let began = Instant::now();
        let seeds = (first, reality.clusters);
        let outcomes = reality::measure(mode, reality.window, seeds, &kinds, reality.threads);
        print!("{}", report::reality(mode, reality.window, &kinds, &outcomes));
        println!(
            "seeds {first}…{}, {:.0} s on {} threads\n",
            first + reality.clusters - 1,
            began.elapsed().as_secs_f64(),
            reality.threads
        );
        if reality.verbose {
            println!("{}", report::wrong_words(&outcomes));
        }
        for kind in &kinds {
            let of_kind: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.kind == *kind).collect();
            lines.push(report::reality_line(mode, reality.window, kind.name(), &of_kind));
        }
    }
    lines
}

fn print_week(week: &Week) -> String {
    let clusters = week.clusters.max(1);
    let windows = week.window.windows_of(endurance::DAY) * week.days / clusters;
    let runs: Vec<Endurance> = std::thread::scope(|scope| {
        let run =
            |n: usize| scope.spawn(move || endurance::endure(healthy(week, week.seed + n as u64), windows));
        let running: Vec<_> = (0..clusters).map(run).collect();
        running.into_iter().filter_map(|run| run.join().ok()).collect()
    });
    let sum = |of: fn(&Endurance) -> usize| runs.iter().map(of).sum::<usize>();
    let (infrastructure, others) = (sum(|run| run.false_infrastructure), sum(|run| run.false_others));
    println!(
        "{} days of healthy, messy traffic{} on {clusters} {} clusters: {} windows of {} s, {} records; false verdicts: {infrastructure} on \
         infrastructure, {others} on workloads or remotes; {} windows alarming",
        week.days,
        if week.shortages { " with shortages of CPU" } else { "" },
        week.mode.name(),
        sum(|run| run.windows),
        week.window.seconds,
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
        "shortages": week.shortages,
        "window_seconds": week.window.seconds,
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
        let found =
            innocent::measure(mode, innocent.window, first, innocent.clusters, weather, innocent.threads);
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
    let outcomes =
        run::run(calibrate.mode, Clock::default(), &seeds, &[MethodName::Tidewatch], calibrate.threads);
    print!("{}", calibrate::table(&score::statements(outcomes.iter().flatten())));
}

fn print_onset(onset: &Onset) -> Vec<String> {
    let mut lines = Vec::new();
    println!(
        "{:<20} {:>10} {:>8} {:>16} {:>9} {:>16}",
        format!("easy, {} s windows", onset.window.seconds),
        "in time",
        "limit",
        "detect 50/95%",
        "longest",
        "recover 50/95%"
    );
    for found in onset::measure(onset.window, onset.seed, onset.trials, onset.threads) {
        println!(
            "{:<20} {:>10.2} {:>6} s {:>16} {:>9} {:>16}",
            found.matter.name(),
            found.in_time,
            found.matter.limit_seconds(),
            report::times(&found.score.detect),
            found.longest.map_or("never".to_owned(), |longest| format!("{longest} s")),
            report::times(&found.score.recover),
        );
        let line = serde_json::json!({
            "bench": "nhi-onset",
            "window_seconds": onset.window.seconds,
            "fault": found.matter.name(),
            "limit_seconds": found.matter.limit_seconds(),
            "in_time": found.in_time,
            "detect_seconds_median": found.score.detect.median,
            "detect_seconds_p95": found.score.detect.p95,
            "detect_seconds_longest": found.longest,
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
        let results: Vec<(MethodName, Vec<Outcome>)> = methods
            .iter()
            .copied()
            .zip(run::run(mode, table.window, &seeds, &methods, table.threads))
            .collect();
        println!("{}", report::methods(mode, &results));
        println!("{}", report::kinds(&results));
        for (name, outcomes) in &results {
            if table.verbose {
                println!("{}", report::misses(*name, outcomes));
            }
            if *name == MethodName::Tidewatch {
                println!("{}", report::confidence(outcomes));
            }
            lines.push(report::bench_line(mode, table.window, *name, outcomes));
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
