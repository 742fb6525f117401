//! The event that the BPF programs report about one socket; bpf/event.h defines its layout.

use std::net::Ipv6Addr;

/// Counters of one socket since it was last reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Id of the socket's cgroup.
    pub cgroup: u64,
    pub bytes_out: u64,
    pub bytes_in: u64,
    /// IPv4 addresses are written as IPv4-mapped IPv6.
    pub local: Ipv6Addr,
    pub remote: Ipv6Addr,
    pub data_segments_out: u32,
    pub retransmissions: u32,
    /// Retransmissions of segments that the other end had received already, as it says by DSACK.
    pub spurious: u32,
    /// Retransmissions of the SYN, or of the SYN-ACK where we accepted.
    pub syn_retransmissions: u32,
    pub srtt_us: u32,
    /// The quickest round trip of this window; 0 or all ones where the kernel doesn't know it any more.
    pub quickest_rtt_us: u32,
    pub timeouts: u16,
    pub local_port: u16,
    pub remote_port: u16,
    pub flags: u16,
}

/// `enum event_flag`.
pub mod flag {
    pub const CLIENT: u16 = 1 << 0;
    pub const FIRST: u16 = 1 << 1;
    pub const ESTABLISHED: u16 = 1 << 2;
    pub const TIMED_OUT: u16 = 1 << 3;
    pub const REFUSED: u16 = 1 << 4;
    pub const RESET: u16 = 1 << 5;
    pub const ABORTED: u16 = 1 << 6;
    pub const CLOSED: u16 = 1 << 7;
    pub const OPEN: u16 = 1 << 8;
    pub const WAITING: u16 = 1 << 9;
}

impl Event {
    /// `sizeof(struct event)`.
    pub const SIZE: usize = 88;

    /// Parses the event at the start of `bytes`; `None` if there are too few bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut at = Cursor(bytes);
        Some(Self {
            cgroup: u64::from_ne_bytes(at.take()?),
            bytes_out: u64::from_ne_bytes(at.take()?),
            bytes_in: u64::from_ne_bytes(at.take()?),
            local: Ipv6Addr::from(at.take::<16>()?),
            remote: Ipv6Addr::from(at.take::<16>()?),
            data_segments_out: u32::from_ne_bytes(at.take()?),
            retransmissions: u32::from_ne_bytes(at.take()?),
            spurious: u32::from_ne_bytes(at.take()?),
            syn_retransmissions: u32::from_ne_bytes(at.take()?),
            srtt_us: u32::from_ne_bytes(at.take()?),
            quickest_rtt_us: u32::from_ne_bytes(at.take()?),
            timeouts: u16::from_ne_bytes(at.take()?),
            local_port: u16::from_ne_bytes(at.take()?),
            remote_port: u16::from_ne_bytes(at.take()?),
            flags: u16::from_ne_bytes(at.take()?),
        })
    }

    /// Returns true if the flag is set.
    pub fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The quickest round trip of this window, if it is known.
    pub fn quickest_rtt(&self) -> Option<u64> {
        // The kernel's minimum begins at all ones.
        (1..u32::MAX).contains(&self.quickest_rtt_us).then_some(u64::from(self.quickest_rtt_us))
    }

    /// Returns true if both ends are known. The kernel leaves an address unspecified in a socket that never connected.
    pub fn is_valid(&self) -> bool {
        let known = |ip: Ipv6Addr| !ip.to_canonical().is_unspecified();
        known(self.local) && known(self.remote) && self.remote_port != 0
    }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
}
