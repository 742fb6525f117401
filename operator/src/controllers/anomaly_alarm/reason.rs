//! Why an alarm isn't in place: one reason a cause, with its sentence.

use crate::aws::{AwsError, ErrorKind};

/// Reasons of condition Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    InPlace,
    InvalidSpec,
    RoleNotAllowed,
    AdoptionNotAllowed,
    NotSupported,
    NotOurs,
    TrainingConflict,
    Rejected,
    AwsDisabled,
    RegionUnknown,
    WaitingForMonitor,
    WaitingForCanary,
    WaitingForAlarms,
    Settling,
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
            Self::InPlace => "InPlace",
            Self::InvalidSpec => "InvalidSpec",
            Self::RoleNotAllowed => "RoleNotAllowed",
            Self::AdoptionNotAllowed => "AdoptionNotAllowed",
            Self::NotSupported => "NotSupported",
            Self::NotOurs => "NotOurs",
            Self::TrainingConflict => "TrainingConflict",
            Self::Rejected => "Rejected",
            Self::AwsDisabled => "AWSDisabled",
            Self::RegionUnknown => "RegionUnknown",
            Self::WaitingForMonitor => "WaitingForMonitor",
            Self::WaitingForCanary => "WaitingForCanary",
            Self::WaitingForAlarms => "WaitingForAlarms",
            Self::Settling => "Settling",
            Self::Deleting => "Deleting",
            Self::Throttled => "Throttled",
            Self::Denied => "Denied",
            Self::NoCredentials => "NoCredentials",
            Self::QuotaReached => "QuotaReached",
            Self::AwsUnreachable => "AWSUnreachable",
        }
    }

    /// Only a change of the spec (or of what the chart allows) helps: Ready is False. Else it is Unknown, and tried again.
    pub(super) fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::InvalidSpec
                | Self::RoleNotAllowed
                | Self::AdoptionNotAllowed
                | Self::NotSupported
                | Self::NotOurs
                | Self::TrainingConflict
                | Self::Rejected
        )
    }

    pub(super) fn of(error: &AwsError) -> Self {
        match error.kind {
            ErrorKind::Terminal => Self::Rejected,
            ErrorKind::Throttled => Self::Throttled,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Credentials => Self::NoCredentials,
            ErrorKind::Quota => Self::QuotaReached,
            ErrorKind::Retry | ErrorKind::NotFound | ErrorKind::Conflict => Self::AwsUnreachable,
        }
    }
}

/// Why the alarm isn't in place as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub reason: Reason,
    pub message: String,
}

impl Problem {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
