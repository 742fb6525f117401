//! JSON Lines: one record a line. [`Accounting`] and [`NodeWindow`] lines are told apart by their `event_name`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::frames::{Frames, Truncated};
use crate::schema::{Accounting, FlowWindow, NodeWindow, Record};
use crate::{ACCOUNTING_EVENT, NODE_EVENT};

/// A longer line is malformed; a flow-window takes about a kilobyte, its histogram at most ten.
pub const MAX_LINE_BYTES: usize = 256 * 1024;

/// Why a line, or the rest of the input, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// This line isn't a record; reading goes on with the next.
    #[error("line {line}: {reason}")]
    Malformed { line: u64, reason: String },
    /// The input ended within a compressed frame, as when whoever wrote it was stopped; nothing follows. `partial` says
    /// whether the last lines are of that frame, so that more like them are missing.
    #[error("after line {line}: the file ends within a compressed frame")]
    Truncated { line: u64, partial: bool },
    /// The input ended in an error; nothing follows.
    #[error("after line {line}: {source}")]
    Io { line: u64, source: io::Error },
}

/// Opens a file of records: `-` is standard input, a name ending in `.zst` is decompressed on the way (any number of
/// frames).
pub fn open(path: &Path) -> io::Result<Reader<Box<dyn BufRead>>> {
    if path.as_os_str() == "-" {
        return Ok(Reader::new(Box::new(io::stdin().lock())));
    }
    let file = File::open(path)?;
    let input: Box<dyn BufRead> = if path.extension().is_some_and(|extension| extension == "zst") {
        Box::new(BufReader::with_capacity(64 * 1024, Frames::new(BufReader::with_capacity(64 * 1024, file))))
    } else {
        Box::new(BufReader::with_capacity(64 * 1024, file))
    };
    Ok(Reader::new(input))
}

/// Reads records one line at a time, in constant memory. Counts what it read; an unreadable line is an item, never
/// skipped in silence.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    buffer: Vec<u8>,
    line: u64,
    records: u64,
    malformed: u64,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), line: 0, records: 0, malformed: 0, ended: false }
    }

    /// Records read so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Malformed lines met so far.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Number of the line that was read last, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    fn malformed_line(&mut self, reason: String) -> ReadError {
        self.malformed += 1;
        ReadError::Malformed { line: self.line, reason }
    }

    /// Reads a line into the buffer; false at the end. A line that is too long is read past.
    fn next_line(&mut self) -> Result<bool, ReadError> {
        self.buffer.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let io_error = |line| move |source| failed(line, source);
        let n =
            (&mut self.input).take(limit).read_until(b'\n', &mut self.buffer).map_err(io_error(self.line))?;
        if n == 0 {
            return Ok(false);
        }
        self.line += 1;
        if n as u64 == limit && self.buffer.last() != Some(&b'\n') {
            skip_line(&mut self.input).map_err(io_error(self.line))?;
            return Err(self.malformed_line(format!("longer than {MAX_LINE_BYTES} bytes")));
        }
        Ok(true)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.next_line() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.ended = !matches!(error, ReadError::Malformed { .. });
                    return Some(Err(error));
                }
            }
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            return Some(match parse(&self.buffer) {
                Ok(record) => {
                    self.records += 1;
                    Ok(record)
                }
                Err(reason) => Err(self.malformed_line(reason)),
            });
        }
        self.ended = true;
        None
    }
}

fn failed(line: u64, source: io::Error) -> ReadError {
    match source.get_ref().and_then(|cause| cause.downcast_ref::<Truncated>()) {
        Some(&Truncated { partial }) => ReadError::Truncated { line, partial },
        None => ReadError::Io { line, source },
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        match chunk.iter().position(|&byte| byte == b'\n') {
            Some(at) => {
                input.consume(at + 1);
                return Ok(());
            }
            None => {
                let n = chunk.len();
                input.consume(n);
            }
        }
    }
}

/// An accounting on a line of its own.
#[derive(Serialize, Deserialize)]
struct AccountingLine<A> {
    event_name: AccountingEvent,
    #[serde(flatten)]
    accounting: A,
}

#[derive(Serialize, Deserialize)]
enum AccountingEvent {
    #[serde(rename = "tidewatch.flow.accounting")]
    Accounting,
}

/// A node's figures on a line of their own.
#[derive(Serialize, Deserialize)]
struct NodeLine<N> {
    event_name: NodeEvent,
    #[serde(flatten)]
    node: N,
}

#[derive(Serialize, Deserialize)]
enum NodeEvent {
    #[serde(rename = "tidewatch.node.window")]
    Node,
}

/// Parses one line.
pub fn parse(line: &[u8]) -> Result<Record, String> {
    let flow_error = match serde_json::from_slice::<FlowWindow>(line) {
        Ok(flow) => return Ok(Record::Flow(flow)),
        Err(error) => error,
    };
    if contains(line, ACCOUNTING_EVENT.as_bytes()) {
        return match serde_json::from_slice::<AccountingLine<Accounting>>(line) {
            Ok(line) => Ok(Record::Accounting(line.accounting)),
            Err(error) => Err(format!("not an accounting: {error}")),
        };
    }
    if contains(line, NODE_EVENT.as_bytes()) {
        return match serde_json::from_slice::<NodeLine<NodeWindow>>(line) {
            Ok(line) => Ok(Record::Node(line.node)),
            Err(error) => Err(format!("not a node's figures: {error}")),
        };
    }
    Err(format!("not a flow-window: {flow_error}"))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Writes a flow-window as a line.
pub fn write_flow(out: &mut impl Write, flow: &FlowWindow) -> io::Result<()> {
    serde_json::to_writer(&mut *out, flow)?;
    out.write_all(b"\n")
}

/// Writes an accounting as a line.
pub fn write_accounting(out: &mut impl Write, accounting: &Accounting) -> io::Result<()> {
    serde_json::to_writer(
        &mut *out,
        &AccountingLine { event_name: AccountingEvent::Accounting, accounting },
    )?;
    out.write_all(b"\n")
}

/// Writes a node's figures as a line.
pub fn write_node(out: &mut impl Write, node: &NodeWindow) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &NodeLine { event_name: NodeEvent::Node, node })?;
    out.write_all(b"\n")
}

/// Writes any record as a line.
pub fn write(out: &mut impl Write, record: &Record) -> io::Result<()> {
    match record {
        Record::Flow(flow) => write_flow(out, flow),
        Record::Accounting(accounting) => write_accounting(out, accounting),
        Record::Node(node) => write_node(out, node),
    }
}
