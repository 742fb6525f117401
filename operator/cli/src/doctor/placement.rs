//! Decides whether a DaemonSet's pod may run on a node, by its nodeSelector, required node affinity and tolerations. The
//! DaemonSet controller decides likewise, and reports nothing about nodes that it leaves out.

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration,
};
use kube::ResourceExt;

/// The reason for which the pod may not run on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A node without a kernel of its own, or of another system: none is wanted there.
    NotMeant,
    /// The nodeSelector or the affinity leaves it out.
    Selector(String),
    /// The node has a taint that isn't tolerated.
    Taint(String),
}

/// Taints that the DaemonSet controller makes its pods tolerate.
const ALWAYS_TOLERATED: [&str; 7] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/network-unavailable",
];

/// The reason for which a pod of `spec` may not run on `node`, if there is one.
pub(super) fn refusal(spec: &PodSpec, node: &Node) -> Option<Refusal> {
    let refused =
        unselected(spec, node).map(Refusal::Selector).or_else(|| untolerated(spec, node).map(Refusal::Taint));
    refused.map(|refusal| if has_no_linux(node) { Refusal::NotMeant } else { refusal })
}

/// Fargate, virtual kubelets and Windows.
fn has_no_linux(node: &Node) -> bool {
    let is = |key: &str, value: &str| node.labels().get(key).is_some_and(|it| it == value);
    is("eks.amazonaws.com/compute-type", "fargate")
        || is("type", "virtual-kubelet")
        || is("liqo.io/type", "virtual-node")
        || node.labels().get("kubernetes.io/os").is_some_and(|os| os != "linux")
}

/// The part of the nodeSelector or the affinity that leaves the node out.
fn unselected(spec: &PodSpec, node: &Node) -> Option<String> {
    let labels = node.labels();
    let unmet = spec.node_selector.iter().flatten().find(|(key, value)| labels.get(*key) != Some(*value));
    if let Some((key, value)) = unmet {
        return Some(format!("the nodeSelector wants the label {key}={value}"));
    }
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref())?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let fits = required.node_selector_terms.iter().any(|term| term_fits(term, node));
    (!fits).then(|| "the node affinity leaves it out".to_owned())
}

fn term_fits(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let name = node.name_any();
    // A term without requirements selects nothing.
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|it| fits(it, node.labels().get(&it.key).map(String::as_str)))
        && fields.iter().all(|it| fits(it, (it.key == "metadata.name").then_some(name.as_str())))
}

fn fits(requirement: &NodeSelectorRequirement, label: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let among = |label: &str| values.iter().any(|value| value == label);
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = values.first().and_then(|value| number(value));
    match requirement.operator.as_str() {
        "In" => label.is_some_and(among),
        "NotIn" => !label.is_some_and(among),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        "Gt" => label.and_then(number).zip(bound).is_some_and(|(label, bound)| label > bound),
        "Lt" => label.and_then(number).zip(bound).is_some_and(|(label, bound)| label < bound),
        _ => false,
    }
}

/// A taint of the node that keeps the pod away.
fn untolerated(spec: &PodSpec, node: &Node) -> Option<String> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let repels = |taint: &&Taint| {
        taint.effect != "PreferNoSchedule"
            && !ALWAYS_TOLERATED.contains(&taint.key.as_str())
            && !tolerations.iter().any(|it| tolerates(it, taint))
    };
    taints.iter().find(repels).map(|taint| match taint.value.as_deref().filter(|value| !value.is_empty()) {
        Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
        None => format!("{}:{}", taint.key, taint.effect),
    })
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let exists = toleration.operator.as_deref() == Some("Exists");
    let effect = toleration.effect.as_deref().filter(|effect| !effect.is_empty());
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    let key_fits = match toleration.key.as_deref().filter(|key| !key.is_empty()) {
        Some(key) => key == taint.key,
        None => exists,
    };
    effect.is_none_or(|effect| effect == taint.effect)
        && key_fits
        && (exists || value(&toleration.value) == value(&taint.value))
}
