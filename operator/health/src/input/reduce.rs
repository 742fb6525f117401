//! Records of one window → one cell for each flow and direction, in an order that depends on names alone.
//!
//! A record tells about the data that its local end sent: its retransmissions are about the path local → remote. So
//! the client's and the server's record of one flow are two cells, one a direction. Handshake counters count at the
//! client alone.

use tidewatch_records::{Connections, Endpoint, EndpointKind, FlowWindow, Role};

use crate::input::cell::{Cell, Data, Flow, Handshakes, Reach, RoundTrips, Subject, TRIES_AGAIN};
use crate::input::names::{Id, Names, namespace_of};

/// The cells of `flows`, sorted. Records about an endpoint that talks to itself say nothing about a network.
pub(crate) fn reduce(flows: &[FlowWindow], names: &mut Names) -> Vec<Cell> {
    names.learn(flows);
    let mut cells: Vec<Cell> = flows.iter().filter_map(|flow| cell(flow, names)).collect();
    cells.sort_unstable_by_key(|cell| cell.flow);
    cells.dedup_by(|later, kept| {
        let same = later.flow == kept.flow;
        if same {
            kept.data.segments = kept.data.segments.saturating_add(later.data.segments);
            kept.data.retransmissions = kept.data.retransmissions.saturating_add(later.data.retransmissions);
            kept.data.timeouts = kept.data.timeouts.saturating_add(later.data.timeouts);
            kept.handshakes.add(later.handshakes);
            kept.round_trips.add(later.round_trips);
        }
        same
    });
    cells.iter_mut().for_each(|cell| cell.data = without_requests_again(cell.data, cell.handshakes));
    cells
}

/// The node and the zone of an endpoint.
#[derive(Debug, Clone, Copy)]
struct Place {
    node: Option<Id>,
    zone: Option<Id>,
}

fn cell(record: &FlowWindow, names: &Names) -> Option<Cell> {
    let (client, server) = match record.role {
        Role::Client => (&record.local, &record.remote),
        Role::Server => (&record.remote, &record.local),
    };
    let is_client_in_transit = client.lifecycle.is_some();
    if server.lifecycle.is_some() || is_of_nodes_own(client, server) {
        return None;
    }
    if is_client_in_transit && record.role == Role::Server {
        return None;
    }
    let local = identity(&record.local, names)?;
    let remote = identity(&record.remote, names)?;
    if local == remote {
        return None;
    }
    let text = |name: &Option<_>| name.as_deref().and_then(|name: &str| names.text(name));
    let place = if is_client_in_transit {
        // Nor about the way: a new pod's network may not be set up yet. As beside its server, it crosses none.
        Place { node: text(&record.remote.node), zone: text(&record.remote.zone) }
    } else {
        let node = text(&record.local.node).or_else(|| names.text(&record.reporter));
        Place { node, zone: text(&record.local.zone) }
    };
    let flow = Flow {
        subject: subject(server, names)?,
        role: record.role,
        reach: reach(&record.remote),
        local,
        remote,
        // The attempts of a pod that comes or goes are evidence about the server, not about the pod.
        local_pod: text(&record.local.pod).filter(|_| !is_client_in_transit),
        remote_pod: text(&record.remote.pod),
        local_node: place.node,
        remote_node: text(&record.remote.node),
        local_zone: place.zone,
        remote_zone: text(&record.remote.zone),
        client_namespace: client.pod.as_deref().and_then(namespace_of).and_then(|name| names.text(name)),
    };
    let handshakes = handshakes_of(record);
    let round_trips = RoundTrips::of(record);
    if is_client_in_transit {
        return Some(Cell { flow, data: Data::default(), handshakes, round_trips: RoundTrips::default() });
    }
    Some(Cell { flow, data: data_of(record), handshakes, round_trips })
}

/// A flow's connections are short if it sent no more data segments than this for each connection that ended.
const SHORT_CONNECTION: u64 = 10;

/// A record's data, without connection requests and without what the other end had already: its acknowledgement was late, and
/// nothing was lost.
fn data_of(record: &FlowWindow) -> Data {
    let of_data = record
        .retransmissions
        .saturating_sub(record.syn_retransmissions)
        .saturating_sub(record.spurious_retransmissions);
    Data {
        segments: record.data_segments_out,
        retransmissions: of_data.saturating_sub(told_too_late(record)),
        timeouts: record.timeouts.saturating_sub(record.syn_retransmissions),
    }
}

/// Retransmissions that the other end may have had already, too late to be told: a short connection is closed before that
/// DSACK arrives. On real software without a free CPU, between nodes, there were up to a third as many of them as of those
/// that were told; within a node 8 of 357.
fn told_too_late(record: &FlowWindow) -> u64 {
    let are_short =
        record.connections.closed.saturating_mul(SHORT_CONNECTION) >= record.data_segments_out.max(1);
    if are_short { record.spurious_retransmissions / 2 } else { 0 }
}

fn handshakes_of(record: &FlowWindow) -> Handshakes {
    match record.role {
        Role::Client => Handshakes {
            established: record.connections.established,
            refused: record.connections.refused,
            // Who still waits is unanswered in every window in which it waits.
            unanswered: record.connections.timed_out.saturating_add(record.connections.waiting),
            waiting: record.connections.waiting,
            pending: pending(&record.connections),
            sent_again: record.syn_retransmissions,
            opening_us: opening_us(record),
        },
        Role::Server => Handshakes::default(),
    }
}

/// Data of one record, without connection requests that were sent again.
pub(crate) fn data_alone(record: &FlowWindow) -> Data {
    without_requests_again(data_of(record), handshakes_of(record))
}

/// Time that opening connections took, for each second of the window.
fn opening_us(record: &FlowWindow) -> u64 {
    let took = record.handshake_us.as_ref().or(record.rtt_us.as_ref()).map_or(0, |took| took.p50);
    record.connections.established.saturating_mul(took) / u64::from(record.window_seconds.max(1))
}

/// Attempts of this window that have no outcome yet.
fn pending(connections: &Connections) -> u64 {
    let decided =
        connections.established.saturating_add(connections.refused).saturating_add(connections.timed_out);
    connections.attempted.saturating_sub(decided)
}

/// True if a process of the node itself, such as the kubelet that probes, talks to a pod of the same node. Such a flow
/// crosses no network, and it dials pods that haven't started yet.
fn is_of_nodes_own(client: &Endpoint, server: &Endpoint) -> bool {
    client.kind == Some(EndpointKind::Node) && client.pod.is_none() && client.node == server.node
}

/// The kernel may have sent a little more than that.
const LENIENCE: f64 = 1.3;

/// Connection requests sent again, as far as unanswered ones tell, where the agent doesn't count them. The kernel has them
/// among retransmissions and time-outs, but they are no data: that new connections fail doesn't make the open ones lossy.
fn requests_again(data: Data, handshakes: Handshakes) -> u64 {
    let (unanswered, pending) = (handshakes.unanswered, handshakes.overdue());
    if handshakes.sent_again > 0 || (unanswered == 0 && pending == 0) {
        return 0;
    }
    let attempts = handshakes.decided().saturating_add(pending) as f64;
    // What has no answer yet may have been sent again as well.
    let unanswered = unanswered.saturating_add(pending) as f64;
    // Of those that were lost once, some got through at the second try.
    let lost_once = (unanswered / attempts).sqrt() * attempts;
    let again = (LENIENCE * (lost_once + (TRIES_AGAIN as f64 - 1.0) * unanswered)).ceil() as u64;
    again.min(data.timeouts)
}

fn without_requests_again(data: Data, handshakes: Handshakes) -> Data {
    let retransmissions = data.retransmissions.saturating_sub(requests_again(data, handshakes));
    // A record may be cut by a window's edge: a retransmission is a segment whatever the other counter says.
    Data { retransmissions, segments: data.segments.max(retransmissions), ..data }
}

fn identity(endpoint: &Endpoint, names: &Names) -> Option<Id> {
    match &endpoint.pod {
        Some(pod) => names.text(pod),
        None => names.address(endpoint.ip),
    }
}

fn subject(server: &Endpoint, names: &Names) -> Option<Subject> {
    let text = |name: &Option<_>| name.as_deref().and_then(|name: &str| names.text(name));
    if let Some(service) = &server.service {
        let id = names.text(service)?;
        return Some(if service.starts_with("aws/") { Subject::Aws(id) } else { Subject::Service(id) });
    }
    let at = |id: Id, with_port: fn(Id, u16) -> Subject, without: fn(Id) -> Subject| {
        server.port.map_or_else(|| without(id), |port| with_port(id, port))
    };
    text(&server.workload)
        .map(|workload| at(workload, Subject::WorkloadPort, Subject::Workload))
        .or_else(|| text(&server.pod).map(|pod| at(pod, Subject::PodPort, Subject::Pod)))
        .or_else(|| text(&server.node).map(|node| server.port.map_or(Subject::Node(node), Subject::Hosts)))
        .or_else(|| names.address(server.ip).map(Subject::Address))
}

fn reach(remote: &Endpoint) -> Reach {
    match remote.kind {
        Some(EndpointKind::Aws | EndpointKind::Vpc | EndpointKind::Internet) => Reach::External,
        Some(EndpointKind::Pod | EndpointKind::Node | EndpointKind::Service | EndpointKind::Unknown) => {
            Reach::Cluster
        }
        None if remote.service.as_deref().is_some_and(|service| service.starts_with("aws/")) => {
            Reach::External
        }
        None => Reach::Cluster,
    }
}

#[cfg(test)]
#[path = "reduce_tests.rs"]
mod tests;
