//! A report on standard output.

use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;

use crate::args::Output;

/// Width of text where no terminal says how wide it is.
const WIDTH: usize = 120;

/// The reader of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// It reads on.
    Present,
    /// It has closed the pipe, as `head` does when it has seen enough.
    Gone,
}

/// Prints the report; `text` lays it out for a width.
pub(crate) fn print<R: Serialize>(
    report: &R,
    output: Output,
    text: impl FnOnce(usize) -> String,
) -> anyhow::Result<Reader> {
    let text = match output {
        Output::Text => text(width()),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(report).context("write JSON")?),
        Output::Yaml => serde_saphyr::to_string(report).context("write YAML")?,
    };
    // This stream takes the styles out where standard output isn't a terminal, or NO_COLOR is set.
    write(&mut anstream::stdout().lock(), text.as_bytes())
}

/// Prepares standard output for the next report of several: a terminal is cleared, and a YAML document begins.
pub(crate) fn begin_next(output: Output) -> anyhow::Result<Reader> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        // Not by the stream for text, so that the screen is cleared without colour too.
        return write(&mut out, b"\x1b[H\x1b[2J\x1b[3J");
    }
    let separator: &[u8] = if output == Output::Yaml { b"---\n" } else { b"" };
    write(&mut out, separator)
}

fn write(out: &mut impl Write, bytes: &[u8]) -> anyhow::Result<Reader> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::Present),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error).context("write to standard output"),
    }
}

/// The width that COLUMNS says, or else that of the terminal.
fn width() -> usize {
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    chosen(std::env::var("COLUMNS").ok().as_deref(), terminal)
}

/// A terminal without a size, such as that of a CI system, has the width 0.
fn chosen(columns: Option<&str>, terminal: Option<usize>) -> usize {
    let is_size = |width: &usize| *width > 0;
    let columns = columns.and_then(|columns| columns.parse().ok()).filter(is_size);
    columns.or(terminal.filter(is_size)).unwrap_or(WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_is_that_of_columns_or_of_the_terminal() {
        assert_eq!(chosen(Some("80"), Some(200)), 80);
        assert_eq!(chosen(None, Some(200)), 200);
        assert_eq!(chosen(Some("0"), Some(200)), 200);
        assert_eq!(chosen(Some("wide"), Some(0)), WIDTH);
        assert_eq!(chosen(None, None), WIDTH);
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        assert_eq!(write(&mut writer, b"a").unwrap(), Reader::Present);
        drop(reader);
        assert_eq!(write(&mut writer, b"a").unwrap(), Reader::Gone);
    }
}
