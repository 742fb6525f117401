//! `tidewatch analyze`: the verdicts on recorded flow windows, by the very code the operator runs.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Span, Timestamp};
use tidewatch_health::{Config, Engine, Sensitivity, Window};
use tidewatch_records::jsonl::{self, ReadError, Reader};
use tidewatch_records::{FlowWindow, Record};

/// Above this share of malformed lines the input isn't to be trusted.
const MOST_MALFORMED: f64 = 0.01;
/// Windows without a record that are told as such; a longer gap is one between recordings.
const MOST_SILENT: i64 = 120;
/// Malformed lines that are printed; the rest are counted.
const PRINTED_MALFORMED: u64 = 20;

/// Judge recorded flow windows: one verdict a line for each evaluation window
///
/// Reads flow-window records (JSON Lines as in docs/flow-records.md, with their endpoints resolved to pods, services,
/// nodes and zones: what `tidewatch-agent --stdout` prints has addresses only), learns what each service is used to as it goes, and prints a JSON verdict for each evaluation
/// window: healthy, degraded or insufficient data, which component is at fault, and the evidence. Each file must be in
/// time order; several files are merged by time.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Length of an evaluation window, such as 60s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = window_length)]
    pub evaluate: u32,
    /// Records to learn from first, without printing verdicts on them
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// How readily to speak: low, standard or high
    #[arg(long, value_name = "LEVEL", default_value = "standard", value_parser = sensitivity)]
    pub sensitivity: Sensitivity,
    /// Flow-window records (.jsonl or .jsonl.zst); - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

fn window_length(text: &str) -> Result<u32, String> {
    let span: Span = text.parse().map_err(|_| format!("{text:?} isn't a duration; write 60s or 5m"))?;
    let duration = SignedDuration::try_from(span).map_err(|error| error.to_string())?;
    u32::try_from(duration.as_secs())
        .ok()
        .filter(|seconds| (1..=86_400).contains(seconds))
        .ok_or_else(|| format!("{text:?} is out of range; write 1s to 24h"))
}

fn sensitivity(text: &str) -> Result<Sensitivity, String> {
    match text.to_ascii_lowercase().as_str() {
        "low" => Ok(Sensitivity::Low),
        "standard" => Ok(Sensitivity::Standard),
        "high" => Ok(Sensitivity::High),
        _ => Err("write low, standard or high".to_owned()),
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut engine = Engine::new(Config { sensitivity: args.sensitivity });
    let mut malformed = Malformed::default();
    if let Some(history) = &args.history {
        let mut inputs = Inputs::open(std::slice::from_ref(history))?;
        judge(&mut inputs, args.evaluate, &mut engine, &mut malformed, &mut std::io::sink())?;
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut inputs = Inputs::open(&args.files)?;
    judge(&mut inputs, args.evaluate, &mut engine, &mut malformed, &mut out)?;
    out.flush().context("writing verdicts")?;
    malformed.conclude()
}

/// Reads all windows of `inputs` and writes the verdicts on them.
fn judge(
    inputs: &mut Inputs,
    seconds: u32,
    engine: &mut Engine,
    malformed: &mut Malformed,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut flows: Vec<FlowWindow> = Vec::new();
    let mut current: Option<Timestamp> = None;
    while let Some((flow, origin)) = inputs.next(malformed)? {
        ensure!(
            flow.window_seconds <= seconds,
            "{origin}: a record of {} s doesn't fit an evaluation window of {seconds} s; raise --evaluate",
            flow.window_seconds
        );
        let start = window_of(flow.window_start, seconds)?;
        match current {
            Some(open) if start < open => {
                malformed
                    .report(&origin, &format!("{} comes after {open}: not in time order", flow.window_start));
                continue;
            }
            Some(open) if start > open => {
                write_verdict(engine, open, seconds, &flows, out)?;
                flows.clear();
                for silent in silent_windows(open, start, seconds) {
                    write_verdict(engine, silent, seconds, &flows, out)?;
                }
            }
            _ => {}
        }
        current = Some(start);
        flows.push(flow);
    }
    if let Some(open) = current {
        write_verdict(engine, open, seconds, &flows, out)?;
    }
    Ok(())
}

/// The windows strictly between two, if they are not more than [`MOST_SILENT`]: nothing was recorded in them, and that
/// is told. A longer gap is between two recordings.
fn silent_windows(open: Timestamp, next: Timestamp, seconds: u32) -> impl Iterator<Item = Timestamp> {
    let length = i64::from(seconds);
    let count = (next.as_second() - open.as_second()) / length - 1;
    let count = if count > MOST_SILENT { 0 } else { count };
    (1..=count).filter_map(move |n| Timestamp::from_second(open.as_second() + n * length).ok())
}

/// The start of the evaluation window that holds `at`: windows are aligned to multiples of their length.
fn window_of(at: Timestamp, seconds: u32) -> anyhow::Result<Timestamp> {
    let length = i64::from(seconds);
    Timestamp::from_second(at.as_second().div_euclid(length) * length)
        .context("a window's start is out of range")
}

fn write_verdict(
    engine: &mut Engine,
    start: Timestamp,
    seconds: u32,
    flows: &[FlowWindow],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let verdict = engine.evaluate(&Window { start, seconds, flows, nodes: &[] });
    serde_json::to_writer(&mut *out, &verdict).context("writing a verdict")?;
    // Each verdict is there as soon as it is known: standard input may be a live stream.
    out.write_all(b"\n").and_then(|()| out.flush()).context("writing a verdict")
}

/// Where a record came from, for messages.
#[derive(Debug, Clone)]
struct Origin {
    path: PathBuf,
    line: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: line {}", shown(&self.path), self.line)
    }
}

/// Lines that can't be used.
#[derive(Debug, Default)]
struct Malformed {
    count: u64,
    lines: u64,
}

impl Malformed {
    fn report(&mut self, origin: &Origin, reason: &str) {
        self.count += 1;
        match self.count {
            n if n <= PRINTED_MALFORMED => eprintln!("tidewatch: {origin}: {reason}"),
            n if n == PRINTED_MALFORMED + 1 => {
                eprintln!("tidewatch: there are more malformed lines; they are counted");
            }
            _ => {}
        }
    }

    fn conclude(&self) -> anyhow::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let share = self.count as f64 / self.lines.max(1) as f64;
        ensure!(
            share <= MOST_MALFORMED,
            "{} of {} lines are malformed, which is more than {}%: the verdicts can't be trusted",
            self.count,
            self.lines,
            MOST_MALFORMED * 100.0
        );
        eprintln!("tidewatch: {} of {} lines are malformed and were left out", self.count, self.lines);
        Ok(())
    }
}

fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}

type Input = Reader<Box<dyn BufRead>>;

/// Several files, each in time order, read as one in time order.
struct Inputs {
    readers: Vec<(PathBuf, Input)>,
    /// The next record of each file that has one, by time and then by file, with its line.
    heads: BTreeMap<(Timestamp, usize), (FlowWindow, u64)>,
    primed: bool,
}

impl Inputs {
    fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let open = |path: &PathBuf| {
            let reader = jsonl::open(path).with_context(|| format!("{} can't be read", shown(path)))?;
            Ok((path.clone(), reader))
        };
        let readers = paths.iter().map(open).collect::<anyhow::Result<_>>()?;
        Ok(Self { readers, heads: BTreeMap::new(), primed: false })
    }

    fn next(&mut self, malformed: &mut Malformed) -> anyhow::Result<Option<(FlowWindow, Origin)>> {
        if !self.primed {
            self.primed = true;
            for file in 0..self.readers.len() {
                self.advance(file, malformed)?;
            }
        }
        let Some(((_, file), (flow, line))) = self.heads.pop_first() else { return Ok(None) };
        let path = self.readers.get(file).map(|(path, _)| path.clone()).unwrap_or_default();
        self.advance(file, malformed)?;
        Ok(Some((flow, Origin { path, line })))
    }

    /// Reads the next flow-window of `file`.
    fn advance(&mut self, file: usize, malformed: &mut Malformed) -> anyhow::Result<()> {
        let Some((path, reader)) = self.readers.get_mut(file) else { return Ok(()) };
        while let Some(item) = reader.next() {
            malformed.lines += 1;
            match item {
                Ok(Record::Flow(flow)) => {
                    self.heads.insert((flow.window_start, file), (flow, reader.line()));
                    return Ok(());
                }
                Ok(Record::Accounting(_) | Record::Node(_)) => {}
                Err(ReadError::Malformed { line, reason }) => {
                    malformed.report(&Origin { path: path.clone(), line }, &reason);
                }
                Err(error @ ReadError::Io { .. }) => {
                    return Err(error).with_context(|| format!("{} can't be read to its end", shown(path)));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "analyze_tests.rs"]
mod tests;
