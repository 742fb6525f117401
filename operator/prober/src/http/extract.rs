//! Takes values from an answer for the checks after. Pure.

use serde_json::Value;

use super::client::Answer;
use crate::failure::Failure;
use crate::plan::{ExtractFrom, ExtractPlan};

/// Why nothing was extracted.
#[derive(Debug, thiserror::Error)]
enum ExtractError<'a> {
    #[error("extract {name}: the path finds nothing in the body")]
    NothingAtPath { name: &'a str },
    #[error("extract {name}: the body isn't JSON: {why}")]
    NotJson { name: &'a str, why: String },
    #[error("extract {name}: the regular expression matches nothing in the body")]
    NoMatch { name: &'a str },
    #[error("extract {name}: the answer has no header {header}")]
    NoHeader { name: &'a str, header: &'a str },
}

pub(super) fn value(extract: &ExtractPlan, answer: &Answer) -> Result<String, Failure> {
    let name = extract.name.as_str();
    let found = match &extract.from {
        ExtractFrom::JsonPath(path) => {
            let json: Value = serde_json::from_slice(&answer.body)
                .map_err(|error| Failure::new(ExtractError::NotJson { name, why: error.to_string() }))?;
            path.query(&json).first().map(plain).ok_or(ExtractError::NothingAtPath { name })
        }
        ExtractFrom::Regex(regex) => regex
            .captures(&answer.body)
            .and_then(|groups| groups.get(1).or_else(|| groups.get(0)))
            .map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned())
            .ok_or(ExtractError::NoMatch { name }),
        ExtractFrom::Header(header) => answer
            .headers
            .get(header)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .ok_or(ExtractError::NoHeader { name, header: header.as_str() }),
    };
    found.map_err(Failure::new)
}

/// A JSON value as a user writes it: a text without quotes, else as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
