//! What the index is asked.

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
        self.pods.get(self.pod_ips.holder(ip, from, to)?)
    }

    pub fn node(&self, name: &str) -> Option<&Arc<NodeFact>> {
        self.nodes.get(name)
    }

    pub fn node_at(&self, ip: IpAddr, from: Timestamp, to: Timestamp) -> Option<&Arc<NodeFact>> {
        self.nodes.get(self.node_ips.holder(ip, from, to)?)
    }

    /// The node whose pod CIDR has `ip`. Some network plugins leave that CIDR unused, so this says only that `ip` is
    /// the cluster's.
    pub fn in_pod_cidr(&self, ip: IpAddr) -> bool {
        self.pod_cidrs.get(ip).is_some()
    }

    /// `namespace/name` of the Service that had `ip` as its own address.
    pub fn service_at(&self, ip: IpAddr, from: Timestamp, to: Timestamp) -> Option<&Name> {
        self.service_ips.holder(ip, from, to)
    }

    /// The Service that `ip` was a backend of during `[from, to)`: the one with `port`, else the first by name.
    pub fn service_behind(
        &self,
        ip: IpAddr,
        port: Option<u16>,
        pod: Option<Uid>,
        from: Timestamp,
    ) -> Option<&Name> {
        self.backends.service(ip, port, pod, from)
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
        self.pods_and_departed()
            .filter(|pod| {
                pod.namespace() == service.namespace()
                    && service.selector.iter().all(|(label, value)| pod.labels.get(label) == Some(value))
            })
            .collect()
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

    /// What changed lately.
    pub fn changes(&self) -> &Changes {
        self.transitions.changes()
    }

    /// Addresses with a known holder, past ones included.
    pub fn addresses(&self) -> usize {
        self.pod_ips.len() + self.node_ips.len() + self.service_ips.len()
    }
}
