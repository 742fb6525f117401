//! The cluster as resolution and selection see it. Pure: watches apply facts to it, with the time at which they did.

mod questions;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tidewatch_records::Name;

use super::backends::Backends;
use super::cidr::CidrTable;
use super::facts::{NamespaceFact, NodeFact, PodFact, PodPhase, PolicyFact, ServiceFact, SliceFact, Uid};
use super::frontends::Frontends;
use super::history::History;
use super::table::{Applied, Table};
use super::transitions::{Told, Transitions};

/// Time that the past is remembered.
pub const HISTORY: SignedDuration = SignedDuration::from_mins(15);

/// Departed objects of a kind, and ended tenancies, remembered at most.
const DEPARTED: usize = 100_000;

/// The kinds that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Pod,
    Node,
    Service,
    EndpointSlice,
    Namespace,
    NetworkPolicy,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Pod, Self::Node, Self::Service, Self::EndpointSlice, Self::Namespace, Self::NetworkPolicy];

    /// Returns true if the index is incomplete until the kind has been listed. NetworkPolicies only explain faults: an
    /// operator that may not list them works without them.
    fn is_needed(self) -> bool {
        self != Self::NetworkPolicy
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
            Self::Service => "service",
            Self::EndpointSlice => "endpointslice",
            Self::Namespace => "namespace",
            Self::NetworkPolicy => "networkpolicy",
        }
    }
}

/// The current state of an object, as a watch reported it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    Pod(PodFact),
    Node(NodeFact),
    Service(ServiceFact),
    EndpointSlice(SliceFact),
    Namespace(NamespaceFact),
    NetworkPolicy(PolicyFact),
}

/// Live objects of one kind, and departed ones still remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub live: usize,
    pub departed: usize,
}

#[derive(Debug, Default)]
pub struct Index {
    pods: Table<Uid, PodFact>,
    /// UIDs that a static pod's cgroup has, to those of its mirror.
    static_uids: std::collections::HashMap<Uid, Uid>,
    pod_ips: History<IpAddr, Uid>,
    /// The pod that has a port at its node's addresses, by node and port.
    host_ports: History<(Name, u16), Uid>,
    /// Live pods that aren't ready, those of them that ended left out.
    unready: BTreeSet<Uid>,
    nodes: Table<Name, NodeFact>,
    node_ips: History<IpAddr, Name>,
    pod_cidrs: CidrTable<Name>,
    services: Table<Name, ServiceFact>,
    frontends: Frontends,
    slices: Table<Name, SliceFact>,
    backends: Backends,
    namespaces: Table<Name, NamespaceFact>,
    policies: Table<Name, PolicyFact>,
    transitions: Transitions,
    listed: BTreeSet<Kind>,
}

impl Index {
    /// Returns true once every needed kind has been listed. Before that, objects that aren't known may still exist.
    pub fn synced(&self) -> bool {
        Kind::ALL.iter().filter(|kind| kind.is_needed()).all(|kind| self.listed.contains(kind))
    }

    fn told(&self, kind: Kind, now: Timestamp) -> Told {
        Told { now, first: !self.listed.contains(&kind) }
    }

    /// Applies `fact`, learned at `now`. Returns true if it changed anything.
    pub fn apply(&mut self, fact: Fact, now: Timestamp) -> bool {
        match fact {
            Fact::Pod(pod) => self.apply_pod(pod, now),
            Fact::Node(node) => self.apply_node(node, now),
            Fact::Service(service) => self.apply_service(service, now),
            Fact::EndpointSlice(slice) => self.apply_slice(slice, now),
            Fact::Namespace(namespace) => {
                self.namespaces.apply(namespace.name.clone(), namespace) != Applied::Unchanged
            }
            Fact::NetworkPolicy(policy) => self.apply_policy(policy, now),
        }
    }

    /// The object of `fact` was deleted.
    pub fn depart(&mut self, fact: &Fact, now: Timestamp) {
        match fact {
            Fact::Pod(pod) => {
                let gone = self.pods.depart(&pod.uid, now);
                self.pod_departed(gone, now);
            }
            Fact::Node(node) => {
                let gone = self.nodes.depart(&node.name, now);
                self.node_departed(gone, now);
            }
            Fact::Service(service) => {
                let gone = self.services.depart(&service.key, now);
                self.service_departed(gone, now);
            }
            Fact::EndpointSlice(slice) => {
                let gone = self.slices.depart(&slice.key, now);
                self.slice_departed(gone, now);
            }
            Fact::Namespace(namespace) => {
                self.namespaces.depart(&namespace.name, now);
            }
            Fact::NetworkPolicy(policy) => {
                let gone = self.policies.depart(&policy.key, now);
                self.policy_departed(gone, now);
            }
        }
    }

    /// A list of `kind` begins: what it doesn't name before [`Index::end_list`] is gone.
    pub fn begin_list(&mut self, kind: Kind) {
        match kind {
            Kind::Pod => self.pods.begin_list(),
            Kind::Node => self.nodes.begin_list(),
            Kind::Service => self.services.begin_list(),
            Kind::EndpointSlice => self.slices.begin_list(),
            Kind::Namespace => self.namespaces.begin_list(),
            Kind::NetworkPolicy => self.policies.begin_list(),
        }
    }

    pub fn end_list(&mut self, kind: Kind, now: Timestamp) {
        match kind {
            Kind::Pod => {
                self.pods.end_list(now).into_iter().for_each(|gone| self.pod_departed(Some(gone), now))
            }
            Kind::Node => {
                self.nodes.end_list(now).into_iter().for_each(|gone| self.node_departed(Some(gone), now))
            }
            Kind::Service => {
                self.services
                    .end_list(now)
                    .into_iter()
                    .for_each(|gone| self.service_departed(Some(gone), now));
            }
            Kind::EndpointSlice => {
                self.slices.end_list(now).into_iter().for_each(|gone| self.slice_departed(Some(gone), now));
            }
            Kind::Namespace => drop(self.namespaces.end_list(now)),
            Kind::NetworkPolicy => {
                self.policies
                    .end_list(now)
                    .into_iter()
                    .for_each(|gone| self.policy_departed(Some(gone), now));
            }
        }
        self.listed.insert(kind);
    }

    /// Forgets what is older than the history.
    pub fn forget(&mut self, now: Timestamp) {
        let horizon = now.checked_sub(HISTORY).unwrap_or(Timestamp::MIN);
        for pod in self.pods.forget(horizon, DEPARTED) {
            if let Some(uid) = pod.static_uid
                && self.static_uids.get(&uid) == Some(&pod.uid)
            {
                self.static_uids.remove(&uid);
            }
        }
        self.nodes.forget(horizon, DEPARTED);
        self.services.forget(horizon, DEPARTED);
        self.slices.forget(horizon, DEPARTED);
        self.namespaces.forget(horizon, DEPARTED);
        self.policies.forget(horizon, DEPARTED);
        self.transitions.forget(now);
        self.pod_ips.forget(horizon, DEPARTED);
        self.host_ports.forget(horizon, DEPARTED);
        self.node_ips.forget(horizon, DEPARTED);
        self.frontends.forget(horizon, DEPARTED);
        self.backends.forget(horizon, DEPARTED);
    }

    fn apply_pod(&mut self, pod: PodFact, now: Timestamp) -> bool {
        let uid = pod.uid;
        if let Some(static_uid) = pod.static_uid {
            self.static_uids.insert(static_uid, uid);
        }
        let before = match self.pods.apply(uid, pod) {
            Applied::Unchanged => return false,
            Applied::New => None,
            Applied::Replaced(before) => Some(before),
        };
        let told = self.told(Kind::Pod, now);
        let Some(pod) = self.pods.get(&uid).cloned() else { return true };
        if before.is_none() {
            self.transitions.pod_appeared(&pod, told);
        }
        if !pod.ready && pod.phase != PodPhase::Ended {
            self.unready.insert(uid);
        } else {
            self.unready.remove(&uid);
        }
        let is_new = before.is_none();
        let had = before.as_deref().map_or(&[][..], addresses_held);
        let has = addresses_held(&pod);
        for ip in had.iter().filter(|ip| !has.contains(ip)) {
            self.pod_ips.end(ip, &uid, now);
        }
        // An address that changed on a running pod is new now; otherwise it is as old as the pod can be. Of two pods
        // with one address the later has it; a pod that is met with its address may have it since its start.
        let started = pod.started.unwrap_or(now);
        let from = if had.is_empty() { started } else { now };
        let claimed = if is_new { started } else { now };
        for ip in has.iter().filter(|ip| !had.contains(ip)) {
            self.pod_ips.begin(*ip, uid, from, claimed);
        }
        let (had, has) = (before.as_deref().map(host_ports_held).unwrap_or_default(), host_ports_held(&pod));
        for port in had.iter().filter(|port| !has.contains(port)) {
            self.host_ports.end(port, &uid, now);
        }
        for port in has.iter().filter(|port| !had.contains(port)) {
            self.host_ports.begin(port.clone(), uid, started, claimed);
        }
        true
    }

    fn pod_departed(&mut self, gone: Option<Arc<PodFact>>, now: Timestamp) {
        let Some(pod) = gone else { return };
        self.transitions.pod_went(&pod, now);
        self.unready.remove(&pod.uid);
        for ip in addresses_held(&pod) {
            self.pod_ips.end(ip, &pod.uid, now);
        }
        for port in host_ports_held(&pod) {
            self.host_ports.end(&port, &pod.uid, now);
        }
    }

    fn apply_node(&mut self, node: NodeFact, now: Timestamp) -> bool {
        let name = node.name.clone();
        let before = match self.nodes.apply(name.clone(), node) {
            Applied::Unchanged => return false,
            Applied::New => None,
            Applied::Replaced(before) => Some(before),
        };
        let told = self.told(Kind::Node, now);
        let Some(node) = self.nodes.get(&name).cloned() else { return true };
        if let Some(before) = &before {
            self.transitions.node(before, Some(&node), told);
        }
        let (had, had_cidrs) = before
            .as_deref()
            .map_or((&[][..], &[][..]), |node| (node.ips.as_slice(), node.pod_cidrs.as_slice()));
        for ip in had.iter().filter(|ip| !node.ips.contains(ip)) {
            self.node_ips.end(ip, &name, now);
        }
        // A node outlives windows, so one that is met for the first time is taken to have had its addresses always, or
        // from when an older node lost them: of two nodes that list one, the one created last has it.
        let created = node.created.unwrap_or(Timestamp::MIN);
        let from = if before.is_none() { Timestamp::MIN } else { now };
        for ip in node.ips.iter().filter(|ip| !had.contains(ip)) {
            self.node_ips.begin(*ip, name.clone(), from, if before.is_none() { created } else { now });
        }
        for cidr in had_cidrs.iter().filter(|cidr| !node.pod_cidrs.contains(cidr)) {
            self.pod_cidrs.remove(cidr, &name);
        }
        for cidr in &node.pod_cidrs {
            self.pod_cidrs.insert(*cidr, name.clone());
        }
        true
    }

    fn node_departed(&mut self, gone: Option<Arc<NodeFact>>, now: Timestamp) {
        let Some(node) = gone else { return };
        self.transitions.node(&node, None, self.told(Kind::Node, now));
        for ip in &node.ips {
            self.node_ips.end(ip, &node.name, now);
        }
        for cidr in &node.pod_cidrs {
            self.pod_cidrs.remove(cidr, &node.name);
        }
    }

    fn apply_service(&mut self, service: ServiceFact, now: Timestamp) -> bool {
        let key = service.key.clone();
        let before = match self.services.apply(key.clone(), service) {
            Applied::Unchanged => return false,
            Applied::New => None,
            Applied::Replaced(before) => Some(before),
        };
        let told = self.told(Kind::Service, now);
        let Some(service) = self.services.get(&key).cloned() else { return true };
        if let Some(before) = &before {
            self.transitions.service(before, Some(&service), told);
        }
        self.frontends.replace(before.as_deref(), Some(&service), now);
        true
    }

    fn service_departed(&mut self, gone: Option<Arc<ServiceFact>>, now: Timestamp) {
        let Some(service) = gone else { return };
        self.transitions.service(&service, None, self.told(Kind::Service, now));
        self.frontends.replace(Some(&service), None, now);
    }

    fn apply_slice(&mut self, slice: SliceFact, now: Timestamp) -> bool {
        let key = slice.key.clone();
        let before = match self.slices.apply(key.clone(), slice) {
            Applied::Unchanged => return false,
            Applied::New => None,
            Applied::Replaced(before) => Some(before),
        };
        let told = self.told(Kind::EndpointSlice, now);
        if let Some(slice) = self.slices.get(&key) {
            self.backends.replace(before.as_deref(), Some(slice), now);
            self.transitions.slice(before.as_deref(), Some(slice), told);
        }
        true
    }

    fn slice_departed(&mut self, gone: Option<Arc<SliceFact>>, now: Timestamp) {
        self.backends.replace(gone.as_deref(), None, now);
        self.transitions.slice(gone.as_deref(), None, self.told(Kind::EndpointSlice, now));
    }

    fn apply_policy(&mut self, policy: PolicyFact, now: Timestamp) -> bool {
        let key = policy.key.clone();
        let before = match self.policies.apply(key.clone(), policy) {
            Applied::Unchanged => return false,
            Applied::New => None,
            Applied::Replaced(before) => Some(before),
        };
        let told = self.told(Kind::NetworkPolicy, now);
        if let Some(policy) = self.policies.get(&key) {
            self.transitions.policy(before.as_ref(), Some(policy), told);
        }
        true
    }

    fn policy_departed(&mut self, gone: Option<Arc<PolicyFact>>, now: Timestamp) {
        if let Some(policy) = gone {
            self.transitions.policy(Some(&policy), None, self.told(Kind::NetworkPolicy, now));
        }
    }
}

/// The addresses that are the pod's own now.
fn addresses_held(pod: &PodFact) -> &[IpAddr] {
    if pod.host_network || pod.phase == PodPhase::Ended { &[] } else { &pod.ips }
}

/// The ports that are the pod's at its node's addresses now.
fn host_ports_held(pod: &PodFact) -> Vec<(Name, u16)> {
    let Some(node) = pod.node.as_ref().filter(|_| pod.phase != PodPhase::Ended) else { return Vec::new() };
    pod.host_ports.iter().map(|port| (node.clone(), *port)).collect()
}
