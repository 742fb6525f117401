//! Finds addresses as a pod does: the servers and search domains of resolv.conf, both families, nothing cached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::future::{Either, select};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tidewatch_crds::canary::IpFamily;
use tokio::time::Instant;

use super::error::DnsError;
use super::exchange;
use super::message::{name as parse_name, without_dot};
use crate::config::{ProberError, ResolverSource};
use crate::deadline::{Deadline, Elapsed};

/// How long the other family is waited for once one has answered: a resolver that swallows AAAA queries shouldn't cost a
/// check its time.
const OTHER_FAMILY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct Resolver {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    /// For one query to one server.
    patience: Duration,
    rounds: u32,
}

impl Resolver {
    pub(crate) fn new(source: &ResolverSource) -> Result<Self, ProberError> {
        let resolver = match source {
            ResolverSource::System => {
                let text = std::fs::read("/etc/resolv.conf").map_err(ProberError::ReadResolvConf)?;
                Self::parse(&text)?
            }
            ResolverSource::Servers(servers) => Self {
                servers: servers.clone(),
                search: Vec::new(),
                ndots: 1,
                patience: Duration::from_secs(5),
                rounds: 2,
            },
        };
        if resolver.servers.is_empty() { Err(ProberError::NoServer) } else { Ok(resolver) }
    }

    fn parse(text: &[u8]) -> Result<Self, ProberError> {
        let config = resolv_conf::Config::parse(text).map_err(ProberError::ParseResolvConf)?;
        Ok(Self {
            servers: config
                .nameservers
                .iter()
                .map(|ip| SocketAddr::new(IpAddr::from(ip.clone()), 53))
                .collect(),
            search: config.get_last_search_or_domain().cloned().collect(),
            ndots: usize::try_from(config.ndots).unwrap_or(1),
            patience: Duration::from_secs(config.timeout.clamp(1, 30).into()),
            rounds: config.attempts.clamp(1, 5),
        })
    }

    /// The cluster's own servers.
    pub(crate) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// The addresses of `host`, those of IPv4 first.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        family: Option<IpFamily>,
        deadline: Deadline,
    ) -> Result<Vec<IpAddr>, DnsError> {
        // RFC 6761, section 6.3: such names never leave the machine.
        let bare = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if bare == "localhost" || bare.ends_with(".localhost") {
            let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Ok(both.into_iter().filter(|ip| fits(*ip, family)).collect());
        }
        let mut failed = None;
        for candidate in self.candidates(host) {
            let name = match parse_name(&candidate) {
                Ok(name) => name,
                // A search domain may make it too long.
                Err(error) => {
                    keep(&mut failed, error);
                    continue;
                }
            };
            match self.both(&name, family, deadline).await {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => keep(&mut failed, DnsError::NoAddress(host.to_owned(), family_in_words(family))),
                Err(DnsError::NxDomain(_)) => keep(&mut failed, DnsError::NxDomain(host.to_owned())),
                Err(error) if error.is_answer() => keep(&mut failed, error),
                Err(error) => return Err(error),
            }
        }
        Err(failed.unwrap_or_else(|| DnsError::NxDomain(host.to_owned())))
    }

    /// The names that `host` may stand for, in the order of resolver(5).
    fn candidates(&self, host: &str) -> Vec<String> {
        if host.ends_with('.') {
            return vec![host.to_owned()];
        }
        let with_search =
            self.search.iter().filter(|s| !s.is_empty() && *s != ".").map(|s| format!("{host}.{s}"));
        let dots = host.matches('.').count();
        if dots >= self.ndots {
            std::iter::once(host.to_owned()).chain(with_search).collect()
        } else {
            with_search.chain(std::iter::once(host.to_owned())).collect()
        }
    }

    async fn both(
        &self,
        name: &Name,
        family: Option<IpFamily>,
        deadline: Deadline,
    ) -> Result<Vec<IpAddr>, DnsError> {
        let v4 = self.records(name, RecordType::A, deadline);
        let v6 = self.records(name, RecordType::AAAA, deadline);
        match family {
            Some(IpFamily::IPv4) => return v4.await,
            Some(IpFamily::IPv6) => return v6.await,
            None => {}
        }
        let (v4, v6) = match select(Box::pin(v4), Box::pin(v6)).await {
            Either::Left((v4, v6)) => {
                let patience = if is_known(&v4) { deadline.at_most(OTHER_FAMILY) } else { deadline };
                (v4, patience.within(v6).await.unwrap_or(Ok(Vec::new())))
            }
            Either::Right((v6, v4)) => {
                let patience = if is_known(&v6) { deadline.at_most(OTHER_FAMILY) } else { deadline };
                (patience.within(v4).await.unwrap_or(Ok(Vec::new())), v6)
            }
        };
        match (v4, v6) {
            (Ok(mut v4), Ok(v6)) => {
                v4.extend(v6);
                Ok(v4)
            }
            (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// The addresses in the records of `name`, asking each server in turn until one answers.
    async fn records(
        &self,
        name: &Name,
        record_type: RecordType,
        deadline: Deadline,
    ) -> Result<Vec<IpAddr>, DnsError> {
        let most = self.servers.len() * self.rounds as usize;
        let began = Instant::now();
        let mut tries = 0;
        let mut failed = None;
        for server in self.servers.iter().cycle().take(most) {
            let patience = deadline.share(most - tries).at_most(self.patience);
            tries += 1;
            match self.ask(*server, name, record_type, patience).await {
                Ok(answer) => return addresses_of(&answer, name, *server),
                Err(error) => failed = Some(error),
            }
            // One that fails at once would be asked again at once: the next round is for lost packets only.
            let gave_up = !matches!(failed, Some(DnsError::Silent { .. }));
            if deadline.remaining().is_zero() || (gave_up && tries >= self.servers.len()) {
                break;
            }
        }
        Err(match failed {
            Some(DnsError::Silent { .. }) | None => DnsError::Unanswered {
                name: without_dot(name),
                servers: self.servers.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", "),
                tries,
                after: if deadline.remaining().is_zero() {
                    deadline.elapsed()
                } else {
                    Elapsed::after(began.elapsed())
                },
            },
            Some(error) => error,
        })
    }

    async fn ask(
        &self,
        server: SocketAddr,
        name: &Name,
        record_type: RecordType,
        deadline: Deadline,
    ) -> Result<Message, DnsError> {
        let mut answer = exchange::udp(server, name, record_type, deadline).await?;
        if answer.metadata.truncation {
            answer = exchange::tcp(server, name, record_type, deadline).await?;
        }
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
            code => Err(DnsError::Code { name: without_dot(name), code, server }),
        }
    }
}

fn addresses_of(answer: &Message, name: &Name, server: SocketAddr) -> Result<Vec<IpAddr>, DnsError> {
    match answer.metadata.response_code {
        ResponseCode::NXDomain => Err(DnsError::NxDomain(without_dot(name))),
        ResponseCode::NoError => Ok(answer
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            })
            .collect()),
        code => Err(DnsError::Code { name: without_dot(name), code, server }),
    }
}

/// Whether the other family's answer isn't needed: there is an address, or no such name in any family (RFC 8020).
fn is_known(found: &Result<Vec<IpAddr>, DnsError>) -> bool {
    match found {
        Ok(found) => !found.is_empty(),
        Err(error) => matches!(error, DnsError::NxDomain(_)),
    }
}

/// Keeps what says most: that a server failed, then that a name exists, then that it doesn't.
fn keep(failed: &mut Option<DnsError>, error: DnsError) {
    let weight = |error: &DnsError| match error {
        DnsError::BadName(..) => 0,
        DnsError::NxDomain(_) => 1,
        DnsError::NoAddress(..) => 2,
        _ => 3,
    };
    if failed.as_ref().is_none_or(|kept| weight(kept) < weight(&error)) {
        *failed = Some(error);
    }
}

pub(crate) fn fits(ip: IpAddr, family: Option<IpFamily>) -> bool {
    match family {
        None => true,
        Some(IpFamily::IPv4) => ip.is_ipv4(),
        Some(IpFamily::IPv6) => ip.is_ipv6(),
    }
}

fn family_in_words(family: Option<IpFamily>) -> &'static str {
    match family {
        None => "address",
        Some(IpFamily::IPv4) => "IPv4 address",
        Some(IpFamily::IPv6) => "IPv6 address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_s_resolv_conf_leads_to_its_search_domains_first() {
        let text = b"search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
        let resolver = Resolver::parse(text).unwrap();
        assert_eq!(resolver.servers(), ["10.96.0.10:53".parse().unwrap()]);
        assert_eq!(
            resolver.candidates("db.shop"),
            [
                "db.shop.shop.svc.cluster.local",
                "db.shop.svc.cluster.local",
                "db.shop.cluster.local",
                "db.shop"
            ]
        );
        assert_eq!(resolver.candidates("shop.example.com."), ["shop.example.com."]);
        assert_eq!(resolver.candidates("a.b.c.d.e.f").first().unwrap(), "a.b.c.d.e.f");
    }

    #[test]
    fn what_says_most_is_kept() {
        let mut failed = None;
        keep(&mut failed, DnsError::NxDomain("a".to_owned()));
        keep(&mut failed, DnsError::NoAddress("a".to_owned(), "address"));
        keep(&mut failed, DnsError::NxDomain("a".to_owned()));
        assert_eq!(failed, Some(DnsError::NoAddress("a".to_owned(), "address")));
    }
}
