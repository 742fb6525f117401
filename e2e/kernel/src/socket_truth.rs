//! The kernel's own counters, with which the agent's numbers are compared.

use anyhow::{Context, Result};

use crate::network::Network;

/// Sums over the TCP sockets of a namespace, by `ss -ti`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sockets {
    pub count: u64,
    pub bytes_out: u64,
    pub bytes_in: u64,
    pub data_segments_out: u64,
    pub retransmissions: u64,
}

/// Asks `ss` for the established sockets of a namespace.
pub fn sockets(network: &Network, side: &str) -> Result<Sockets> {
    let text = network.run_in(side, "ss -tinHO state established")?;
    let mut sum = Sockets::default();
    for line in text.lines() {
        let number = |key: &str| {
            let word = line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key));
            word.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
        };
        sum.count += 1;
        sum.bytes_out += number("bytes_sent:") - number("bytes_retrans:");
        sum.bytes_in += number("bytes_received:");
        sum.data_segments_out += number("data_segs_out:");
        // retrans:unacknowledged/total
        let retrans = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("retrans:"));
        sum.retransmissions += retrans.and_then(|n| n.split_once('/')?.1.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// One counter of /proc/net/snmp or /proc/net/netstat of a namespace, such as `Tcp` `RetransSegs`.
pub fn counter(network: &Network, side: &str, group: &str, name: &str) -> Result<u64> {
    for file in ["snmp", "netstat"] {
        let text = network.run_in(side, &format!("cat /proc/net/{file}"))?;
        let mut lines = text.lines().filter(|line| line.starts_with(&format!("{group}:")));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else { continue };
        let pair =
            names.split_ascii_whitespace().zip(values.split_ascii_whitespace()).find(|(n, _)| *n == name);
        if let Some((_, value)) = pair {
            return value.parse().with_context(|| format!("{group} {name} is {value:?}"));
        }
    }
    anyhow::bail!("the kernel has no counter {group} {name}")
}

/// Returns true if two numbers agree within 1%, or within `slack`.
pub fn agree(a: u64, b: u64, slack: u64) -> bool {
    a.abs_diff(b) <= slack.max(a.max(b) / 100)
}
