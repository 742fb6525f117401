//! What a value must look like, as data, and the walk that compares.

use std::fmt;

use regex::Regex;
use serde_json::{Map, Value};

/// One thing that is wrong, and where: `steps.1.url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) path: String,
    pub(crate) message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the document" } else { &self.path };
        write!(f, "{path} {}", self.message)
    }
}

#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) violations: Vec<Violation>,
}

impl Found {
    pub(super) fn add(&mut self, path: &str, message: impl Into<String>) {
        self.violations.push(Violation { path: path.to_owned(), message: message.into() });
    }
}

/// A key of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    required: bool,
    rule: Rule,
}

pub(super) const fn needs(name: &'static str, rule: Rule) -> Field {
    Field { name, required: true, rule }
}

pub(super) const fn may(name: &'static str, rule: Rule) -> Field {
    Field { name, required: false, rule }
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    Text,
    Filled,
    Flag,
    Number,
    Whole {
        least: i64,
        most: i64,
    },
    OneOf(&'static [&'static str]),
    Regex,
    /// Any keys, each with a text.
    Texts,
    Scalar,
    /// Looked at by a rule of its own.
    Elsewhere,
}

pub(super) fn below(path: &str, step: impl fmt::Display) -> String {
    if path.is_empty() { step.to_string() } else { format!("{path}.{step}") }
}

pub(super) fn object<'v>(value: &'v Value, path: &str, found: &mut Found) -> Option<&'v Map<String, Value>> {
    let object = value.as_object();
    if object.is_none() {
        found.add(path, "must be an object");
    }
    object
}

/// The text of a key that decides what the others are.
pub(super) fn kind<'v>(
    members: &'v Map<String, Value>,
    key: &str,
    kinds: &[&str],
    path: &str,
    found: &mut Found,
) -> Option<&'v str> {
    let Some(value) = members.get(key) else {
        found.add(&below(path, key), "is required");
        return None;
    };
    let known = value.as_str().filter(|kind| kinds.contains(kind));
    if known.is_none() {
        found.add(&below(path, key), format!("must be one of {}", kinds.join(", ")));
    }
    known
}

/// Compares an object with the fields it may have, of several lists; a key of no list is wrong.
pub(super) fn fields(members: &Map<String, Value>, lists: &[&[Field]], path: &str, found: &mut Found) {
    let known = |key: &str| lists.iter().copied().flatten().find(|field| field.name == key);
    for (key, value) in members {
        match known(key) {
            Some(field) => field.rule.check(value, &below(path, key), found),
            None => found.add(&below(path, key), "is not a known key"),
        }
    }
    for field in lists.iter().copied().flatten() {
        if field.required && !members.contains_key(field.name) {
            found.add(&below(path, field.name), "is required");
        }
    }
}

impl Rule {
    pub(super) fn check(self, value: &Value, path: &str, found: &mut Found) {
        let wanted = match self {
            Self::Text if value.is_string() => return,
            Self::Text => "must be a text".to_owned(),
            Self::Filled if value.as_str().is_some_and(|text| !text.is_empty()) => return,
            Self::Filled => "must be a text that isn't empty".to_owned(),
            Self::Flag if value.is_boolean() => return,
            Self::Flag => "must be true or false".to_owned(),
            Self::Number if value.is_number() => return,
            Self::Number => "must be a number".to_owned(),
            Self::Whole { least, most } => match value.as_i64() {
                Some(number) if (least..=most).contains(&number) => return,
                _ => format!("must be a whole number from {least} to {most}"),
            },
            Self::OneOf(values) if value.as_str().is_some_and(|text| values.contains(&text)) => return,
            Self::OneOf(values) => format!("must be one of {}", values.join(", ")),
            Self::Regex if value.as_str().is_some_and(|text| Regex::new(text).is_ok()) => return,
            Self::Regex => "must be a regular expression".to_owned(),
            Self::Texts => match value.as_object() {
                Some(map) => {
                    return map.iter().for_each(|(key, it)| Self::Text.check(it, &below(path, key), found));
                }
                None => "must be an object of texts".to_owned(),
            },
            Self::Scalar if value.is_string() || value.is_number() || value.is_boolean() => return,
            Self::Scalar => "must be a text, a number, true or false".to_owned(),
            Self::Elsewhere => return,
        };
        found.add(path, wanted);
    }
}
