//! The engine's settings that a user can choose.

use serde::{Deserialize, Serialize};

/// The evidence that the engine demands before it names a component. `docs/health.md` has each level's measured
/// precision and recall.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sensitivity {
    /// Speaks late and only of what is plain: for paging.
    Low,
    #[default]
    Standard,
    /// Speaks early, and errs more often: for looking.
    High,
}

/// The engine's settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    pub sensitivity: Sensitivity,
}
