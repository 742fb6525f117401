//! Every bound of the collector in one place. Records and requests beyond a bound are refused and counted.

use std::time::Duration;

/// Approximate memory of a flow record, in bytes: the record, its histogram, its key and its share of names.
const FLOW_BYTES: u64 = 810;

/// The defaults are for 5,000 nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request, decompressed.
    pub message_bytes: usize,
    pub connections: usize,
    pub streams_per_connection: u32,
    /// Requests decoded at one time over all connections: what bounds the memory of decoding.
    pub requests: usize,
    /// From a request's headers to its answer.
    pub request_timeout: Duration,
    pub handshake_timeout: Duration,
    /// An idle connection is pinged this often, and closed when it doesn't answer for as long.
    pub keepalive: Duration,
    /// Flow records of one node in one agent window.
    pub flows_per_node_window: usize,
    /// Flow records held over all windows.
    pub flows: usize,
    /// Agent windows (distinct starts) held.
    pub windows: usize,
    /// Nodes in one agent window.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 8 << 20,
            connections: 10_000,
            streams_per_connection: 8,
            requests: 16,
            request_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(60),
            flows_per_node_window: 50_000,
            flows: 2_000_000,
            // An evaluation of 10 minutes over windows of a second, and the two minutes that closed ones are remembered.
            windows: 1024,
            nodes: 10_000,
        }
    }
}

impl Limits {
    /// The defaults, but no more flows than fit half of `memory`, in bytes: the rest is for judging them.
    pub fn within(memory: Option<u64>) -> Self {
        let defaults = Self::default();
        let fit = memory.and_then(|bytes| usize::try_from(bytes / 2 / FLOW_BYTES).ok());
        Self { flows: fit.map_or(defaults.flows, |fit| fit.min(defaults.flows)), ..defaults }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_fit_half_of_the_memory() {
        let flows = |memory| Limits::within(memory).flows;
        assert_eq!(flows(Some(512 << 20)), 331_401);
        assert_eq!(flows(Some(64 << 30)), 2_000_000);
        assert_eq!(flows(None), 2_000_000);
        assert!(size_of::<tidewatch_records::FlowWindow>() as u64 <= FLOW_BYTES * 4 / 5);
    }
}
