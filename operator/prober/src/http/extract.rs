//! Takes values from an answer for the checks after. Pure.

use super::answer::{Answer, Unreadable};
use super::json::{self, JsonError, plain};
use super::text::header_text;
use crate::plan::{ExtractFrom, ExtractPlan};

/// The longest value that is taken, bytes: more fits neither into a header nor into an address, and each value is kept in
/// every form in which it must be hidden.
pub(super) const LONGEST: usize = 16 * 1024;

/// Why nothing was extracted.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExtractError<'a> {
    #[error("extract {name}: the path finds nothing in the body")]
    NothingAtPath { name: &'a str },
    #[error("extract {name}: {why}")]
    NotJson { name: &'a str, why: JsonError },
    #[error("extract {name}: {why}")]
    Unreadable { name: &'a str, why: Unreadable },
    #[error("extract {name}: the regular expression matches nothing in the body")]
    NoMatch { name: &'a str },
    #[error("extract {name}: what was found has {length} bytes, and no more than {LONGEST} are taken")]
    TooLong { name: &'a str, length: usize },
    #[error("extract {name}: the answer has no header {header}")]
    NoHeader { name: &'a str, header: &'a str },
}

pub(super) fn value<'a>(extract: &'a ExtractPlan, answer: &Answer) -> Result<String, ExtractError<'a>> {
    let name = extract.name.as_str();
    let found = match &extract.from {
        ExtractFrom::JsonPath(path) => {
            let json = json::of_answer(answer).map_err(|why| ExtractError::NotJson { name, why })?;
            path.query(&json)
                .first()
                .map(|value| plain(value).into_owned())
                .ok_or(ExtractError::NothingAtPath { name })?
        }
        ExtractFrom::Regex(regex) => answer
            .text()
            .map_err(|why| ExtractError::Unreadable { name, why })?
            .captures(regex)
            .and_then(|groups| groups.get(1).or_else(|| groups.get(0)))
            .map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned())
            .ok_or(ExtractError::NoMatch { name })?,
        ExtractFrom::Header(header) => answer
            .headers
            .get(header)
            .map(|value| header_text(value).into_owned())
            .ok_or(ExtractError::NoHeader { name, header: header.as_str() })?,
    };
    let length = found.len();
    if length > LONGEST { Err(ExtractError::TooLong { name, length }) } else { Ok(found) }
}
