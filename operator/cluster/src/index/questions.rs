//! Queries on the index.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tidewatch_records::Name;

use super::super::changes::Changes;
use super::super::facts::{NamespaceFact, NodeFact, PodFact, ServiceFact, Uid};
use super::super::table::Table;
use super::{Index, Kind, Size};

impl Index {
    /// The pod with this UID, live or departed within the history; also by the UID that a static pod's cgroup has.
    pub fn pod(&self, uid: Uid) -> Option<&Arc<PodFact>> {
        self.pods.get(&uid).or_else(|| self.pods.get(self.static_uids.get(&uid)?))
    }

    /// The pod that held `ip` during `[from, to)`. Never a pod in its host's network.
    pub fn pod_at(&self, ip: IpAddr, from: Timestamp, to: Timestamp) -> Option<&Arc<PodFact>> {
        self.pods.get(self.pod_ips.holder(&ip, from, to)?)
    }

    pub fn node(&self, name: &str) -> Option<&Arc<NodeFact>> {
        self.nodes.get(name)
    }

    pub fn node_at(&self, ip: IpAddr, from: Timestamp, to: Timestamp) -> Option<&Arc<NodeFact>> {
        self.nodes.get(self.node_ips.holder(&ip, from, to)?)
    }

    /// The node whose pod CIDR has `ip`. Some network plugins leave that CIDR unused, so this says only that `ip` is
    /// the cluster's.
    pub fn in_pod_cidr(&self, ip: IpAddr) -> bool {
        self.pod_cidrs.get(ip).is_some()
    }

    /// The pod that had `port` at the addresses of `node` during `[from, to)`.
    pub fn pod_at_host_port(
        &self,
        node: &Name,
        port: u16,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<&Arc<PodFact>> {
        self.pods.get(self.host_ports.holder(&(node.clone(), port), from, to)?)
    }

    /// Returns true if `ip` was an address of a Service.
    pub fn is_service_address(&self, ip: IpAddr, from: Timestamp, to: Timestamp) -> bool {
        self.frontends.has(ip, from, to)
    }

    /// `namespace/name` of the Service that was reached by dialling `ip` at `port`: an address of its own, or its
    /// NodePort at an address of a node's.
    pub fn service_at(&self, ip: IpAddr, port: Option<u16>, from: Timestamp, to: Timestamp) -> Option<&Name> {
        self.frontends.service(ip, port, from, to).or_else(|| {
            let port = port.filter(|_| self.node_at(ip, from, to).is_some())?;
            self.frontends.node_port(port, from, to)
        })
    }

    /// The Service with `port` that `ip` was a backend of from `from` on, and the backend's pod if it is one; without a
    /// port, the first such Service by name.
    pub fn service_behind(
        &self,
        ip: IpAddr,
        port: Option<u16>,
        pod: Option<Uid>,
        from: Timestamp,
    ) -> Option<(&Name, Option<Uid>)> {
        self.backends.service(ip, port, pod, from)
    }

    /// Time at which the pod's object was deleted.
    pub fn pod_departed_at(&self, uid: Uid) -> Option<Timestamp> {
        self.pods.departed_at(&uid)
    }

    /// Returns true if the Service has a ready endpoint.
    pub fn has_ready_endpoint(&self, service: &str) -> bool {
        self.transitions.has_ready_endpoint(service)
    }

    /// Live pods that aren't ready, and haven't ended.
    pub fn unready_pods(&self) -> impl Iterator<Item = &Arc<PodFact>> {
        self.unready.iter().filter_map(|uid| self.pods.get(uid))
    }

    /// Live pods.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<PodFact>> {
        self.pods.live()
    }

    /// Live pods, and those that departed within the history: a closed window has their flows still.
    pub fn pods_and_departed(&self) -> impl Iterator<Item = &Arc<PodFact>> {
        self.pods.all()
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeFact>> {
        self.nodes.live()
    }

    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceFact>> {
        self.services.live()
    }

    pub fn service(&self, key: &str) -> Option<&Arc<ServiceFact>> {
        self.services.get(key)
    }

    /// The pods behind a Service, live or departed within the history: by its selector, or where it has none by its
    /// EndpointSlices. Costs a look at every pod.
    pub fn pods_behind(&self, service: &str) -> Vec<&Arc<PodFact>> {
        let Some(service) = self.services.get(service) else { return Vec::new() };
        if service.selector.is_empty() {
            let slices = self.slices.all().filter(|slice| slice.service == service.key);
            let uids: BTreeSet<Uid> =
                slices.flat_map(|slice| slice.backends.iter()).filter_map(|b| b.pod).collect();
            return uids.into_iter().filter_map(|uid| self.pod(uid)).collect();
        }
        self.pods_and_departed().filter(|pod| service.selects(pod)).collect()
    }

    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<NamespaceFact>> {
        self.namespaces.live()
    }

    pub fn namespace(&self, name: &str) -> Option<&Arc<NamespaceFact>> {
        self.namespaces.get(name)
    }

    /// Nodes whose agent is ready.
    pub fn ready_agents(&self) -> BTreeSet<Name> {
        self.pods().filter(|pod| pod.agent && pod.ready).filter_map(|pod| pod.node.clone()).collect()
    }

    pub fn size(&self, kind: Kind) -> Size {
        fn of<K: std::hash::Hash + Eq + Clone, F: PartialEq>(table: &Table<K, F>) -> Size {
            Size { live: table.live_count(), departed: table.departed_count() }
        }
        match kind {
            Kind::Pod => of(&self.pods),
            Kind::Node => of(&self.nodes),
            Kind::Service => of(&self.services),
            Kind::EndpointSlice => of(&self.slices),
            Kind::Namespace => of(&self.namespaces),
            Kind::NetworkPolicy => of(&self.policies),
        }
    }

    /// The recent changes.
    pub fn changes(&self) -> &Changes {
        self.transitions.changes()
    }

    /// Addresses with a known holder, past ones included.
    pub fn addresses(&self) -> usize {
        self.pod_ips.len() + self.node_ips.len() + self.frontends.len()
    }
}
