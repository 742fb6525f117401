//! Why an alarm isn't in place: one reason a cause.

use tidewatch_managed::Shared;

/// Reasons of condition Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    InPlace,
    NotSupported,
    TrainingConflict,
    WaitingForMonitor,
    WaitingForCanary,
    WaitingForAlarms,
    Settling,
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
            Self::InPlace => "InPlace",
            Self::NotSupported => "NotSupported",
            Self::TrainingConflict => "TrainingConflict",
            Self::WaitingForMonitor => "WaitingForMonitor",
            Self::WaitingForCanary => "WaitingForCanary",
            Self::WaitingForAlarms => "WaitingForAlarms",
            Self::Settling => "Settling",
            Self::Shared(shared) => shared.as_str(),
        }
    }

    /// Only a change of the spec (or of what the chart allows) helps: Ready is False. Else it is Unknown, and tried again.
    pub(super) fn is_terminal(self) -> bool {
        match self {
            Self::NotSupported | Self::TrainingConflict => true,
            Self::Shared(shared) => shared.is_terminal(),
            Self::InPlace
            | Self::WaitingForMonitor
            | Self::WaitingForCanary
            | Self::WaitingForAlarms
            | Self::Settling => false,
        }
    }
}

/// Why the alarm isn't in place as declared.
pub(super) type Problem = tidewatch_managed::Problem<Reason>;
