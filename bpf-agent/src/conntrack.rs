//! Backends behind dialled addresses, from a dump of the node's connection tracking by netlink (nf_conntrack_netlink).
//! A dump is taken at most every few seconds, and the kernel is asked for entries with destination NAT only.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{
    DefaultNla, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Protocol, Status, Tuple,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::libc;

use crate::flows::Backend;

/// Most entries kept of one dump, at about 70 bytes each. Further connections keep the address that was dialled.
pub const MAX_ENTRIES: usize = 65_536;
const RECEIVE_BYTES: usize = 64 * 1024;
/// enum ctattr_type: the mask that goes with CTA_STATUS in a dump's filter (5.10; ignored before, so the status is
/// checked here too).
const CTA_STATUS_MASK: u16 = 26;

#[derive(Debug, thiserror::Error)]
pub enum ConntrackError {
    #[error("could not {step} connection tracking: {source}")]
    Io { step: &'static str, source: io::Error },
    #[error("could not read connection tracking's answer: {0}")]
    Decode(#[from] netlink_packet_core::DecodeError),
    #[error("the kernel refused to read connection tracking: {}{}", .0, mend(.0))]
    Refused(io::Error),
}

/// Instruction that follows a refusal which the user can mend.
fn mend(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => " (give the agent's container, or its service, the capability NET_ADMIN)",
        Some(libc::EINVAL | libc::EOPNOTSUPP) => {
            " (load the kernel module nf_conntrack_netlink on the node, if it uses connection tracking)"
        }
        _ => "",
    }
}

/// The two ends of a connection as the side that opened it sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialled {
    pub source: Ipv6Addr,
    pub source_port: u16,
    pub destination: Ipv6Addr,
    pub destination_port: u16,
}

/// Destination NAT as it was at one moment.
#[derive(Debug, Default)]
pub struct Translations {
    backends: HashMap<Dialled, Backend>,
    /// Number of entries beyond [`MAX_ENTRIES`].
    pub left_out: u64,
}

impl Translations {
    /// Backend of a connection; `None` if its destination isn't translated.
    pub fn backend(&self, tuple: &Dialled) -> Option<Backend> {
        self.backends.get(tuple).copied()
    }

    /// Number of translated connections.
    pub fn len(&self) -> usize {
        self.backends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.backends.is_empty()
    }

    fn take(&mut self, attributes: &[ConntrackAttribute]) {
        let Some((tuple, backend)) = translation(attributes) else { return };
        if self.backends.len() < MAX_ENTRIES {
            self.backends.insert(tuple, backend);
        } else {
            self.left_out += 1;
        }
    }
}

/// Dumps the translations of this network namespace.
pub fn dump() -> Result<Translations, ConntrackError> {
    let mut translations = Translations::default();
    for family in [NetfilterProtoFamily::IPv4, NetfilterProtoFamily::IPv6] {
        dump_family(family, &mut translations)?;
    }
    Ok(translations)
}

fn io_error(step: &'static str) -> impl Fn(io::Error) -> ConntrackError {
    move |source| ConntrackError::Io { step, source }
}

fn dump_family(family: NetfilterProtoFamily, into: &mut Translations) -> Result<(), ConntrackError> {
    let mask = DefaultNla::new(CTA_STATUS_MASK, Status::DstNat.bits().to_be_bytes().to_vec());
    let filter = vec![ConntrackAttribute::CtaStatus(Status::DstNat), ConntrackAttribute::Other(mask)];
    ask(family, ConntrackMessage::Get(filter), NLM_F_DUMP, |message| {
        if let ConntrackMessage::New(attributes) = message {
            into.take(&attributes);
        }
    })
}

/// Sends a request to connection tracking of this network namespace, and passes each message of the answer to `take`:
/// many if `flags` has NLM_F_DUMP, else one.
pub(crate) fn ask(
    family: NetfilterProtoFamily,
    question: ConntrackMessage,
    flags: u16,
    mut take: impl FnMut(ConntrackMessage),
) -> Result<(), ConntrackError> {
    let mut socket = Socket::new(NETLINK_NETFILTER).map_err(io_error("open a netlink socket to"))?;
    socket.bind_auto().map_err(io_error("bind a netlink socket to"))?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(io_error("connect to"))?;
    socket.send(&request(family, question, flags), 0).map_err(io_error("ask"))?;
    let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0).map_err(io_error("read"))?;
        if take_messages(&buffer, &mut take)? || flags & NLM_F_DUMP == 0 {
            return Ok(());
        }
    }
}

fn request(family: NetfilterProtoFamily, question: ConntrackMessage, flags: u16) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let body = NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), question);
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(body));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Passes the messages of one datagram to `take`. Returns true at the end of a dump.
fn take_messages(mut bytes: &[u8], take: &mut impl FnMut(ConntrackMessage)) -> Result<bool, ConntrackError> {
    while !bytes.is_empty() {
        let message = NetlinkMessage::<NetfilterMessage>::deserialize(bytes)?;
        match message.payload {
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => {
                return Err(ConntrackError::Refused(error.to_io()));
            }
            NetlinkPayload::InnerMessage(NetfilterMessage {
                inner: NetfilterMessageInner::Conntrack(message),
                ..
            }) => take(message),
            _ => {}
        }
        // Messages are aligned to 4 bytes.
        let length = (message.header.length as usize).next_multiple_of(4).max(4);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(false)
}

/// The dialled tuple and the backend of an entry with destination NAT; `None` for any other entry.
fn translation(attributes: &[ConntrackAttribute]) -> Option<(Dialled, Backend)> {
    let (mut original, mut reply, mut translated) = (None, None, false);
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(parts) => original = tuple_of(parts),
            ConntrackAttribute::CtaTupleReply(parts) => reply = tuple_of(parts),
            ConntrackAttribute::CtaStatus(status) => translated = status.contains(Status::DstNat),
            _ => {}
        }
    }
    let reply = reply.filter(|_| translated)?;
    Some((original?, Backend { ip: reply.source, port: reply.source_port }))
}

fn tuple_of(parts: &[Tuple]) -> Option<Dialled> {
    let (mut source, mut destination, mut ports, mut tcp) = (None, None, (None, None), false);
    for part in parts {
        match part {
            Tuple::Ip(ips) => {
                for ip in ips {
                    match ip {
                        IPTuple::SourceAddress(ip) => source = Some(mapped(*ip)),
                        IPTuple::DestinationAddress(ip) => destination = Some(mapped(*ip)),
                        _ => {}
                    }
                }
            }
            Tuple::Proto(protos) => {
                for proto in protos {
                    match proto {
                        ProtoTuple::Protocol(protocol) => tcp = *protocol == Protocol::Tcp,
                        ProtoTuple::SourcePort(port) => ports.0 = Some(*port),
                        ProtoTuple::DestinationPort(port) => ports.1 = Some(*port),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let tuple = Dialled {
        source: source?,
        source_port: ports.0?,
        destination: destination?,
        destination_port: ports.1?,
    };
    tcp.then_some(tuple)
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroI32;

    use netlink_packet_core::ErrorMessage;

    use super::*;

    /// The error of an answer that refuses with `errno`.
    fn refusal(errno: i32) -> String {
        let mut error = ErrorMessage::default();
        error.code = NonZeroI32::new(-errno);
        error.header = vec![0; 16];
        let mut message =
            NetlinkMessage::<NetfilterMessage>::new(NetlinkHeader::default(), NetlinkPayload::Error(error));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        take_messages(&bytes, &mut |_| panic!("no message")).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_says_what_mends_it() {
        let said = refusal(libc::EPERM);
        assert!(
            said.contains("Operation not permitted") && said.contains("the capability NET_ADMIN"),
            "{said}"
        );
        let said = refusal(libc::EINVAL);
        assert!(said.contains("Invalid argument") && said.contains("module nf_conntrack_netlink"), "{said}");
        let said = refusal(libc::ENOBUFS);
        assert!(said.contains("No buffer space") && !said.contains("NET_ADMIN"), "{said}");
    }
}
