//! The document and its steps.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::schema::{Field, Found, Rule, below, fields, kind, may, needs, object};
use super::{assertions, authentication};

/// A key of `steps`: 1 to 10.
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^([1-9]|10)$").ok());
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-zA-Z][a-zA-Z0-9_-]{0,63}$").ok());

const MOST_STEPS: usize = 10;
const MOST_VARIABLES: usize = 10;

const TIMEOUT: Rule = Rule::Whole { least: 1_000, most: 300_000 };
const PORT: Rule = Rule::Whole { least: 1, most: 65_535 };

const DOCUMENT: [Field; 3] =
    [may("globalSettings", Rule::Elsewhere), may("variables", Rule::Texts), needs("steps", Rule::Elsewhere)];
const GLOBAL: [Field; 1] = [may("stepTimeout", TIMEOUT)];
const STEP: [Field; 4] = [
    needs("stepName", Rule::Elsewhere),
    needs("checkerType", Rule::Elsewhere),
    may("extractors", Rule::Elsewhere),
    may("assertions", Rule::Elsewhere),
];
const EXTRACTOR: [Field; 5] = [
    needs("name", Rule::Filled),
    needs("type", Rule::OneOf(&["BODY"])),
    may("path", Rule::Text),
    may("regex", Rule::Regex),
    may("regexGroup", Rule::Whole { least: 0, most: 100 }),
];

const CHECKERS: [&str; 4] = ["HTTP", "DNS", "SSL", "TCP"];

const HTTP: [Field; 7] = [
    needs("url", Rule::Filled),
    needs("httpMethod", Rule::OneOf(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])),
    may("timeout", TIMEOUT),
    may("waitTime", Rule::Whole { least: 0, most: 60 }),
    may("headers", Rule::Texts),
    may("body", Rule::Text),
    may("authentication", Rule::Elsewhere),
];
const DNS: [Field; 6] = [
    needs("domain", Rule::Filled),
    may("recordType", Rule::OneOf(&["A", "CNAME", "MX", "TXT", "NS"])),
    may("nameserver", Rule::Filled),
    may("port", PORT),
    may("protocol", Rule::OneOf(&["UDP", "TCP"])),
    may("timeout", TIMEOUT),
];
const SSL: [Field; 6] = [
    needs("hostname", Rule::Filled),
    may("port", PORT),
    may("timeout", TIMEOUT),
    may("sni", Rule::Text),
    may("verifyHostname", Rule::Flag),
    may("allowSelfSigned", Rule::Flag),
];
const TCP: [Field; 6] = [
    needs("hostname", Rule::Filled),
    needs("port", PORT),
    may("timeout", TIMEOUT),
    may("sendData", Rule::Text),
    may("expectedResponse", Rule::Text),
    may("encoding", Rule::OneOf(&["UTF-8", "ASCII", "HEX"])),
];

pub(super) fn document(value: &Value, found: &mut Found) {
    let Some(document) = object(value, "", found) else { return };
    fields(document, &[&DOCUMENT], "", found);
    if let Some(settings) = document.get("globalSettings").and_then(|it| object(it, "globalSettings", found))
    {
        fields(settings, &[&GLOBAL], "globalSettings", found);
    }
    let variables = document.get("variables").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    if variables > MOST_VARIABLES {
        found.add("variables", format!("must be at most {MOST_VARIABLES}"));
    }
    let Some(steps) = document.get("steps").and_then(|it| object(it, "steps", found)) else { return };
    if !(1..=MOST_STEPS).contains(&steps.len()) {
        found.add("steps", format!("must be 1 to {MOST_STEPS}"));
    }
    for (number, step) in steps {
        if !matches(&NUMBER, number) {
            found.add(&below("steps", number), "must be keyed by a number from 1 to 10");
        }
        self::step(step, &below("steps", number), found);
    }
}

fn matches(pattern: &Option<Regex>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

fn step(value: &Value, path: &str, found: &mut Found) {
    let Some(step) = object(value, path, found) else { return };
    let name = step.get("stepName").and_then(Value::as_str);
    if step.contains_key("stepName") && !name.is_some_and(|name| matches(&NAME, name)) {
        found.add(
            &below(path, "stepName"),
            "must begin with a letter and have up to 64 letters, digits, underscores and hyphens",
        );
    }
    let Some(checker) = kind(step, "checkerType", &CHECKERS, path, found) else { return };
    let own: &[Field] = match checker {
        "HTTP" => &HTTP,
        "DNS" => &DNS,
        "SSL" => &SSL,
        _ => &TCP,
    };
    fields(step, &[&STEP, own], path, found);
    if let Some(authentication) = step.get("authentication").filter(|_| checker == "HTTP") {
        authentication::check(authentication, &below(path, "authentication"), found);
    }
    each(step.get("extractors"), &below(path, "extractors"), found, |extractor, path, found| {
        if let Some(extractor) = object(extractor, path, found) {
            fields(extractor, &[&EXTRACTOR], path, found);
        }
    });
    each(step.get("assertions"), &below(path, "assertions"), found, |assertion, path, found| {
        assertions::check(checker, assertion, path, found);
    });
}

/// Each item of a list that may be absent.
fn each(list: Option<&Value>, path: &str, found: &mut Found, check: impl Fn(&Value, &str, &mut Found)) {
    match list {
        None => {}
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check(item, &below(path, index), found);
            }
        }
        Some(_) => found.add(path, "must be a list"),
    }
}
