//! Records every judged window with the verdicts on it, for a diagnosis: `tidewatch analyze` judges the recorded
//! windows and comes to the same verdicts. Errors are logged and counted, and nothing else waits for the recording.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tidewatch_evaluation::{ClusterWindow, Evaluation, Judged, Key};
use tidewatch_health::Verdict;
use tidewatch_records::jsonl;
use tokio::sync::mpsc;

use self::files::Files;

mod files;

/// Most judged windows that wait to be written.
pub const QUEUE: usize = 4;

/// Directory of the recordings, and the limit on their size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub directory: PathBuf,
    /// Limit on the size of all files, in bytes; the oldest are deleted beyond it.
    pub most_bytes: u64,
}

/// Metrics of the recording. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    windows: Counter,
    failures: Counter,
}

impl Metrics {
    pub(crate) fn register(&self, to: &mut prometheus_client::registry::Registry) {
        let to = to.sub_registry_with_prefix("recording");
        to.register("windows", "Judged windows that were recorded", self.windows.clone());
        to.register("failures", "Judged windows that could not be recorded", self.failures.clone());
    }
}

/// Records judged windows until all engines have ended.
pub async fn record(settings: Settings, metrics: Metrics, mut judged: mpsc::Receiver<Judged>) {
    tracing::info!(directory = %settings.directory.display(), most_bytes = settings.most_bytes, "recording what is judged");
    let mut recording = Recording::new(settings);
    let mut failing = false;
    while let Some((key, evaluation)) = judged.recv().await {
        let start = evaluation.window.start;
        let written = tokio::task::spawn_blocking(move || {
            let result = recording.keep(key, &evaluation);
            (recording, result)
        });
        let result = match written.await {
            Ok((back, result)) => {
                recording = back;
                result
            }
            Err(error) => {
                tracing::error!(%error, "recording what is judged panicked; nothing is recorded any more");
                return;
            }
        };
        match result {
            Ok(()) => {
                metrics.windows.inc();
                failing = false;
            }
            Err(error) => {
                metrics.failures.inc();
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, %start, "what is judged can't be recorded");
                }
            }
        }
    }
}

struct Recording {
    files: Files,
    /// The last window of each length that was written.
    written: BTreeMap<u32, Timestamp>,
}

impl Recording {
    fn new(settings: Settings) -> Self {
        Self { files: Files::new(settings.directory, settings.most_bytes), written: BTreeMap::new() }
    }

    /// Writes a verdict, and its window unless an engine of the same window length has had it written before.
    fn keep(&mut self, key: Key, evaluation: &Evaluation) -> io::Result<()> {
        let window = &evaluation.window;
        if self.written.get(&window.seconds).is_none_or(|last| *last < window.start) {
            let series = format!("windows-{}s", window.seconds);
            self.files.append(&series, window.start, |out| write_window(out, window))?;
            self.written.insert(window.seconds, window.start);
        }
        let verdict = &evaluation.verdict;
        self.files.append(&format!("verdicts-{key}"), window.start, |out| write_verdict(out, verdict))?;
        self.files.expire()
    }
}

fn write_window(out: &mut dyn Write, window: &ClusterWindow) -> io::Result<()> {
    let mut out = out;
    for flow in &window.flows {
        jsonl::write_flow(&mut out, flow)?;
    }
    for node in &window.nodes {
        jsonl::write_node(&mut out, node)?;
    }
    for accounting in window.accounting.values() {
        jsonl::write_accounting(&mut out, accounting)?;
    }
    Ok(())
}

/// Writes a verdict as `tidewatch analyze` prints it.
fn write_verdict(mut out: &mut dyn Write, verdict: &Verdict) -> io::Result<()> {
    serde_json::to_writer(&mut out, verdict)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests;
