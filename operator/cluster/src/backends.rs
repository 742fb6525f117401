//! The Services that each address is a backend of, now or until lately.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tidewatch_records::Name;

use super::facts::{Backend, SliceFact, Uid};
use super::history::LINGER;

#[derive(Debug, Clone)]
struct Membership {
    service: Name,
    ports: Arc<[u16]>,
    pod: Option<Uid>,
    until: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(super) struct Backends {
    by_ip: HashMap<IpAddr, Vec<Membership>>,
    ended: VecDeque<(Timestamp, IpAddr)>,
}

impl Backends {
    /// Applies a change of an EndpointSlice from `before` to `after`.
    pub(super) fn replace(&mut self, before: Option<&SliceFact>, after: Option<&SliceFact>, now: Timestamp) {
        // An address is as it was if its Service and ports are, so a scaled Service costs only the difference.
        let same =
            matches!((before, after), (Some(b), Some(a)) if b.service == a.service && b.ports == a.ports);
        let only_in = |of: Option<&SliceFact>, other: Option<&SliceFact>| -> Vec<Backend> {
            let Some(of) = of else { return Vec::new() };
            let kept: std::collections::HashSet<&Backend> =
                other.filter(|_| same).map(|other| other.backends.iter().collect()).unwrap_or_default();
            of.backends.iter().filter(|backend| !kept.contains(backend)).copied().collect()
        };
        if let Some(slice) = before {
            for backend in only_in(before, after) {
                self.end(slice, backend, now);
            }
        }
        if let Some(slice) = after {
            for backend in only_in(after, before) {
                self.by_ip.entry(backend.ip).or_insert_with(|| Vec::with_capacity(1)).push(Membership {
                    service: slice.service.clone(),
                    ports: slice.ports.clone(),
                    pod: backend.pod,
                    until: None,
                });
            }
        }
    }

    fn end(&mut self, slice: &SliceFact, backend: Backend, now: Timestamp) {
        let membership = self.by_ip.get_mut(&backend.ip).and_then(|memberships| {
            memberships.iter_mut().find(|m| {
                m.until.is_none()
                    && m.service == slice.service
                    && m.pod == backend.pod
                    && m.ports == slice.ports
            })
        });
        if let Some(membership) = membership {
            membership.until = Some(now);
            self.ended.push_back((now, backend.ip));
        }
    }

    /// The Service with `port` that `ip` is a backend of, and the backend's pod if it is one; without a port, the first
    /// Service by name. Services that `ip` was a backend of at `from` come before those that it was a backend of
    /// shortly before. If both `pod` and the backend's pod are known, they must be the same.
    pub(super) fn service(
        &self,
        ip: IpAddr,
        port: Option<u16>,
        pod: Option<Uid>,
        from: Timestamp,
    ) -> Option<(&Name, Option<Uid>)> {
        let over = |m: &Membership, by| m.until.is_some_and(|until| from.duration_since(until) >= by);
        self.by_ip
            .get(&ip)?
            .iter()
            .filter(|m| m.pod.is_none() || pod.is_none() || m.pod == pod)
            .filter(|m| port.is_none_or(|port| m.ports.contains(&port)))
            .filter(|m| !over(m, LINGER))
            .min_by_key(|m| (over(m, SignedDuration::ZERO), &m.service))
            .map(|m| (&m.service, m.pod))
    }

    pub(super) fn forget(&mut self, horizon: Timestamp, keep: usize) {
        while let Some((at, ip)) = self.ended.front().copied() {
            if at >= horizon && self.ended.len() <= keep {
                break;
            }
            self.ended.pop_front();
            if let Some(memberships) = self.by_ip.get_mut(&ip) {
                memberships.retain(|m| m.until.is_none_or(|until| until > at));
                if memberships.is_empty() {
                    self.by_ip.remove(&ip);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn slice(key: &str, service: &str, ports: &[u16], ips: &[&str]) -> SliceFact {
        SliceFact {
            key: key.into(),
            service: service.into(),
            ports: ports.into(),
            backends: ips.iter().map(|ip| Backend { ip: ip.parse().unwrap(), pod: None }).collect(),
            ready: ips.len(),
        }
    }

    fn ask(backends: &Backends, ip: &str, port: Option<u16>, second: i64) -> Option<String> {
        backends.service(ip.parse().unwrap(), port, None, at(second)).map(|(service, _)| service.to_string())
    }

    #[test]
    fn the_service_is_the_one_with_the_port_and_without_a_port_the_first() {
        let mut backends = Backends::default();
        backends.replace(None, Some(&slice("s/b-1", "s/b", &[8080], &["10.0.0.1"])), at(0));
        backends.replace(None, Some(&slice("s/a-1", "s/a", &[9090], &["10.0.0.1"])), at(0));
        for (port, service) in
            [(Some(8080), Some("s/b")), (Some(9090), Some("s/a")), (Some(1), None), (None, Some("s/a"))]
        {
            assert_eq!(ask(&backends, "10.0.0.1", port, 0).as_deref(), service, "{port:?}");
        }
        assert_eq!(ask(&backends, "10.0.0.2", None, 0), None);
    }

    #[test]
    fn a_backend_that_left_is_still_known_for_the_past_and_yields_to_a_present_one() {
        let mut backends = Backends::default();
        let old = slice("s/a-1", "s/a", &[80], &["10.0.0.1", "10.0.0.2"]);
        let new = slice("s/a-1", "s/a", &[80], &["10.0.0.2"]);
        backends.replace(None, Some(&old), at(0));
        backends.replace(Some(&old), Some(&new), at(100));
        backends.replace(None, Some(&slice("s/z-1", "s/z", &[80], &["10.0.0.1"])), at(110));
        assert_eq!(ask(&backends, "10.0.0.1", Some(80), 60).as_deref(), Some("s/a"));
        assert_eq!(ask(&backends, "10.0.0.1", Some(80), 120).as_deref(), Some("s/z"));
        assert_eq!(ask(&backends, "10.0.0.2", Some(80), 120).as_deref(), Some("s/a"));
        backends.replace(Some(&new), None, at(130));
        assert_eq!(ask(&backends, "10.0.0.2", Some(80), 240).as_deref(), Some("s/a"), "shortly after");
        assert_eq!(ask(&backends, "10.0.0.2", Some(80), 250), None, "long after");
        backends.forget(at(101), 10);
        assert_eq!(ask(&backends, "10.0.0.1", Some(80), 60).as_deref(), Some("s/z"));
    }

    #[test]
    fn a_slice_whose_ports_changed_answers_for_the_new_ones() {
        let mut backends = Backends::default();
        let old = slice("s/a-1", "s/a", &[80], &["10.0.0.1"]);
        let new = slice("s/a-1", "s/a", &[8080], &["10.0.0.1"]);
        backends.replace(None, Some(&old), at(0));
        backends.replace(None, Some(&slice("s/0-1", "s/0", &[1], &["10.0.0.1"])), at(0));
        backends.replace(Some(&old), Some(&new), at(10));
        assert_eq!(ask(&backends, "10.0.0.1", Some(8080), 20).as_deref(), Some("s/a"));
        backends.replace(Some(&new), None, at(30));
        backends.forget(at(31), 10);
        assert_eq!(ask(&backends, "10.0.0.1", Some(8080), 40), None);
        assert_eq!(ask(&backends, "10.0.0.1", None, 40).as_deref(), Some("s/0"));
    }
}
