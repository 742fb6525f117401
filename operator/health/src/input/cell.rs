//! A cell: one direction of one flow in one window, with its counts.

use serde::{Deserialize, Serialize};
use tidewatch_records::{FlowWindow, Role};

use crate::input::names::Id;
use crate::input::record::quickest_of;

/// The server of a flow, as far as it is known: the key of the flow's baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Subject {
    Service(Id),
    Aws(Id),
    Workload(Id),
    Pod(Id),
    /// A port of a workload, or of a pod of none, that no Service has: what listens there, or doesn't, is a matter of its
    /// own.
    WorkloadPort(Id, u16),
    PodPort(Id, u16),
    /// A listener on a node's own address whose port isn't known.
    Node(Id),
    Address(Id),
    /// The listeners on this port of nodes' own addresses, such as a DaemonSet on the host network or the kubelets.
    Hosts(u16),
}

impl Subject {
    /// The service that it counts as where services are counted. Addresses that nothing is known of may be many or one:
    /// together they are one.
    pub(crate) fn service(self) -> Option<Self> {
        match self {
            Self::Service(_)
            | Self::Aws(_)
            | Self::Workload(_)
            | Self::Pod(_)
            | Self::WorkloadPort(..)
            | Self::PodPort(..)
            | Self::Hosts(_) => Some(self),
            Self::Node(_) | Self::Address(_) => None,
        }
    }

    /// True if it is known that something should listen there: a Service declares it, or a remote is dialled by its
    /// name. That a pod or a node listens on a port is known only once it has answered.
    pub(crate) fn is_declared(self) -> bool {
        matches!(self, Self::Service(_) | Self::Aws(_) | Self::Address(_))
    }

    pub(crate) fn renumbered(self, number: &mut impl FnMut(Id) -> Id) -> Self {
        match self {
            Self::Service(id) => Self::Service(number(id)),
            Self::Aws(id) => Self::Aws(number(id)),
            Self::Workload(id) => Self::Workload(number(id)),
            Self::Pod(id) => Self::Pod(number(id)),
            Self::WorkloadPort(id, port) => Self::WorkloadPort(number(id), port),
            Self::PodPort(id, port) => Self::PodPort(number(id), port),
            Self::Node(id) => Self::Node(number(id)),
            Self::Address(id) => Self::Address(number(id)),
            Self::Hosts(port) => Self::Hosts(port),
        }
    }
}

/// Location of a flow's other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Reach {
    Cluster,
    /// Outside: an AWS service, a VPC, the internet.
    External,
}

/// The properties that two records of a window must share to be one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) subject: Subject,
    pub(crate) role: Role,
    pub(crate) reach: Reach,
    pub(crate) local: Id,
    pub(crate) remote: Id,
    pub(crate) local_pod: Option<Id>,
    pub(crate) remote_pod: Option<Id>,
    pub(crate) local_node: Option<Id>,
    pub(crate) remote_node: Option<Id>,
    pub(crate) local_zone: Option<Id>,
    pub(crate) remote_zone: Option<Id>,
    /// Namespace of the client, if it is a pod.
    pub(crate) client_namespace: Option<Id>,
}

impl Flow {
    /// True if the flow leaves its node, as far as is known.
    pub(crate) fn leaves_node(&self) -> bool {
        self.local_node != self.remote_node
    }
}

/// Data segments of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) segments: u64,
    pub(crate) retransmissions: u64,
    pub(crate) timeouts: u64,
}

/// Tries of a connection request that goes unanswered, beyond the first: kernels since 6.5 try once a second four times
/// (net.ipv4.tcp_syn_linear_timeouts), older ones after 1, 3 and 7 s.
pub(super) const TRIES_AGAIN: u64 = 4;
/// The most tries beyond the first within a minute: after the four, the time between two tries doubles each time.
const MOST_TRIES_AGAIN: u64 = 8;

/// Connection attempts by outcome; zero at the server's side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Handshakes {
    pub(crate) established: u64,
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    /// Of the unanswered ones, those that went unanswered in an earlier window already and still wait.
    pub(crate) waiting: u64,
    /// Attempts that are under way: no evidence, but they may have been sent again.
    pub(crate) pending: u64,
    /// Requests that were sent again, where the agent counts them.
    pub(crate) sent_again: u64,
    /// Time that opening connections took, in microseconds for each second.
    pub(super) opening_us: u64,
}

impl Handshakes {
    /// Attempts whose outcome is known.
    pub(crate) fn decided(self) -> u64 {
        self.established.saturating_add(self.refused).saturating_add(self.unanswered)
    }

    /// Requests that were lost of attempts that were answered at a later try: all that were sent again, without the most
    /// that attempts without an answer can have sent.
    pub(crate) fn lost_before_answer(self) -> u64 {
        let without_answer = self.unanswered.saturating_add(self.overdue());
        self.sent_again.saturating_sub(MOST_TRIES_AGAIN.saturating_mul(without_answer))
    }

    /// Attempts without an outcome that need an explanation. As many connections are being opened at any moment as are opened
    /// in the time that it takes to open one (Little's law), and by chance there may be twice as many.
    pub(super) fn overdue(self) -> u64 {
        self.pending.saturating_sub((2.0 * self.opening_us as f64 / 1e6).ceil() as u64)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.established = self.established.saturating_add(other.established);
        self.refused = self.refused.saturating_add(other.refused);
        self.unanswered = self.unanswered.saturating_add(other.unanswered);
        self.waiting = self.waiting.saturating_add(other.waiting);
        self.pending = self.pending.saturating_add(other.pending);
        self.sent_again = self.sent_again.saturating_add(other.sent_again);
        self.opening_us = self.opening_us.saturating_add(other.opening_us);
    }
}

/// Round-trip times, kept as integers so that merging doesn't depend on order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RoundTrips {
    pub(crate) count: u64,
    /// Σ count × median.
    weighted_p50_us: u128,
    /// The quickest, of data and of handshakes.
    quickest_us: Option<u64>,
}

impl RoundTrips {
    /// Mean of the merged records' medians.
    pub(crate) fn p50_us(&self) -> Option<f64> {
        (self.count > 0).then(|| self.weighted_p50_us as f64 / self.count as f64)
    }

    /// The quickest round trip of the window. Queues and busy CPUs lengthen many trips; what lengthens all of them is the
    /// way itself.
    pub(crate) fn quickest_us(&self) -> Option<f64> {
        self.quickest_us.filter(|us| *us > 0).map(|us| us as f64)
    }

    pub(super) fn of(record: &FlowWindow) -> Self {
        let data = record.rtt_us.as_ref().filter(|latency| latency.count > 0);
        let handshakes = record.handshake_us.as_ref().filter(|latency| latency.count > 0);
        let quickest = [data, handshakes].into_iter().flatten().map(quickest_of).min();
        let (count, p50) = data.map_or((0, 0), |data| (data.count, data.p50));
        Self { count, weighted_p50_us: u128::from(count) * u128::from(p50), quickest_us: quickest }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.quickest_us = [self.quickest_us, other.quickest_us].into_iter().flatten().min();
        self.count = self.count.saturating_add(other.count);
        self.weighted_p50_us = self.weighted_p50_us.saturating_add(other.weighted_p50_us);
    }
}

/// One flow's one direction in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) flow: Flow,
    pub(crate) data: Data,
    pub(crate) handshakes: Handshakes,
    pub(crate) round_trips: RoundTrips,
}
