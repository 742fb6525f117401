//! What AWS's schema limits. The API server has most of these rules too; an object that was stored before they were there
//! may still break them.

use std::collections::BTreeSet;

use tidewatch_crds::CanarySpec;
use tidewatch_crds::canary::Check;
use tidewatch_crds::parse_address;

use crate::refusal::Refusal;

const MOST_CHECKS: usize = 10;
const MOST_VARIABLES: usize = 10;
const LONGEST_NAME: usize = 64;

/// How many there are, and what they are called.
pub(crate) fn of_spec(spec: &CanarySpec, checks: &[Check], refused: &mut Vec<Refusal>) {
    if checks.is_empty() {
        refused.push(Refusal::new(
            "spec.checks",
            "nothing is checked: write at least one check, such as {name: home, http: {url: https://shop.example.com}}",
        ));
    }
    if checks.len() > MOST_CHECKS {
        refused.push(Refusal::new(
            "spec.checks",
            format!("{} checks, and AWS makes {MOST_CHECKS} in a run: write two canaries", checks.len()),
        ));
    }
    if spec.variables.len() > MOST_VARIABLES {
        refused.push(Refusal::new(
            "spec.variables",
            format!("{} variables, and AWS takes {MOST_VARIABLES}: write fewer", spec.variables.len()),
        ));
    }
    let mut names = BTreeSet::new();
    for Check { name, .. } in checks {
        let field = format!("spec.checks[{name}].name");
        if !is_step_name(name) {
            refused.push(Refusal::new(
                field,
                format!("not the name of a check: write a letter, then letters, digits, - and _, {LONGEST_NAME} at most"),
            ));
        } else if !names.insert(name) {
            refused.push(Refusal::new(field, "two checks have this name: give each its own"));
        }
    }
}

fn is_step_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// A port can't be 0.
pub(crate) fn port(port: Option<u16>, field: &str, refused: &mut Vec<Refusal>) {
    if port == Some(0) {
        refused.push(Refusal::new(format!("{field}.port"), "no server has port 0: write 1 to 65535"));
    }
}

/// An expectation that names several things, or none.
pub(crate) fn exactly_one(given: &[bool], names: &str, field: impl Into<String>, refused: &mut Vec<Refusal>) {
    if given.iter().filter(|it| **it).count() != 1 {
        refused.push(Refusal::new(field, format!("write exactly one of {names}")));
    }
}

/// A pattern of JavaScript, as far as Rust's crate can judge it: of what that doesn't know (what must come before or
/// after, references back) it has no say.
pub(crate) fn pattern(text: &str, field: &str, refused: &mut Vec<Refusal>) {
    const BEYOND: [&str; 4] = ["(?=", "(?!", "(?<=", "(?<!"];
    let refers_back = (1..=9).any(|group| text.contains(&format!("\\{group}"))) || text.contains("\\k<");
    if refers_back || BEYOND.iter().any(|group| text.contains(group)) {
        return;
    }
    if let Err(error) = regex::Regex::new(text) {
        // The parser points at the place over several lines; its last one says what is wrong.
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        refused.push(Refusal::new(field, format!("not a regular expression: {why}; correct it")));
    }
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(text: &str, field: &str, refused: &mut Vec<Refusal>) {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(char::is_ascii_hexdigit) {
        refused.push(Refusal::new(
            field,
            format!(
                "{text:?} isn't hexadecimal: write an even number of digits 0 to 9 and a to f, such as 0d0a"
            ),
        ));
    }
}

/// What keeps `text` from being the address of a page or an API.
pub(crate) fn address(text: &str) -> Result<(), String> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("an address has neither spaces nor line breaks".to_owned());
    }
    parse_address(text).map(drop).map_err(|why| format!("not an address, since {why}"))
}
