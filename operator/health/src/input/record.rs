//! Facts of a single flow record.

use std::net::IpAddr;

use tidewatch_records::histogram::value_of;
use tidewatch_records::{FlowWindow, Latency, Role};

/// A flow, whichever end reports it: client, server, the server's port.
pub(crate) type FlowKey = (IpAddr, IpAddr, Option<u16>);

pub(crate) fn key(flow: &FlowWindow) -> FlowKey {
    let (client, server) = match flow.role {
        Role::Client => (&flow.local, &flow.remote),
        Role::Server => (&flow.remote, &flow.local),
    };
    (client.ip, server.ip, server.port)
}

/// Connection attempts with an outcome; the client knows.
pub(crate) fn decided(flow: &FlowWindow) -> u64 {
    match flow.role {
        Role::Client => {
            let connections = &flow.connections;
            connections.established.saturating_add(connections.refused).saturating_add(unanswered(flow))
        }
        Role::Server => 0,
    }
}

/// Of them, those that got no answer.
pub(crate) fn unanswered(flow: &FlowWindow) -> u64 {
    match flow.role {
        Role::Client => flow.connections.timed_out.saturating_add(flow.connections.waiting),
        Role::Server => 0,
    }
}

/// Attempts that were refused.
pub(crate) fn refused(flow: &FlowWindow) -> u64 {
    match flow.role {
        Role::Client => flow.connections.refused,
        Role::Server => 0,
    }
}

/// The shortest that a summary tells of.
pub(crate) fn quickest_of(latency: &Latency) -> u64 {
    let of_buckets =
        || latency.buckets.iter().find(|(_, count)| *count > 0).map(|(bucket, _)| value_of(*bucket));
    latency.min.or_else(of_buckets).unwrap_or(latency.p50)
}
