//! The addresses and ports by which Services are dialled: their own addresses, and their NodePorts at every node.

use std::net::IpAddr;

use jiff::Timestamp;
use tidewatch_records::Name;

use super::facts::ServiceFact;
use super::history::History;

/// Several Services may share an external address, each with ports of its own.
#[derive(Debug, Default)]
pub(super) struct Frontends {
    addresses: History<IpAddr, Name>,
    ports: History<(IpAddr, u16), Name>,
    node_ports: History<u16, Name>,
}

impl Frontends {
    /// Applies a change of a Service from `before` to `after` at `now`. A Service that is seen for the first time is
    /// assumed to have had its addresses always, since Services outlive windows.
    pub(super) fn replace(
        &mut self,
        before: Option<&ServiceFact>,
        after: Option<&ServiceFact>,
        now: Timestamp,
    ) {
        let Some(key) = after.or(before).map(|service| &service.key) else { return };
        let from = if before.is_none() { Timestamp::MIN } else { now };
        let (had, has) = (before.map(addresses), after.map(addresses));
        replace(&mut self.addresses, had, has, key, from, now);
        let (had, has) = (before.map(ports), after.map(ports));
        replace(&mut self.ports, had, has, key, from, now);
        let node_ports = |service: &ServiceFact| service.node_ports.clone();
        let (had, has) = (before.map(node_ports), after.map(node_ports));
        replace(&mut self.node_ports, had, has, key, from, now);
    }

    /// Returns true if `ip` was an address of some Service.
    pub(super) fn has(&self, ip: IpAddr, from: Timestamp, to: Timestamp) -> bool {
        self.addresses.holder(&ip, from, to).is_some()
    }

    /// The Service with `port` at its own address `ip`; without a port, one that has the address.
    pub(super) fn service(
        &self,
        ip: IpAddr,
        port: Option<u16>,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<&Name> {
        match port {
            Some(port) => self.ports.holder(&(ip, port), from, to),
            None => self.addresses.holder(&ip, from, to),
        }
    }

    /// The Service that has `port` at every node's addresses.
    pub(super) fn node_port(&self, port: u16, from: Timestamp, to: Timestamp) -> Option<&Name> {
        self.node_ports.holder(&port, from, to)
    }

    pub(super) fn forget(&mut self, horizon: Timestamp, keep: usize) {
        self.addresses.forget(horizon, keep);
        self.ports.forget(horizon, keep);
        self.node_ports.forget(horizon, keep);
    }

    /// Addresses with a known Service.
    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }
}

fn addresses(service: &ServiceFact) -> Vec<IpAddr> {
    service.ips.clone()
}

fn ports(service: &ServiceFact) -> Vec<(IpAddr, u16)> {
    let at = |ip: IpAddr| service.ports.iter().map(move |port| (ip, *port));
    service.ips.iter().copied().flat_map(at).collect()
}

fn replace<K: std::hash::Hash + Eq + Clone>(
    history: &mut History<K, Name>,
    had: Option<Vec<K>>,
    has: Option<Vec<K>>,
    key: &Name,
    from: Timestamp,
    now: Timestamp,
) {
    let (had, has) = (had.unwrap_or_default(), has.unwrap_or_default());
    for gone in had.iter().filter(|one| !has.contains(one)) {
        history.end(gone, key, now);
    }
    for new in has.iter().filter(|one| !had.contains(one)) {
        history.begin(new.clone(), key.clone(), from, from);
    }
}
