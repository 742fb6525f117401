//! Whether an answer is as expected. Pure.

use std::borrow::Cow;
use std::time::Duration;

use http::{StatusCode, header};
use memchr::memmem;

use super::answer::Answer;
use super::json::{self, plain};
use super::redirect::is_redirect;
use super::text::{Text, header_text};
use crate::failure::{Failure, readable};
use crate::plan::{HeaderRule, HttpRules, JsonRule, Rule};
use crate::prober::too_long;

pub(super) fn judge(rules: &HttpRules, answer: &Answer, took: Duration) -> Result<(), Failure> {
    status(rules, answer)?;
    rules.headers.iter().try_for_each(|rule| header(rule, answer))?;
    body(rules, answer)?;
    json_values(&rules.json, answer)?;
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
    let hint = redirect_hint(answer);
    let reason = StatusCode::from_u16(got).ok().and_then(|code| code.canonical_reason()).unwrap_or_default();
    Err(Failure::unmet(
        format!("status {got}{hint}, expected {expected}"),
        expected,
        format!("{got} {reason}").trim_end(),
    ))
}

fn redirect_hint(answer: &Answer) -> String {
    let location = answer.headers.get(header::LOCATION).map(header_text);
    match location.as_deref().map(str::trim) {
        Some("") if is_redirect(answer.status) => {
            " (a redirect with an empty Location, which leads nowhere)".to_owned()
        }
        None if is_redirect(answer.status) => {
            " (a redirect without a Location, which leads nowhere)".to_owned()
        }
        Some(to) if (300..400).contains(&answer.status) => format!(" (it redirects to {to})"),
        _ => String::new(),
    }
}

fn header(HeaderRule { name, rule }: &HeaderRule, answer: &Answer) -> Result<(), Failure> {
    let values = || answer.headers.get_all(name).iter().map(header_text);
    let same = |value: &Cow<'_, str>, wanted: &str| value == wanted;
    judge_values(&format!("header {name}"), rule, values, |value| Cow::Borrowed(&**value), same)
}

fn json_values(rules: &[JsonRule], answer: &Answer) -> Result<(), Failure> {
    if rules.is_empty() {
        return Ok(());
    }
    let json = json::of_answer(answer).map_err(|error| error.into_failure(answer))?;
    rules.iter().try_for_each(|JsonRule { path, rule }| {
        let found = path.query(&json);
        let values = || found.iter().copied();
        judge_values(
            &path.to_string(),
            rule,
            values,
            |value| plain(value),
            |value, wanted| json::is_same(value, wanted),
        )
    })
}

/// Judges the values that `what` has; none, where it isn't there: then it is nothing that it mustn't be. They are written
/// out one at a time: a path may find each part of a large body, and a part may be as large as that.
fn judge_values<T, V: Iterator<Item = T>>(
    what: &str,
    rule: &Rule,
    values: impl Fn() -> V,
    text: impl Fn(&T) -> Cow<'_, str>,
    same: impl Fn(&T, &str) -> bool,
) -> Result<(), Failure> {
    let is_there = values().next().is_some();
    let is_any = |wanted: &str| values().any(|value| same(&value, wanted));
    let contains = |wanted: &str| values().any(|value| text(&value).contains(wanted));
    let (holds, expected) = match rule {
        Rule::Equals(wanted) => (is_any(wanted), format!("is {wanted}")),
        Rule::NotEquals(wanted) => (!is_any(wanted), format!("isn't {wanted}")),
        Rule::Contains(wanted) => (contains(wanted), format!("contains {wanted}")),
        Rule::NotContains(wanted) => (!contains(wanted), format!("doesn't contain {wanted}")),
        Rule::Matches(regex) => {
            (values().any(|value| regex.is_match(text(&value).as_bytes())), format!("matches {regex}"))
        }
        Rule::Exists(wanted) => {
            (is_there == *wanted, if *wanted { "is there" } else { "isn't there" }.to_owned())
        }
    };
    if holds {
        return Ok(());
    }
    let (message, got) = if is_there {
        (format!("{what} isn't as expected: expected that it {expected}"), listed(values(), text))
    } else {
        (format!("{what} isn't there, expected that it {expected}"), "nothing".to_owned())
    };
    Err(Failure::unmet(message, expected, got))
}

/// More of them than can be shown, but not all.
fn listed<T>(values: impl Iterator<Item = T>, text: impl Fn(&T) -> Cow<'_, str>) -> String {
    const ENOUGH: usize = 64 * 1024;
    let mut out = String::new();
    for value in values {
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(&text(&value));
        if out.len() > ENOUGH {
            break;
        }
    }
    out
}

fn body(rules: &HttpRules, answer: &Answer) -> Result<(), Failure> {
    let HttpRules { body_contains, body_matches, body_not_contains, .. } = rules;
    if body_contains.is_none() && body_matches.is_none() && body_not_contains.is_none() {
        return Ok(());
    }
    let body = answer.text().map_err(Failure::new)?;
    if let Some(text) = body_contains
        && !body.contains(text)
    {
        return Err(missing(answer, &body, &format!("the text {text:?}"), format!("contains {text}")));
    }
    if let Some(regex) = body_matches
        && !body.matches(regex)
    {
        return Err(missing(answer, &body, &format!("a match of {regex}"), format!("matches {regex}")));
    }
    let Some(text) = body_not_contains else { return Ok(()) };
    let expected = format!("doesn't contain {text}");
    match (body.possibly_with(text), answer.limit) {
        (Some(form), _) => Err(Failure::unmet(
            format!("the body contains {text:?}, which it must not"),
            expected,
            around(form, text),
        )),
        (None, Some(limit)) => Err(Failure::unmet(
            format!(
                "body longer than {limit}: whether {text:?} isn't in it can't be told beyond the first {limit}"
            ),
            expected,
            format!("more than {limit}"),
        )),
        (None, None) => Ok(()),
    }
}

fn missing(answer: &Answer, body: &Text<'_>, what: &str, expected: String) -> Failure {
    let message = match answer.limit {
        Some(limit) => format!("body longer than {limit}, and {what} isn't in the first {limit}"),
        None => format!("the body doesn't have {what}"),
    };
    Failure::unmet(message, expected, readable(body.bytes()))
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
