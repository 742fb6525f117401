//! Names to addresses, looked up again every few seconds: a service that moved is found without a restart, and a
//! short connection a request doesn't mean a DNS query a request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

const MAX_AGE: Duration = Duration::from_secs(5);
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

/// A name with what it last resolved to.
#[derive(Debug)]
pub struct Target {
    address: String,
    resolved: Mutex<Option<Resolved>>,
}

#[derive(Debug)]
struct Resolved {
    at: Instant,
    addresses: Vec<SocketAddr>,
    next: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("{address} was not resolved: {source}")]
    Lookup { address: String, source: std::io::Error },
    #[error("{0} was not resolved in {LOOKUP_LIMIT:?}")]
    Slow(String),
    #[error("{0} has no address")]
    Empty(String),
}

impl Target {
    pub fn new(address: String) -> Self {
        Self { address, resolved: Mutex::new(None) }
    }

    /// The next address to dial: a name with several (a headless Service) is gone through in turn.
    pub async fn next(&self) -> Result<SocketAddr, ResolveError> {
        let mut resolved = self.resolved.lock().await;
        if resolved.as_ref().is_none_or(|known| known.at.elapsed() > MAX_AGE) {
            match self.look_up().await {
                Ok(addresses) => {
                    let next = resolved.as_ref().map_or(0, |known| known.next);
                    *resolved = Some(Resolved { at: Instant::now(), addresses, next });
                }
                // An old address is better than none while the DNS server is away.
                Err(error) if resolved.is_none() => return Err(error),
                Err(error) => tracing::debug!(%error, "keeping the old addresses"),
            }
        }
        let known = resolved.as_mut().ok_or_else(|| ResolveError::Empty(self.address.clone()))?;
        let index = known.next.checked_rem(known.addresses.len()).unwrap_or(0);
        known.next = known.next.wrapping_add(1);
        known.addresses.get(index).copied().ok_or_else(|| ResolveError::Empty(self.address.clone()))
    }

    async fn look_up(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        let mut addresses: Vec<_> =
            tokio::time::timeout(LOOKUP_LIMIT, tokio::net::lookup_host(self.address.as_str()))
                .await
                .map_err(|_| ResolveError::Slow(self.address.clone()))?
                .map_err(|source| ResolveError::Lookup { address: self.address.clone(), source })?
                .collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(ResolveError::Empty(self.address.clone()));
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_resolves_to_itself_each_time() {
        let target = Target::new("127.0.0.1:80".to_owned());
        for _ in 0..3 {
            assert_eq!(target.next().await.unwrap(), "127.0.0.1:80".parse().unwrap());
        }
    }
}
