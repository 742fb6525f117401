//! Connects to a host: finds its addresses, refuses those that aren't allowed, tries the rest in order.

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{PoisonError, RwLock};

use tidewatch_crds::canary::IpFamily;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::deadline::{Deadline, Elapsed};
use crate::dns::{DnsError, Resolver};
use crate::failure::io_in_words;
use crate::policy::{Refused, TargetPolicy};
use crate::report::PhaseTimes;

/// Of a name with many addresses, how many are tried.
const MAX_ADDRESSES: usize = 6;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Dns(#[from] DnsError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("finding the address of {0} timed out after {1}")]
    DnsTimeout(String, Elapsed),
    #[error("{0} isn't an address of ipFamily: {1:?}")]
    WrongFamily(IpAddr, IpFamily),
    #[error("{}", join(.0))]
    Failed(Vec<(SocketAddr, Why)>),
}

/// Why one address didn't answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    TimedOut(Elapsed),
    Closed,
    NoRoute,
    Reset,
    Other(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(after) => write!(f, "connect timed out after {after}"),
            Self::Closed => f.write_str("connection refused"),
            Self::NoRoute => f.write_str("no route to the address"),
            Self::Reset => f.write_str("connection reset while connecting"),
            Self::Other(why) => write!(f, "connect failed: {why}"),
        }
    }
}

fn join(failed: &[(SocketAddr, Why)]) -> String {
    failed.iter().map(|(address, why)| format!("{why} ({address})")).collect::<Vec<_>>().join("; ")
}

/// What a connection needs of the prober.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) policy: RwLock<TargetPolicy>,
    pub(crate) resolver: Resolver,
}

/// Where to connect to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// A name, or an address with or without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) family: Option<IpFamily>,
}

impl Connector {
    /// A connection, and the address that it leads to. `phases` gets the time of both steps added, also when they fail.
    pub(crate) async fn connect(
        &self,
        target: Target<'_>,
        deadline: Deadline,
        phases: &mut PhaseTimes,
        ip: &mut Option<IpAddr>,
    ) -> Result<TcpStream, ConnectError> {
        let addresses = self.permitted(target, deadline, phases).await?;
        let began = Instant::now();
        let result = try_each(&addresses, target.port, deadline, ip).await;
        add(&mut phases.connect, began);
        result
    }

    /// The addresses of the target that the policy allows.
    pub(crate) async fn permitted(
        &self,
        target: Target<'_>,
        deadline: Deadline,
        phases: &mut PhaseTimes,
    ) -> Result<Vec<IpAddr>, ConnectError> {
        let addresses = match literal(target.host) {
            Some(ip) => match target.family {
                Some(family) if !crate::dns::fits(ip, Some(family)) => {
                    return Err(ConnectError::WrongFamily(ip, family));
                }
                _ => vec![ip],
            },
            None => {
                let began = Instant::now();
                let found =
                    deadline.within(self.resolver.addresses(target.host, target.family, deadline)).await;
                add(&mut phases.dns, began);
                found.map_err(|after| ConnectError::DnsTimeout(target.host.to_owned(), after))??
            }
        };
        let mut refused = None;
        let mut permitted = Vec::new();
        let policy = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        for ip in addresses {
            match policy.check(ip) {
                Ok(()) => permitted.push(ip),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        match refused {
            Some(refused) if permitted.is_empty() => Err(refused.into()),
            _ => Ok(permitted),
        }
    }
}

async fn try_each(
    addresses: &[IpAddr],
    port: u16,
    deadline: Deadline,
    reached: &mut Option<IpAddr>,
) -> Result<TcpStream, ConnectError> {
    let addresses = addresses.get(..MAX_ADDRESSES).unwrap_or(addresses);
    let mut failed = Vec::new();
    for (done, ip) in addresses.iter().enumerate() {
        let address = SocketAddr::new(*ip, port);
        *reached = Some(*ip);
        let left = addresses.len() - done;
        let share = if left == 1 && done == 0 { deadline } else { deadline.share(left) };
        match share.within(TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A probe sends one small request: it mustn't wait for more to send.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failed.push((address, why(&error))),
            Err(after) => failed.push((address, Why::TimedOut(after))),
        }
    }
    Err(ConnectError::Failed(failed))
}

fn why(error: &std::io::Error) -> Why {
    match error.kind() {
        ErrorKind::ConnectionRefused => Why::Closed,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Why::NoRoute,
        ErrorKind::ConnectionReset => Why::Reset,
        // The kernel gives up after its own time, which a long check may outlast.
        _ => Why::Other(io_in_words(error)),
    }
}

/// The address that `host` is, if it is one.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Adds the time since `began` to a phase.
pub(crate) fn add(phase: &mut Option<std::time::Duration>, began: Instant) {
    *phase = Some(phase.unwrap_or_default() + began.elapsed());
}
