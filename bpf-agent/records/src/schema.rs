//! The record itself. Field names are the wire names; optional fields that aren't known are absent.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// A name that many records share: cloned for the price of a reference count.
pub type Name = Arc<str>;

/// One flow in one window. All counters are deltas of the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowWindow {
    pub window_start: Timestamp,
    pub window_seconds: u32,
    /// Name of the node whose agent reports.
    pub reporter: Name,
    pub role: Role,
    pub local: Endpoint,
    pub remote: Endpoint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    #[serde(default)]
    pub connections: Connections,
    /// Data segments sent, retransmissions included (`tcp_sock.data_segs_out`).
    #[serde(default)]
    pub data_segments_out: u64,
    /// Segments retransmitted (`tcp_sock.total_retrans`).
    #[serde(default)]
    pub retransmissions: u64,
    /// Of these, segments that the other end had received already, as it said by DSACK (`tcp_sock.dsack_dups`): sent again because
    /// an acknowledgement came late, as where an end is short of CPU. What was lost on the way is never among them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spurious_retransmissions: u64,
    /// Of the retransmissions, SYNs that a client and SYN-ACKs that a server sent again: they tell how often connections are
    /// opened only at a later try, and nothing of the data of open ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub syn_retransmissions: u64,
    /// Retransmission time-outs (`tcp_sock.total_rto`).
    #[serde(default)]
    pub timeouts: u64,
    #[serde(default)]
    pub bytes_out: u64,
    #[serde(default)]
    pub bytes_in: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<Latency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake_us: Option<Latency>,
}

/// Returns true for a counter that is left out of a record, since few windows have one that isn't zero.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde calls it by reference
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The local endpoint's side of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// We connected: `remote.port` is the service port.
    Client,
    /// We accepted: `local.port` is the service port.
    Server,
}

/// One end of a flow: what the agent saw (`ip`, `port`, `pod_uid`, `cluster_ip`) and what the collector resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    pub ip: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// UID of the pod that owns the socket's cgroup, as the agent read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<Name>,
    /// The address that was dialled, where NAT led it to `ip` (a Service's ClusterIP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_ip: Option<IpAddr>,
    /// The port that was dialled, where NAT led it to `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_port: Option<u16>,
    /// `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Name>,
    /// `namespace/Kind/name` of the pod's top owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Name>,
    /// `namespace/name`, or `aws/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<EndpointKind>,
    /// Stage of the pod's life, if it was coming or going in the window: its trouble is expected then. For a Service
    /// that no pod answered for, the stage of a pod of it that was on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
}

impl Endpoint {
    /// An endpoint of which only the address is known.
    pub fn of(ip: IpAddr) -> Self {
        Self {
            ip,
            port: None,
            pod_uid: None,
            cluster_ip: None,
            cluster_port: None,
            pod: None,
            workload: None,
            service: None,
            node: None,
            zone: None,
            kind: None,
            lifecycle: None,
        }
    }
}

/// `namespace/Kind/name`, in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadRef<'a> {
    pub namespace: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
}

impl<'a> WorkloadRef<'a> {
    /// The parts of `text`, where it has three.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        Some(Self { namespace: parts.next()?, kind: parts.next()?, name: parts.next()? })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    Pod,
    Node,
    Service,
    Aws,
    Vpc,
    Internet,
    Unknown,
}

/// Stage of a pod that is coming or going, as the cluster tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Created, and not ready yet or only just.
    Starting,
    /// A container ended after a long time and was started again, and the pod is not ready yet or only just.
    Restarting,
    /// Its deletion was asked for.
    Terminating,
    /// It ended, or its object is deleted.
    Gone,
}

/// Location of the two ends relative to each other. The names are those of AWS Network Flow Monitor where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Category {
    IntraNode,
    IntraAz,
    InterAz,
    InterVpc,
    InterRegion,
    AwsService,
    Internet,
    Unclassified,
}

/// Connections by outcome. `attempted` and the failures are counted by the client; `established`, `closed` and
/// `open` by both sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// Distinct connections that sent a SYN in this window.
    pub attempted: u64,
    /// Reached ESTABLISHED in this window.
    pub established: u64,
    /// Answered by RST or ICMP port unreachable.
    pub refused: u64,
    /// Given up, or still unanswered after 3 s (counted once).
    pub timed_out: u64,
    /// Still unanswered at the window's end, and counted as `timed_out` in an earlier window: an attempt that waits is
    /// evidence in every window in which it waits.
    pub waiting: u64,
    /// Established, then reset by the peer.
    pub reset: u64,
    /// Closed by us with an error.
    pub aborted: u64,
    /// Ended in this window, however they ended.
    pub closed: u64,
    /// Open at the window's end.
    pub open: u64,
}

/// A distribution of durations in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    pub p50: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<u64>,
    pub p99: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Sparse `[bucket, count]` pairs of [`crate::histogram`], so that distributions of many records can be merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(u16, u32)>,
}

/// Number of sockets that one agent saw in one window, by outcome: `seen = reported + sampled_out + buffer_full +
/// dropped + invalid`. Counted in connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    pub window_start: Timestamp,
    pub window_seconds: u32,
    pub reporter: Name,
    pub seen: u64,
    pub reported: u64,
    pub sampled_out: u64,
    /// The kernel's ring buffer had no room.
    pub buffer_full: u64,
    /// Bounded tables of the agent were full, or the window was too old to keep while the collector was away.
    pub dropped: u64,
    /// Could not be made sense of (no address, another family).
    pub invalid: u64,
}

/// Figures of a node in one window, from counters that its kernel keeps anyway. A figure that the kernel doesn't
/// provide is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeWindow {
    pub window_start: Timestamp,
    pub window_seconds: u32,
    /// Name of the node.
    pub reporter: Name,
    pub node: NodeFigures,
}

/// The figures of a [`NodeWindow`]. Ratios are shares of the window's time, from 0 to 1; counters are deltas of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeFigures {
    /// Time in which some task waited for a CPU (`some` of /proc/pressure/cpu).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "ratio")]
    pub cpu_pressure_ratio: Option<f64>,
    /// Time in which some task waited for memory (`some` of /proc/pressure/memory).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "ratio")]
    pub memory_pressure_ratio: Option<f64>,
    /// Time that the CPUs were not idle (/proc/stat).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "ratio")]
    pub cpu_busy_ratio: Option<f64>,
    /// CPU time that the hypervisor gave to others (/proc/stat, `steal`).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "ratio")]
    pub steal_ratio: Option<f64>,
    /// CPU time spent in soft interrupts (/proc/stat, `softirq`).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "ratio")]
    pub softirq_ratio: Option<f64>,
    /// Packets dropped since a CPU's backlog was full (/proc/net/softnet_stat).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub softnet_dropped: Option<u64>,
    /// Times that the receive loop ended with packets left (/proc/net/softnet_stat, `time_squeeze`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub softnet_squeezed: Option<u64>,
    /// Connections dropped since an accept queue was full (/proc/net/netstat, `ListenOverflows`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_overflows: Option<u64>,
    /// Connection requests dropped by listening sockets for any reason (/proc/net/netstat, `ListenDrops`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_drops: Option<u64>,
    /// Entries of the connection-tracking table at the window's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conntrack_entries: Option<u64>,
    /// Entries that the table has room for (`nf_conntrack_max`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conntrack_limit: Option<u64>,
    /// Connections that could not be entered into the table (`insert_failed`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conntrack_insert_failed: Option<u64>,
    /// Packets dropped since the table was full (`drop`), or entries given up early for that (`early_drop`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conntrack_dropped: Option<u64>,
    /// Packets that an EC2 instance's allowances held back, over all ENA interfaces (`ethtool -S`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowance_exceeded: Option<AllowanceExceeded>,
}

/// A share: what isn't from 0 to 1 would be believed by whoever compares it.
fn ratio<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let ratio = Option::<f64>::deserialize(from)?;
    if ratio.is_some_and(|ratio| !(0.0..=1.0).contains(&ratio)) {
        return Err(D::Error::custom("a ratio is from 0 to 1"));
    }
    Ok(ratio)
}

/// Packets queued or dropped since an instance's allowance was used up, by allowance, as the ENA driver counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowanceExceeded {
    /// `bw_in_allowance_exceeded`
    pub bandwidth_in: u64,
    /// `bw_out_allowance_exceeded`
    pub bandwidth_out: u64,
    /// `pps_allowance_exceeded`
    pub packets_per_second: u64,
    /// `conntrack_allowance_exceeded`
    pub conntrack: u64,
    /// `linklocal_allowance_exceeded`
    pub link_local: u64,
}

/// The content of a line of JSON or of a log record.
#[derive(Debug, Clone, PartialEq)]
// Nearly all are flows: a box around each would cost an allocation a record for nothing.
#[allow(clippy::large_enum_variant)]
pub enum Record {
    Flow(FlowWindow),
    Accounting(Accounting),
    Node(NodeWindow),
}
