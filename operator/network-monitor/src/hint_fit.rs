//! Which changes can cause which faults, and how soon: a hint that can't have caused what it stands beside misleads.

use jiff::SignedDuration;
use tidewatch_cluster::{NodeEdit, ServiceEdit, What};
use tidewatch_health::Cause;

/// The kinds of change that are told apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Policy,
    Rollout,
    NoReadyEndpoints,
    ServiceSelector,
    ServicePorts,
    ServiceDeleted,
    NodeCordoned,
    NodeRemoved,
}

impl ChangeKind {
    #[cfg(test)]
    pub(super) const ALL: [Self; 8] = [
        Self::Policy,
        Self::Rollout,
        Self::NoReadyEndpoints,
        Self::ServiceSelector,
        Self::ServicePorts,
        Self::ServiceDeleted,
        Self::NodeCordoned,
        Self::NodeRemoved,
    ];

    /// A Service whose selector and ports changed counts as one whose selector did, which can cause more.
    pub(super) fn of(what: &What) -> Self {
        match what {
            What::Policy { .. } => Self::Policy,
            What::Rollout { .. } => Self::Rollout,
            What::NoReadyEndpoints { .. } => Self::NoReadyEndpoints,
            What::Service { edit: ServiceEdit::Selector | ServiceEdit::SelectorAndPorts, .. } => {
                Self::ServiceSelector
            }
            What::Service { edit: ServiceEdit::Ports, .. } => Self::ServicePorts,
            What::Service { edit: ServiceEdit::Deleted, .. } => Self::ServiceDeleted,
            What::Node { edit: NodeEdit::Cordoned, .. } => Self::NodeCordoned,
            What::Node { edit: NodeEdit::Removed, .. } => Self::NodeRemoved,
        }
    }
}

/// How long after the change the fault may begin that it causes; `None` where it can't cause it.
///
/// - Unreachable, refused: what decides where connections go and whether they may. Clients notice when they next connect,
///   which a pool does every few minutes.
/// - Overload: fewer, other or newer pods, or a policy that lets only some clients in.
/// - Latency: newer or other pods. Clients that are connected feel it at once.
/// - Packet loss: a policy that cuts established connections, a node that went away under them.
/// - A node's limits and a path's failing new connections are no doing of a workload's changes.
pub(super) fn reach(cause: Cause, change: ChangeKind) -> Option<SignedDuration> {
    use ChangeKind::{
        NoReadyEndpoints, NodeCordoned, NodeRemoved, Policy, Rollout, ServiceDeleted, ServicePorts,
        ServiceSelector,
    };
    let minutes = match (cause, change) {
        (Cause::Unreachable | Cause::Unknown, Policy) => 15,
        (Cause::Unreachable | Cause::Refused | Cause::Unknown, change) => match change {
            // The plugins that refuse what a policy forbids, rather than drop it, are few.
            Policy => return None,
            Rollout | ServiceSelector | ServicePorts | ServiceDeleted => 10,
            NoReadyEndpoints | NodeCordoned | NodeRemoved => 5,
        },
        (Cause::Overload, Policy | Rollout | ServiceSelector) => 5,
        (Cause::Latency, Rollout | ServiceSelector) => 3,
        (Cause::PacketLoss, Policy | NodeRemoved) => 2,
        (Cause::Overload | Cause::Latency | Cause::PacketLoss, _)
        | (Cause::ConnectionFailures | Cause::ConntrackFull | Cause::AllowanceExceeded, _) => return None,
    };
    Some(SignedDuration::from_mins(minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_reaches_the_faults_that_it_can_cause() {
        // Minutes; 0: it can't be the cause. In the order of `ChangeKind::ALL`.
        for (cause, minutes) in [
            (Cause::Unreachable, [15, 10, 5, 10, 10, 10, 5, 5]),
            (Cause::Refused, [0, 10, 5, 10, 10, 10, 5, 5]),
            (Cause::Overload, [5, 5, 0, 5, 0, 0, 0, 0]),
            (Cause::Latency, [0, 3, 0, 3, 0, 0, 0, 0]),
            (Cause::PacketLoss, [2, 0, 0, 0, 0, 0, 0, 2]),
            (Cause::ConnectionFailures, [0; 8]),
            (Cause::ConntrackFull, [0; 8]),
            (Cause::AllowanceExceeded, [0; 8]),
            (Cause::Unknown, [15, 10, 5, 10, 10, 10, 5, 5]),
        ] {
            let reached = ChangeKind::ALL.map(|change| reach(cause, change).map_or(0, |d| d.as_mins()));
            assert_eq!(reached, minutes, "{cause:?}");
        }
    }
}
