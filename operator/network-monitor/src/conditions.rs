//! The conditions of a monitor.

pub(super) use tidewatch_kube::conditions::{ConditionKind, Truth, conditions, find};

/// What a condition of a monitor says.
pub(super) type Says = tidewatch_kube::conditions::Says<ConditionType>;

/// The types of conditions, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConditionType {
    /// The spec is valid and its traffic is being watched.
    Ready,
    /// The infrastructure is at fault.
    Degraded,
    /// A service or pod is at fault.
    WorkloadFault,
    /// Every endpoint of the spec names something that exists.
    EndpointsResolved,
    /// Results go where `spec.publish` says.
    Published,
}

impl ConditionKind for ConditionType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Degraded => "Degraded",
            Self::WorkloadFault => "WorkloadFault",
            Self::EndpointsResolved => "EndpointsResolved",
            Self::Published => "Published",
        }
    }
}
