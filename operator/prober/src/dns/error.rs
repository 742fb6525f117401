//! Why a DNS query failed.

use std::net::SocketAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::deadline::Elapsed;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DnsError {
    #[error("DNS: {0:?} isn't a name: write labels of 1 to 63 characters with dots between, 253 in all")]
    BadName(String),
    #[error("DNS: {0} doesn't exist (NXDOMAIN)")]
    NxDomain(String),
    #[error("DNS: {name}: {} (asked {server})", in_words(*code))]
    Code { name: String, code: ResponseCode, server: SocketAddr },
    #[error("DNS: {0} exists, but has no {1}")]
    NoAddress(String, &'static str),
    #[error("DNS: {0} exists, but has no record of type {1}")]
    NoRecord(String, RecordType),
    #[error("DNS: no answer from {server} over {protocol} within {after}{}", ignored_in_words(*ignored))]
    Silent { server: SocketAddr, protocol: &'static str, after: Elapsed, ignored: u32 },
    #[error("DNS: no answer for {name} from {servers} within {after}, asked {tries} times")]
    Unanswered { name: String, servers: String, tries: usize, after: Elapsed },
    #[error("DNS: nothing listens on {server} over {protocol} (connection refused)")]
    PortClosed { server: SocketAddr, protocol: &'static str },
    #[error("DNS: connect to {server} over TCP timed out after {after}")]
    Connect { server: SocketAddr, after: Elapsed },
    #[error("DNS: the answer for {0} is cut short, since it doesn't fit a UDP packet: use protocol: TCP")]
    Truncated(String),
    #[error("DNS: {server} closed the connection without an answer")]
    Closed { server: SocketAddr },
    #[error("DNS: the answer of {server} isn't understood: it breaks the rules of DNS messages")]
    Malformed { server: SocketAddr },
    #[error("DNS: {server} answered to another question (over TCP, so it isn't a stray packet)")]
    Mismatch { server: SocketAddr },
    #[error("DNS: {server} can't be reached: {why}")]
    Io { server: SocketAddr, why: String },
}

impl DnsError {
    /// Whether the server said so, rather than nobody.
    pub(super) fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::NxDomain(_)
                | Self::NoAddress(..)
                | Self::NoRecord(..)
                | Self::Code { .. }
                | Self::BadName(..)
        )
    }

    pub(super) fn io(server: SocketAddr, protocol: &'static str, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Self::PortClosed { server, protocol },
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => {
                Self::Closed { server }
            }
            _ => Self::Io { server, why: crate::failure::io_in_words(error) },
        }
    }
}

fn in_words(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "the server, or one that it asks, failed (SERVFAIL)".to_owned(),
        ResponseCode::Refused => {
            "the server refuses to answer us, or isn't in charge of this name (REFUSED)".to_owned()
        }
        ResponseCode::FormErr => "the server didn't understand the query (FORMERR)".to_owned(),
        ResponseCode::NotImp => "the server doesn't know this kind of query (NOTIMP)".to_owned(),
        ResponseCode::NotAuth => "the server isn't the authority (NOTAUTH)".to_owned(),
        ResponseCode::BADVERS | ResponseCode::BADSIG => {
            "the server doesn't know the version of EDNS of the query (BADVERS)".to_owned()
        }
        other => format!("the server answered {other:?}"),
    }
}

fn ignored_in_words(ignored: u32) -> String {
    match ignored {
        0 => String::new(),
        n => format!("; packets with a wrong id or question, ignored: {n}"),
    }
}
