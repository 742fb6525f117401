//! The kinds of trials: those of the table, and those that real software and real machines taught.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    Healthy,
    Node,
    ZonePair,
    ZonePairOneWay,
    Zone,
    Blocked,
    Refused,
    Overloaded,
    SickPod,
    LossyRemote,
    Latency,
    Mixed,
    Flapping,
    Partial,
    SlowOnset,
    /// Every new connection from and to a node goes unanswered, established ones are fine.
    ConntrackFull,
    /// The same for 30% or 90% of them.
    ConntrackPartial,
    ConntrackOutbound,
    ConntrackInbound,
    /// Only new connections between the node and other zones (or the outside).
    ConntrackInterZone,
    ConntrackTwoNodes,
    /// New connections between two zones.
    ConnectionsZonePair,
    /// Loss of 5% to 30%.
    HeavyNode,
    HeavyZone,
    HeavyZonePair,
    /// A node or zone pair with heavy loss, and a workload that refuses or is blocked.
    HeavyMixed,
    /// A blocked port whose few clients wait long, and back off long.
    PatientBlocked,
    /// A NetworkPolicy shuts several services of a namespace off from their clients.
    PolicyIngress,
    /// A NetworkPolicy shuts the pods of a service off from all that they call.
    PolicyEgress,
    /// Loss at a node or zone pair while nodes are short of CPU.
    StarvedLoss,
    /// Delay at a node or zone pair while nodes are short of CPU.
    StarvedLatency,
    /// One node is short of CPU.
    StarvedNode,
    /// All nodes are short of CPU.
    StarvedAll,
    /// A node is short of CPU by turns, some seconds to a minute at a time.
    StarvedByTurns,
    /// Some or all machines stand still for a second or two.
    Stalls,
    /// A pod dials ports that nothing listens on.
    DeadPorts,
    /// Pods that start slowly: only kubelet's probes are refused.
    Probes,
    /// Many services have bad minutes.
    Noisy,
    /// Rolling restarts, killed pods and a drained node, under load.
    Rollouts,
    /// All nodes are saturated, so that timers fire for segments that weren't lost.
    Saturated,
}

impl FaultKind {
    /// Those of the table, in the order in which seeds take turns.
    pub const TABLE: [Self; 15] = [
        Self::Healthy,
        Self::Node,
        Self::ZonePair,
        Self::ZonePairOneWay,
        Self::Zone,
        Self::Blocked,
        Self::Refused,
        Self::Overloaded,
        Self::SickPod,
        Self::LossyRemote,
        Self::Latency,
        Self::Mixed,
        Self::Flapping,
        Self::Partial,
        Self::SlowOnset,
    ];

    /// Those of `bench-nhi reality` in which something is at fault.
    pub const REAL_FAULTS: [Self; 16] = [
        Self::ConntrackFull,
        Self::ConntrackPartial,
        Self::ConntrackOutbound,
        Self::ConntrackInbound,
        Self::ConntrackInterZone,
        Self::ConntrackTwoNodes,
        Self::ConnectionsZonePair,
        Self::HeavyNode,
        Self::HeavyZone,
        Self::HeavyZonePair,
        Self::HeavyMixed,
        Self::PatientBlocked,
        Self::PolicyIngress,
        Self::PolicyEgress,
        Self::StarvedLoss,
        Self::StarvedLatency,
    ];

    /// Those of `bench-nhi reality` in which nothing is to be named.
    pub const REAL_BENIGN: [Self; 9] = [
        Self::StarvedNode,
        Self::StarvedAll,
        Self::StarvedByTurns,
        Self::Stalls,
        Self::DeadPorts,
        Self::Probes,
        Self::Noisy,
        Self::Rollouts,
        Self::Saturated,
    ];

    /// Those that are a workload's or a remote's own, so that no infrastructure is to be blamed for them.
    pub const NOT_INFRASTRUCTURE: [Self; 5] =
        [Self::Blocked, Self::Refused, Self::Overloaded, Self::SickPod, Self::LossyRemote];

    /// The kinds of `bench-nhi reality`.
    pub fn real() -> impl Iterator<Item = Self> {
        Self::REAL_FAULTS.into_iter().chain(Self::REAL_BENIGN)
    }

    pub fn is_benign(self) -> bool {
        self == Self::Healthy || Self::REAL_BENIGN.contains(&self)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Node => "node",
            Self::ZonePair => "zone-pair",
            Self::ZonePairOneWay => "zone-pair-one-way",
            Self::Zone => "zone",
            Self::Blocked => "blocked",
            Self::Refused => "refused",
            Self::Overloaded => "overloaded",
            Self::SickPod => "sick-pod",
            Self::LossyRemote => "lossy-remote",
            Self::Latency => "latency",
            Self::Mixed => "mixed",
            Self::Flapping => "flapping",
            Self::Partial => "partial",
            Self::SlowOnset => "slow-onset",
            Self::ConntrackFull => "conntrack-full",
            Self::ConntrackPartial => "conntrack-partial",
            Self::ConntrackOutbound => "conntrack-outbound",
            Self::ConntrackInbound => "conntrack-inbound",
            Self::ConntrackInterZone => "conntrack-inter-zone",
            Self::ConntrackTwoNodes => "conntrack-two-nodes",
            Self::ConnectionsZonePair => "connections-zone-pair",
            Self::HeavyNode => "heavy-node",
            Self::HeavyZone => "heavy-zone",
            Self::HeavyZonePair => "heavy-zone-pair",
            Self::HeavyMixed => "heavy-mixed",
            Self::PatientBlocked => "patient-blocked",
            Self::PolicyIngress => "policy-ingress",
            Self::PolicyEgress => "policy-egress",
            Self::StarvedLoss => "starved-loss",
            Self::StarvedLatency => "starved-latency",
            Self::StarvedNode => "starved-node",
            Self::StarvedAll => "starved-all",
            Self::StarvedByTurns => "starved-by-turns",
            Self::Stalls => "stalls",
            Self::DeadPorts => "dead-ports",
            Self::Probes => "probes",
            Self::Noisy => "noisy",
            Self::Rollouts => "rollouts",
            Self::Saturated => "saturated",
        }
    }

    /// The kind of the table's trial with this seed: they take turns, so that every range of seeds has all of them.
    pub fn of_seed(seed: u64) -> Self {
        let turn = (seed % Self::TABLE.len() as u64) as usize;
        Self::TABLE.get(turn).copied().unwrap_or(Self::Healthy)
    }
}
