//! Why a canary isn't in place in AWS: one reason a cause.

use tidewatch_aws::{AwsError, ErrorKind};
use tidewatch_managed::Shared;

/// Reasons of condition Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    CreationFailed,
    UpdateFailed,
    ScriptsNotAllowed,
    ScriptNotFound,
    ScriptUnreadable,
    RoleNotAssumable,
    /// AWS works on it.
    InProgress,
    /// One that other kinds in AWS have too.
    Shared(Shared),
}

impl From<Shared> for Reason {
    fn from(shared: Shared) -> Self {
        Self::Shared(shared)
    }
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::CreationFailed => "CreationFailed",
            Self::UpdateFailed => "UpdateFailed",
            Self::ScriptsNotAllowed => "ScriptsNotAllowed",
            Self::ScriptNotFound => "ScriptNotFound",
            Self::ScriptUnreadable => "ScriptUnreadable",
            Self::RoleNotAssumable => "RoleNotAssumable",
            Self::InProgress => "InProgress",
            Self::Shared(shared) => shared.as_str(),
        }
    }

    /// Only a change of the spec, or of what it names, helps: Ready is False. Else it is Unknown, and tried again.
    pub(super) fn is_terminal(self) -> bool {
        match self {
            Self::CreationFailed | Self::UpdateFailed => true,
            Self::Shared(shared) => shared.is_terminal(),
            Self::ScriptsNotAllowed
            | Self::ScriptNotFound
            | Self::ScriptUnreadable
            | Self::RoleNotAssumable
            | Self::InProgress => false,
        }
    }
}

/// Why the canary isn't in place as declared.
pub(super) type Problem = tidewatch_managed::Problem<Reason>;

/// The problem that an error of AWS is. A conflict is that AWS works on the canary.
pub(super) fn problem_of(error: &AwsError) -> Problem {
    match error.kind {
        ErrorKind::Conflict => Problem::new(Reason::InProgress, error.to_string()),
        _ => Problem::of(error),
    }
}
