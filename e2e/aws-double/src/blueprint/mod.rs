//! The multi-checks blueprint: whether a `blueprint-config.json` is one that AWS's runtime takes.
//!
//! The rules are those of AWS's JSON schema for it (CloudWatch_Synthetics_Canaries_MultiCheck_Blueprint): which keys
//! there are, what their values look like, and that no other key is known.

mod assertions;
mod authentication;
mod schema;
mod steps;
#[cfg(test)]
mod tests;

use schema::Found;
pub(crate) use schema::Violation;
use serde_json::Value;

/// Everything that is wrong with a document; empty if nothing is.
pub(crate) fn check(text: &str) -> Vec<Violation> {
    let mut found = Found::default();
    match serde_json::from_str::<Value>(text) {
        Ok(document) => steps::document(&document, &mut found),
        Err(error) => found.add("", format!("is not JSON: {error}")),
    }
    found.violations
}
