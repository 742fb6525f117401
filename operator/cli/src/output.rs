//! A report on standard output.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;

use crate::args::Output;

/// Width of text where no terminal says how wide it is.
const WIDTH: usize = 120;

/// Prints the report; `text` lays it out for a width.
pub(crate) fn print<R: Serialize>(
    report: &R,
    output: Output,
    clear: bool,
    text: impl FnOnce(usize) -> String,
) -> anyhow::Result<()> {
    let text = match output {
        Output::Text => text(width()),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(report).context("write JSON")?),
        Output::Yaml => serde_saphyr::to_string(report).context("write YAML")?,
    };
    // Takes the styles out where standard output isn't a terminal, or NO_COLOR is set.
    let mut out = anstream::stdout().lock();
    if clear && std::io::stdout().is_terminal() {
        // Not through that stream: the screen is cleared without colour too.
        std::io::stdout().write_all(b"\x1b[H\x1b[2J\x1b[3J").context("write to standard output")?;
    }
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        // Whoever reads, such as head, has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
}

/// The width of the terminal, or what COLUMNS says.
fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    columns.or_else(terminal).unwrap_or(WIDTH)
}
