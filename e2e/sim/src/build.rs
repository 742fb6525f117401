//! Builds a cluster: zones, nodes, services with their pods, the call graph and its flows.

use std::net::{IpAddr, Ipv4Addr};

use tidewatch_records::Name;

use crate::cluster::{Cluster, Flow, Node, Peer, Pod, Remote, RemoteKind, Service, pod_ip, pod_name};
use crate::random::Dice;

/// Size and irregularity of a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub zones: usize,
    pub nodes: usize,
    pub services: usize,
    /// Pods of a service, from and to.
    pub replicas: (usize, usize),
    /// Number of a service's pods that each client pod talks to.
    pub servers_per_client: usize,
    /// Median of the data segments that a flow sends in a window.
    pub segments: f64,
    /// Benign retransmission ratios of services, from and to (evenly on a logarithmic scale).
    pub benign: (f64, f64),
    /// First shape parameter of the beta-binomial of benign loss, and of a fault's loss: the smaller, the more uneven.
    pub benign_shape: f64,
    pub fault_shape: f64,
    /// True if servers report records too, not only clients.
    pub both_report: bool,
    /// Chance a window that a service starts a benign burst, or a node a one-window blip.
    pub bursts_per_service: f64,
    pub blips_per_node: f64,
}

const NAMESPACES: [&str; 4] = ["shop", "pay", "search", "ops"];
const NAMES: [&str; 20] = [
    "front", "cart", "checkout", "payments", "orders", "stock", "users", "auth", "catalog", "search",
    "price", "mail", "ship", "tax", "ads", "review", "media", "geo", "fraud", "ledger",
];

pub fn build(shape: &Shape, dice: &mut Dice) -> Cluster {
    let zones: Vec<Name> = (1..=shape.zones).map(|n| format!("zone-{n}").into()).collect();
    let nodes = nodes(shape);
    let mut cluster = Cluster {
        zone_rtt_us: zone_rtts(shape.zones, dice),
        zones,
        nodes,
        services: Vec::new(),
        pods: Vec::new(),
        remotes: Vec::new(),
        flows: Vec::new(),
        pods_made: 0,
    };
    for number in 0..shape.services {
        add_service(&mut cluster, shape, number, dice);
    }
    let agents = add_host_service(&mut cluster, shape, dice);
    add_remotes(&mut cluster, dice);
    add_calls(&mut cluster, shape, agents, dice);
    cluster
}

fn nodes(shape: &Shape) -> Vec<Node> {
    (0..shape.nodes)
        .map(|number| {
            let zone = number % shape.zones.max(1);
            let within = number / shape.zones.max(1);
            Node {
                name: format!("zone-{}-{:02}", zone + 1, within + 1).into(),
                zone,
                ip: IpAddr::V4(Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 10)) + number as u32)),
            }
        })
        .collect()
}

fn zone_rtts(zones: usize, dice: &mut Dice) -> Vec<((usize, usize), f64)> {
    let pairs = (0..zones).flat_map(|a| (a + 1..zones).map(move |b| (a, b)));
    pairs.map(|pair| (pair, dice.uniform(650.0, 1_500.0))).collect()
}

fn drift(dice: &mut Dice) -> (f64, f64) {
    (dice.uniform(0.2, 0.7), dice.uniform(0.0, std::f64::consts::TAU))
}

fn add_service(cluster: &mut Cluster, shape: &Shape, number: usize, dice: &mut Dice) {
    let namespace = NAMESPACES.get(number % NAMESPACES.len()).copied().unwrap_or("shop");
    let base = NAMES.get(number % NAMES.len()).copied().unwrap_or("service");
    let round = number / NAMES.len();
    let name = if round == 0 { base.to_owned() } else { format!("{base}-{}", round + 1) };
    let benign = dice.log_uniform(shape.benign.0, shape.benign.1);
    push_service(cluster, namespace, name, "Deployment", 8_000 + number as u16, benign, drift(dice));
    let replicas = dice.integer(shape.replicas.0, shape.replicas.1);
    // The scheduler spreads a service's pods over nodes, as far as there are nodes.
    let mut order: Vec<usize> = (0..cluster.nodes.len()).collect();
    dice.shuffle(&mut order);
    for node in order.into_iter().cycle().take(replicas) {
        add_pod(cluster, number, node);
    }
}

fn push_service(
    cluster: &mut Cluster,
    namespace: &str,
    name: String,
    owner: &str,
    port: u16,
    benign: f64,
    drift: (f64, f64),
) {
    cluster.services.push(Service {
        namespace: namespace.to_owned(),
        id: format!("{namespace}/{name}").into(),
        workload: format!("{namespace}/{owner}/{name}").into(),
        name,
        port,
        host_network: owner == "DaemonSet",
        pods: Vec::new(),
        benign,
        drift,
    });
}

fn add_pod(cluster: &mut Cluster, service: usize, node: usize) {
    cluster.pods_made += 1;
    let serial = cluster.pods_made;
    let index = cluster.pods.len();
    let node_ip = cluster.nodes.get(node).map(|node| node.ip);
    let Some(owner) = cluster.services.get_mut(service) else { return };
    let ip = if owner.host_network { node_ip.unwrap_or(pod_ip(serial)) } else { pod_ip(serial) };
    cluster.pods.push(Pod { service, name: pod_name(owner, serial), ip, node, active: true });
    owner.pods.push(index);
}

/// A host-network DaemonSet that the second-to-last service (the metrics scraper) talks to on every node.
fn add_host_service(cluster: &mut Cluster, shape: &Shape, dice: &mut Dice) -> usize {
    let number = cluster.services.len();
    let name = "node-exporter".to_owned();
    let benign = dice.log_uniform(shape.benign.0, shape.benign.1);
    push_service(cluster, "kube-system", name, "DaemonSet", 9_100, benign, drift(dice));
    for node in 0..cluster.nodes.len() {
        add_pod(cluster, number, node);
    }
    number
}

fn add_remotes(cluster: &mut Cluster, dice: &mut Dice) {
    for (name, rtt_us, address) in [
        ("aws/s3", 2_500.0, [52, 219, 4, 10]),
        ("aws/dynamodb", 1_800.0, [52, 94, 8, 20]),
        ("aws/sqs", 3_000.0, [52, 95, 2, 30]),
    ] {
        let benign = dice.log_uniform(2e-4, 1.5e-3);
        cluster.remotes.push(remote(RemoteKind::Aws(name.into()), address, rtt_us, benign, drift(dice)));
    }
    // A partner's interface on the internet, then visitors who come in.
    let benign = dice.log_uniform(1e-3, 4e-3);
    cluster.remotes.push(remote(RemoteKind::Internet, [203, 0, 113, 10], 28_000.0, benign, drift(dice)));
    for visitor in 0..8 {
        let benign = dice.log_uniform(2e-3, 1.5e-2);
        let rtt_us = dice.uniform(15_000.0, 90_000.0);
        cluster.remotes.push(remote(
            RemoteKind::Internet,
            [198, 51, 100, 10 + visitor],
            rtt_us,
            benign,
            drift(dice),
        ));
    }
}

fn remote(kind: RemoteKind, address: [u8; 4], rtt_us: f64, benign: f64, drift: (f64, f64)) -> Remote {
    Remote { kind, ip: IpAddr::V4(Ipv4Addr::from(address)), port: 443, rtt_us, benign, drift }
}

/// Remotes that the cluster calls; the rest call it.
pub const CALLED_REMOTES: usize = 4;

fn add_calls(cluster: &mut Cluster, shape: &Shape, agents: usize, dice: &mut Dice) {
    let services = agents;
    for client in 0..services {
        // Calls go down the graph, the popular services more often; a few have no one below and call remotes only.
        let below = services.saturating_sub(client + 1);
        let wanted = dice.integer(1, 3).min(below);
        let mut called = Vec::new();
        for _ in 0..wanted * 3 {
            let callee = services - 1 - dice.zipf(below, 0.7);
            if callee > client && !called.contains(&callee) && called.len() < wanted {
                called.push(callee);
            }
        }
        for callee in called {
            connect(cluster, shape, client, callee, dice);
        }
        for remote in 0..CALLED_REMOTES {
            if dice.chance(0.28) {
                call_remote(cluster, shape, client, remote, dice);
            }
        }
    }
    if let Some(scraper) = services.checked_sub(2) {
        connect(
            cluster,
            &Shape { servers_per_client: usize::MAX, segments: shape.segments * 0.5, ..*shape },
            scraper,
            agents,
            dice,
        );
    }
    add_visitors(cluster, shape, dice);
}

/// The properties that all flows of one caller and callee share.
struct Call {
    segments: f64,
    back: f64,
    /// Segments of one connection; large where connections are kept alive.
    per_connection: f64,
}

fn call(shape: &Shape, dice: &mut Dice) -> Call {
    let keep_alive = dice.chance(0.5);
    Call {
        segments: dice.log_normal(shape.segments, 0.8),
        back: dice.log_normal(1.0, 0.7),
        per_connection: if keep_alive {
            dice.log_uniform(200.0, 2_000.0)
        } else {
            dice.log_uniform(8.0, 40.0)
        },
    }
}

fn add_flow(cluster: &mut Cluster, client: Peer, server: Peer, call: &Call, dice: &mut Dice) {
    let segments = dice.log_normal(call.segments, 0.8).clamp(3.0, 20_000.0);
    let connects = (segments / call.per_connection).clamp(0.05, 200.0);
    cluster.flows.push(Flow {
        client,
        server,
        segments: (segments, segments * call.back),
        connects,
        open: 1 + (connects / 4.0) as u64,
        benign_factor: dice.log_normal(1.0, 0.3),
        rtt_factor: dice.log_normal(1.0, 0.12),
        lane: dice.uniform(0.0, 1.0),
    });
}

fn connect(cluster: &mut Cluster, shape: &Shape, client: usize, server: usize, dice: &mut Dice) {
    let pods = |service: usize| cluster.services.get(service).map(|s| s.pods.clone()).unwrap_or_default();
    let (clients, mut servers) = (pods(client), pods(server));
    let call = call(shape, dice);
    for client in clients {
        dice.shuffle(&mut servers);
        for server in servers.iter().take(shape.servers_per_client) {
            add_flow(cluster, Peer::Pod(client), Peer::Pod(*server), &call, dice);
        }
    }
}

fn call_remote(cluster: &mut Cluster, shape: &Shape, client: usize, remote: usize, dice: &mut Dice) {
    let clients = cluster.services.get(client).map(|s| s.pods.clone()).unwrap_or_default();
    let call = call(shape, dice);
    for client in clients {
        add_flow(cluster, Peer::Pod(client), Peer::Remote(remote), &call, dice);
    }
}

fn add_visitors(cluster: &mut Cluster, shape: &Shape, dice: &mut Dice) {
    for front in 0..2_usize.min(cluster.services.len()) {
        let pods = cluster.services.get(front).map(|s| s.pods.clone()).unwrap_or_default();
        let call = call(shape, dice);
        for pod in pods {
            for visitor in CALLED_REMOTES..cluster.remotes.len() {
                if dice.chance(0.5) {
                    add_flow(cluster, Peer::Remote(visitor), Peer::Pod(pod), &call, dice);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::mode::Mode;

    #[test]
    fn a_cluster_has_what_its_shape_says() {
        for mode in Mode::JUDGED {
            let shape = mode.shape(5);
            let cluster = build(&shape, &mut Dice::new(5));
            assert_eq!(cluster.nodes.len(), shape.nodes);
            assert_eq!(cluster.services.len(), shape.services + 1, "and the host-network one");
            assert_eq!(cluster.zone_rtt_us.len(), 3);
            assert!(cluster.flows.len() > 200, "{} flows", cluster.flows.len());
            let names: BTreeSet<_> = cluster.pods.iter().map(|pod| pod.name.clone()).collect();
            assert_eq!(names.len(), cluster.pods.len(), "each pod has a name of its own");
        }
    }

    #[test]
    fn benign_ratios_differ_by_orders() {
        let cluster = build(&Mode::Hard.shape(9), &mut Dice::new(9));
        let ratios = || cluster.services.iter().map(|s| s.benign);
        assert!(ratios().fold(0.0, f64::max) / ratios().fold(1.0, f64::min) > 30.0);
    }
}
