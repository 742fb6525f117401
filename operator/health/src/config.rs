//! What a user can turn: how soon to speak.

use serde::{Deserialize, Serialize};

/// How readily the engine speaks. Each level's measured precision and recall are in `docs/health.md`.
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
