//! The log of calls: what was asked, by whom, and what became of it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// The signing name: `monitoring`, `sts`.
    pub service: String,
    pub operation: String,
    pub account: String,
    pub region: String,
    pub access_key: String,
    /// The role's ARN, if the key came from AssumeRole.
    pub role: Option<String>,
    pub at: Timestamp,
    /// Members named as in AWS's model; timestamps in RFC 3339.
    pub request: Value,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Outcome {
    Ok,
    Error {
        /// As clients see it: `Throttling`, `ValidationError`.
        code: String,
        status: u16,
    },
    /// The connection was closed without an answer.
    Dropped {
        applied: bool,
    },
}

impl Call {
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    /// Whether it would change something, successful or not.
    pub fn is_write(&self) -> bool {
        self.service != "sts"
            && !["Describe", "List", "Get"].iter().any(|verb| self.operation.starts_with(verb))
    }
}
