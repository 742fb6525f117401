//! Checks that the operator may do what the chart's roles (templates/rbac.yaml) let it do. A test holds the list against them.

use serde::Serialize;

use super::{Check, Collected, Finding};

/// Name of the operator's service account, role, and their bindings.
pub(crate) const SERVICE_ACCOUNT: &str = "tidewatch-operator";

/// One verb on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Right {
    pub group: &'static str,
    /// With its subresource after a slash.
    pub resource: &'static str,
    pub verb: &'static str,
    /// Name of the only object that the right is for.
    pub name: Option<&'static str>,
    /// In the operator's own namespace only.
    pub own_namespace: bool,
}

/// A right, and whether the operator has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightAnswer {
    pub right: Right,
    pub allowed: bool,
}

type Rule = (&'static str, &'static [&'static str], Option<&'static str>, &'static [&'static str]);

const CLUSTER_WIDE: &[Rule] = &[
    ("", &["pods", "nodes", "services", "namespaces"], None, &["list", "watch"]),
    ("discovery.k8s.io", &["endpointslices"], None, &["list", "watch"]),
    ("networking.k8s.io", &["networkpolicies"], None, &["list", "watch"]),
    ("tidewatch.dev", &["networkmonitors"], None, &["list", "watch"]),
    ("tidewatch.dev", &["anomalyalarms", "canaries"], None, &["list", "watch", "patch"]),
    ("tidewatch.dev", &["canaries"], None, &["get"]),
    (
        "tidewatch.dev",
        &["networkmonitors/status", "anomalyalarms/status", "canaries/status"],
        None,
        &["patch"],
    ),
    ("events.k8s.io", &["events"], None, &["create", "patch"]),
    ("authentication.k8s.io", &["tokenreviews"], None, &["create"]),
];

const OWN_NAMESPACE: &[Rule] = &[
    ("coordination.k8s.io", &["leases"], Some("tidewatch-operator"), &["get", "update"]),
    ("coordination.k8s.io", &["leases"], None, &["create"]),
    ("apps", &["daemonsets"], Some("tidewatch-agent"), &["list", "watch", "patch", "delete"]),
    ("apps", &["daemonsets"], None, &["create"]),
    ("", &["configmaps"], Some("tidewatch-agent-template"), &["get", "list", "watch"]),
    ("", &["configmaps"], Some("tidewatch-collector-ca"), &["get", "patch"]),
    ("", &["configmaps"], Some("tidewatch-baselines"), &["get", "patch"]),
    ("", &["secrets"], Some("tidewatch-collector-tls"), &["get", "update"]),
    ("", &["services"], Some("tidewatch-collector"), &["get"]),
    ("discovery.k8s.io", &["endpointslices"], Some("tidewatch-collector"), &["get", "update", "delete"]),
    ("discovery.k8s.io", &["endpointslices"], None, &["create"]),
];

/// Every right that the operator needs.
pub(crate) fn needed() -> Vec<Right> {
    let of = |rules: &'static [Rule], own_namespace: bool| {
        rules.iter().flat_map(move |(group, resources, name, verbs)| {
            resources.iter().flat_map(move |resource| {
                verbs.iter().map(move |verb| Right { group, resource, verb, name: *name, own_namespace })
            })
        })
    };
    of(CLUSTER_WIDE, false).chain(of(OWN_NAMESPACE, true)).collect()
}

pub(super) fn check(collected: &Collected) -> Check {
    let (namespace, mut findings) = (&collected.namespace, Vec::new());
    let account = format!("Service account {namespace}/{SERVICE_ACCOUNT}");
    match &collected.rights {
        Err(error) => findings.push(Finding::unchecked("The operator's rights (SubjectAccessReview)", error)),
        Ok(answers) => {
            let missing: Vec<&Right> = answers.iter().filter(|it| !it.allowed).map(|it| &it.right).collect();
            let unbound = collected.binding == Ok(false);
            if unbound && missing.iter().any(|right| !right.own_namespace) {
                findings.push(Finding::problem(
                    format!("{account} isn't bound to its role: ClusterRoleBinding {SERVICE_ACCOUNT} is missing, or names another namespace."),
                    "Install the chart tidewatch whole, or create the ClusterRoleBinding that it has.",
                ));
            }
            findings.extend(by_resource(&missing).into_iter().map(|sentence| {
                Finding::problem(
                    format!("{account} may not {sentence}."),
                    "Upgrade the chart tidewatch, whose roles have it. If you write the roles yourself, add the right.",
                )
            }));
        }
    }
    Check::new("Rights", findings, || {
        format!("{account} has all {} rights that the chart gives it.", needed().len())
    })
}

/// The missing verbs of each resource, such as `list and watch pods`.
fn by_resource(missing: &[&Right]) -> Vec<String> {
    let mut grouped: Vec<(&Right, Vec<&str>)> = Vec::new();
    for right in missing {
        let same = |(there, _): &&mut (&Right, Vec<&str>)| {
            (there.group, there.resource, there.name, there.own_namespace)
                == (right.group, right.resource, right.name, right.own_namespace)
        };
        match grouped.iter_mut().find(same) {
            Some((_, verbs)) => verbs.push(right.verb),
            None => grouped.push((right, vec![right.verb])),
        }
    }
    let sentence = |(right, verbs): (&Right, Vec<&str>)| {
        let group = if right.group.is_empty() { String::new() } else { format!(".{}", right.group) };
        let name = right.name.map(|name| format!(" {name}")).unwrap_or_default();
        let place = if right.own_namespace { " in its namespace" } else { "" };
        format!("{} {}{group}{name}{place}", verbs.join(" and "), right.resource)
    };
    grouped.into_iter().map(sentence).collect()
}
