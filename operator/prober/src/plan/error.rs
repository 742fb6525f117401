//! What can be wrong with a spec, and where.

use regex::Error as RegexError;
use tidewatch_crds::DurationError;
use tidewatch_crds::canary::SecretKey;

use super::json_path::{DEEPEST, MOST_COMMAS};
use crate::tls::{AuthorityError, IdentityError};

/// Why a spec can't be carried out: the field, what is wrong with it and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct PlanError {
    field: String,
    problem: Box<Problem>,
}

impl PlanError {
    /// The field as a YAML path, such as `spec.checks[home].http.url`.
    pub fn field(&self) -> &str {
        &self.field
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("pages and scripts run in AWS only: write checks, or provider: AWS")]
    NoChecks,
    #[error(
        "nothing is checked: write at least one check, such as {{name: home, http: {{url: https://shop.example.com}}}}"
    )]
    Empty,
    #[error("a check asks one thing: write exactly one of http, dns, tls or tcp")]
    NotOneKind,
    #[error("write exactly one of {0}")]
    NotOneOf(&'static str),
    #[error(transparent)]
    Duration(DurationError),
    #[error("not a regular expression: {}; write one in the syntax of Rust's regex crate", one_line(.0))]
    Pattern(RegexError),
    #[error("not a JSON path (RFC 9535): {0}; write one such as $.status")]
    JsonPath(String),
    #[error("uses .. more than once, which takes too much memory on a large answer: write it once at most")]
    JsonPathDescents,
    #[error(
        "has more than {MOST_COMMAS} commas within brackets, which takes too much memory on a large answer: write fewer"
    )]
    JsonPathCommas,
    #[error(
        "has $ within a filter, which takes too long on a large answer: write $ at the beginning only, and @ in filters"
    )]
    JsonPathRoot,
    #[error("has filters nested in more than one other, which takes too long: write fewer")]
    JsonPathFilters,
    #[error("nests brackets and parentheses more than {DEEPEST} deep: write fewer")]
    JsonPathDepth,
    #[error(
        "matches a pattern that isn't known before the run: write the pattern of match and search in quotes"
    )]
    JsonPathPattern,
    #[error(
        "${{{0}}} isn't a variable: define it in spec.variables, or extract it in a check before this one"
    )]
    UnknownVariable(String),
    #[error(
        "{0:?} isn't a variable's place: write ${{name}}, a letter, then letters, digits and _; or $${{ for the text ${{"
    )]
    BadPlace(String),
    #[error("{0:?} isn't an address: {1}; write it with its scheme, such as https://shop.example.com/health")]
    Url(String, String),
    #[error("{0:?} isn't a header: write a name such as Accept")]
    HeaderName(String),
    #[error("has characters that a header can't carry, such as a line break: leave them out")]
    HeaderValue,
    #[error("is set by the request itself: leave it out")]
    OwnHeader,
    #[error("the Secret {} has no key {:?}, or isn't labelled tidewatch.dev/canary: \"true\"", .0.name, .0.key)]
    NoSecret(SecretKey),
    #[error("the key {:?} of the Secret {} isn't text (UTF-8): write text into it", .0.key, .0.name)]
    NotText(SecretKey),
    #[error("the key {:?} of the Secret {} is empty: write the value into it", .0.key, .0.name)]
    EmptySecret(SecretKey),
    #[error("awsSecret is read by canaries of AWS only: write secretRef, or provider: AWS")]
    AwsSecret,
    #[error("the key {:?} of the Secret {} {why}", .key.key, .key.name)]
    Authority { key: SecretKey, why: AuthorityError },
    #[error("the key {:?} of the Secret {} {why}", .key.key, .key.name)]
    Identity { key: SecretKey, why: IdentityError },
    #[error("{0:?} isn't hexadecimal: write an even number of digits 0 to 9 and a to f, such as 0d0a")]
    Hex(String),
}

fn one_line(error: &RegexError) -> String {
    match error {
        RegexError::CompiledTooBig(_) => "it takes too much memory, write smaller repetitions".to_owned(),
        // The parser points at the place over several lines; its last one says what is wrong.
        other => {
            let text = other.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    }
}

/// A field of the spec.
#[derive(Debug, Clone)]
pub(crate) struct Field(String);

impl Field {
    pub(crate) fn new(root: &str) -> Self {
        Self(root.to_owned())
    }

    pub(crate) fn field(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    pub(crate) fn item(&self, list: &str, key: impl std::fmt::Display) -> Self {
        Self(format!("{}.{list}[{key}]", self.0))
    }

    pub(crate) fn problem(&self, problem: Problem) -> PlanError {
        PlanError { field: self.0.clone(), problem: Box::new(problem) }
    }
}
