//! Reduces Kubernetes objects to facts. Pods, nodes and NetworkPolicies are parsed into types that leave out all other
//! fields: a node's list of images alone is larger than all its facts.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{NotUsed, Object, Selector};
use serde::{Deserialize, Serialize};

use super::facts::{
    Backend, Deletion, NamespaceFact, NodeFact, PodFact, PodPhase, PolicyFact, ServiceFact, SliceFact, Uid,
};
use super::intern::Interner;
use super::owner::workload;

pub(super) type SlimPod = Object<PodSpec, PodStatus>;
pub(super) type SlimNode = Object<NodeSpec, NodeStatus>;
pub(super) type SlimPolicy = Object<PolicySpec, NotUsed>;

/// A container that ran for this long and ended was no part of a crash loop: the kubelet's back-off starts over after
/// ten minutes without an end.
const LONG_RUN: SignedDuration = SignedDuration::from_mins(10);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    node_name: Option<String>,
    host_network: bool,
    service_account_name: Option<String>,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    ports: Vec<ContainerPort>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerPort {
    container_port: u16,
    host_port: Option<u16>,
    protocol: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<PodIp>,
    start_time: Option<Time>,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    state: ContainerState,
    last_state: ContainerState,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct ContainerState {
    terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    started_at: Option<Time>,
    finished_at: Option<Time>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct PodIp {
    ip: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    last_transition_time: Option<Time>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<String>,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
    unschedulable: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct NodeStatus {
    addresses: Vec<NodeAddress>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct NodeAddress {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PolicySpec {
    pod_selector: LabelSelector,
    policy_types: Vec<String>,
}

/// The service account by which pods of agents are recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentIdentity {
    pub(super) namespace: String,
    pub(super) service_account: String,
}

/// The facts of a pod; `None` for one without a name or a UID, which an API server doesn't send.
pub(super) fn pod(pod: SlimPod, agent: &AgentIdentity, names: &mut Interner) -> Option<PodFact> {
    let meta = pod.metadata;
    let (namespace, name) = (meta.namespace.as_deref()?, meta.name.as_deref()?);
    let status = pod.status.unwrap_or_default();
    let labels = meta.labels.clone().unwrap_or_default();
    let mut ips: Vec<IpAddr> = status.pod_ips.iter().filter_map(|ip| ip.ip.parse().ok()).collect();
    if ips.is_empty() {
        ips.extend(status.pod_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()));
    }
    ips.shrink_to_fit();
    let ready = status.conditions.iter().find(|c| c.kind == "Ready");
    let created = meta.creation_timestamp.as_ref().and_then(time_of);
    Some(PodFact {
        uid: Uid::parse(meta.uid.as_deref()?)?,
        static_uid: meta
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get("kubernetes.io/config.hash"))
            .and_then(|hash| Uid::parse(hash)),
        key: format!("{namespace}/{name}").into(),
        node: pod.spec.node_name.as_deref().filter(|node| !node.is_empty()).map(|node| names.name(node)),
        workload: names.name(&workload(namespace, name, &meta, &labels, created)),
        labels: names.labels(labels),
        ips,
        host_network: pod.spec.host_network,
        host_ports: host_ports(&pod.spec),
        phase: match status.phase.as_deref() {
            Some("Running") => PodPhase::Running,
            Some("Succeeded" | "Failed") => PodPhase::Ended,
            _ => PodPhase::Pending,
        },
        ready: ready.is_some_and(|c| c.status == "True"),
        ready_changed: ready.and_then(|c| time_of(c.last_transition_time.as_ref()?)),
        agent: namespace == agent.namespace
            && pod.spec.service_account_name.as_deref() == Some(agent.service_account.as_str()),
        created,
        started: status.start_time.and_then(|time| time_of(&time)),
        restarted: restarted(&status.container_statuses),
        deletion: deletion(&meta),
    })
}

fn host_ports(spec: &PodSpec) -> Vec<u16> {
    let containers = spec.containers.iter().chain(&spec.init_containers);
    let mut ports: Vec<u16> = containers
        .flat_map(|container| &container.ports)
        .filter(|port| is_tcp(port.protocol.as_deref()))
        .filter_map(|port| if spec.host_network { Some(port.container_port) } else { port.host_port })
        .filter(|port| *port != 0)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports.shrink_to_fit();
    ports
}

/// Returns true for a TCP port. In the Kubernetes API, a port without a protocol is one.
fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

fn restarted(containers: &[ContainerStatus]) -> Option<Timestamp> {
    let ends = containers.iter().filter_map(|container| {
        let ended = container.state.terminated.as_ref().or(container.last_state.terminated.as_ref())?;
        Some((time_of(ended.finished_at.as_ref()?)?, ended.started_at.as_ref().and_then(time_of)))
    });
    let (finished, started) = ends.max()?;
    started.is_some_and(|started| finished.duration_since(started) >= LONG_RUN).then_some(finished)
}

/// The requested deletion of a pod. The API server records the time at which the pod must be gone, from which the grace
/// period is subtracted.
fn deletion(meta: &ObjectMeta) -> Option<Deletion> {
    let due = time_of(meta.deletion_timestamp.as_ref()?)?;
    let grace = SignedDuration::from_secs(meta.deletion_grace_period_seconds.unwrap_or_default());
    Some(Deletion { requested: due.checked_sub(grace).unwrap_or(due), due })
}

fn time_of(time: &Time) -> Option<Timestamp> {
    Timestamp::from_nanosecond(time.0.as_nanosecond()).ok()
}

pub(super) fn node(node: SlimNode, names: &mut Interner) -> Option<NodeFact> {
    let meta = node.metadata;
    let labels = meta.labels.unwrap_or_default();
    let mut cidrs: Vec<_> = node.spec.pod_cidrs.iter().filter_map(|cidr| cidr.parse().ok()).collect();
    if cidrs.is_empty() {
        cidrs.extend(node.spec.pod_cidr.as_deref().and_then(|cidr| cidr.parse::<ipnet::IpNet>().ok()));
    }
    Some(NodeFact {
        name: names.name(meta.name.as_deref()?),
        zone: labels.get("topology.kubernetes.io/zone").map(|zone| names.name(zone)),
        region: labels.get("topology.kubernetes.io/region").map(|region| names.name(region)),
        labels: names.labels(labels),
        ips: node
            .status
            .unwrap_or_default()
            .addresses
            .iter()
            .filter(|address| matches!(address.kind.as_str(), "InternalIP" | "ExternalIP"))
            .filter_map(|address| address.address.parse().ok())
            .collect(),
        pod_cidrs: cidrs,
        unschedulable: node.spec.unschedulable,
        created: meta.creation_timestamp.as_ref().and_then(time_of),
    })
}

pub(super) fn service(service: Service, names: &mut Interner) -> Option<ServiceFact> {
    let meta = service.metadata;
    let spec = service.spec.unwrap_or_default();
    let ingress =
        service.status.and_then(|status| status.load_balancer).and_then(|lb| lb.ingress).unwrap_or_default();
    let mut ips: Vec<IpAddr> = spec
        .cluster_ips
        .unwrap_or_default()
        .iter()
        .chain(spec.cluster_ip.iter())
        .chain(spec.external_ips.unwrap_or_default().iter())
        .chain(ingress.iter().filter_map(|ingress| ingress.ip.as_ref()))
        // A headless Service says "None".
        .filter_map(|ip| ip.parse().ok())
        .collect();
    ips.sort_unstable();
    ips.dedup();
    let tcp: Vec<ServicePort> =
        spec.ports.unwrap_or_default().into_iter().filter(|port| is_tcp(port.protocol.as_deref())).collect();
    let node_ports = tcp
        .iter()
        .filter_map(|port| port.node_port)
        // kube-proxy answers there itself, by HTTP, for the Service (externalTrafficPolicy: Local).
        .chain(spec.health_check_node_port)
        .filter_map(|port| u16::try_from(port).ok().filter(|port| *port != 0))
        .collect();
    let (ports, target_ports) = tcp
        .iter()
        .filter_map(|port| {
            let target = match &port.target_port {
                Some(IntOrString::String(name)) => names.name(name),
                Some(IntOrString::Int(number)) => names.name(&number.to_string()),
                None => names.name(&port.port.to_string()),
            };
            Some((u16::try_from(port.port).ok()?, target))
        })
        .unzip();
    Some(ServiceFact {
        key: format!("{}/{}", meta.namespace.as_deref()?, meta.name.as_deref()?).into(),
        ips,
        ports,
        target_ports,
        node_ports,
        selector: names.labels(spec.selector.unwrap_or_default()),
        labels: names.labels(meta.labels.unwrap_or_default()),
    })
}

/// The facts of an EndpointSlice; `None` also for one that belongs to no Service.
pub(super) fn slice(slice: EndpointSlice, names: &mut Interner) -> Option<SliceFact> {
    let meta = slice.metadata;
    let namespace = meta.namespace.as_deref()?;
    let service = meta.labels.as_ref()?.get("kubernetes.io/service-name")?;
    let mut ports: Vec<u16> = slice
        .ports
        .unwrap_or_default()
        .iter()
        .filter(|port| is_tcp(port.protocol.as_deref()))
        .filter_map(|port| u16::try_from(port.port?).ok())
        .collect();
    ports.sort_unstable();
    // As the API has it, an endpoint that doesn't say is ready.
    let is_ready = |endpoint: &&Endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    };
    let ready = slice.endpoints.iter().filter(is_ready).count();
    let backends = slice
        .endpoints
        .iter()
        .flat_map(|endpoint| {
            let pod = endpoint
                .target_ref
                .as_ref()
                .filter(|target| target.kind.as_deref() == Some("Pod"))
                .and_then(|target| Uid::parse(target.uid.as_deref()?));
            endpoint.addresses.iter().filter_map(move |ip| Some(Backend { ip: ip.parse().ok()?, pod }))
        })
        .collect();
    Some(SliceFact {
        key: format!("{namespace}/{}", meta.name.as_deref()?).into(),
        service: names.name(&format!("{namespace}/{service}")),
        ports: ports.into(),
        backends,
        ready,
    })
}

pub(super) fn policy(policy: SlimPolicy) -> Option<PolicyFact> {
    let meta = policy.metadata;
    let has = |direction: &str| policy.spec.policy_types.iter().any(|kind| kind == direction);
    Some(PolicyFact {
        key: format!("{}/{}", meta.namespace.as_deref()?, meta.name.as_deref()?).into(),
        selector: Selector::try_from(policy.spec.pod_selector).ok()?,
        // The API server fills the types in; a policy without them is about ingress.
        ingress: has("Ingress") || policy.spec.policy_types.is_empty(),
        egress: has("Egress"),
        generation: meta.generation.unwrap_or_default(),
        created: meta.creation_timestamp.and_then(|time| time_of(&time)),
    })
}

pub(super) fn namespace(meta: ObjectMeta, names: &mut Interner) -> Option<NamespaceFact> {
    Some(NamespaceFact {
        name: names.name(meta.name.as_deref()?),
        labels: names.labels(meta.labels.unwrap_or_default()),
    })
}

#[cfg(test)]
#[path = "reduce_tests.rs"]
mod tests;
