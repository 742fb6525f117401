//! Whether the service works as it should.

use serde::Serialize;

/// What the admin asked the service to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Normal,
    /// Accepts ever so slowly, so that the backlog fills and most SYNs go unanswered; open connections are served slowly.
    Overload,
}
