//! From a spec that the API server let through to one that can be acted on, or the sentences that say what to write.

use std::collections::BTreeSet;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use tidewatch_aws::Destination;
use tidewatch_crds::network_monitor::{self as api, Endpoint};
use tidewatch_crds::{NetworkMonitorSpec, parse_duration};
use tidewatch_health::Sensitivity;
use tidewatch_records::Name;

/// What the chart allows and sets.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Namespaces whose monitors may select any local endpoint (chart value `clusterWideNamespaces`).
    pub cluster_wide_namespaces: BTreeSet<String>,
    /// Length of the agents' windows.
    pub agent_window_seconds: u32,
}

/// A spec that can be acted on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValidSpec {
    /// The only namespace whose pods count as local; none if the monitor may look at the whole cluster.
    pub boundary: Option<String>,
    pub local: Vec<Item>,
    /// None: everything.
    pub remote: Option<Vec<Item>>,
    pub window_seconds: u32,
    /// Why the window isn't the one that the spec asks for, where it isn't.
    pub other_window: Option<String>,
    pub sensitivity: Sensitivity,
    /// Where in CloudWatch to publish, if that is asked for.
    pub cloud_watch: Option<Destination>,
}

/// One endpoint, and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Such as `spec.local[0]`.
    pub path: String,
    pub select: Select,
}

/// The ways to select.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Select {
    Pods {
        selector: Selector,
        namespaces: PodNamespaces,
    },
    /// `namespace/name`
    Service(Name),
    Namespace(String),
    Namespaces(Selector),
    Node(String),
    Nodes(Selector),
    Zone(String),
    Cidr(IpNet),
    /// `aws/name`
    AwsService(Name),
}

/// Whose pods a pod selector means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PodNamespaces {
    Named(String),
    Selected(Selector),
}

/// Why a spec can't be acted on; the variants are the reasons of condition Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SpecReason {
    InvalidSpec,
    NamespaceNotAllowed,
}

impl SpecReason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSpec => "InvalidSpec",
            Self::NamespaceNotAllowed => "NamespaceNotAllowed",
        }
    }
}

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub(super) struct SpecError {
    pub path: String,
    pub reason: SpecReason,
    pub message: String,
}

impl ValidSpec {
    /// The spec of a monitor in `namespace`, or everything that is wrong with it.
    pub(super) fn new(
        spec: &NetworkMonitorSpec,
        namespace: &str,
        policy: &Policy,
    ) -> Result<Self, Vec<SpecError>> {
        let mut errors = Vec::new();
        let boundary = (!policy.cluster_wide_namespaces.contains(namespace)).then(|| namespace.to_owned());
        let local = items("spec.local", &spec.local, namespace, &mut errors);
        let remote = spec.remote.as_ref().map(|remote| items("spec.remote", remote, namespace, &mut errors));
        if spec.local.is_empty() {
            errors.push(invalid("spec.local", "name at least one local endpoint, such as {namespace: shop}"));
        }
        for item in &local {
            if let Some(error) = beyond_boundary(item, boundary.as_deref()) {
                errors.push(error);
            }
        }
        let (window_seconds, other_window) =
            window(spec, policy.agent_window_seconds).unwrap_or_else(|error| {
                errors.push(error);
                (0, None)
            });
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            boundary,
            local,
            remote,
            window_seconds,
            other_window,
            sensitivity: match spec.evaluation.sensitivity {
                api::Sensitivity::Low => Sensitivity::Low,
                api::Sensitivity::Standard => Sensitivity::Standard,
                api::Sensitivity::High => Sensitivity::High,
            },
            cloud_watch: spec
                .publish
                .as_ref()
                .and_then(|publish| publish.cloud_watch.as_ref())
                .map(|publish| (publish.region.clone(), publish.namespace.clone())),
        })
    }
}

fn items(list: &str, endpoints: &[Endpoint], namespace: &str, errors: &mut Vec<SpecError>) -> Vec<Item> {
    let mut items = Vec::with_capacity(endpoints.len());
    for (index, endpoint) in endpoints.iter().enumerate() {
        let path = format!("{list}[{index}]");
        match select(&path, endpoint, namespace) {
            Ok(select) => items.push(Item { path, select }),
            Err(error) => errors.push(error),
        }
    }
    items
}

fn select(path: &str, endpoint: &Endpoint, namespace: &str) -> Result<Select, SpecError> {
    let mut ways = Vec::new();
    if let Some(pods) = &endpoint.pods {
        let namespaces = match &pods.namespace_selector {
            None => PodNamespaces::Named(namespace.to_owned()),
            Some(labels) => {
                PodNamespaces::Selected(selector(&format!("{path}.pods.namespaceSelector"), labels)?)
            }
        };
        let selector = selector(&format!("{path}.pods.selector"), &pods.selector)?;
        ways.push(Select::Pods { selector, namespaces });
    }
    if let Some(service) = &endpoint.service {
        let namespace = service.namespace.as_deref().unwrap_or(namespace);
        ways.push(Select::Service(format!("{namespace}/{}", service.name).into()));
    }
    if let Some(name) = &endpoint.namespace {
        ways.push(Select::Namespace(name.clone()));
    }
    if let Some(labels) = &endpoint.namespace_selector {
        ways.push(Select::Namespaces(selector(&format!("{path}.namespaceSelector"), labels)?));
    }
    if let Some(node) = &endpoint.node {
        ways.push(match (&node.name, &node.selector) {
            (Some(name), None) => Select::Node(name.clone()),
            (None, Some(labels)) => Select::Nodes(selector(&format!("{path}.node.selector"), labels)?),
            _ => return Err(invalid(&format!("{path}.node"), "write either name or selector")),
        });
    }
    if let Some(zone) = &endpoint.zone {
        ways.push(Select::Zone(zone.clone()));
    }
    if let Some(cidr) = &endpoint.cidr {
        let net = cidr.parse().map_err(|error| {
            invalid(
                &format!("{path}.cidr"),
                &format!("{cidr:?} isn't a CIDR ({error}): write an address, a slash and a prefix length, such as 10.20.0.0/16"),
            )
        })?;
        ways.push(Select::Cidr(net));
    }
    if let Some(service) = &endpoint.aws_service {
        ways.push(Select::AwsService(format!("aws/{}", service.to_ascii_lowercase()).into()));
    }
    match (ways.pop(), ways.is_empty()) {
        (Some(select), true) => Ok(select),
        _ => Err(invalid(
            path,
            "each item selects in exactly one way: write one of pods, service, namespace, namespaceSelector, node, zone, cidr or awsService",
        )),
    }
}

fn selector(path: &str, labels: &LabelSelector) -> Result<Selector, SpecError> {
    let selector = Selector::try_from(labels.clone()).map_err(|error| invalid(path, &error.to_string()))?;
    if selector.selects_all() {
        return Err(invalid(
            path,
            "the selector is empty: write at least one label, such as matchLabels: {app: checkout}",
        ));
    }
    Ok(selector)
}

/// A local item that names another namespace than the monitor's, where it may not.
fn beyond_boundary(item: &Item, boundary: Option<&str>) -> Option<SpecError> {
    let own = boundary?;
    let (field, names) = match &item.select {
        Select::Pods { namespaces: PodNamespaces::Selected(_), .. } => {
            ("pods.namespaceSelector", "selects other namespaces".to_owned())
        }
        Select::Namespaces(_) => ("namespaceSelector", "selects other namespaces".to_owned()),
        Select::Namespace(name) if name != own => ("namespace", format!("is {name}")),
        Select::Service(key) if !key.starts_with(&format!("{own}/")) => {
            ("service", format!("is {key}, of another namespace"))
        }
        Select::AwsService(_) => {
            return Some(invalid(&item.path, "an AWS service is never local: move it to spec.remote"));
        }
        _ => return None,
    };
    Some(SpecError {
        path: format!("{}.{field}", item.path),
        reason: SpecReason::NamespaceNotAllowed,
        message: format!(
            "{names}, but a monitor in namespace {own} watches only pods of {own}: leave the namespace out, create the monitor in that namespace, or ask whoever runs Tidewatch to add {own} to the chart's clusterWideNamespaces"
        ),
    })
}

/// Lengths of windows, seconds.
const WINDOWS: std::ops::RangeInclusive<u32> = 10..=600;

/// The length of the windows that are watched, and why it isn't the spec's own where that doesn't fit the agents'. Agents'
/// windows may change under a monitor by an upgrade of the chart: that must not end its watching.
fn window(spec: &NetworkMonitorSpec, agent_window_seconds: u32) -> Result<(u32, Option<String>), SpecError> {
    let path = "spec.evaluation.window";
    let duration =
        parse_duration(&spec.evaluation.window).map_err(|error| invalid(path, &error.to_string()))?;
    let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    if !WINDOWS.contains(&seconds) {
        return Err(invalid(path, "the window must be from 10s to 10m, such as 15s"));
    }
    let agent = agent_window_seconds.max(1);
    let (below, above) = (seconds / agent * agent, seconds.div_ceil(agent) * agent);
    if below == seconds {
        return Ok((seconds, None));
    }
    let possible = [below, above].into_iter().filter(|seconds| WINDOWS.contains(seconds));
    // Of two that are as near, the longer: it has more traffic to judge by.
    let nearest = possible.min_by_key(|other| (other.abs_diff(seconds), std::cmp::Reverse(*other)));
    let Some(nearest) = nearest else {
        return Err(invalid(
            path,
            &format!("no window from 10s to 10m is a multiple of the agents' {agent}s"),
        ));
    };
    let why = format!(
        "in windows of {nearest}s, since {seconds}s isn't a multiple of the agents' window of {agent}s (chart value agent.window): write evaluation.window: {nearest}s"
    );
    Ok((nearest, Some(why)))
}

fn invalid(path: &str, message: &str) -> SpecError {
    SpecError { path: path.to_owned(), reason: SpecReason::InvalidSpec, message: message.to_owned() }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
