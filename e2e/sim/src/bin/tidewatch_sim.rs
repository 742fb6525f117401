//! `tidewatch-sim`: writes simulated flow-window records, and what was really the matter, for `tidewatch analyze`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};
use tidewatch_records::jsonl;
use tidewatch_sim::Trial;
use tidewatch_sim::clock::Clock;
use tidewatch_sim::fault::FaultKind;
use tidewatch_sim::mode::Mode;

#[derive(Debug, Parser)]
#[command(about = "Simulate a cluster's flow-window records with a known fault")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write one trial: half an hour of healthy history, the fault, and four minutes after it.
    Generate(Generate),
    /// Say which component is at fault in a trial, and since when.
    Describe(Which),
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct Which {
    #[arg(long, value_enum, default_value = "hard")]
    mode: Mode,
    /// The same seed gives the same records, always.
    #[arg(long)]
    seed: u64,
    /// The kind of fault; without it the seed decides.
    #[arg(long, value_enum)]
    kind: Option<FaultKind>,
    /// Seconds of a window, for a trial on real machines; so are all trials of the kinds of `bench-nhi reality`.
    #[arg(long)]
    window: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct Generate {
    #[command(flatten)]
    which: Which,
    /// Where the records go, as JSON Lines; `.zst` compresses them, `-` is standard output.
    #[arg(long)]
    out: PathBuf,
    /// Where the truth goes, a line a window; FILE.truth.jsonl beside the records unless said otherwise.
    #[arg(long)]
    truth: Option<PathBuf>,
    /// Write this many windows of healthy traffic instead of a trial.
    #[arg(long)]
    healthy_windows: Option<usize>,
}

impl Which {
    fn trial(&self) -> anyhow::Result<Trial> {
        let kind = self.kind.unwrap_or_else(|| FaultKind::of_seed(self.seed));
        if self.window.is_none() && FaultKind::TABLE.contains(&kind) {
            return Ok(Trial::with_kind(self.mode, self.seed, kind));
        }
        let clock = Clock::new(self.window.unwrap_or(15)).context("--window is to divide 60")?;
        Ok(Trial::real(self.mode, self.seed, kind, clock, false))
    }
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Generate(generate) => write_trial(&generate),
        Command::Describe(which) => describe(&which),
    }
}

fn write_trial(generate: &Generate) -> anyhow::Result<()> {
    let (mut trial, windows) = match generate.healthy_windows {
        Some(windows) => {
            let healthy = Which { kind: Some(FaultKind::Healthy), ..generate.which };
            (healthy.trial()?.endless(), windows)
        }
        None => (generate.which.trial()?, usize::MAX),
    };
    let mut out = open(&generate.out)?;
    let mut truth_out = match truth_path(generate) {
        Some(path) => Some(open(&path)?),
        None => None,
    };
    let mut records = Vec::new();
    for _ in 0..windows {
        let Some(truth) = trial.step(&mut records) else { break };
        for record in &records {
            jsonl::write_flow(&mut out, record)?;
        }
        for node in trial.nodes() {
            jsonl::write_node(&mut out, node)?;
        }
        if let Some(truth_out) = &mut truth_out {
            serde_json::to_writer(&mut *truth_out, &truth)?;
            truth_out.write_all(b"\n")?;
        }
    }
    out.flush().with_context(|| format!("can't write {}", generate.out.display()))?;
    truth_out.map_or(Ok(()), |mut truth| truth.flush()).context("can't write the truth")
}

/// Standard output has no neighbour to put the truth in.
fn truth_path(generate: &Generate) -> Option<PathBuf> {
    generate.truth.clone().or_else(|| {
        let mut path = generate.out.clone().into_os_string();
        (path != "-").then(|| {
            path.push(".truth.jsonl");
            PathBuf::from(path)
        })
    })
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufWriter::new(io::stdout().lock())));
    }
    let file = File::create(path).with_context(|| format!("can't create {}", path.display()))?;
    Ok(if path.extension().is_some_and(|extension| extension == "zst") {
        Box::new(BufWriter::new(zstd::Encoder::new(file, 3)?.auto_finish()))
    } else {
        Box::new(BufWriter::new(file))
    })
}

fn describe(which: &Which) -> anyhow::Result<()> {
    let mut trial = which.trial()?;
    let mut records = Vec::new();
    while let Some(truth) = trial.step(&mut records) {
        if truth.intensity > 0.0 {
            println!("{}", serde_json::to_string(&truth)?);
        }
    }
    println!("{:?}", trial.fault());
    Ok(())
}
