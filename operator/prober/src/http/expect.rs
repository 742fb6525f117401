//! Whether an answer is as expected. Pure.

use std::borrow::Cow;
use std::time::Duration;

use http::{StatusCode, header};
use memchr::memmem;
use serde_json::Value;

use super::client::Answer;
use super::extract::plain;
use crate::failure::{Failure, readable};
use crate::plan::{HeaderRule, HttpRules, JsonRule, Rule};
use crate::prober::too_long;

pub(super) fn judge(rules: &HttpRules, answer: &Answer, took: Duration) -> Result<(), Failure> {
    status(rules, answer)?;
    rules.headers.iter().try_for_each(|rule| header(rule, answer))?;
    body(rules, answer)?;
    json(&rules.json, answer)?;
    too_long(took, rules.max_duration)
}

fn status(rules: &HttpRules, answer: &Answer) -> Result<(), Failure> {
    let got = answer.status;
    let fits = if rules.status.is_empty() { (200..300).contains(&got) } else { rules.status.contains(&got) };
    if fits {
        return Ok(());
    }
    let expected = match rules.status.as_slice() {
        [] => "200–299".to_owned(),
        codes => codes.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
    };
    let location = answer.headers.get(header::LOCATION).filter(|_| (300..400).contains(&got));
    let hint =
        location.map(|to| format!(" (it redirects to {})", readable(to.as_bytes()))).unwrap_or_default();
    let reason = StatusCode::from_u16(got).ok().and_then(|code| code.canonical_reason()).unwrap_or_default();
    Err(Failure::unmet(
        format!("status {got}{hint}, expected {expected}"),
        expected,
        format!("{got} {reason}").trim_end(),
    ))
}

fn header(HeaderRule { name, rule }: &HeaderRule, answer: &Answer) -> Result<(), Failure> {
    let values: Vec<String> =
        answer.headers.get_all(name).iter().map(|value| readable(value.as_bytes())).collect();
    let values = || values.iter().map(|value| Cow::Borrowed(value.as_str()));
    judge_values(&format!("header {name}"), rule, values, |value, wanted| value == wanted)
}

fn json(rules: &[JsonRule], answer: &Answer) -> Result<(), Failure> {
    if rules.is_empty() {
        return Ok(());
    }
    let json: Value = serde_json::from_slice(&answer.body).map_err(|error| {
        let message = match answer.limit {
            Some(limit) => format!("body longer than {}, and so not read as JSON", Bytes(limit)),
            None => format!("the body isn't JSON: {error}"),
        };
        Failure::unmet(message, "a JSON body", readable(&answer.body))
    })?;
    rules.iter().try_for_each(|JsonRule { path, rule }| {
        let found = path.query(&json);
        judge_values(&path.to_string(), rule, || found.iter().map(|value| plain(value)), same_json)
    })
}

/// Numbers are compared as such: 1.0 is 1. Whole ones exactly: as a double, an id of 17 digits is its neighbour too.
fn same_json(value: &str, wanted: &str) -> bool {
    match (value.parse::<i128>(), wanted.parse::<i128>()) {
        (Ok(value), Ok(wanted)) => value == wanted,
        _ => {
            value == wanted
                || matches!((value.parse::<f64>(), wanted.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
        }
    }
}

/// Judges the values that `what` has; none, where it isn't there. They are made one at a time: a path may find each part of
/// a large body, and a part may be as large as that.
fn judge_values<'a, V: Iterator<Item = Cow<'a, str>>>(
    what: &str,
    rule: &Rule,
    values: impl Fn() -> V,
    same: impl Fn(&str, &str) -> bool,
) -> Result<(), Failure> {
    let is_there = values().next().is_some();
    let any = |holds: &dyn Fn(&str) -> bool| values().any(|value| holds(&value));
    let (holds, expected) = match rule {
        Rule::Equals(wanted) => (any(&|value| same(value, wanted)), format!("is {wanted}")),
        Rule::NotEquals(wanted) => (!any(&|value| same(value, wanted)), format!("isn't {wanted}")),
        Rule::Contains(wanted) => (any(&|value| value.contains(wanted)), format!("contains {wanted}")),
        Rule::NotContains(wanted) => {
            (!any(&|value| value.contains(wanted)), format!("doesn't contain {wanted}"))
        }
        Rule::Matches(regex) => (any(&|value| regex.is_match(value.as_bytes())), format!("matches {regex}")),
        Rule::Exists(wanted) => {
            (is_there == *wanted, if *wanted { "is there" } else { "isn't there" }.to_owned())
        }
    };
    if holds {
        return Ok(());
    }
    let (message, got) = if is_there {
        (format!("{what} isn't as expected: expected that it {expected}"), listed(values()))
    } else {
        (format!("{what} isn't there, expected that it {expected}"), "nothing".to_owned())
    };
    Err(Failure::unmet(message, expected, got))
}

/// More of them than can be shown, but not all.
fn listed<'a>(values: impl Iterator<Item = Cow<'a, str>>) -> String {
    const ENOUGH: usize = 64 * 1024;
    let mut out = String::new();
    for value in values {
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(&value);
        if out.len() > ENOUGH {
            break;
        }
    }
    out
}

fn body(rules: &HttpRules, answer: &Answer) -> Result<(), Failure> {
    let found = |text: &str| memmem::find(&answer.body, text.as_bytes()).is_some();
    if let Some(text) = &rules.body_contains
        && !found(text)
    {
        return Err(missing(answer, &format!("the text {text:?}"), format!("contains {text}")));
    }
    if let Some(regex) = &rules.body_matches
        && !regex.is_match(&answer.body)
    {
        return Err(missing(answer, &format!("a match of {regex}"), format!("matches {regex}")));
    }
    let Some(text) = &rules.body_not_contains else { return Ok(()) };
    let expected = format!("doesn't contain {text}");
    match answer.limit {
        _ if found(text) => Err(Failure::unmet(
            format!("the body contains {text:?}, which it must not"),
            expected,
            around(&answer.body, text),
        )),
        Some(limit) => Err(Failure::unmet(
            format!(
                "body longer than {0}: whether {text:?} isn't in it can't be told beyond the first {0}",
                Bytes(limit)
            ),
            expected,
            format!("more than {}", Bytes(limit)),
        )),
        None => Ok(()),
    }
}

fn missing(answer: &Answer, what: &str, expected: String) -> Failure {
    let message = match answer.limit {
        Some(limit) => format!("body longer than {0}, and {what} isn't in the first {0}", Bytes(limit)),
        None => format!("the body doesn't have {what}"),
    };
    let encoded = answer.headers.get(header::CONTENT_ENCODING).filter(|value| *value != "identity");
    let hint = encoded
        .map(|encoding| format!(" (it came as {}, which wasn't asked for)", readable(encoding.as_bytes())))
        .unwrap_or_default();
    Failure::unmet(format!("{message}{hint}"), expected, readable(&answer.body))
}

/// What stands around `text`. It begins where the body does, or a line: a secret cut in half couldn't be hidden.
fn around(body: &[u8], text: &str) -> String {
    let at = memmem::find(body, text.as_bytes()).unwrap_or_default();
    let start = body
        .get(..at)
        .and_then(|before| before.iter().rposition(|byte| *byte == b'\n'))
        .map_or(0, |line| line + 1);
    readable(body.get(start..).unwrap_or_default())
}

/// A number of bytes as people say it.
struct Bytes(usize);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MIB: usize = 1024 * 1024;
        match self.0 {
            n if n >= MIB && n % MIB == 0 => write!(f, "{} MiB", n / MIB),
            n if n >= 1024 && n % 1024 == 0 => write!(f, "{} KiB", n / 1024),
            n => write!(f, "{n} bytes"),
        }
    }
}
