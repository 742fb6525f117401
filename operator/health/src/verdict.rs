//! The verdict of the inference on one evaluation window. `tidewatch analyze` prints it in its serialised form.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

/// The verdict on one evaluation window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    pub window_start: Timestamp,
    pub window_seconds: u32,
    pub nhi: HealthIndicator,
    pub attribution: Attribution,
    /// Components at fault, the worst first: infrastructure before what is outside before workloads; then those that still
    /// show before those that are passing; then the greater harm; then the more certain.
    pub components: Vec<ComponentFault>,
    /// Nodes that are short of something, the worst first. Beside the verdict: round trips there are the node's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<NodeShortage>,
    pub coverage: Coverage,
    /// The traffic behind the verdict, and the amount that is needed.
    pub traffic: Traffic,
    /// One sentence that a person can act on.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthIndicator {
    Healthy,
    /// At least one infrastructure component is at fault.
    Degraded,
    InsufficientData,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    None,
    Infrastructure,
    Workload,
    /// A remote outside the cluster, or the way to it.
    External,
    /// Components of more than one class.
    Mixed,
    /// Components of different classes that the data can't tell apart.
    Undetermined,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Infrastructure,
    Workload,
    External,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    PacketLoss,
    Latency,
    Unreachable,
    Refused,
    Overload,
    /// New connections from and to a node, or between two zones, go unanswered while established ones are fine.
    ConnectionFailures,
    /// A node's connection-tracking table is full.
    ConntrackFull,
    /// A node's instance has used up an allowance of its type (bandwidth, packets per second, tracked connections).
    AllowanceExceeded,
    Unknown,
}

impl Cause {
    /// True if connection attempts show this cause.
    pub(crate) fn is_about_attempts(self) -> bool {
        matches!(self, Self::Unreachable | Self::Refused | Self::ConnectionFailures | Self::ConntrackFull)
    }
}

/// A resource that a node can be short of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Cpu,
    Memory,
}

/// A node that is short of a resource in this window, as its own kernel tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeShortage {
    pub node: String,
    pub resource: Resource,
    /// Share of the window in which some task waited for it, 0 to 1.
    pub pressure_ratio: f64,
    /// CPU time that the hypervisor gave to others, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steal_ratio: Option<f64>,
}

/// The name of the internet as a whole.
pub(crate) const WHOLE_INTERNET: &str = "0.0.0.0/0";

/// Something that can be at fault. Displays (and serialises) as `kind/name`, as flow-records.md names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ComponentId {
    Node(String),
    Zone(String),
    /// The two zones in order: the first is the lesser.
    ZonePair(String, String),
    Service {
        namespace: String,
        name: String,
    },
    Pod {
        namespace: String,
        name: String,
    },
    /// `service/aws/NAME`
    AwsService(String),
    /// `internet/CIDR-or-address`
    Internet(String),
}

impl ComponentId {
    /// The pair in its canonical order.
    pub fn zone_pair(a: &str, b: &str) -> Self {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        Self::ZonePair(a.to_owned(), b.to_owned())
    }

    pub fn class(&self) -> Class {
        match self {
            Self::Node(_) | Self::Zone(_) | Self::ZonePair(..) => Class::Infrastructure,
            Self::Service { .. } | Self::Pod { .. } => Class::Workload,
            Self::AwsService(_) | Self::Internet(_) => Class::External,
        }
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node/{name}"),
            Self::Zone(name) => write!(f, "zone/{name}"),
            Self::ZonePair(a, b) => write!(f, "zone-pair/{a}~{b}"),
            Self::Service { namespace, name } => write!(f, "service/{namespace}/{name}"),
            Self::Pod { namespace, name } => write!(f, "pod/{namespace}/{name}"),
            Self::AwsService(name) => write!(f, "service/aws/{name}"),
            Self::Internet(name) => write!(f, "internet/{name}"),
        }
    }
}

impl Serialize for ComponentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One component at fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComponentFault {
    pub component: ComponentId,
    pub class: Class,
    pub cause: Cause,
    /// Start of the first window in which the fault showed.
    pub since: Timestamp,
    /// Probability that this component is at fault, in 0..=1.
    pub confidence: f64,
    #[serde(skip_serializing_if = "Showing::is_now")]
    pub showing: Showing,
    pub evidence: Evidence,
}

/// The figures behind the verdict on a component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Retransmitted / sent data segments over the flows that cross the component.
    pub retransmission_ratio: f64,
    /// The usual ratio of the same flows' services.
    pub baseline_ratio: f64,
    /// Median round-trip time over those flows, and what they were used to, where there are enough samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_p50_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_rtt_p50_us: Option<u64>,
    /// Shortest round-trip times over those flows, and what they were used to: what a longer path moves and a busy end
    /// does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_min_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_rtt_min_us: Option<u64>,
    pub flows: u64,
    pub flows_affected: u64,
    pub services_affected: u64,
    /// Connection attempts towards the component, and how many of them failed in the way that the cause tells: refused,
    /// or else unanswered.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts_failed: u64,
    /// Time in which the attempts were made, where clients try so rarely that several windows are judged together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_seconds: Option<u32>,
    /// True if, in that time, too little else crossed the way to the component to tell one from the other: then a node,
    /// zone or zone pair on the way may be at fault instead.
    #[serde(skip_serializing_if = "is_false")]
    pub untested_path: bool,
    /// The limit of the node's own that was reached, where the cause is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitReached>,
}

/// A limit of a node's own that was reached, as its kernel or its network card's driver tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitReached {
    pub limit: Limit,
    /// Packets or connections that it cost in the window.
    pub turned_away: u64,
    /// Entries of the table and how many it has room for, where it is the kernel's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_entries: Option<u64>,
}

/// Limits that a node can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The kernel's connection-tracking table (`nf_conntrack_max`).
    ConntrackTable,
    /// Allowances of an EC2 instance's type, as its ENA driver counts what they hold back.
    ConntrackAllowance,
    PacketRateAllowance,
    BandwidthInAllowance,
    BandwidthOutAllowance,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The flows on which a fault shows in the verdict's window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Showing {
    /// On the flows that the verdict is about.
    #[default]
    Now,
    /// Not on the flows of the monitor that the verdict is for, few as they may be, but on others that cross the
    /// component: the evidence is of the whole cluster.
    Elsewhere,
    /// Nowhere any more: it will be cleared if that stays so. The evidence is of the last window that showed, of the whole
    /// cluster.
    Passing,
}

impl Showing {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
    fn is_now(&self) -> bool {
        *self == Self::Now
    }
}

impl Evidence {
    /// True if the figures are worse than usual, in the unit that the cause is about.
    pub(crate) fn is_worse(&self, cause: Cause) -> bool {
        let (loses, is_slower) = (self.loses_more(), self.is_slower());
        let shows = match cause {
            Cause::PacketLoss => loses,
            Cause::Latency => is_slower,
            Cause::Unreachable | Cause::Refused | Cause::Overload | Cause::ConnectionFailures => {
                self.attempts_failed > 0
            }
            Cause::ConntrackFull | Cause::AllowanceExceeded => {
                self.limit.is_some() && (loses || is_slower || self.attempts_failed > 0)
            }
            Cause::Unknown => true,
        };
        shows && self.flows_affected > 0
    }

    /// By so much that the two figures are read as different.
    pub(crate) fn loses_more(&self) -> bool {
        self.retransmission_ratio >= 1.1 * self.baseline_ratio
            && self.retransmission_ratio - self.baseline_ratio >= 1e-4
    }

    fn is_slower(&self) -> bool {
        let more = |now: Option<u64>, usual: Option<u64>| {
            now.zip(usual).is_some_and(|(now, usual)| now as f64 > 1.02 * usual as f64)
        };
        more(self.rtt_min_us, self.baseline_rtt_min_us) && more(self.rtt_p50_us, self.baseline_rtt_p50_us)
    }

    /// Time that the quickest round trips gained.
    pub(crate) fn added_us(&self) -> Option<u64> {
        let (now, usual) = self.rtt_min_us.zip(self.baseline_rtt_min_us)?;
        now.checked_sub(usual)
    }
}

/// Number of records and flows that the verdict saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    pub records: u64,
    pub flows: u64,
}

/// The traffic that a verdict stands on: that of the last minutes, and how much it takes to see a loss of 1%.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Data segments sent, by either end.
    pub segments: u64,
    /// Connection attempts with an outcome; each counts as two segments.
    pub attempts: u64,
    /// Segments that it takes.
    pub needed: u64,
    /// Time in which they were sent.
    pub seconds: u32,
}
