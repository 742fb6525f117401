//! What the inference concludes from one evaluation window. The serialised form is what `tidewatch analyze` prints.

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
    /// Components at fault, the most certain first.
    pub components: Vec<ComponentFault>,
    /// Nodes that are short of something, the worst first. Beside the verdict: round trips there are the node's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<NodeShortage>,
    pub coverage: Coverage,
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
    /// Whether connection attempts show it.
    pub(crate) fn is_about_attempts(self) -> bool {
        matches!(self, Self::Unreachable | Self::Refused | Self::ConnectionFailures)
    }
}

/// What a node is short of.
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
    pub evidence: Evidence,
}

/// What the verdict on a component stands on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Retransmitted / sent data segments over the flows that cross the component.
    pub retransmission_ratio: f64,
    /// What the same flows' services were used to.
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
    /// Connection attempts towards the component, and how many of them failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts_failed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// How much the verdict saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    pub records: u64,
    pub flows: u64,
}
