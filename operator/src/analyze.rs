//! `tidewatch analyze`: the verdicts on recorded flow windows, by the very code the operator runs.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Span, Timestamp};
use tidewatch_health::{Config, Engine, Sensitivity, Window};
use tidewatch_records::{FlowWindow, NodeWindow, Record};

use self::inputs::{Inputs, Malformed, Origin, window};

mod inputs;

/// Longest gap, in windows, whose windows are judged as silent; a longer gap lies between two recordings.
const MOST_SILENT: i64 = 120;

/// Judge recorded flow windows: one verdict a line for each evaluation window
///
/// Reads flow-window records (JSON Lines as in docs/flow-records.md, with their endpoints resolved to pods, services,
/// nodes and zones: what `tidewatch-agent --stdout` prints has addresses only) and how the nodes were, learns what each
/// service is used to as it goes, and prints a JSON verdict for each evaluation window: healthy, degraded or insufficient
/// data, which component is at fault, and the evidence. Each file must be in time order; several files are merged by
/// time. What an operator recorded (its option --record-windows) is judged as it was by the operator.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Length of an evaluation window, such as 60s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = window_length)]
    pub evaluate: u32,
    /// Records to learn from first, without printing verdicts on them
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Sensitivity: low, standard or high
    #[arg(long, value_name = "LEVEL", default_value = "standard", value_parser = sensitivity)]
    pub sensitivity: Sensitivity,
    /// Records (.jsonl or .jsonl.zst); - is standard input
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
    write_verdicts(args, &mut std::io::BufWriter::new(std::io::stdout().lock()))
}

/// Writes the verdicts on the files of `args`.
pub(crate) fn write_verdicts(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let mut engine = Engine::new(Config { sensitivity: args.sensitivity });
    let mut malformed = Malformed::default();
    if let Some(history) = &args.history {
        let mut inputs = Inputs::open(std::slice::from_ref(history))?;
        judge(&mut inputs, args.evaluate, &mut engine, &mut malformed, &mut std::io::sink())?;
    }
    let mut inputs = Inputs::open(&args.files)?;
    judge(&mut inputs, args.evaluate, &mut engine, &mut malformed, out)?;
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
    let mut open: Option<Open> = None;
    while let Some((record, origin)) = inputs.next(malformed)? {
        let start = evaluation_window(&record, &origin, seconds)?;
        let late = open.as_ref().filter(|open| start < open.start).map(|open| open.start);
        if let Some(late) = late {
            let (at, _) = window(&record);
            malformed.report(&origin, &format!("{at} comes after {late}: not in time order"));
            continue;
        }
        if let Some(ended) = open.take_if(|open| start > open.start) {
            let silent = silent_windows(ended.start, start, seconds);
            ended.conclude(inputs, seconds, engine, out)?;
            for start in silent {
                Open::new(start).conclude(inputs, seconds, engine, out)?;
            }
        }
        open.get_or_insert_with(|| Open::new(start)).take(record);
    }
    match open {
        Some(last) => last.conclude(inputs, seconds, engine, out),
        None => Ok(()),
    }
}

/// The evaluation window that is being read. An agent's accounting opens one too, so that a window in which nothing was
/// sent is judged as any other.
struct Open {
    start: Timestamp,
    flows: Vec<FlowWindow>,
    nodes: Vec<NodeWindow>,
}

impl Open {
    fn new(start: Timestamp) -> Self {
        Self { start, flows: Vec::new(), nodes: Vec::new() }
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Flow(flow) => self.flows.push(flow),
            Record::Node(node) => self.nodes.push(node),
            Record::Accounting(_) => {}
        }
    }

    /// Writes the verdict on the window. A window with missing records isn't judged, since the missing ones may be
    /// those that matter.
    fn conclude(
        self,
        inputs: &Inputs,
        seconds: u32,
        engine: &mut Engine,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        if inputs.is_incomplete(self.start, seconds) {
            return Ok(());
        }
        let Self { start, flows, nodes } = self;
        let verdict = engine.evaluate(&Window { start, seconds, flows: &flows, nodes: &nodes });
        serde_json::to_writer(&mut *out, &verdict).context("writing a verdict")?;
        // Each verdict is there as soon as it is known: standard input may be a live stream.
        out.write_all(b"\n").and_then(|()| out.flush()).context("writing a verdict")
    }
}

/// The start of the evaluation window that a record belongs to.
fn evaluation_window(record: &Record, origin: &Origin, seconds: u32) -> anyhow::Result<Timestamp> {
    let (start, length) = window(record);
    ensure!(
        length <= seconds,
        "{origin}: a record of {length} s doesn't fit an evaluation window of {seconds} s; raise --evaluate"
    );
    window_of(start, seconds)
}

/// The starts of the windows between two others, in which nothing was recorded: they are judged as silent. Empty if
/// they are more than [`MOST_SILENT`], since a longer gap lies between two recordings.
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

#[cfg(test)]
#[path = "analyze_tests.rs"]
mod tests;
