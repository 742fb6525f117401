//! Checks that each node that needs an agent has a ready one, of a version that fits the operator's.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ContainerState, Node, Pod, PodSpec};
use kube::ResourceExt;
use semver::Version;

use super::placement::{Refusal, refusal};
use super::version::{minors_ahead, of};
use super::{Check, Collected, Finding};
use crate::count::counted;

/// Name of the agents' DaemonSet.
pub(crate) const DAEMON_SET: &str = "tidewatch-agent";
/// Oldest kernel that an agent runs on.
const KERNEL: (u64, u64) = (5, 15);
const COMPONENT: &str = "app.kubernetes.io/component";

/// The part of Tidewatch that a pod is, such as `agent`.
pub(super) fn component(pod: &Pod) -> Option<&str> {
    pod.labels().get(COMPONENT).map(String::as_str)
}

pub(super) fn check(collected: &Collected) -> Check {
    let mut findings = Vec::new();
    let mut summary = String::new();
    let monitors = collected.objects.as_ref().map(|objects| objects.monitors.len());
    match (&collected.daemon_set, &collected.nodes, &collected.pods) {
        (Err(error), ..) => findings.push(Finding::unchecked("The agents' DaemonSet", error)),
        (_, Err(error), _) => findings.push(Finding::unchecked("The nodes", error)),
        (.., Err(error)) => findings.push(Finding::unchecked("The agents' pods", error)),
        (Ok(None), ..) if monitors.is_err() => {
            findings.push(Finding::unchecked("Whether agents are needed", "it depends on the objects, which couldn't be read"));
        }
        (Ok(None), ..) if monitors == Ok(0) => {
            summary = "There is no NetworkMonitor, and so no agent: the operator deploys them with the first one.".to_owned();
        }
        (Ok(None), ..) => findings.push(Finding::problem(
            format!("DaemonSet {}/{DAEMON_SET} is missing, though there are NetworkMonitors.", collected.namespace),
            "Look at condition Ready of a NetworkMonitor: reason AgentsNotDeployed says why the operator couldn't make it.",
        )),
        (Ok(Some(set)), Ok(nodes), Ok(pods)) => {
            let agents: Vec<&Pod> = pods.iter().filter(|pod| component(pod) == Some("agent")).collect();
            let spec = set.spec.as_ref().and_then(|spec| spec.template.spec.clone()).unwrap_or_default();
            findings.extend(nodes.iter().filter_map(|node| of_node(node, &spec, &agents, &collected.namespace)));
            findings.extend(of_versions(set, &agents, collected));
            let without = nodes.iter().filter(|node| refusal(&spec, node) == Some(Refusal::NotMeant)).count();
            let with = nodes.len() - without;
            let none = format!("; {without} without a Linux kernel of their own need none");
            summary = format!("An agent is ready on {with} of {with} nodes{}.", if without > 0 { none } else { String::new() });
        }
    }
    Check::new("Agents", findings, || summary)
}

/// The finding about the agent of one node, if there is one.
fn of_node(node: &Node, spec: &PodSpec, agents: &[&Pod], namespace: &str) -> Option<Finding> {
    let name = node.name_any();
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    let kernel = info.map(|info| info.kernel_version.as_str()).unwrap_or_default();
    match refusal(spec, node) {
        Some(Refusal::NotMeant) => return None,
        Some(Refusal::Taint(taint)) => {
            return Some(Finding::warning(
                format!("Node {name} has no agent: its taint {taint} isn't tolerated."),
                "Add a toleration to agent.tolerations of the chart's values, unless it is meant so.",
            ));
        }
        Some(Refusal::Selector(why)) => {
            return Some(Finding::warning(
                format!("Node {name} has no agent: {why}."),
                "Change agent.nodeSelector or agent.affinity of the chart's values, unless it is meant so.",
            ));
        }
        None => {}
    }
    if is_older(kernel) {
        return Some(Finding::problem(
            format!(
                "Node {name} runs Linux {kernel}, which is older than {}.{}: its agent can't start.",
                KERNEL.0, KERNEL.1
            ),
            "Upgrade the node's image, or leave the node out by agent.affinity (docs/agent.md#kernels).",
        ));
    }
    let agent =
        agents.iter().find(|pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(&name));
    let Some(agent) = agent else {
        return Some(Finding::problem(
            format!("Node {name} (Linux {kernel}) has no agent, though it should."),
            format!(
                "Look at kubectl -n {namespace} describe daemonset {DAEMON_SET}: pods that were refused are events there."
            ),
        ));
    };
    let why = why_not_ready(agent)?;
    Some(Finding::problem(
        format!("The agent of node {name} (Linux {kernel}) isn't ready: {why}."),
        format!(
            "Look at kubectl -n {namespace} logs {}, and at docs/troubleshooting.md#agents-are-missing-or-not-ready.",
            agent.name_any()
        ),
    ))
}

/// True for a kernel that is older than agents need; a version that can't be read counts as new enough.
fn is_older(kernel: &str) -> bool {
    let mut numbers = kernel.split(['.', '-', '+']).map(|part| part.parse::<u64>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < KERNEL,
        _ => false,
    }
}

/// The reason for which a pod isn't ready, in the words of the kubelet or the scheduler; none for a ready pod.
pub(super) fn why_not_ready(pod: &Pod) -> Option<String> {
    let status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|condition| condition.type_ == kind);
    if condition("Ready").is_some_and(|ready| ready.status == "True") {
        return None;
    }
    let containers = status.container_statuses.unwrap_or_default();
    let in_words = |state: &ContainerState| {
        let (reason, message) = match (&state.waiting, &state.terminated) {
            (Some(waiting), _) => (waiting.reason.clone(), waiting.message.clone()),
            (None, Some(ended)) => (ended.reason.clone(), ended.message.clone()),
            (None, None) => return None,
        };
        Some([reason, message].into_iter().flatten().collect::<Vec<_>>().join(", "))
    };
    let now = containers.iter().find_map(|container| in_words(container.state.as_ref()?));
    let before = containers.iter().find_map(|container| in_words(container.last_state.as_ref()?));
    let scheduled =
        condition("PodScheduled").filter(|it| it.status == "False").and_then(|it| it.message.clone());
    let phase = status.phase.unwrap_or_else(|| "Unknown".to_owned());
    // The probe is at fault only where the containers run.
    let probe = if phase == "Running" { ", and its probe fails" } else { "" };
    let why = now.or(scheduled).unwrap_or_else(|| format!("its pod is {phase}{probe}"));
    let before = before.map(|before| format!("; it ended before with {before}")).unwrap_or_default();
    Some(format!("{why}{before}"))
}

/// Agents may be one minor version behind the operator while they are replaced, and never ahead.
fn of_versions(set: &DaemonSet, agents: &[&Pod], collected: &Collected) -> Vec<Finding> {
    let Some(operator) = super::operator::operators_version(collected) else { return Vec::new() };
    let mut versions: Vec<(Version, usize)> = Vec::new();
    for pod in agents {
        let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
        let image = containers.iter().find(|it| it.name == "agent").and_then(|it| it.image.as_deref());
        let Some(version) = of(image, pod.metadata.labels.as_ref().or(set.metadata.labels.as_ref())) else {
            continue;
        };
        match versions.iter_mut().find(|(there, _)| *there == version) {
            Some((_, count)) => *count += 1,
            None => versions.push((version, 1)),
        }
    }
    let finding = |(version, count): &(Version, usize)| {
        let ahead = minors_ahead(version, &operator);
        let agents = counted(*count, "agent is", "agents are");
        let upgrade = "Bring both to one version with the chart tidewatch (docs/upgrading.md).";
        match ahead {
            ..-1 => Some(Finding::problem(
                format!(
                    "{agents} of version {version}, more than one minor version behind the operator's {operator}: it may not understand their records."
                ),
                upgrade,
            )),
            1.. => Some(Finding::problem(
                format!(
                    "{agents} of version {version}, ahead of the operator's {operator}: it may not understand their records."
                ),
                upgrade,
            )),
            -1 => Some(Finding::warning(
                format!("{agents} of version {version}, one minor version behind the operator's {operator}."),
                "Wait for the DaemonSet's rollout to end, and look at it if it doesn't.",
            )),
            0 => None,
        }
    };
    versions.iter().filter_map(finding).collect()
}
