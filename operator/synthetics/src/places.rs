//! Places for variables, `${name}`: AWS finds at the first run that nothing fills one.

use std::borrow::Cow;
use std::collections::BTreeSet;

use tidewatch_crds::canary::Check;
use tidewatch_crds::{host_to_ascii, parse_address};

use crate::refusal::Refusal;

/// What the runtime reads from Secrets Manager by itself.
const SECRET: &str = "AWS_SECRET:";

/// Refuses places of `check` that no variable of `known` fills.
pub(crate) fn filled(check: &Check, known: &BTreeSet<&str>, field: &str, refused: &mut Vec<Refusal>) {
    for (text, within) in texts(check) {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if before.ends_with('$') {
                let mend = "AWS has no way to write the text ${: leave it out, or write provider: Embedded";
                refused.push(Refusal::new(format!("{field}.{within}"), mend));
                break;
            }
            let closed = after.split_once('}');
            let mend = match closed {
                Some((name, _)) => unfilled(name, known),
                None => Some(no_place(after)),
            };
            refused.extend(mend.map(|mend| Refusal::new(format!("{field}.{within}"), mend)));
            rest = closed.map_or("", |(_, behind)| behind);
        }
    }
}

fn unfilled(name: &str, known: &BTreeSet<&str>) -> Option<String> {
    if known.contains(name) || name.starts_with(SECRET) {
        return None;
    }
    let word = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !word {
        return Some(no_place(name));
    }
    Some(format!(
        "${{{name}}} isn't a variable: define it in spec.variables, or extract it in a check before this one"
    ))
}

fn no_place(text: &str) -> String {
    let shown: String = text.chars().take(32).collect();
    format!(
        "{:?} isn't a variable's place: write ${{name}}, a letter, then letters, digits and _",
        format!("${{{shown}")
    )
}

/// A host name as DNS knows it, since what the runtime makes of letters beyond ASCII isn't documented. One with a place
/// for a variable is known at the run.
pub(crate) fn ascii_host(host: &str) -> Cow<'_, str> {
    if host.contains("${") { Cow::Borrowed(host) } else { host_to_ascii(host).unwrap_or(Cow::Borrowed(host)) }
}

/// The same of an address.
pub(crate) fn ascii_address(address: &str) -> Cow<'_, str> {
    if address.is_ascii() || address.contains("${") {
        return Cow::Borrowed(address);
    }
    parse_address(address).map_or(Cow::Borrowed(address), |url| Cow::Owned(url.into()))
}

/// The texts that can have places, each with its field.
fn texts(check: &Check) -> Vec<(&str, String)> {
    let mut texts = Vec::new();
    if let Some(http) = &check.http {
        texts.push((http.url.as_str(), "http.url".to_owned()));
        texts.extend(
            http.headers.iter().map(|(name, value)| (value.as_str(), format!("http.headers[{name}]"))),
        );
        texts.extend(http.body.iter().map(|body| (body.as_str(), "http.body".to_owned())));
    }
    if let Some(tls) = &check.tls {
        texts.push((tls.host.as_str(), "tls.host".to_owned()));
        texts.extend(tls.server_name.iter().map(|name| (name.as_str(), "tls.serverName".to_owned())));
    }
    texts.extend(check.tcp.iter().map(|tcp| (tcp.host.as_str(), "tcp.host".to_owned())));
    texts
}
