//! What was found. Numbers are rounded, and written when they changed materially or with a transition.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{conditions, date_time};

/// What was found about the selected traffic.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkMonitorStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether the network itself is healthy for this traffic. A fault of the workload's own making leaves it Healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_health_indicator: Option<NetworkHealthIndicator>,
    /// What is wrong and whose fault it is; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degradation: Option<Degradation>,
    /// Nodes of this traffic that are short of CPU or memory, the worst first, at most 10. That is no fault of the
    /// network's: round trips there take longer because the node itself is slow to answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["node", "resource"]))]
    pub node_shortages: Vec<NodeShortage>,
    /// The traffic of one window by category.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["category"]))]
    pub traffic: Vec<Traffic>,
    /// How much of the traffic was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// The node agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Agents>,
    /// The columns of `kubectl get`, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overview: Option<Overview>,
    /// Start of the window that the numbers in `traffic` and `overview` are from. They are written again within half an
    /// hour even if nothing changes: where this is older, nobody watches.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub numbers_as_of: Option<Timestamp>,
    /// Ready (the spec is valid and its traffic is being watched), Degraded (the infrastructure is at fault) and
    /// WorkloadFault (a service or pod is at fault).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// Whether the network itself is healthy.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkHealthIndicator {
    Healthy,
    Degraded,
    InsufficientData,
}

/// What is wrong and whose fault it is.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Degradation {
    /// Start of the first window in which it showed.
    #[schemars(schema_with = "date_time")]
    pub since: Timestamp,
    /// Whose fault it is.
    pub attribution: AttributedTo,
    /// One sentence that a person can act on.
    pub summary: String,
    /// The components at fault: those of the infrastructure first, and of each class the worst first.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub components: Vec<FaultyComponent>,
}

/// Whose fault a degradation is.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttributedTo {
    Infrastructure,
    Workload,
    /// Both at once.
    Mixed,
    /// Something outside the cluster: an AWS service or the internet path to it.
    External,
    /// Too little evidence to tell.
    Undetermined,
}

/// Each has the evidence that fits its cause.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FaultyComponent {
    /// What kind of component it is.
    pub kind: ComponentKind,
    /// Its name: NODE, ZONE, ZONE~ZONE, NAMESPACE/SERVICE or NAMESPACE/POD.
    pub name: String,
    /// Whom the component belongs to.
    pub class: FaultClass,
    /// What happens at it.
    pub cause: FaultCause,
    /// Start of the first window in which it showed.
    #[schemars(schema_with = "date_time")]
    pub since: Timestamp,
    /// Probability from 0 to 1 that this component is at fault.
    pub confidence: f64,
    /// Where packets are lost: retransmitted segments / sent segments of the flows through it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retransmission_ratio: Option<f64>,
    /// The retransmission ratio that the same flows are used to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_ratio: Option<f64>,
    /// Where round trips are slow: the quickest ones of the flows through it, such as 4.4ms. A longer path moves these, a
    /// busy server doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_min: Option<String>,
    /// The quickest round trips that the same flows are used to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_rtt_min: Option<String>,
    /// Where round trips are slow: the median of the flows through it.
    #[serde(default, rename = "rttP50", skip_serializing_if = "Option::is_none")]
    pub rtt_p50: Option<String>,
    /// The median round trip that the same flows are used to.
    #[serde(default, rename = "baselineRttP50", skip_serializing_if = "Option::is_none")]
    pub baseline_rtt_p50: Option<String>,
    /// Where connections fail: attempts to open one that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_attempts: Option<u64>,
    /// Where connections fail: requests that clients sent again since no answer had come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_sent_again: Option<u64>,
    /// Where connections fail: all attempts to open one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// Where a node is at a limit of its own: which limit that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Flows through it that are affected, where that can be told flow by flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affected_flows: Option<u64>,
    /// Flows through it.
    pub total_flows: u64,
    /// For a service or pod: what changed in the cluster just before the fault began, the nearest first, at most 3. They
    /// hint where to look and prove no cause. They are found at the onset, and left as they are while the fault lasts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub hints: Vec<Hint>,
}

/// Each is a change in the cluster that may have to do with the fault.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Hint {
    /// When it changed.
    #[schemars(schema_with = "date_time")]
    pub time: Timestamp,
    /// Kind of the object that changed, such as NetworkPolicy, Deployment, Service or Node.
    pub kind: String,
    /// Its name: NAMESPACE/NAME, or NODE.
    pub name: String,
    /// What changed, and how long before the fault began.
    pub message: String,
}

/// Each is one node and what it is short of.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NodeShortage {
    /// Name of the node.
    pub node: String,
    /// What it is short of.
    pub resource: ShortResource,
    /// Share of the time in which some task waited for it, such as 60%.
    pub pressure: String,
    /// Share of the CPU time that the hypervisor gave to other machines, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal: Option<String>,
    /// The same in a sentence.
    pub message: String,
}

/// What a node can be short of.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ShortResource {
    #[serde(rename = "CPU")]
    Cpu,
    Memory,
}

/// A kind of component.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ComponentKind {
    Node,
    Zone,
    ZonePair,
    Service,
    Pod,
    #[serde(rename = "AWSService")]
    AwsService,
    Internet,
}

/// Whom a component belongs to.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultClass {
    Infrastructure,
    Workload,
    External,
}

/// What happens at a component.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultCause {
    PacketLoss,
    Latency,
    /// Connection attempts are not answered.
    Unreachable,
    /// Connection attempts are answered by a reset.
    Refused,
    Overload,
    /// New connections fail while established ones are fine.
    ConnectionFailures,
    /// The node's connection-tracking table is full.
    ConntrackFull,
    /// The node's instance has used up an allowance of its type.
    AllowanceExceeded,
    Unknown,
}

/// Each item is the traffic of one category.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Where the two ends are relative to each other.
    pub category: Category,
    /// Median round-trip time, such as 0.52ms.
    #[serde(default, rename = "rttP50", skip_serializing_if = "Option::is_none")]
    pub rtt_p50: Option<String>,
    /// 99th percentile of the round-trip time.
    #[serde(default, rename = "rttP99", skip_serializing_if = "Option::is_none")]
    pub rtt_p99: Option<String>,
    /// Segments retransmitted, by both ends where the remote ones have an agent.
    pub retransmissions: u64,
    /// Retransmission time-outs, likewise.
    pub timeouts: u64,
    /// Bytes sent and received by the local endpoints.
    pub bytes: u64,
    /// Flows: pairs of local and remote endpoint.
    pub flows: u64,
}

/// Where the two ends of a flow are relative to each other.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    IntraNode,
    #[serde(rename = "IntraAZ")]
    IntraAz,
    #[serde(rename = "InterAZ")]
    InterAz,
    #[serde(rename = "InterVPC")]
    InterVpc,
    InterRegion,
    #[serde(rename = "AWSService")]
    AwsService,
    Internet,
    Unclassified,
}

/// How much of the traffic was seen.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Nodes whose agent reported the last window.
    pub nodes_reporting: u64,
    /// Nodes that should have.
    pub nodes_expected: u64,
    /// Connections that those agents saw in the last ten minutes, over the whole cluster.
    pub connections_seen: u64,
    /// Those of them that reached the operator; the rest was sampled out, or lost to a full buffer or an outage.
    pub connections_reported: u64,
}

/// The node agents.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Agents {
    /// Nodes that should run one.
    pub desired: i32,
    /// Nodes that run one that is ready.
    pub ready: i32,
}

/// The columns of `kubectl get`, as text.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Overview {
    /// The worst of the components at fault, and how many more there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// 99th percentile of the round-trip time over all selected traffic.
    #[serde(rename = "rttP99", skip_serializing_if = "Option::is_none")]
    pub rtt_p99: Option<String>,
    /// Retransmitted segments in percent of those sent, by both ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmissions: Option<String>,
    /// Nodes that report of those expected, and the share of connections reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<String>,
}
