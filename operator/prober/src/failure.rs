//! Why a check failed, before secrets are taken out.

use crate::redact::{HIDDEN, Redactor};

/// How much of an answer is shown.
const SHOWN: usize = 256;

/// Why a check failed. Each kind of check has an enum of its own reasons; they meet here.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    expected: Option<String>,
    got: Option<String>,
}

impl Failure {
    pub(crate) fn new(reason: impl std::fmt::Display) -> Self {
        Self { message: reason.to_string(), expected: None, got: None }
    }

    /// An expectation that wasn't met.
    pub(crate) fn unmet(
        message: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self { message: message.into(), expected: Some(expected.into()), got: Some(got.into()) }
    }

    /// The same, with where it happened before it.
    pub(crate) fn at(self, place: &str) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    /// The same, where something of the answer must not be shown but is too long to be hidden by itself.
    pub(crate) fn without_answer(self) -> Self {
        Self { got: self.got.map(|_| HIDDEN.to_owned()), ..self }
    }

    /// Message, expected and got as they may be shown: without secrets, each in one line, and cut after that, so that no
    /// secret is cut in half and shown.
    pub(crate) fn shown(&self, redactor: &Redactor) -> (String, Option<String>, Option<String>) {
        let shown = |text: &String, limit| cut(&readable(redactor.redact(text, limit).as_bytes()), limit);
        (
            shown(&self.message, 2 * SHOWN),
            self.expected.as_ref().map(|text| shown(text, SHOWN)),
            self.got.as_ref().map(|text| shown(text, SHOWN)),
        )
    }
}

/// Why reading or writing failed, without the number that the kernel gives it.
pub(crate) fn io_in_words(error: &std::io::Error) -> String {
    match (error.raw_os_error(), error.kind().to_string()) {
        (Some(_), words) if words != "uncategorized error" => words,
        _ => error.to_string(),
    }
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// `bytes` as text in one line: what isn't text, moves a terminal's cursor or turns the direction of writing is escaped.
pub fn readable(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() || turns(c) => out.extend(c.escape_default()),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Whether it turns the direction of what follows, or begins a line.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_at_the_cut_isn_t_shown_in_half() {
        let mut redactor = Redactor::default();
        redactor.add("hunter2hunter2");
        let failure = Failure::unmet("m", "e", format!("{}hunter2hunter2", "x".repeat(SHOWN - 4)));
        let (_, _, got) = failure.shown(&redactor);
        assert_eq!(got, Some(format!("{}***", "x".repeat(SHOWN - 4))));
    }

    #[test]
    fn what_a_server_says_can_t_write_over_a_terminal() {
        let failure = Failure::unmet("CN=\u{1b}[2Ja\nb", "\u{9b}1m", "\u{202e}x\u{2028}y");
        let (message, expected, got) = failure.shown(&Redactor::default());
        assert_eq!(message, "CN=\\u{1b}[2Ja\\nb");
        assert_eq!(expected.as_deref(), Some("\\u{9b}1m"));
        assert_eq!(got.as_deref(), Some("\\u{202e}x\\u{2028}y"));
    }

    #[test]
    fn bytes_are_shown_in_one_line() {
        assert_eq!(readable(b"220 ok\r\n\xff\0"), "220 ok\\r\\n\\xff\\u{0}");
    }
}
