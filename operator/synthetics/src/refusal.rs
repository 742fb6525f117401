//! What AWS can't run.

/// A field that AWS's runtime has no words for, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {mend}")]
pub struct Refusal {
    /// Such as spec.checks[home].ipFamily.
    pub field: String,
    pub mend: String,
}

impl Refusal {
    pub(crate) fn new(field: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { field: field.into(), mend: mend.into() }
    }
}
