//! `NetworkMonitor`: which traffic to watch, and what was found about it.

#![expect(clippy::duplicated_attributes, reason = "each printer column has a type")]
#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

mod endpoint;
mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

pub use endpoint::{Endpoint, NodeEndpoint, PodsEndpoint, ServiceEndpoint};
pub use status::{
    Agents, AttributedTo, Category, ComponentKind, Coverage, Degradation, FaultCause, FaultClass,
    FaultyComponent, Hint, NetworkHealthIndicator, NetworkMonitorStatus, NodeShortage, Overview,
    ShortResource, Traffic,
};

/// What to watch.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "tidewatch.dev",
    version = "v1alpha1",
    kind = "NetworkMonitor",
    plural = "networkmonitors",
    shortname = "netmon",
    category = "tidewatch",
    namespaced,
    status = "NetworkMonitorStatus",
    derive = "PartialEq",
    doc = "NetworkMonitor watches the TCP traffic between local and remote endpoints, and says whether it is degraded and whether that is the network's fault or the workload's own.",
    printcolumn(
        name = "NHI",
        type_ = "string",
        json_path = ".status.networkHealthIndicator",
        description = "Network health indicator: Degraded only when the infrastructure is at fault"
    ),
    printcolumn(
        name = "ATTRIBUTION",
        type_ = "string",
        json_path = ".status.degradation.attribution",
        description = "Whose fault a degradation is"
    ),
    printcolumn(
        name = "COMPONENT",
        type_ = "string",
        json_path = ".status.overview.component",
        description = "The worst of the components at fault, and how many more there are"
    ),
    printcolumn(
        name = "RTT-P99",
        type_ = "string",
        json_path = ".status.overview.rttP99",
        description = "99th percentile of the round-trip time over all selected traffic"
    ),
    printcolumn(
        name = "RETRANS",
        type_ = "string",
        json_path = ".status.overview.retransmissions",
        description = "Retransmitted segments in percent of those sent, by both ends"
    ),
    printcolumn(
        name = "COVERAGE",
        type_ = "string",
        json_path = ".status.overview.coverage",
        description = "Nodes that report of those expected, and the share of connections they reported"
    ),
    printcolumn(
        name = "AS-OF",
        type_ = "date",
        json_path = ".status.numbersAsOf",
        description = "Time since the window that the numbers are from; beyond half an hour, nobody watches"
    ),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the monitor was created"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct NetworkMonitorSpec {
    /// The near ends of the traffic, such as [{namespace: shop}]: each item selects endpoints in one way, and traffic is watched when its local
    /// end matches any item. Only pods of the monitor's own namespace count, unless the chart lists the namespace in
    /// `clusterWideNamespaces`.
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("nothing is selected: name at least one local endpoint, such as {namespace: shop}"))]
    #[x_kube(validation = Rule::new("self.all(e, !has(e.awsService))").message("an AWS service is never a local endpoint: move awsService to spec.remote"))]
    pub local: Vec<Endpoint>,
    /// The far ends of the traffic, any item of which must match. Absent: everything that the local endpoints talk to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("an empty list selects nothing: name a remote endpoint, or leave remote out to watch everything that the local endpoints talk to"))]
    pub remote: Option<Vec<Endpoint>>,
    /// How often and how strictly the traffic is judged.
    #[serde(default)]
    pub evaluation: EvaluationSpec,
    /// Where else the results go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<PublishSpec>,
}

/// How often and how strictly the traffic is judged.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationSpec {
    /// Length of an evaluation window, such as 15s; from 10s to 10m, a multiple of the agents' window (chart value `agent.window`):
    /// where it isn't one, the nearest multiple is taken, and condition Ready says so. Windows are aligned to the clock.
    /// Longer windows see fainter faults in little traffic, and tell of them later.
    #[serde(default = "default_window")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && duration(self) >= duration('10s') && duration(self) <= duration('10m')").message("write a window from 10s to 10m, such as 15s or 1m"))]
    pub window: String,
    /// How much evidence a verdict needs: Low waits for plain faults, High reports faint ones sooner and errs more often.
    #[serde(default)]
    pub sensitivity: Sensitivity,
}

impl Default for EvaluationSpec {
    fn default() -> Self {
        Self { window: default_window(), sensitivity: Sensitivity::default() }
    }
}

fn default_window() -> String {
    "15s".to_owned()
}

/// How much evidence a verdict needs.
#[derive(
    Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord,
)]
pub enum Sensitivity {
    Low,
    #[default]
    Standard,
    High,
}

/// Where else the results go.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PublishSpec {
    /// Publish the indicator and the traffic numbers as CloudWatch metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch: Option<CloudWatchPublish>,
}

/// CloudWatch as a destination.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchPublish {
    /// Namespace of the metrics; it can't begin with `AWS/`.
    #[serde(default = "default_metric_namespace")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("!self.startsWith('AWS/') && self.matches('^[0-9A-Za-z.#_/-][0-9A-Za-z.#:_/-]*$')").message("not a CloudWatch namespace: write letters, digits and . - _ / # : only, and don't begin with AWS/ (that is reserved), such as Tidewatch"))]
    pub namespace: String,
    /// Region that the metrics go to, such as ap-northeast-1. Absent: the operator's own Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::region())]
    pub region: Option<String>,
}

fn default_metric_namespace() -> String {
    "Tidewatch".to_owned()
}
