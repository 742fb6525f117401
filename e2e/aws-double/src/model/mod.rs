//! AWS's own service models: which operations there are, and what a value of each shape looks like.
//!
//! Nothing about requests and answers is written by hand; the wire protocols and the validation walk these shapes.

mod load;

use std::collections::BTreeMap;
use std::sync::OnceLock;

pub use load::ModelError;
use regex::Regex;

/// The services that the double is.
pub(crate) type Models = [Model; 4];

/// All of them. Their patterns take long to compile: once is enough for a process that starts many doubles.
pub(crate) fn all() -> Result<&'static Models, ModelError> {
    static LOADED: OnceLock<Models> = OnceLock::new();
    if let Some(models) = LOADED.get() {
        return Ok(models);
    }
    let models = [Model::cloudwatch()?, Model::sts()?, Model::synthetics()?, Model::logs()?];
    Ok(LOADED.get_or_init(|| models))
}

/// The operations and shapes of one service.
#[derive(Debug)]
pub(crate) struct Model {
    /// The name in the credential scope: `monitoring`, `sts`.
    pub(crate) signing_name: String,
    /// `2010-08-01`: what a query request calls `Version`, and so tells the services apart.
    pub(crate) api_version: String,
    /// What `X-Amz-Target` begins with, for services that speak JSON.
    pub(crate) target_prefix: Option<String>,
    /// `application/x-amz-json-` is followed by this: `1.0`, `1.1`.
    pub(crate) json_version: String,
    pub(crate) xml_namespace: String,
    /// Paths and methods tell the operations apart (restJson1).
    pub(crate) rest: bool,
    /// Errors are known by the codes of the query protocol, `Throttling`; elsewhere they are `ThrottlingException`.
    pub(crate) query_codes: bool,
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
    /// For services that are told apart by it.
    pub(crate) route: Route,
    /// Members of the request that aren't in its body.
    pub(crate) bound: Vec<Bound>,
}

/// `PATCH /canary/{name}`.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) path: Vec<Segment>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Fixed(String),
    /// The name under which a member is bound to it.
    Parameter(String),
}

/// A member that is sent in the path or in the query.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) member: String,
    pub(crate) shape: String,
    pub(crate) name: String,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
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
    regex: Regex,
    /// What a value must not begin with.
    reserved: Option<&'static str>,
}

impl Pattern {
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text) && self.reserved.is_none_or(|reserved| !text.starts_with(reserved))
    }
}

/// How an error shape goes on the wire.
#[derive(Debug, Clone)]
pub(crate) struct ErrorTrait {
    pub(crate) code: String,
    pub(crate) status: u16,
    pub(crate) sender: bool,
}

impl Model {
    pub(crate) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }

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
