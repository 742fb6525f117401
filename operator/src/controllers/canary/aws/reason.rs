//! Why a canary isn't in place in AWS: one reason a cause, with its sentence.

use crate::aws::{AwsError, ErrorKind};

/// Reasons of condition Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    InvalidSpec,
    RoleNotAllowed,
    AdoptionNotAllowed,
    NotOurs,
    Rejected,
    CreationFailed,
    UpdateFailed,
    AwsDisabled,
    RegionUnknown,
    ScriptsNotAllowed,
    ScriptNotFound,
    ScriptUnreadable,
    RoleNotAssumable,
    /// AWS works on it.
    InProgress,
    Deleting,
    Throttled,
    Denied,
    NoCredentials,
    QuotaReached,
    AwsUnreachable,
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSpec => "InvalidSpec",
            Self::RoleNotAllowed => "RoleNotAllowed",
            Self::AdoptionNotAllowed => "AdoptionNotAllowed",
            Self::NotOurs => "NotOurs",
            Self::Rejected => "Rejected",
            Self::CreationFailed => "CreationFailed",
            Self::UpdateFailed => "UpdateFailed",
            Self::AwsDisabled => "AWSDisabled",
            Self::RegionUnknown => "RegionUnknown",
            Self::ScriptsNotAllowed => "ScriptsNotAllowed",
            Self::ScriptNotFound => "ScriptNotFound",
            Self::ScriptUnreadable => "ScriptUnreadable",
            Self::RoleNotAssumable => "RoleNotAssumable",
            Self::InProgress => "InProgress",
            Self::Deleting => "Deleting",
            Self::Throttled => "Throttled",
            Self::Denied => "Denied",
            Self::NoCredentials => "NoCredentials",
            Self::QuotaReached => "QuotaReached",
            Self::AwsUnreachable => "AWSUnreachable",
        }
    }

    /// Only a change of the spec, or of what it names, helps: Ready is False. Else it is Unknown, and tried again.
    pub(super) fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::InvalidSpec
                | Self::RoleNotAllowed
                | Self::AdoptionNotAllowed
                | Self::NotOurs
                | Self::Rejected
                | Self::CreationFailed
                | Self::UpdateFailed
        )
    }

    fn of(error: &AwsError) -> Self {
        match error.kind {
            ErrorKind::Terminal => Self::Rejected,
            ErrorKind::Throttled => Self::Throttled,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Credentials => Self::NoCredentials,
            ErrorKind::Quota => Self::QuotaReached,
            ErrorKind::Conflict => Self::InProgress,
            ErrorKind::Retry | ErrorKind::NotFound => Self::AwsUnreachable,
        }
    }
}

/// Why the canary isn't in place as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub reason: Reason,
    pub message: String,
}

impl Problem {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The problem that an error of AWS is.
    pub(super) fn of(error: &AwsError) -> Self {
        let reason = Reason::of(error);
        let advice = match reason {
            Reason::Denied => "; grant it by IAM (docs/iam.md)",
            Reason::NoCredentials => "; give the operator's service account an IAM role (docs/iam.md)",
            Reason::QuotaReached => "; ask AWS for a higher quota",
            _ => "",
        };
        Self::new(reason, format!("{error}{advice}"))
    }
}
