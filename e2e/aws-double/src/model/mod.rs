//! AWS's own service models: which operations there are, and what a value of each shape looks like.
//!
//! Nothing about requests and answers is written by hand; the wire protocols and the validation walk these shapes.

mod load;

use std::collections::BTreeMap;

pub use load::ModelError;
use regex::Regex;

/// The operations and shapes of one service.
#[derive(Debug)]
pub(crate) struct Model {
    /// The name in the credential scope: `monitoring`, `sts`.
    pub(crate) signing_name: String,
    /// `2010-08-01`: what a query request calls `Version`, and so tells the services apart.
    pub(crate) api_version: String,
    /// What `X-Amz-Target` begins with, for services that speak JSON.
    pub(crate) target_prefix: Option<String>,
    pub(crate) xml_namespace: String,
    /// Errors carry the code of the former query protocol in a header of their own.
    pub(crate) query_compatible: bool,
    operations: BTreeMap<String, Operation>,
    shapes: BTreeMap<String, Shape>,
    unknown: Shape,
}

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) input: Option<String>,
    pub(crate) output: Option<Output>,
    /// Names of the error shapes.
    pub(crate) errors: Vec<String>,
    /// The caller needs no credentials.
    pub(crate) anonymous: bool,
}

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) shape: String,
    pub(crate) result_wrapper: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) error: Option<ErrorTrait>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// Members with the names of their shapes.
    Structure {
        members: BTreeMap<String, String>,
        required: Vec<String>,
        union: bool,
    },
    List {
        member: String,
    },
    Map {
        key: String,
        value: String,
    },
    Text {
        values: Vec<String>,
    },
    Integer,
    Double,
    Boolean,
    Timestamp,
    Blob,
}

/// A pattern as the model writes it, and as this program understands it.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) source: String,
    pub(crate) regex: Regex,
}

/// How an error shape goes on the wire.
#[derive(Debug, Clone)]
pub(crate) struct ErrorTrait {
    pub(crate) code: String,
    pub(crate) status: u16,
    pub(crate) sender: bool,
}

impl Model {
    pub(crate) fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }

    /// Loading refuses a model that names a shape it lacks, so that the fallback is never seen.
    pub(crate) fn shape(&self, name: &str) -> &Shape {
        self.shapes.get(name).unwrap_or(&self.unknown)
    }

    pub(crate) fn error(&self, shape: &str) -> Option<&ErrorTrait> {
        self.shapes.get(shape)?.error.as_ref()
    }
}

impl Operation {
    pub(crate) fn models(&self, error_shape: &str) -> bool {
        self.errors.iter().any(|error| error == error_shape)
    }

    /// Whether it only looks.
    pub(crate) fn reads(&self) -> bool {
        ["Describe", "List", "Get"].iter().any(|verb| self.name.starts_with(verb))
    }
}
