//! JSON bodies, read as leniently as browsers and jq read them, and their values compared with what a user wrote. Pure.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::answer::{Answer, Unreadable};
use crate::failure::{Failure, readable};

/// The number that stands for those that don't fit a double, as in jq.
const LARGEST: &str = "1.7976931348623157e308";

/// Why a body can't be read as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("body longer than {0}, and so not read as JSON")]
    TooLong(super::answer::Size),
    #[error("the body is empty, which isn't JSON")]
    Empty,
    #[error("the body isn't JSON: it ends too early")]
    EndsEarly,
    #[error("the body isn't JSON from line {line}, column {column} on")]
    Syntax { line: usize, column: usize },
}

impl JsonError {
    pub(super) fn into_failure(self, answer: &Answer) -> Failure {
        let got = answer.text().map_or_else(|_| String::new(), |text| readable(text.bytes()));
        Failure::unmet(self.to_string(), "a JSON body", got)
    }
}

/// The body of `answer`: a byte order mark is skipped, and a number that fits no double is the largest.
pub(super) fn of_answer(answer: &Answer) -> Result<Value, JsonError> {
    let text = answer.text()?;
    if let Some(limit) = answer.limit {
        return Err(JsonError::TooLong(limit));
    }
    parse(text.bytes())
}

fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let result = serde_json::from_slice(text);
    let result = match (result, with_finite_numbers(text)) {
        (Err(_), Cow::Owned(finite)) => serde_json::from_slice(&finite),
        (result, _) => result,
    };
    result.map_err(|error: serde_json::Error| match error.classify() {
        _ if text.trim_ascii().is_empty() => JsonError::Empty,
        serde_json::error::Category::Eof => JsonError::EndsEarly,
        _ => JsonError::Syntax { line: error.line(), column: error.column() },
    })
}

/// `text` with each number outside of strings that fits no double replaced by the largest of its sign.
fn with_finite_numbers(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = text.get(at) {
        let rest = text.get(at..).unwrap_or_default();
        let length = match byte {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => rest
                .iter()
                .take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
                .count(),
            _ => 1,
        };
        let token = rest.get(..length).unwrap_or(rest);
        let number =
            std::str::from_utf8(token).ok().filter(|_| *byte != b'"').and_then(|token| token.parse().ok());
        if number.is_some_and(f64::is_infinite) {
            out.extend_from_slice(text.get(copied..at).unwrap_or_default());
            out.extend_from_slice(if *byte == b'-' { b"-" } else { b"" });
            out.extend_from_slice(LARGEST.as_bytes());
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Bytes of the string that `rest` begins with, its quotes included.
fn string_length(rest: &[u8]) -> usize {
    let mut escaped = false;
    let end = rest.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |end| end + 2)
}

/// A JSON value as a user writes it: a text without quotes, else as JSON.
pub(super) fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

/// Whether `value` is the one that a user wrote. A text is compared as text: "1.10" isn't 1.1. A number is compared as a
/// number: 1.0 is 1; whole ones exactly, since as doubles an id of 17 digits is its neighbour too.
pub(super) fn is_same(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Number(number) => {
            matches!(parse(wanted.as_bytes()), Ok(Value::Number(wanted)) if is_same_number(number, &wanted))
        }
        Value::Array(_) | Value::Object(_) => {
            plain(value) == wanted || parse(wanted.as_bytes()).is_ok_and(|wanted| wanted == *value)
        }
        Value::Null | Value::Bool(_) => plain(value) == wanted,
    }
}

fn is_same_number(value: &Number, wanted: &Number) -> bool {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(value), whole(wanted)) {
        (Some(value), Some(wanted)) => value == wanted,
        _ => value.as_f64() == wanted.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_fits_no_double_is_the_largest() {
        for (text, value) in
            [("1e400", f64::MAX), ("-1E+400", f64::MIN), (&"9".repeat(400), f64::MAX), ("1e-400", 0.0)]
        {
            assert_eq!(parse(text.as_bytes()).unwrap().as_f64(), Some(value), "{text}");
        }
        let text = br#"{"a\"1e999": "1e400", "b": [1e400, -1e400, 7], "c": "\\"}"#;
        let value = parse(text).unwrap();
        assert_eq!(value["a\"1e999"], "1e400");
        assert_eq!(value["b"], serde_json::json!([f64::MAX, f64::MIN, 7]));
        assert_eq!(value["c"], "\\");
    }

    #[test]
    fn what_isn_t_json_says_from_where_on() {
        for (text, error) in [
            ("", JsonError::Empty),
            (" \n", JsonError::Empty),
            ("{\"a\": ", JsonError::EndsEarly),
            ("<html>", JsonError::Syntax { line: 1, column: 1 }),
            ("{\"n\": 1e400,\n x}", JsonError::Syntax { line: 2, column: 2 }),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_texts_as_texts() {
        for (json, wanted, same) in [
            ("3", "3.0", true),
            ("3.0", "3", true),
            ("1e3", "1000", true),
            ("0.1", "0.10", true),
            ("1e400", "1e400", true),
            ("175928847299117063", "175928847299117063", true),
            ("175928847299117063", "175928847299117064", false),
            ("18446744073709551615", "18446744073709551614", false),
            ("7", "007", false),
            ("7", "", false),
            ("7", "\"7\"", false),
            ("\"1.10\"", "1.1", false),
            ("\"1.10\"", "1.10", true),
            ("\"007\"", "7", false),
            ("\"1e3\"", "1000", false),
            ("\"inf\"", "infinity", false),
            ("true", "true", true),
            ("true", "True", false),
            ("null", "null", true),
            ("\"null\"", "null", true),
            ("[1, 2]", "[1,2]", true),
            ("[1, 2]", "[1,  2]", true),
            ("{\"a\": 1}", "{\"a\": 2}", false),
        ] {
            let value = parse(json.as_bytes()).unwrap();
            assert_eq!(is_same(&value, wanted), same, "{json} {wanted}");
        }
    }

    proptest::proptest! {
        #[test]
        fn replacing_numbers_never_touches_what_was_json(text in "[-+0-9eE.,:\"\\\\\\[\\]{} a]{0,40}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                proptest::prop_assert_eq!(parse(text.as_bytes()), Ok(value));
            }
        }
    }
}
