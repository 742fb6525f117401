//! The agent's figures of its node are the counters of the node's kernel.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::File;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{Backlog, listen};
use tidewatch_agent::node::Ethtool;
use tidewatch_kernel_tests::socket_truth::counter;
use tidewatch_kernel_tests::{Agent, Cgroup, Network, Traffic};
use tidewatch_records::{NodeFigures, NodeWindow};

/// Runs `work` in the node's network namespace, on a thread of its own.
fn in_node<T: Send>(network: &Network, work: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/run/netns/{}", network.namespace("node"))).unwrap();
    thread::scope(|scope| {
        let there = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        there.join().unwrap()
    })
}

/// Sums over the CPUs of columns of the node's /proc/net/stat/nf_conntrack, which is hexadecimal.
fn conntrack(network: &Network, columns: &[&str]) -> u64 {
    let text = network.run_in("node", "cat /proc/net/stat/nf_conntrack").unwrap();
    let (names, cpus) = text.split_once('\n').unwrap();
    let of = |line: &str| {
        let pairs = names.split_ascii_whitespace().zip(line.split_ascii_whitespace());
        let wanted = pairs.filter(|(name, _)| columns.contains(name));
        wanted.map(|(_, value)| u64::from_str_radix(value, 16).unwrap()).sum::<u64>()
    };
    cpus.lines().map(of).sum()
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_finds_no_room_is_counted_as_the_kernel_counts_it() {
    let (network, cgroup) = (Network::new("node").unwrap(), Cgroup::new("node").unwrap());
    // A rule that asks for a connection's state makes the namespace track connections.
    network.rule("track", "filter hook forward priority 0", "ct state established accept").unwrap();
    let agent = Agent::start(&network, &cgroup, &["--window", "2s"]).unwrap();
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    // Nobody accepts on the node itself, where two may wait.
    let full = in_node(&network, || {
        let listener = TcpListener::bind("198.18.1.1:8081").unwrap();
        listen(&listener, Backlog::new(1).unwrap()).unwrap();
        listener
    });
    for n in 0..6 {
        client.tell(&format!("begin queued{n} 198.18.1.1:8081")).unwrap();
    }
    let listening = |name| counter(&network, "node", "TcpExt", name).unwrap();
    wait_until("the accept queue overflows", || listening("ListenOverflows") > 0);
    client.tell("connect tracked 198.18.2.2:8080").unwrap();
    let has_entry = |window: &NodeWindow| window.node.conntrack_entries > Some(0);
    agent.wait_until("a window ends with entries", |said| said.nodes.iter().any(has_entry)).unwrap();
    // Nothing is counted any more once nobody listens.
    drop((client, full));
    let said = agent.finish().unwrap();
    let sum = |of: fn(&NodeFigures) -> Option<u64>| {
        said.nodes.iter().map(|window| of(&window.node).unwrap()).sum::<u64>()
    };
    assert_eq!(sum(|node| node.listen_overflows), listening("ListenOverflows"));
    assert_eq!(sum(|node| node.listen_drops), listening("ListenDrops"));
    assert_eq!(sum(|node| node.conntrack_dropped), conntrack(&network, &["drop", "early_drop"]));
    assert_eq!(sum(|node| node.conntrack_insert_failed), conntrack(&network, &["insert_failed"]));
    let limit = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").unwrap();
    let limit = Some(limit.trim().parse::<u64>().unwrap());
    assert!(said.nodes.iter().all(|window| window.node.conntrack_limit == limit), "{:?}", said.nodes);
}

#[test]
fn a_nodes_processors_and_memory_are_told_as_shares_of_the_window() {
    let (network, cgroup) = (Network::new("shares").unwrap(), Cgroup::new("shares").unwrap());
    let agent = Agent::start(&network, &cgroup, &["--window", "2s"]).unwrap();
    let mut said = agent.wait_until("a window ends", |said| !said.nodes.is_empty()).unwrap();
    let window = said.nodes.remove(0);
    assert_eq!((window.window_seconds, &*window.reporter), (2, "node-a"));
    let node = window.node;
    for (what, ratio) in
        [("busy", node.cpu_busy_ratio), ("steal", node.steal_ratio), ("softirq", node.softirq_ratio)]
    {
        assert!(ratio.is_some_and(|ratio| (0.0..=1.0).contains(&ratio)), "{what}: {node:?}");
    }
    assert!(node.softnet_dropped.is_some() && node.softnet_squeezed.is_some(), "{node:?}");
    // The kernel may have been built or booted without.
    for (what, ratio) in [("cpu", node.cpu_pressure_ratio), ("memory", node.memory_pressure_ratio)] {
        let told = std::fs::read_to_string(format!("/proc/pressure/{what}")).is_ok();
        assert_eq!(ratio.is_some(), told, "{what}: {node:?}");
    }
    assert_eq!(node.allowance_exceeded, None, "no interface here is ENA's: {node:?}");
}

#[test]
fn a_drivers_own_statistics_are_read_from_a_veth() {
    let network = Network::new("ethtool").unwrap();
    let listed = network.run_in("client", "ip -o link show uplink").unwrap();
    let peer: u64 = listed.split(':').next().unwrap().trim().parse().unwrap();
    let (driver, statistics) = in_node(&network, || {
        let ethtool = Ethtool::open().unwrap();
        let statistics = ethtool.statistics("client").unwrap();
        let named: Vec<(String, u64)> = statistics.iter().map(|(name, n)| (name.to_owned(), n)).collect();
        (ethtool.driver("client").unwrap(), named)
    });
    assert_eq!(driver.name, "veth");
    assert_eq!(driver.statistics, statistics.len());
    assert!(statistics.contains(&("peer_ifindex".to_owned(), peer)), "the peer is {peer}: {statistics:?}");
}
