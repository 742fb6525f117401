//! One way to select endpoints.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::label_selector::selecting;

/// Each item selects endpoints in exactly one way.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.pods), has(self.service), has(self.namespace), has(self.namespaceSelector), has(self.node), has(self.zone), has(self.cidr), has(self.awsService)].filter(x, x).size() == 1")
    .message("each item selects in exactly one way: write one of pods, service, namespace, namespaceSelector, node, zone, cidr or awsService, and a further item for each further one"))]
pub struct Endpoint {
    /// Pods by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodsEndpoint>,
    /// The pods behind a Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceEndpoint>,
    /// Every pod of the namespace with this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("not the name of a namespace: write lower-case letters, digits and -, such as shop"))]
    pub namespace: Option<String>,
    /// Every pod of the namespaces with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "selecting")]
    pub namespace_selector: Option<LabelSelector>,
    /// Everything on some nodes: their pods, and the nodes' own addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeEndpoint>,
    /// Everything in the zone with this name (node label `topology.kubernetes.io/zone`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')").message("not the name of a zone: write the value of the nodes' label topology.kubernetes.io/zone, such as ap-northeast-1a"))]
    pub zone: Option<String>,
    /// Addresses, as a CIDR of IPv4 or IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("isCIDR(self)").message("not a CIDR: write an address, a slash and a prefix length, such as 10.20.0.0/16, 192.0.2.7/32 or 2001:db8::/32"))]
    #[x_kube(validation = Rule::new("!isCIDR(self) || cidr(self) == cidr(self).masked()").message("the CIDR has bits set beyond its prefix length: write the network's first address, such as 10.20.0.0/16 for 10.20.3.4/16, or /32 for one address"))]
    pub cidr: Option<String>,
    /// An AWS service by name, such as S3 or DynamoDB (case doesn't matter). Only as a remote endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')").message("not the name of an AWS service: write it in letters and digits, such as S3 or DynamoDB"))]
    pub aws_service: Option<String>,
}

/// Pods by label.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PodsEndpoint {
    /// Labels of the pods, at least one, such as {matchLabels: {app: checkout}}.
    #[schemars(schema_with = "selecting")]
    pub selector: LabelSelector,
    /// Labels of the namespaces whose pods are meant. Absent: the monitor's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "selecting")]
    pub namespace_selector: Option<LabelSelector>,
}

/// The pods behind a Service.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEndpoint {
    /// Name of the Service, such as payments.
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("not the name of a Service: write lower-case letters, digits and -, such as payments; its namespace goes into service.namespace"))]
    pub name: String,
    /// Its namespace. Absent: the monitor's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("not the name of a namespace: write lower-case letters, digits and -, such as shop"))]
    pub namespace: Option<String>,
}

/// Nodes by name or by label.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.selector)").message("a node is selected in one way: write either name or selector"))]
pub struct NodeEndpoint {
    /// Name of one node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Labels of the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "selecting")]
    pub selector: Option<LabelSelector>,
}
