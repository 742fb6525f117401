//! Resolves the endpoints of a record to pod, workload, Service, node and zone, and the two of them to a category.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tidewatch_records::{Category, Endpoint, EndpointKind, FlowWindow, Name, Role};

use super::facts::{NodeFact, PodFact, Uid};
use super::index::Index;
use super::lifecycle::{Span, lifecycle, lifecycle_of_service};
use super::remotes::{Remote, Remotes, is_private};

/// Ports at which a mesh's proxy accepts what its pod's own rules redirect to it: Istio's sidecar and its tunnel (HBONE),
/// Linkerd's proxy. The pod's network namespace alone knows the port that was dialled.
const PROXY_PORTS: [u16; 3] = [15006, 15008, 4143];

/// Fills in the names of both ends of `flow` as of its window. Returns true if both ends are known, so that a record
/// that came before the watches reported its ends can be resolved again.
///
/// Names in the record are overwritten, since agents know none.
pub fn resolve(index: &Index, remotes: &Remotes, flow: &mut FlowWindow) -> bool {
    let from = flow.window_start;
    let to =
        from.checked_add(SignedDuration::from_secs(i64::from(flow.window_seconds))).unwrap_or(Timestamp::MAX);
    let lookup = Lookup { index, remotes, from, to };
    clear(&mut flow.local);
    clear(&mut flow.remote);
    // A Service's port is the local one of who accepts and the remote one of who connects.
    let local_known = lookup.local(&mut flow.local, &flow.reporter);
    let remote_known = lookup.remote(&mut flow.remote, flow.role);
    flow.category = Some(lookup.category(&flow.local, &flow.remote));
    local_known && remote_known
}

fn clear(endpoint: &mut Endpoint) {
    endpoint.pod = None;
    endpoint.workload = None;
    endpoint.service = None;
    endpoint.node = None;
    endpoint.zone = None;
    endpoint.kind = None;
    endpoint.lifecycle = None;
}

struct Lookup<'a> {
    index: &'a Index,
    remotes: &'a Remotes,
    from: Timestamp,
    to: Timestamp,
}

impl Lookup<'_> {
    /// Resolves the local end. It is on the reporter's node, whatever else is known of it.
    fn local(&self, endpoint: &mut Endpoint, reporter: &Name) -> bool {
        let ip = endpoint.ip.to_canonical();
        let uid = endpoint.pod_uid.as_deref().and_then(Uid::parse);
        let pod = match uid {
            // A cgroup names its pod for certain. Where that pod isn't known yet, its address may be: the address is
            // the pod's own, so it can't name another, unless it is the node's.
            Some(uid) => self.index.pod(uid),
            None => None,
        }
        .or_else(|| {
            self.index
                .pod_at(ip, self.from, self.to)
                .filter(|pod| pod.node.as_ref().is_none_or(|node| node == reporter))
        });
        if let Some(node) = self.index.node(reporter) {
            endpoint.node = Some(node.name.clone());
            endpoint.zone = node.zone.clone();
        } else {
            endpoint.node = Some(reporter.clone());
        }
        if let Some(pod) = pod {
            self.name_pod(endpoint, ip, pod);
            if endpoint.port.is_some_and(|port| PROXY_PORTS.contains(&port)) && endpoint.service.is_none() {
                endpoint.service = self.service_behind(ip, None, Some(pod.uid)).cloned();
            }
            return true;
        }
        // A socket in no pod's cgroup and without a pod's address is the node's own, whichever of the node's addresses
        // it has: the kubelet connects to pods from the address of the bridge.
        let is_another_s = self.index.pod_at(ip, self.from, self.to).is_some()
            || self.index.node_at(ip, self.from, self.to).is_some_and(|node| node.name != *reporter);
        let is_node = uid.is_none() && !is_another_s;
        endpoint.kind = Some(if is_node { EndpointKind::Node } else { EndpointKind::Unknown });
        if endpoint.port.is_some() {
            endpoint.service = self.service_behind(ip, endpoint.port, None).cloned();
        }
        is_node
    }

    fn remote(&self, endpoint: &mut Endpoint, role: Role) -> bool {
        let ip = endpoint.ip.to_canonical();
        // The Service that was dialled, where the agent saw the address translated.
        let dialled = endpoint
            .cluster_ip
            .and_then(|ip| {
                self.index.service_at(ip.to_canonical(), endpoint.cluster_port, self.from, self.to)
            })
            .filter(|_| role == Role::Client);
        if let Some(pod) = self.index.pod_at(ip, self.from, self.to) {
            if let Some(node) = &pod.node {
                self.name_node_of(endpoint, node);
            }
            self.name_pod(endpoint, ip, pod);
        } else if let Some(node) = self.index.node_at(ip, self.from, self.to) {
            name_node(endpoint, node);
            endpoint.kind = Some(EndpointKind::Node);
            // Whoever connects from a node's address may be any process or pod of it.
            if let Some(port) = endpoint.port {
                self.name_at_node(endpoint, ip, port, &node.name);
            }
        } else if self.index.is_service_address(ip, self.from, self.to) {
            // No backend answered, or the translation wasn't seen: the Service is all that is known. It has no part in
            // what is dialled at a port that it doesn't have.
            endpoint.kind = Some(EndpointKind::Service);
            endpoint.service = self.index.service_at(ip, endpoint.port, self.from, self.to).cloned();
        } else {
            self.name_outside(endpoint, ip);
        }
        if let Some(service) = dialled {
            endpoint.service = Some(service.clone());
            if endpoint.kind == Some(EndpointKind::Unknown) {
                endpoint.kind = Some(EndpointKind::Service);
            }
        }
        if let Some(service) = endpoint.service.as_deref().filter(|_| endpoint.pod.is_none()) {
            endpoint.lifecycle = lifecycle_of_service(self.index, service, self.window());
        }
        endpoint.kind != Some(EndpointKind::Unknown)
    }

    /// Names the owner of a port at a node's address: the Service that has the port there, else the pod of the node
    /// that has it, else the node itself (the kubelet's port, or one that nothing listens on).
    fn name_at_node(&self, endpoint: &mut Endpoint, ip: IpAddr, port: u16, node: &Name) {
        // Services' rules come before what listens on the node.
        if let Some(service) = self.index.service_at(ip, Some(port), self.from, self.to) {
            endpoint.service = Some(service.clone());
            return;
        }
        let behind = self.index.service_behind(ip, Some(port), None, self.from);
        let pod = behind
            .and_then(|(_, uid)| self.index.pod(uid?))
            .or_else(|| self.index.pod_at_host_port(node, port, self.from, self.to));
        if let Some(pod) = pod {
            self.name_pod(endpoint, ip, pod);
        }
        if let Some((service, _)) = behind {
            endpoint.service = Some(service.clone());
        }
    }

    fn name_pod(&self, endpoint: &mut Endpoint, ip: IpAddr, pod: &Arc<PodFact>) {
        endpoint.kind = Some(EndpointKind::Pod);
        endpoint.pod = Some(pod.key.clone());
        endpoint.workload = Some(pod.workload.clone());
        endpoint.service = self.service_behind(ip, endpoint.port, Some(pod.uid)).cloned();
        endpoint.lifecycle = lifecycle(pod, self.index.pod_departed_at(pod.uid), self.window());
    }

    fn service_behind(&self, ip: IpAddr, port: Option<u16>, pod: Option<Uid>) -> Option<&Name> {
        self.index.service_behind(ip, port, pod, self.from).map(|(service, _)| service)
    }

    fn window(&self) -> Span {
        Span { from: self.from, to: self.to }
    }

    fn name_node_of(&self, endpoint: &mut Endpoint, name: &Name) {
        match self.index.node(name) {
            Some(node) => name_node(endpoint, node),
            None => endpoint.node = Some(name.clone()),
        }
    }

    fn name_outside(&self, endpoint: &mut Endpoint, ip: IpAddr) {
        match self.remotes.get(ip) {
            Some(Remote::Aws { service }) => {
                endpoint.kind = Some(EndpointKind::Aws);
                endpoint.service = Some(service.clone());
            }
            Some(Remote::Vpc { zone, .. }) => {
                endpoint.kind = Some(EndpointKind::Vpc);
                endpoint.zone = zone.clone();
            }
            // A pod that isn't known (yet), or somebody's own network that nobody named: not the internet.
            None if self.index.in_pod_cidr(ip) || is_private(ip) => {
                endpoint.kind = Some(EndpointKind::Unknown)
            }
            None => endpoint.kind = Some(EndpointKind::Internet),
        }
        // A Service may have backends that are no pods, by an EndpointSlice of its owner's; the apiserver has.
        if let Some(service) = self.service_behind(ip, endpoint.port, None) {
            endpoint.service = Some(service.clone());
            if matches!(endpoint.kind, Some(EndpointKind::Unknown | EndpointKind::Internet)) {
                endpoint.kind = Some(EndpointKind::Service);
            }
        }
    }

    fn category(&self, local: &Endpoint, remote: &Endpoint) -> Category {
        match remote.kind {
            Some(EndpointKind::Aws) => return Category::AwsService,
            Some(EndpointKind::Internet) => return Category::Internet,
            Some(EndpointKind::Vpc) if remote.zone.is_none() => return Category::InterVpc,
            _ => {}
        }
        if remote.node.is_some() && local.node == remote.node {
            return Category::IntraNode;
        }
        let region = |endpoint: &Endpoint| {
            endpoint.node.as_ref().and_then(|node| self.index.node(node)).and_then(|node| node.region.clone())
        };
        if let (Some(local), Some(remote)) = (region(local), region(remote))
            && local != remote
        {
            return Category::InterRegion;
        }
        match (&local.zone, &remote.zone) {
            (Some(local), Some(remote)) if local == remote => Category::IntraAz,
            (Some(_), Some(_)) => Category::InterAz,
            _ => Category::Unclassified,
        }
    }
}

fn name_node(endpoint: &mut Endpoint, node: &NodeFact) {
    endpoint.node = Some(node.name.clone());
    endpoint.zone.clone_from(&node.zone);
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "resolve_port_tests.rs"]
mod port_tests;
