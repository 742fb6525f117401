//! Bytes of open server connections, as `ss` prints them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tidewatch_lab::Lab;

use crate::pods::Located;

const LIMIT: Duration = Duration::from_secs(20);
/// Readers at a time: more would only wait for each other.
const READERS: usize = 4;

/// Bytes of one connection, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// Established connections by their two addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sockets(BTreeMap<(SocketAddr, SocketAddr), Bytes>);

/// Bytes that went over connections between two addresses, where those were the same connections at both ends of
/// the interval.
pub(crate) type ByPair = BTreeMap<(IpAddr, IpAddr), Bytes>;

impl Sockets {
    /// The server sides of the shop's connections.
    pub(super) fn read(lab: &Lab, pods: &[Located]) -> anyhow::Result<Self> {
        let share = pods.len().div_ceil(READERS).max(1);
        let texts: Vec<anyhow::Result<Vec<String>>> = std::thread::scope(|scope| {
            let readers: Vec<_> = pods
                .chunks(share)
                .map(|pods| scope.spawn(move || pods.iter().map(|pod| read_pod(lab, pod)).collect()))
                .collect();
            readers
                .into_iter()
                .map(|reader| {
                    reader.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a reader of sockets panicked")))
                })
                .collect()
        });
        let mut sockets = BTreeMap::new();
        for texts in texts {
            for text in texts? {
                sockets.extend(text.lines().filter_map(parse));
            }
        }
        Ok(Self(sockets))
    }

    pub(super) fn since(&self, before: &Self) -> ByPair {
        let mut pairs = ByPair::new();
        for ((local, peer), now) in &self.0 {
            let Some(then) = before.0.get(&(*local, *peer)) else { continue };
            let pair = pairs.entry((local.ip(), peer.ip())).or_default();
            pair.sent += now.sent.saturating_sub(then.sent);
            pair.received += now.received.saturating_sub(then.received);
        }
        pairs
    }
}

fn read_pod(lab: &Lab, pod: &Located) -> anyhow::Result<String> {
    let command = ["ss", "-HtinO", "state", "established", "sport", "=", ":8080"];
    Ok(lab.exec_in(&pod.place(), &command, LIMIT)?.stdout)
}

/// `0 0 198.18.1.5:8080 198.18.2.7:40112 cubic … bytes_acked:81234 bytes_received:991 …`
fn parse(line: &str) -> Option<((SocketAddr, SocketAddr), Bytes)> {
    let mut addresses = line.split_whitespace().filter_map(address);
    let key = (addresses.next()?, addresses.next()?);
    let field = |name: &str| {
        let value = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    Some((key, Bytes { sent: field("bytes_acked"), received: field("bytes_received") }))
}

fn address(word: &str) -> Option<SocketAddr> {
    let address: SocketAddr = word.parse().ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v4_mapped_connection_is_read_as_ipv4() {
        let line = "0      0      [::ffff:198.18.1.5]:8080 [::ffff:198.18.2.7]:40112 cubic rto:204 bytes_acked:812 bytes_received:99";
        let (key, bytes) = parse(line).unwrap();
        assert_eq!(key, ("198.18.1.5:8080".parse().unwrap(), "198.18.2.7:40112".parse().unwrap()));
        assert_eq!(bytes, Bytes { sent: 812, received: 99 });
    }
}
