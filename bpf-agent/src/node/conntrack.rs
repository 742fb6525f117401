//! The fill of the connection-tracking table of the node's network namespace, and counters of connections that found no
//! room in it. They are read by netlink, as conntrack(8) does, since kernels without CONFIG_NF_CONNTRACK_PROCFS have no
//! /proc/net/stat/nf_conntrack.

use netlink_packet_core::{DefaultNla, NLM_F_DUMP, Nla};
use netlink_packet_netfilter::NetfilterProtoFamily;
use netlink_packet_netfilter::conntrack::ConntrackMessage;

use crate::conntrack::{ConntrackError, ask};

// linux/netfilter/nfnetlink_conntrack.h
const IPCTNL_MSG_CT_GET_STATS_CPU: u8 = 4;
const IPCTNL_MSG_CT_GET_STATS: u8 = 5;
const CTA_STATS_GLOBAL_ENTRIES: u16 = 1;
const CTA_STATS_GLOBAL_MAX_ENTRIES: u16 = 2;
const CTA_STATS_INSERT_FAILED: u16 = 9;
const CTA_STATS_DROP: u16 = 10;
const CTA_STATS_EARLY_DROP: u16 = 11;

/// The fill of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    pub entries: u64,
    /// Most entries that the table may have; `None` if it may grow without limit, or before Linux 4.18, which doesn't
    /// report it.
    pub limit: Option<u64>,
}

/// Counters of connections that found no room in the table, summed over all CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    pub cpus: usize,
    pub insert_failed: u64,
    /// Packets dropped, and entries given up early to make room.
    pub dropped: u64,
}

pub(super) fn table() -> Result<Option<Table>, ConntrackError> {
    let mut table = None;
    ask(NetfilterProtoFamily::Unspec, question(IPCTNL_MSG_CT_GET_STATS), 0, |message| {
        table = table_of(&attributes(message));
    })?;
    Ok(table)
}

pub(super) fn failures() -> Result<Option<Failures>, ConntrackError> {
    let mut sum = Failures::default();
    ask(NetfilterProtoFamily::Unspec, question(IPCTNL_MSG_CT_GET_STATS_CPU), NLM_F_DUMP, |message| {
        sum.add(&attributes(message));
    })?;
    Ok((sum.cpus > 0).then_some(sum))
}

fn question(message_type: u8) -> ConntrackMessage {
    ConntrackMessage::Other { message_type, attributes: Vec::new() }
}

fn attributes(message: ConntrackMessage) -> Vec<DefaultNla> {
    match message {
        ConntrackMessage::Other { attributes, .. } => attributes,
        _ => Vec::new(),
    }
}

/// Value of an attribute, a 32-bit number in network order.
fn number(attributes: &[DefaultNla], kind: u16) -> Option<u64> {
    let attribute = attributes.iter().find(|attribute| attribute.kind() == kind)?;
    let mut bytes = [0; 4];
    if attribute.value_len() != bytes.len() {
        return None;
    }
    attribute.emit_value(&mut bytes);
    Some(u32::from_be_bytes(bytes).into())
}

fn table_of(attributes: &[DefaultNla]) -> Option<Table> {
    let limit = number(attributes, CTA_STATS_GLOBAL_MAX_ENTRIES);
    Some(Table {
        entries: number(attributes, CTA_STATS_GLOBAL_ENTRIES)?,
        limit: limit.filter(|&entries| entries > 0),
    })
}

impl Failures {
    /// Adds the counters of one CPU.
    fn add(&mut self, attributes: &[DefaultNla]) {
        let count = |kind| number(attributes, kind).unwrap_or(0);
        self.cpus += 1;
        self.insert_failed += count(CTA_STATS_INSERT_FAILED);
        self.dropped += count(CTA_STATS_DROP) + count(CTA_STATS_EARLY_DROP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: u32) -> DefaultNla {
        DefaultNla::new(kind, value.to_be_bytes().to_vec())
    }

    #[test]
    fn a_table_without_limit_has_none() {
        let of = |limit| table_of(&[attribute(1, 7), attribute(2, limit)]);
        assert_eq!(of(9), Some(Table { entries: 7, limit: Some(9) }));
        assert_eq!(of(0), Some(Table { entries: 7, limit: None }));
        assert_eq!(table_of(&[attribute(1, 7)]), Some(Table { entries: 7, limit: None }));
        assert_eq!(table_of(&[]), None);
    }

    #[test]
    fn what_found_no_room_is_summed_over_the_cpus() {
        let mut sum = Failures::default();
        sum.add(&[attribute(9, 1), attribute(10, 2), attribute(11, 3), attribute(12, 100)]);
        sum.add(&[attribute(10, 1 << 31), DefaultNla::new(9, vec![1])]);
        assert_eq!(sum, Failures { cpus: 2, insert_failed: 1, dropped: 5 + (1 << 31) });
    }
}
