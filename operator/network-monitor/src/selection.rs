//! Which flows a monitor means: its spec, looked up in the cluster as it is now, becomes sets to test flows against.

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::sync::Arc;

use ipnet::IpNet;
use kube::core::{Selector, SelectorExt};
use tidewatch_cluster::{Index, NodeFact, PodFact, PodPhase};
use tidewatch_records::{Endpoint, FlowWindow, Name};

use super::spec::{Item, PodNamespaces, Select, ValidSpec};

/// A spec's endpoints, looked up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selection {
    boundary: Option<String>,
    local: Vec<Matcher>,
    remote: Option<Vec<Matcher>>,
}

/// One endpoint, looked up.
#[derive(Debug, Clone, PartialEq)]
enum Matcher {
    /// Names of pods, `namespace/name`.
    Pods(HashSet<Name>),
    /// A Service by name, and the pods behind it whatever Service their flow was put down to.
    Service {
        key: Name,
        pods: HashSet<Name>,
    },
    Namespaces(BTreeSet<String>),
    Nodes(BTreeSet<Name>),
    Zone(String),
    Cidr(IpNet),
    AwsService(Name),
}

/// An endpoint that nothing in the cluster answers to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unresolved {
    /// Such as `spec.local[0].zone`.
    pub path: String,
    pub reason: UnresolvedReason,
    /// What there is instead.
    pub message: String,
}

/// What is missing; the variants are the reasons of condition EndpointsResolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UnresolvedReason {
    UnknownZone,
    UnknownNode,
    UnknownService,
    UnknownNamespace,
    NoPods,
}

impl UnresolvedReason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::UnknownZone => "UnknownZone",
            Self::UnknownNode => "UnknownNode",
            Self::UnknownService => "UnknownService",
            Self::UnknownNamespace => "UnknownNamespace",
            Self::NoPods => "NoPods",
        }
    }
}

impl Selection {
    /// Looks the endpoints of `spec` up in `index`; also says which of them nothing answers to.
    pub(super) fn new(spec: &ValidSpec, index: &Index) -> (Self, Vec<Unresolved>) {
        let mut unresolved = Vec::new();
        let mut look_up = |items: &[Item]| -> Vec<Matcher> {
            items
                .iter()
                .map(|item| {
                    let matcher = matcher(&item.select, index);
                    // Before the first lists are complete, what isn't known may exist all the same.
                    if index.synced() {
                        unresolved.extend(missing(item, &matcher, index));
                    }
                    matcher
                })
                .collect()
        };
        let local = look_up(&spec.local);
        let remote = spec.remote.as_deref().map(&mut look_up);
        (Self { boundary: spec.boundary.clone(), local, remote }, unresolved)
    }

    /// Whether the monitor means `flow`.
    pub(super) fn selects(&self, flow: &FlowWindow) -> bool {
        self.means(&flow.local, &flow.remote)
    }

    /// Whether `flow` is one that the monitor means, as its far end reports it.
    pub(super) fn selects_far_end(&self, flow: &FlowWindow) -> bool {
        self.means(&flow.remote, &flow.local)
    }

    fn means(&self, near: &Endpoint, far: &Endpoint) -> bool {
        self.within_boundary(near)
            && self.local.iter().any(|matcher| matcher.matches(near))
            && self.remote.as_ref().is_none_or(|remote| remote.iter().any(|m| m.matches(far)))
    }

    /// The nodes that run what the monitor's local endpoints name, as they are now.
    pub(super) fn nodes(&self, index: &Index) -> BTreeSet<Name> {
        let is_meant = |pod: &&Arc<PodFact>| {
            pod.phase == PodPhase::Running
                && self.boundary.as_deref().is_none_or(|namespace| pod.namespace() == namespace)
                && self.local.iter().any(|matcher| matcher.matches_pod(pod, index))
        };
        let of_pods = index.pods().filter(is_meant).filter_map(|pod| pod.node.clone());
        let mut nodes: BTreeSet<Name> = of_pods.collect();
        // A tenant's monitor is about its pods on the nodes that it names, not about the nodes.
        if self.boundary.is_none() {
            let is_named =
                |node: &&Arc<NodeFact>| self.local.iter().any(|matcher| matcher.matches_node(node));
            nodes.extend(index.nodes().filter(is_named).map(|node| node.name.clone()));
        }
        nodes
    }

    fn within_boundary(&self, local: &Endpoint) -> bool {
        match &self.boundary {
            None => true,
            Some(namespace) => local.pod.as_deref().and_then(namespace_of) == Some(namespace),
        }
    }
}

impl Matcher {
    fn matches(&self, endpoint: &Endpoint) -> bool {
        let is_pod_of = |pods: &HashSet<Name>| endpoint.pod.as_ref().is_some_and(|pod| pods.contains(pod));
        match self {
            Self::Pods(pods) => is_pod_of(pods),
            Self::Service { key, pods } => endpoint.service.as_ref() == Some(key) || is_pod_of(pods),
            Self::Namespaces(namespaces) => endpoint
                .pod
                .as_deref()
                // A Service whose backend couldn't be told still belongs to its namespace.
                .or(endpoint.service.as_deref().filter(|service| !service.starts_with("aws/")))
                .and_then(namespace_of)
                .is_some_and(|namespace| namespaces.contains(namespace)),
            Self::Nodes(nodes) => endpoint.node.as_ref().is_some_and(|node| nodes.contains(node)),
            Self::Zone(zone) => endpoint.zone.as_deref() == Some(zone),
            Self::Cidr(net) => net.contains(&endpoint.ip.to_canonical()),
            Self::AwsService(service) => endpoint.service.as_ref() == Some(service),
        }
    }
}

impl Matcher {
    fn matches_pod(&self, pod: &PodFact, index: &Index) -> bool {
        let node = || index.node(pod.node.as_deref()?);
        match self {
            Self::Pods(pods) | Self::Service { pods, .. } => pods.contains(&pod.key),
            Self::Namespaces(namespaces) => namespaces.contains(pod.namespace()),
            Self::Nodes(_) | Self::Zone(_) => node().is_some_and(|node| self.matches_node(node)),
            Self::Cidr(net) => pod.ips.iter().any(|ip| net.contains(&ip.to_canonical())),
            Self::AwsService(_) => false,
        }
    }

    fn matches_node(&self, node: &NodeFact) -> bool {
        match self {
            Self::Nodes(nodes) => nodes.contains(&node.name),
            Self::Zone(zone) => node.zone.as_deref() == Some(zone),
            Self::Cidr(net) => node.ips.iter().any(|ip| net.contains(&ip.to_canonical())),
            Self::Pods(_) | Self::Service { .. } | Self::Namespaces(_) | Self::AwsService(_) => false,
        }
    }
}

fn namespace_of(key: &str) -> Option<&str> {
    key.split_once('/').map(|(namespace, _)| namespace)
}

fn matcher(select: &Select, index: &Index) -> Matcher {
    match select {
        Select::Pods { selector, namespaces: PodNamespaces::Named(name) } => {
            Matcher::Pods(pods(index, selector, |namespace| namespace == name))
        }
        Select::Pods { selector, namespaces: PodNamespaces::Selected(labels) } => {
            let selected = namespaces(index, labels);
            Matcher::Pods(pods(index, selector, |namespace| selected.contains(namespace)))
        }
        Select::Service(key) => {
            let behind = index.service(key).filter(|service| !service.selector.is_empty()).map(|service| {
                let selector: Selector =
                    service.selector.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
                pods(index, &selector, |namespace| namespace == service.namespace())
            });
            Matcher::Service { key: key.clone(), pods: behind.unwrap_or_default() }
        }
        Select::Namespace(name) => Matcher::Namespaces([name.clone()].into()),
        Select::Namespaces(labels) => Matcher::Namespaces(namespaces(index, labels)),
        Select::Node(name) => Matcher::Nodes([Name::from(name.as_str())].into()),
        Select::Nodes(labels) => Matcher::Nodes(
            index.nodes().filter(|node| labels.matches(&node.labels)).map(|node| node.name.clone()).collect(),
        ),
        Select::Zone(zone) => Matcher::Zone(zone.clone()),
        Select::Cidr(net) => Matcher::Cidr(*net),
        Select::AwsService(service) => Matcher::AwsService(service.clone()),
    }
}

/// Live pods and those that departed lately: a closed window has their flows still.
fn pods(index: &Index, selector: &Selector, namespace: impl Fn(&str) -> bool) -> HashSet<Name> {
    index
        .pods_and_departed()
        .filter(|pod| namespace(pod.namespace()) && selector.matches(&pod.labels))
        .map(|pod| pod.key.clone())
        .collect()
}

fn namespaces(index: &Index, labels: &Selector) -> BTreeSet<String> {
    index
        .namespaces()
        .filter(|namespace| labels.matches(&namespace.labels))
        .map(|namespace| namespace.name.to_string())
        .collect()
}

/// What to say about an endpoint that nothing answers to.
fn missing(item: &Item, matcher: &Matcher, index: &Index) -> Option<Unresolved> {
    use UnresolvedReason::{NoPods, UnknownNamespace, UnknownNode, UnknownService, UnknownZone};
    let say = |field: &str, reason, message: String| {
        Some(Unresolved { path: format!("{}.{field}", item.path), reason, message })
    };
    match (&item.select, matcher) {
        (Select::Zone(zone), _) => {
            let zones: BTreeSet<&str> = index.nodes().filter_map(|node| node.zone.as_deref()).collect();
            if zones.contains(zone.as_str()) {
                return None;
            }
            say("zone", UnknownZone, format!("no node is in zone {zone}; {}", known("zones", &zones)))
        }
        (Select::Node(name), _) if index.node(name).is_none() => {
            let nodes: BTreeSet<&str> = index.nodes().map(|node| &*node.name).collect();
            say("node.name", UnknownNode, format!("there is no node {name}; {}", known("nodes", &nodes)))
        }
        (Select::Nodes(labels), Matcher::Nodes(nodes)) if nodes.is_empty() => {
            say("node.selector", UnknownNode, format!("no node has the labels {labels}"))
        }
        (Select::Service(key), _) if index.service(key).is_none() => {
            let namespace = namespace_of(key).unwrap_or_default();
            let services: BTreeSet<&str> = index
                .services()
                .filter(|service| service.namespace() == namespace)
                .filter_map(|service| service.key.split_once('/').map(|(_, name)| name))
                .collect();
            say(
                "service",
                UnknownService,
                format!(
                    "there is no Service {key}; {}",
                    known(&format!("Services in {namespace}"), &services)
                ),
            )
        }
        (Select::Namespace(name), _) if index.namespace(name).is_none() => {
            say("namespace", UnknownNamespace, format!("there is no namespace {name}"))
        }
        (Select::Namespaces(labels), Matcher::Namespaces(found)) if found.is_empty() => {
            say("namespaceSelector", UnknownNamespace, format!("no namespace has the labels {labels}"))
        }
        (Select::Pods { selector, namespaces: PodNamespaces::Named(name) }, Matcher::Pods(pods))
            if pods.is_empty() =>
        {
            say("pods.selector", NoPods, format!("no pod of namespace {name} has the labels {selector}"))
        }
        (Select::Pods { selector, .. }, Matcher::Pods(pods)) if pods.is_empty() => say(
            "pods.selector",
            NoPods,
            format!("no pod of the selected namespaces has the labels {selector}"),
        ),
        _ => None,
    }
}

/// `known zones: a, b, c`, the first few of them.
fn known(what: &str, names: &BTreeSet<&str>) -> String {
    const SHOWN: usize = 10;
    if names.is_empty() {
        return format!("there are no known {what}");
    }
    let shown: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("known {what}: {}{rest}", shown.join(", "))
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
