//! Why something isn't in place in AWS, as far as the kinds have the same causes.

use tidewatch_aws::{AwsError, ErrorKind};
use tidewatch_kube::conditions::WATCH_FAILING;

/// Reasons of condition Ready that all kinds in AWS have; a kind's own are beside these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    InvalidSpec,
    RoleNotAllowed,
    AdoptionNotAllowed,
    NotOurs,
    Rejected,
    AwsDisabled,
    RegionUnknown,
    Deleting,
    InUse,
    WatchFailing,
    Throttled,
    Denied,
    NoCredentials,
    QuotaReached,
    AwsUnreachable,
}

impl Shared {
    /// Somebody must grant something: that is told as an Event too.
    pub const REFUSALS: [Self; 3] = [Self::Denied, Self::NoCredentials, Self::QuotaReached];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSpec => "InvalidSpec",
            Self::RoleNotAllowed => "RoleNotAllowed",
            Self::AdoptionNotAllowed => "AdoptionNotAllowed",
            Self::NotOurs => "NotOurs",
            Self::Rejected => "Rejected",
            Self::AwsDisabled => "AWSDisabled",
            Self::RegionUnknown => "RegionUnknown",
            Self::Deleting => "Deleting",
            Self::InUse => "InUse",
            Self::WatchFailing => WATCH_FAILING,
            Self::Throttled => "Throttled",
            Self::Denied => "Denied",
            Self::NoCredentials => "NoCredentials",
            Self::QuotaReached => "QuotaReached",
            Self::AwsUnreachable => "AWSUnreachable",
        }
    }

    /// Only a change of the spec (or of what the chart allows) helps: Ready is False. Else it is Unknown, and tried again.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::InvalidSpec
                | Self::RoleNotAllowed
                | Self::AdoptionNotAllowed
                | Self::NotOurs
                | Self::Rejected
        )
    }

    fn of(error: &AwsError) -> Self {
        match error.kind {
            ErrorKind::Terminal => Self::Rejected,
            ErrorKind::InUse => Self::InUse,
            ErrorKind::Throttled => Self::Throttled,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Credentials => Self::NoCredentials,
            ErrorKind::Quota => Self::QuotaReached,
            ErrorKind::Retry | ErrorKind::NotFound | ErrorKind::Conflict => Self::AwsUnreachable,
        }
    }

    /// What to do about what AWS refused.
    fn advice(self) -> &'static str {
        match self {
            Self::Denied => "; grant it by IAM (docs/iam.md)",
            Self::NoCredentials => "; give the operator's service account an IAM role (docs/iam.md)",
            Self::QuotaReached => "; ask AWS for a higher quota",
            _ => "",
        }
    }
}

/// What the chart has against it, for whichever kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    reason: Shared,
    message: String,
}

impl Objection {
    pub(super) fn new(reason: Shared, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl<R: From<Shared>> From<Objection> for Problem<R> {
    fn from(Objection { reason, message }: Objection) -> Self {
        Self::new(reason, message)
    }
}

/// Why it isn't in place as declared: a kind's reason, and its sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem<R> {
    pub reason: R,
    pub message: String,
}

impl<R: From<Shared>> Problem<R> {
    pub fn new(reason: impl Into<R>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into() }
    }

    /// The problem that an error of AWS is.
    pub fn of(error: &AwsError) -> Self {
        let reason = Shared::of(error);
        Self::new(reason, format!("{error}{}", reason.advice()))
    }

    /// The object is to go, and the operator may not delete what it has in AWS.
    pub fn left_in_aws() -> Self {
        Self::new(
            Shared::AwsDisabled,
            "the operator isn't allowed to use AWS any more, so that what it made there can't be deleted: set the chart's aws.enabled, or deletionPolicy: Retain",
        )
    }
}
