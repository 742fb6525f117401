//! The flows of one window: the events of sockets are summed by local endpoint, remote endpoint and role. Pure, and
//! bounded in memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;
use tidewatch_records::{
    Accounting, Connections, Endpoint, FlowWindow, Histogram, Name, NodeFigures, NodeWindow, Role,
};

use crate::event::{Event, flag};

/// Most flows kept in a window, at about 250 bytes each. Sockets of further flows are counted as dropped.
pub const MAX_FLOWS: usize = 32_768;

/// The address and port that NAT translated a connection's destination to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backend {
    pub ip: Ipv6Addr,
    pub port: u16,
}

/// Identity of a flow within its window.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    local: Ipv6Addr,
    remote: Ipv6Addr,
    /// Address that was dialled, where NAT translated it to `remote`; unspecified elsewhere.
    cluster: Ipv6Addr,
    /// The service's port: the remote one for a client, the local one for a server.
    port: u16,
    cluster_port: u16,
    client: bool,
    pod: Option<Name>,
}

#[derive(Debug, Default)]
struct Sums {
    connections: Connections,
    data_segments_out: u64,
    retransmissions: u64,
    spurious_retransmissions: u64,
    syn_retransmissions: u64,
    timeouts: u64,
    bytes_out: u64,
    bytes_in: u64,
    rtt_us: Histogram,
    /// The quickest round trip of each connection that was opened in this window, that of its handshake included.
    handshake_us: Histogram,
    /// Number of sockets in these sums.
    sockets: u64,
}

/// The window that events are being added to.
#[derive(Debug, Default)]
pub struct Flows {
    flows: HashMap<Key, Sums>,
    seen: u64,
    reported: u64,
    buffer_full: u64,
    dropped: u64,
    invalid: u64,
}

impl Flows {
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of flows so far.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Adds one socket's report.
    pub fn add(&mut self, event: &Event, pod: Option<&Name>, backend: Option<Backend>) {
        self.seen += 1;
        if !event.is_valid() {
            self.invalid += 1;
            return;
        }
        let key = key_of(event, pod, backend);
        let full = self.flows.len() >= MAX_FLOWS;
        let sums = match self.flows.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if full => {
                self.dropped += 1;
                return;
            }
            Entry::Vacant(entry) => entry.insert(Sums::default()),
        };
        self.reported += 1;
        sums.add(event);
    }

    /// Counts sockets whose last report found no room in the kernel's ring buffer.
    pub fn add_buffer_full(&mut self, sockets: u64) {
        self.seen += sockets;
        self.buffer_full += sockets;
    }

    /// Counts a report that can't be read.
    pub fn add_unreadable(&mut self) {
        self.seen += 1;
        self.invalid += 1;
    }

    /// Ends the window and begins an empty one.
    pub fn close(&mut self, start: Timestamp, seconds: u32, reporter: &Name) -> ClosedWindow {
        let was = std::mem::take(self);
        ClosedWindow {
            accounting: Accounting {
                window_start: start,
                window_seconds: seconds,
                reporter: reporter.clone(),
                seen: was.seen,
                reported: was.reported,
                sampled_out: 0,
                buffer_full: was.buffer_full,
                dropped: was.dropped,
                invalid: was.invalid,
            },
            node: None,
            rows: was.flows.into_iter().map(|(key, sums)| Row { key, sums }).collect(),
        }
    }
}

fn key_of(event: &Event, pod: Option<&Name>, backend: Option<Backend>) -> Key {
    let client = event.is(flag::CLIENT);
    let remote = backend.map_or(event.remote, |backend| backend.ip);
    let port =
        if client { backend.map_or(event.remote_port, |backend| backend.port) } else { event.local_port };
    Key {
        local: event.local,
        remote,
        cluster: if backend.is_some() { event.remote } else { Ipv6Addr::UNSPECIFIED },
        port,
        cluster_port: if backend.is_some() { event.remote_port } else { 0 },
        client,
        pod: pod.cloned(),
    }
}

impl Sums {
    fn add(&mut self, event: &Event) {
        let one = |flag| u64::from(event.is(flag));
        let c = &mut self.connections;
        if event.is(flag::CLIENT) {
            c.attempted += one(flag::FIRST);
            c.refused += one(flag::REFUSED);
            c.timed_out += one(flag::TIMED_OUT);
            c.waiting += one(flag::WAITING);
        }
        c.established += one(flag::ESTABLISHED);
        c.reset += one(flag::RESET);
        c.aborted += one(flag::ABORTED);
        c.closed += one(flag::CLOSED);
        c.open += one(flag::OPEN);
        self.data_segments_out += u64::from(event.data_segments_out);
        self.retransmissions += u64::from(event.retransmissions);
        self.spurious_retransmissions += u64::from(event.spurious);
        self.syn_retransmissions += u64::from(event.syn_retransmissions);
        self.timeouts += u64::from(event.timeouts);
        self.bytes_out += event.bytes_out;
        self.bytes_in += event.bytes_in;
        self.sockets += 1;
        let shook_hands = event.is(flag::FIRST) && event.is(flag::ESTABLISHED);
        // A socket that sent nothing got no acknowledgement to measure by: its srtt is of an earlier window.
        if event.srtt_us > 0 && (event.data_segments_out > 0 || shook_hands) {
            self.rtt_us.record(u64::from(event.srtt_us));
            if let Some(quickest) = event.quickest_rtt() {
                self.rtt_us.note_min(quickest);
            }
        }
        if let (true, Some(quickest)) = (shook_hands, event.quickest_rtt()) {
            self.handshake_us.record(quickest);
        }
    }
}

/// One flow of a closed window; small, since many may wait for the collector.
#[derive(Debug)]
pub struct Row {
    key: Key,
    sums: Sums,
}

impl Row {
    /// Number of sockets summed up in it.
    pub fn sockets(&self) -> u64 {
        self.sums.sockets
    }

    /// Approximate size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let buckets = self.sums.rtt_us.bucket_count() + self.sums.handshake_us.bucket_count();
        size_of::<Self>() + buckets * size_of::<(u16, u32)>()
    }
}

/// A window that has ended.
#[derive(Debug)]
pub struct ClosedWindow {
    pub accounting: Accounting,
    /// Figures of the node in this window; `None` if its kernel provides none.
    pub node: Option<NodeFigures>,
    pub rows: Vec<Row>,
}

impl ClosedWindow {
    /// The record of one of its rows.
    pub fn record(&self, row: &Row) -> FlowWindow {
        let Row { key, sums } = row;
        let mut local = Endpoint::of(canonical(key.local));
        let mut remote = Endpoint::of(canonical(key.remote));
        local.pod_uid = key.pod.clone();
        if key.client {
            remote.port = Some(key.port);
        } else {
            local.port = Some(key.port);
        }
        if !key.cluster.is_unspecified() {
            remote.cluster_ip = Some(canonical(key.cluster));
            remote.cluster_port = Some(key.cluster_port);
        }
        FlowWindow {
            window_start: self.accounting.window_start,
            window_seconds: self.accounting.window_seconds,
            reporter: self.accounting.reporter.clone(),
            role: if key.client { Role::Client } else { Role::Server },
            local,
            remote,
            category: None,
            connections: sums.connections,
            data_segments_out: sums.data_segments_out,
            retransmissions: sums.retransmissions,
            spurious_retransmissions: sums.spurious_retransmissions,
            syn_retransmissions: sums.syn_retransmissions,
            timeouts: sums.timeouts,
            bytes_out: sums.bytes_out,
            bytes_in: sums.bytes_in,
            rtt_us: sums.rtt_us.summary(),
            handshake_us: sums.handshake_us.summary(),
        }
    }

    /// The record of the node's figures.
    pub fn node_record(&self) -> Option<NodeWindow> {
        Some(NodeWindow {
            window_start: self.accounting.window_start,
            window_seconds: self.accounting.window_seconds,
            reporter: self.accounting.reporter.clone(),
            node: self.node?,
        })
    }

    /// Approximate size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.rows.iter().map(Row::bytes).sum::<usize>()
    }
}

/// A v4-mapped address is an IPv4 one.
fn canonical(ip: Ipv6Addr) -> IpAddr {
    ip.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(flags: u16, srtt_us: u32, quickest_rtt_us: u32) -> Event {
        Event {
            cgroup: 1,
            bytes_out: 0,
            bytes_in: 0,
            local: "::ffff:198.18.0.1".parse().unwrap(),
            remote: "::ffff:198.18.0.2".parse().unwrap(),
            data_segments_out: 0,
            retransmissions: 0,
            spurious: 0,
            syn_retransmissions: 0,
            srtt_us,
            quickest_rtt_us,
            timeouts: 0,
            local_port: 40_000,
            remote_port: 80,
            flags: flags | flag::CLIENT,
        }
    }

    fn record_of(events: &[Event]) -> FlowWindow {
        let mut flows = Flows::new();
        for event in events {
            flows.add(event, None, None);
        }
        let window = flows.close(Timestamp::UNIX_EPOCH, 15, &Name::from("node-a"));
        window.record(&window.rows[0])
    }

    #[test]
    fn the_quickest_round_trip_is_the_minimum() {
        let sent = |srtt, quickest| Event { data_segments_out: 5, ..event(flag::OPEN, srtt, quickest) };
        let rtt = record_of(&[sent(900, 400), sent(800, 700), sent(700, 0), sent(600, u32::MAX)]).rtt_us;
        let rtt = rtt.unwrap();
        assert_eq!((rtt.count, rtt.min, rtt.max), (4, Some(400), Some(900)));
        // A connection that was slow for long has just become quick: its mean still tells of earlier windows.
        assert_eq!(record_of(&[sent(900, 400), sent(300, 350)]).rtt_us.unwrap().min, Some(300));
    }

    #[test]
    fn a_handshake_is_a_round_trip_though_no_data_was_sent() {
        let opened = event(flag::FIRST | flag::ESTABLISHED | flag::OPEN, 500, 500);
        let idle = event(flag::OPEN, 9000, 0);
        let unanswered = event(flag::FIRST | flag::TIMED_OUT, 0, u32::MAX);
        let record = record_of(&[opened, idle, unanswered]);
        let (rtt, handshake) = (record.rtt_us.unwrap(), record.handshake_us.unwrap());
        assert_eq!((rtt.count, rtt.max), (1, Some(500)));
        assert_eq!((handshake.count, handshake.min), (1, Some(500)));
    }
}
