//! The files that are analyzed: several files, each in time order, are read as one in time order, and lines that can't
//! be used are counted.

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use tidewatch_records::Record;
use tidewatch_records::jsonl::{self, ReadError, Reader};

/// Above this share of malformed lines the input isn't to be trusted.
const MOST_MALFORMED: f64 = 0.01;
/// Malformed lines that are printed; the rest are counted.
const PRINTED_MALFORMED: u64 = 20;

/// The file and line of a record, for messages.
#[derive(Debug, Clone)]
pub(super) struct Origin {
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
pub(super) struct Malformed {
    pub(super) count: u64,
    pub(super) lines: u64,
}

impl Malformed {
    pub(super) fn report(&mut self, origin: &Origin, reason: &str) {
        self.count += 1;
        match self.count {
            n if n <= PRINTED_MALFORMED => eprintln!("tidewatch: {origin}: {reason}"),
            n if n == PRINTED_MALFORMED + 1 => {
                eprintln!("tidewatch: there are more malformed lines; they are counted");
            }
            _ => {}
        }
    }

    pub(super) fn conclude(&self) -> anyhow::Result<()> {
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

/// The window that a record is of.
pub(super) fn window(record: &Record) -> (Timestamp, u32) {
    match record {
        Record::Flow(flow) => (flow.window_start, flow.window_seconds),
        Record::Accounting(accounting) => (accounting.window_start, accounting.window_seconds),
        Record::Node(node) => (node.window_start, node.window_seconds),
    }
}

type Input = Reader<Box<dyn BufRead>>;

/// Several files, each in time order, read as one in time order.
pub(super) struct Inputs {
    readers: Vec<(PathBuf, Input)>,
    /// The next record of each file that has one, by time and then by file, with its line.
    heads: BTreeMap<(Timestamp, usize), (Record, u64)>,
    /// Start of the window of the last record read from each file.
    reached: BTreeMap<usize, Timestamp>,
    /// Starts of windows with missing records, where a file ends within a compressed frame.
    truncated: Vec<Timestamp>,
    primed: bool,
}

impl Inputs {
    pub(super) fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let open = |path: &PathBuf| {
            let reader = jsonl::open(path).with_context(|| format!("{} can't be read", shown(path)))?;
            Ok((path.clone(), reader))
        };
        let readers = paths.iter().map(open).collect::<anyhow::Result<_>>()?;
        let (heads, reached) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { readers, heads, reached, truncated: Vec::new(), primed: false })
    }

    /// Returns true if records of the window that begins at `start` are known to be missing.
    pub(super) fn is_incomplete(&self, start: Timestamp, seconds: u32) -> bool {
        let within = |at: &Timestamp| (0..i64::from(seconds)).contains(&(at.as_second() - start.as_second()));
        self.truncated.iter().any(within)
    }

    /// The next record by time; those of one file in their order.
    pub(super) fn next(&mut self, malformed: &mut Malformed) -> anyhow::Result<Option<(Record, Origin)>> {
        if !self.primed {
            self.primed = true;
            for file in 0..self.readers.len() {
                self.advance(file, malformed)?;
            }
        }
        let Some(((_, file), (record, line))) = self.heads.pop_first() else { return Ok(None) };
        let path = self.readers.get(file).map(|(path, _)| path.clone()).unwrap_or_default();
        self.advance(file, malformed)?;
        Ok(Some((record, Origin { path, line })))
    }

    /// Reads the next record of `file`.
    fn advance(&mut self, file: usize, malformed: &mut Malformed) -> anyhow::Result<()> {
        let Some((path, reader)) = self.readers.get_mut(file) else { return Ok(()) };
        while let Some(item) = reader.next() {
            malformed.lines += 1;
            match item {
                Ok(record) => {
                    let (start, _) = window(&record);
                    self.heads.insert((start, file), (record, reader.line()));
                    self.reached.insert(file, start);
                    return Ok(());
                }
                Err(ReadError::Malformed { line, reason }) => {
                    malformed.report(&Origin { path: path.clone(), line }, &reason);
                }
                Err(ReadError::Truncated { partial, .. }) => {
                    eprintln!(
                        "tidewatch: {}: the file ends within a compressed frame, as when its writer is stopped: the \
                         window that was being written is left out",
                        shown(path)
                    );
                    self.truncated.extend(self.reached.get(&file).filter(|_| partial));
                }
                Err(error @ ReadError::Io { .. }) => {
                    return Err(error).with_context(|| format!("{} can't be read to its end", shown(path)));
                }
            }
        }
        Ok(())
    }
}
