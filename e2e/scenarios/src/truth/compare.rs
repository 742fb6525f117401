//! The two sides next to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use tidewatch_records::{FlowWindow, Role};

use super::kernel::KernelCounters;
use super::sockets::ByPair;
use crate::pods::Located;

/// Largest relative difference between the two sides.
const TOLERANCE: f64 = 0.01;
/// Events at the edges of the interval, which the two sides can't read in the same instant.
const EDGE_EVENTS: u64 = 3;

/// One counter on both sides. The kernel's side is a range, where it counts something into the same counter that
/// belongs to no socket yet (a SYN-ACK sent again belongs to a request, which is not in any socket's counters).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    pub name: &'static str,
    pub agents: u64,
    pub kernel_least: u64,
    pub kernel_most: u64,
}

/// All counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    pub counters: Vec<Counter>,
}

impl Counter {
    fn exact(name: &'static str, agents: u64, kernel: u64) -> Self {
        Self { name, agents, kernel_least: kernel, kernel_most: kernel }
    }

    /// True if the agents' figures agree with the kernel's within 1%.
    pub fn agrees(&self) -> bool {
        let slack = |kernel: u64| (kernel as f64 * TOLERANCE) as u64 + EDGE_EVENTS;
        self.agents + slack(self.kernel_least) >= self.kernel_least
            && self.agents <= self.kernel_most + slack(self.kernel_most)
    }
}

impl Comparison {
    pub(super) fn of(
        records: &[FlowWindow],
        pods: &[Located],
        kernel: &KernelCounters,
        open: &ByPair,
    ) -> Self {
        let ours: BTreeSet<IpAddr> = pods.iter().filter_map(|pod| pod.ip.parse().ok()).collect();
        let records: Vec<_> = records.iter().filter(|record| ours.contains(&record.local.ip)).collect();
        let sum = |of: fn(&FlowWindow) -> u64| records.iter().map(|record| of(record)).sum::<u64>();
        let in_role = |role: Role, of: fn(&FlowWindow) -> u64| {
            records.iter().filter(|record| record.role == role).map(|record| of(record)).sum::<u64>()
        };
        let syn_retransmissions = kernel.get("TCPSynRetrans");
        let less_syn = |total: u64| total.saturating_sub(syn_retransmissions);
        let (retransmitted, timeouts) = (kernel.get("RetransSegs"), kernel.get("TCPTimeouts"));
        let data = kernel.get("TCPOrigDataSent");
        let mut counters = vec![
            Counter::exact(
                "connections opened",
                in_role(Role::Client, |record| record.connections.attempted),
                kernel.get("ActiveOpens"),
            ),
            Counter::exact(
                "connections accepted",
                in_role(Role::Server, |record| record.connections.established),
                kernel.get("PassiveOpens"),
            ),
            Counter {
                name: "segments retransmitted",
                agents: sum(|record| record.retransmissions),
                kernel_least: less_syn(retransmitted),
                kernel_most: retransmitted,
            },
            Counter {
                name: "retransmission time-outs",
                agents: sum(|record| record.timeouts),
                kernel_least: less_syn(timeouts),
                kernel_most: timeouts,
            },
            // The kernel's count of segments with new data includes each connection's FIN.
            Counter::exact(
                "data segments sent",
                sum(|record| record.data_segments_out),
                (data + retransmitted).saturating_sub(kernel.get("ActiveOpens") + kernel.get("PassiveOpens")),
            ),
        ];
        counters.extend(bytes(&records, open));
        Self { counters }
    }

    /// Those on which the two sides differ.
    pub fn differing(&self) -> Vec<&Counter> {
        self.counters.iter().filter(|counter| !counter.agrees()).collect()
    }
}

/// Bytes of the pairs whose connections all stayed open, since `ss` doesn't show those that ended.
fn bytes(records: &[&FlowWindow], open: &ByPair) -> [Counter; 2] {
    let mut by_pair: BTreeMap<(IpAddr, IpAddr), (u64, u64, bool)> = BTreeMap::new();
    for record in records.iter().filter(|r| r.role == Role::Server && r.local.port == Some(8080)) {
        let pair = by_pair.entry((record.local.ip, record.remote.ip)).or_insert((0, 0, true));
        pair.0 += record.bytes_out;
        pair.1 += record.bytes_in;
        pair.2 &= record.connections.closed == 0 && record.connections.established == 0;
    }
    let (mut agents, mut kernel) = ((0, 0), (0, 0));
    for (pair, (sent, received, steady)) in by_pair {
        let Some(bytes) = open.get(&pair).filter(|_| steady) else { continue };
        agents = (agents.0 + sent, agents.1 + received);
        kernel = (kernel.0 + bytes.sent, kernel.1 + bytes.received);
    }
    [
        Counter::exact("bytes sent (connections older than the agent)", agents.0, kernel.0),
        Counter::exact("bytes received (connections older than the agent)", agents.1, kernel.1),
    ]
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, agents, kernel_least, kernel_most } = self;
        write!(f, "{name}: agents {agents}, kernel ")?;
        if kernel_least == kernel_most {
            write!(f, "{kernel_most}")
        } else {
            write!(f, "{kernel_least} to {kernel_most}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_percent_and_the_edges_are_allowed_and_no_more() {
        let of = |agents| Counter::exact("", agents, 10_000);
        assert!(of(10_000).agrees() && of(9_900).agrees() && of(10_100).agrees());
        assert!(!of(9_890).agrees() && !of(10_110).agrees());
    }
}
