//! Packets that an EC2 instance's allowances held back, as the ENA driver counts them (`ethtool -S`). They are private
//! statistics of the driver, which only the ioctl of ethtool(8) reads. It needs no capability.

// The ioctl; see `ask`.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc::{SIOCETHTOOL, c_char, ifreq};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tidewatch_records::AllowanceExceeded;

// linux/ethtool.h
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETH_SS_STATS: u32 = 1;
const NAME_BYTES: usize = 32;
/// Offsets of the driver's name and of the number of its statistics in struct ethtool_drvinfo, and the size of that
/// struct.
const DRIVER_AT: usize = 4;
const STATISTICS_AT: usize = 180;
const DRIVER_INFO_BYTES: usize = 196;
/// Most statistics of an interface that are read. ENA has 128 queues at most, with about 40 statistics each.
const MAX_STATISTICS: usize = 8192;

nix::ioctl_readwrite_bad!(siocethtool, SIOCETHTOOL, ifreq);

/// Reads drivers and statistics of the interfaces of this network namespace.
#[derive(Debug)]
pub struct Ethtool {
    socket: OwnedFd,
    /// True for each interface of the ENA driver. The hundreds of interfaces of a node's pods are looked up once only.
    is_ena: HashMap<String, bool>,
}

/// The driver of an interface and how many statistics it has.
#[derive(Debug, PartialEq, Eq)]
pub struct Driver {
    pub name: String,
    pub statistics: usize,
}

/// Statistics of an interface, as the kernel lays them out.
#[derive(Debug)]
pub struct Statistics {
    names: Vec<u8>,
    values: Vec<u8>,
}

impl Statistics {
    /// Names and values, in the driver's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let values = self.values.chunks_exact(8).map(|value| value.try_into().map_or(0, u64::from_ne_bytes));
        self.names.chunks_exact(NAME_BYTES).map(|name| text(name).unwrap_or_default()).zip(values)
    }
}

impl Ethtool {
    pub fn open() -> io::Result<Self> {
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self { socket, is_ena: HashMap::new() })
    }

    /// Counters by interface, for those of `interfaces` that belong to the ENA driver.
    pub(super) fn exceeded<'a>(
        &mut self,
        interfaces: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<String, AllowanceExceeded> {
        let mut known = HashMap::new();
        let mut exceeded = BTreeMap::new();
        for interface in interfaces {
            let ena = self.is_ena.remove(interface);
            let ena = ena.unwrap_or_else(|| self.driver(interface).is_ok_and(|driver| driver.name == "ena"));
            if ena && let Some(counters) = self.counters(interface) {
                exceeded.insert(interface.to_owned(), counters);
            }
            known.insert(interface.to_owned(), ena);
        }
        self.is_ena = known;
        exceeded
    }

    fn counters(&self, interface: &str) -> Option<AllowanceExceeded> {
        counters_of(&self.statistics(interface).ok()?)
    }

    /// The driver of an interface.
    pub fn driver(&self, interface: &str) -> io::Result<Driver> {
        let mut info = vec![0; DRIVER_INFO_BYTES];
        self.ask(interface, [ETHTOOL_GDRVINFO, 0], &mut info)?;
        driver_of(&info).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// The statistics of an interface.
    pub fn statistics(&self, interface: &str) -> io::Result<Statistics> {
        let count = self.driver(interface)?.statistics;
        if count > MAX_STATISTICS {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        // struct ethtool_gstrings: cmd, string_set, len, data. struct ethtool_stats: cmd, n_stats, data.
        let mut names = vec![0; 12 + MAX_STATISTICS * NAME_BYTES];
        self.ask(interface, [ETHTOOL_GSTRINGS, ETH_SS_STATS], &mut names)?;
        let mut values = vec![0; 8 + MAX_STATISTICS * 8];
        self.ask(interface, [ETHTOOL_GSTATS, u32::try_from(count).unwrap_or(0)], &mut values)?;
        names.truncate(12 + count * NAME_BYTES);
        values.truncate(8 + count * 8);
        Ok(Statistics { names: names.split_off(12), values: values.split_off(8) })
    }

    /// Makes one ioctl: `head` is written to the start of `buffer`, which holds the answer afterwards.
    fn ask(&self, interface: &str, head: [u32; 2], buffer: &mut [u8]) -> io::Result<()> {
        for (word, value) in buffer.chunks_exact_mut(4).zip(head) {
            word.copy_from_slice(&value.to_ne_bytes());
        }
        // SAFETY: all-zero is a valid ifreq: a name that is empty and a null pointer.
        let mut request: ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero: the kernel's names are at most one shorter than their field.
        let room = request.ifr_name.len() - 1;
        if interface.len() > room {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        for (to, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            // Signed or not, as the architecture has it.
            *to = c_char::from_ne_bytes([byte]);
        }
        request.ifr_ifru.ifru_data = buffer.as_mut_ptr().cast();
        // SAFETY: the socket is open, and the kernel reads and writes the buffer during the call only. It writes a
        // struct ethtool_drvinfo for GDRVINFO, and for the others as much as the driver has statistics, however many
        // were asked for: the buffers have room for MAX_STATISTICS, which was checked against the driver's number.
        unsafe { siocethtool(self.socket.as_raw_fd(), &mut request) }?;
        Ok(())
    }
}

fn driver_of(info: &[u8]) -> Option<Driver> {
    let statistics = info.get(STATISTICS_AT..STATISTICS_AT + 4)?;
    Some(Driver {
        name: text(info.get(DRIVER_AT..DRIVER_AT + NAME_BYTES)?)?.to_owned(),
        statistics: usize::try_from(u32::from_ne_bytes(statistics.try_into().ok()?)).ok()?,
    })
}

/// The text up to the first zero byte.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.split(|&byte| byte == 0).next()?).ok()
}

/// The counters of allowances among an interface's statistics; `None` if the driver is too old to have any (before
/// 2.2.0 of 2020).
fn counters_of(statistics: &Statistics) -> Option<AllowanceExceeded> {
    let mut counters = None;
    for (name, value) in statistics.iter() {
        let Some(allowance) = name.strip_suffix("_allowance_exceeded") else { continue };
        let counters: &mut AllowanceExceeded = counters.get_or_insert_default();
        let slot = match allowance {
            "bw_in" => &mut counters.bandwidth_in,
            "bw_out" => &mut counters.bandwidth_out,
            "pps" => &mut counters.packets_per_second,
            "conntrack" => &mut counters.conntrack,
            "linklocal" => &mut counters.link_local,
            _ => continue,
        };
        *slot = value;
    }
    counters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Statistics of the ENA driver on an instance with one queue.
    const STATISTICS: [(&str, u64); 12] = [
        ("total_resets", 0),
        ("tx_timeout", 0),
        ("suspend", 0),
        ("bw_in_allowance_exceeded", 11),
        ("bw_out_allowance_exceeded", 12),
        ("pps_allowance_exceeded", 13),
        ("conntrack_allowance_exceeded", 14),
        ("linklocal_allowance_exceeded", 15),
        ("conntrack_allowance_available", 136_812),
        ("queue_0_tx_cnt", 83_012),
        ("queue_0_rx_cnt", 1 << 40),
        ("ena_admin_q_aborted_cmd", 0),
    ];

    fn laid_out(statistics: &[(&str, u64)]) -> Statistics {
        let name = |name: &str| {
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(NAME_BYTES, 0);
            bytes
        };
        Statistics {
            names: statistics.iter().flat_map(|(text, _)| name(text)).collect(),
            values: statistics.iter().flat_map(|(_, value)| value.to_ne_bytes()).collect(),
        }
    }

    #[test]
    fn allowances_are_found_among_a_drivers_statistics() {
        let expected = AllowanceExceeded {
            bandwidth_in: 11,
            bandwidth_out: 12,
            packets_per_second: 13,
            conntrack: 14,
            link_local: 15,
        };
        assert_eq!(counters_of(&laid_out(&STATISTICS)), Some(expected));
    }

    #[test]
    fn a_driver_without_allowances_has_none() {
        assert_eq!(counters_of(&laid_out(&[("rx_queue_0_xdp_packets", 4), ("peer_ifindex", 3)])), None);
    }

    #[test]
    fn an_interface_that_isnt_there_has_nothing() {
        let mut ethtool = Ethtool::open().unwrap();
        for name in ["", "lo", "nosuch0", "a-name-that-is-too-long"] {
            assert_eq!(ethtool.exceeded([name].into_iter()), BTreeMap::new(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(names in prop::collection::vec(any::<u8>(), 0..200), values in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = driver_of(&names);
            let _ = counters_of(&Statistics { names, values });
        }
    }
}
