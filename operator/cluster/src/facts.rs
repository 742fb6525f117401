//! The facts kept of each Kubernetes object: the few that resolution and selection need.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use kube::core::{Selector, SelectorExt};
use tidewatch_records::Name;

/// The labels of an object. Objects with the same labels (a ReplicaSet's pods) share one map; the type is what
/// [`kube::core::Selector`] matches against.
pub type Labels = Arc<BTreeMap<String, String>>;

/// A pod's UID as a number: 16 bytes instead of a string of 36, and the same whether a cgroup's name spells it with
/// dashes, underscores (systemd) or none (a static pod's config hash).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(u128);

impl Uid {
    /// The UID that `text` spells; `None` if it doesn't have 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut value = 0_u128;
        let mut digits = 0;
        for c in text.chars().filter(|c| !matches!(c, '-' | '_')) {
            value = (value << 4) | u128::from(c.to_digit(16)?);
            digits += 1;
            if digits > 32 {
                return None;
            }
        }
        (digits == 32).then_some(Self(value))
    }
}

/// A pod, live or departed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFact {
    pub uid: Uid,
    /// For a static pod's mirror: the UID its cgroup has (annotation `kubernetes.io/config.hash`).
    pub static_uid: Option<Uid>,
    /// `namespace/name`.
    pub key: Name,
    pub node: Option<Name>,
    /// `namespace/Kind/name` of the top owner; of the pod itself where nothing owns it.
    pub workload: Name,
    pub labels: Labels,
    /// Empty until the kubelet reported them.
    pub ips: Vec<IpAddr>,
    /// Its addresses are its node's.
    pub host_network: bool,
    /// TCP ports that its containers have at its node's addresses: by the host's network or by a hostPort.
    pub host_ports: Vec<u16>,
    pub phase: PodPhase,
    /// Condition `Ready`.
    pub ready: bool,
    /// Time of the last change of `ready`.
    pub ready_changed: Option<Timestamp>,
    /// Runs under the agent's service account in the operator's namespace.
    pub agent: bool,
    pub created: Option<Timestamp>,
    /// Time at which the kubelet took the pod over (`status.startTime`); its addresses can't be older.
    pub started: Option<Timestamp>,
    /// Time of the last end of a container, if that container had run for long: of a crash loop only the first end
    /// counts.
    pub restarted: Option<Timestamp>,
    pub deletion: Option<Deletion>,
}

/// A deletion that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    pub requested: Timestamp,
    /// End of the pod's grace period.
    pub due: Timestamp,
}

impl PodFact {
    pub fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The revision of the workload's template that the pod was made from, by the label that the controllers of
    /// Deployments, Argo Rollouts, StatefulSets and DaemonSets put on their pods.
    pub fn revision(&self) -> Option<&str> {
        ["pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash"]
            .into_iter()
            .find_map(|label| self.labels.get(label))
            .map(String::as_str)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PodPhase {
    #[default]
    Pending,
    Running,
    /// Succeeded or failed: the object is still there, its addresses are free for others.
    Ended,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFact {
    pub name: Name,
    /// Label `topology.kubernetes.io/zone`.
    pub zone: Option<Name>,
    /// Label `topology.kubernetes.io/region`.
    pub region: Option<Name>,
    pub labels: Labels,
    /// Internal and external addresses.
    pub ips: Vec<IpAddr>,
    pub pod_cidrs: Vec<IpNet>,
    /// Cordoned: no new pod is scheduled to it.
    pub unschedulable: bool,
    pub created: Option<Timestamp>,
}

/// Labels of nodes that have no Linux kernel of their own that an agent could read: pods of theirs run elsewhere, or on
/// Windows. The chart's agent.affinity says the same.
const AGENTLESS: [(&str, &str); 4] = [
    ("kubernetes.io/os", "windows"),
    ("eks.amazonaws.com/compute-type", "fargate"),
    ("type", "virtual-kubelet"),
    ("liqo.io/type", "virtual-node"),
];

impl NodeFact {
    /// Whether no agent can run on it, however the chart is set up.
    pub fn is_agentless(&self) -> bool {
        AGENTLESS.iter().any(|(key, value)| self.labels.get(*key).is_some_and(|it| &**it == *value))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceFact {
    /// `namespace/name`.
    pub key: Name,
    /// Cluster, external and load balancer addresses: all that can be dialled to reach it.
    pub ips: Vec<IpAddr>,
    pub ports: Vec<u16>,
    /// Target of each of `ports`: a number or the name of a container's port.
    pub target_ports: Vec<Name>,
    /// Ports that it has at every node's addresses: its NodePorts, and the one that load balancers check the node by.
    pub node_ports: Vec<u16>,
    pub selector: Labels,
    pub labels: Labels,
}

impl ServiceFact {
    pub fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// Returns true if the Service's selector matches the pod. An empty selector matches no pod.
    pub fn selects(&self, pod: &PodFact) -> bool {
        !self.selector.is_empty()
            && pod.namespace() == self.namespace()
            && self.selector.iter().all(|(label, value)| pod.labels.get(label) == Some(value))
    }
}

/// One EndpointSlice: which addresses and ports stand behind a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceFact {
    /// `namespace/name` of the slice.
    pub key: Name,
    /// `namespace/name` of the Service.
    pub service: Name,
    /// Ports of the backends (not of the Service).
    pub ports: Arc<[u16]>,
    pub backends: Vec<Backend>,
    /// Number of its ready endpoints.
    pub ready: usize,
}

/// Ready or not: traffic to a backend that isn't ready is still that Service's traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backend {
    pub ip: IpAddr,
    /// The pod behind the address, where it is one.
    pub pod: Option<Uid>,
}

/// A NetworkPolicy: which pods it is about, not what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFact {
    /// `namespace/name`.
    pub key: Name,
    /// An empty one selects every pod of the namespace.
    pub selector: Selector,
    pub ingress: bool,
    pub egress: bool,
    /// Grows with each change of the spec, rules included.
    pub generation: i64,
    pub created: Option<Timestamp>,
}

impl PolicyFact {
    pub fn selects(&self, namespace: &str, labels: &Labels) -> bool {
        self.key.split_once('/').is_some_and(|(own, _)| own == namespace) && self.selector.matches(labels)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFact {
    pub name: Name,
    pub labels: Labels,
}

#[cfg(test)]
mod tests {
    use super::{AGENTLESS, NodeFact, Uid};

    #[test]
    fn the_chart_leaves_out_the_nodes_that_cant_have_an_agent() {
        let values = include_str!("../../../charts/tidewatch/values.yaml");
        let agent = values.split("\nagent:\n").nth(1).unwrap().split("\npriorityClass:\n").next().unwrap();
        for (key, value) in AGENTLESS {
            let left_out = match key {
                "kubernetes.io/os" => "nodeSelector: {kubernetes.io/os: linux}".to_owned(),
                _ => format!("{{key: {key}, operator: NotIn, values: [{value}]}}"),
            };
            assert!(agent.contains(&left_out), "{left_out} isn't in the values");
        }
    }

    #[test]
    fn nodes_without_a_linux_kernel_of_their_own_cant_have_an_agent() {
        for (key, value, agentless) in [
            ("kubernetes.io/os", "windows", true),
            ("kubernetes.io/os", "linux", false),
            ("eks.amazonaws.com/compute-type", "fargate", true),
            ("eks.amazonaws.com/compute-type", "ec2", false),
            ("type", "virtual-kubelet", true),
            ("type", "gpu", false),
            ("liqo.io/type", "virtual-node", true),
        ] {
            let labels = std::sync::Arc::new([(key.to_owned(), value.to_owned())].into());
            assert_eq!(NodeFact { labels, ..NodeFact::default() }.is_agentless(), agentless, "{key}={value}");
        }
    }

    #[test]
    fn a_uid_is_the_same_however_a_cgroup_spells_it() {
        let uid = Uid::parse("0f5fdb64-2a3c-4f0e-9f1b-6f1de3a6a001");
        assert!(uid.is_some());
        assert_eq!(uid, Uid::parse("0f5fdb64_2a3c_4f0e_9f1b_6f1de3a6a001"));
        assert_eq!(uid, Uid::parse("0f5fdb642a3c4f0e9f1b6f1de3a6a001"));
    }

    #[test]
    fn what_is_no_uid_is_none() {
        for text in [
            "",
            "-",
            "xyz",
            "0f5fdb64",
            "0f5fdb64-2a3c-4f0e-9f1b-6f1de3a6a0010",
            "é0f5fdb642a3c4f0e9f1b6f1de3a6a00",
        ] {
            assert_eq!(Uid::parse(text), None, "{text}");
        }
    }
}
