//! What every kind that may live in AWS has in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who carries an object out.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    #[serde(rename = "AWS")]
    Aws,
    Embedded,
}

/// What happens in AWS when the object is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DeletionPolicy {
    /// What the operator made for the object is deleted; what something else uses as well stays.
    #[default]
    Delete,
    /// Everything stays in AWS and goes on.
    Retain,
}
