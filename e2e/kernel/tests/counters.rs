//! The agent's numbers are the kernel's.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Instant;

use tidewatch_kernel_tests::socket_truth::{Sockets, agree, counter, sockets};
use tidewatch_kernel_tests::{Agent, Cgroup, Network, Traffic};
use tidewatch_records::{FlowWindow, Role};

fn added(before: Sockets, after: Sockets) -> Sockets {
    Sockets {
        count: after.count,
        bytes_out: after.bytes_out - before.bytes_out,
        bytes_in: after.bytes_in - before.bytes_in,
        data_segments_out: after.data_segments_out - before.data_segments_out,
        retransmissions: after.retransmissions - before.retransmissions,
    }
}

#[test]
fn bytes_segments_and_retransmissions_agree_with_ss_under_loss_also_of_connections_older_than_the_agent() {
    let (network, cgroup) = (Network::new("truth").unwrap(), Cgroup::new("truth").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    client.tell("connect old 198.18.2.2:8080").unwrap();
    client.tell("request old 300000 200000").unwrap();
    let before = [sockets(&network, "client").unwrap(), sockets(&network, "server").unwrap()];
    let retransmitted = |side| counter(&network, side, "Tcp", "RetransSegs").unwrap();
    let segments_before = [retransmitted("client"), retransmitted("server")];

    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    network
        .rule("loss", "filter hook forward priority 0", "meta l4proto tcp numgen inc mod 29 < 1 drop")
        .unwrap();
    client.tell("connect new 198.18.2.2:8080").unwrap();
    for _ in 0..20 {
        client.tell("request old 200000 100000").unwrap();
        client.tell("request new 50000 150000").unwrap();
    }
    network.clear_rules().unwrap();
    // One more round trip without loss: nothing is in flight when both are asked.
    client.tell("request old 100 100").unwrap();
    client.tell("request new 100 100").unwrap();

    let after = [sockets(&network, "client").unwrap(), sockets(&network, "server").unwrap()];
    let segments_after = [retransmitted("client"), retransmitted("server")];
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    for (role, side) in [(Role::Client, 0), (Role::Server, 1)] {
        let truth = added(before[side], after[side]);
        let is = |what: &str, of: fn(&FlowWindow) -> u64, truth: u64, slack: u64| {
            let got = said.sum(role, of);
            assert!(agree(got, truth, slack), "{role:?} {what}: agent {got}, ss {truth}");
        };
        assert_eq!(truth.count, 2);
        assert!(truth.retransmissions > 5, "the loss did nothing: {truth:?}");
        is("bytes_out", |flow| flow.bytes_out, truth.bytes_out, 0);
        is("bytes_in", |flow| flow.bytes_in, truth.bytes_in, 0);
        is("data_segments_out", |flow| flow.data_segments_out, truth.data_segments_out, 0);
        // A tail-loss probe or a lost SYN may fall between the two looks.
        is("retransmissions", |flow| flow.retransmissions, truth.retransmissions, 1);
        let host = segments_after[side] - segments_before[side];
        is("retransmissions (RetransSegs)", |flow| flow.retransmissions, host, 2);
        // A lost SYN, and last segments that weren't full: it is data that was lost.
        is("syn_retransmissions", |flow| flow.syn_retransmissions, 0, 3);
    }
    assert_eq!(said.sum(Role::Client, |flow| flow.connections.open), 2);
    assert_eq!(
        said.sum(Role::Client, |flow| flow.connections.attempted),
        1,
        "the old one was attempted before"
    );
    assert!(said.all_reported(), "{:?}", said.accounting);
}

#[test]
fn every_one_of_a_thousand_short_connections_is_reported_on_both_ends() {
    let (network, cgroup) = (Network::new("short").unwrap(), Cgroup::new("short").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    let begun = Instant::now();
    client.tell("many 1000 198.18.2.2:8080 500 1000").unwrap();
    let elapsed = begun.elapsed();
    drop(client);
    drop(server);
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    for role in [Role::Client, Role::Server] {
        assert_eq!(said.sum(role, |flow| flow.connections.established), 1000, "{role:?}");
        assert_eq!(said.sum(role, |flow| flow.connections.closed), 1000, "{role:?}");
        assert_eq!(said.sum(role, |flow| flow.connections.reset + flow.connections.aborted), 0, "{role:?}");
    }
    assert_eq!(said.sum(Role::Client, |flow| flow.connections.attempted), 1000);
    assert_eq!(said.sum(Role::Client, |flow| flow.bytes_out), 500_000);
    // The peer's FIN counts as one byte, as in ss.
    assert!(agree(said.sum(Role::Client, |flow| flow.bytes_in), 1_000_000, 1000));
    assert_eq!(said.flows.len(), 2, "{:#?}", said.flows);
    let rtt = said.of(Role::Client)[0].rtt_us.as_ref().unwrap();
    assert_eq!(rtt.count, 1000);
    // One after the other, they took at least a round trip each: half of them the median or more.
    assert!(rtt.p50 > 0 && u128::from(rtt.p50) * 500 <= elapsed.as_micros() * 2, "in {elapsed:?}: {rtt:?}");
    assert!(said.all_reported(), "{:?}", said.accounting);
    assert_eq!(said.accounting[0].seen, 2000);
}

#[test]
fn windows_add_up_to_the_whole() {
    let (network, cgroup) = (Network::new("windows").unwrap(), Cgroup::new("windows").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    let agent = Agent::start(&network, &cgroup, &["--window", "1s"]).unwrap();
    client.tell("connect x 198.18.2.2:8080").unwrap();
    for part in 1..=3 {
        client.tell("request x 1000 5000").unwrap();
        let sum = |flows: &[FlowWindow]| {
            flows.iter().filter(|f| f.role == Role::Client).map(|f| f.bytes_in).sum::<u64>()
        };
        agent.wait_until("a window with the request", |said| sum(&said.flows) == part * 5000).unwrap();
    }
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    assert_eq!(said.sum(Role::Client, |flow| flow.bytes_out), 3000);
    assert_eq!(said.sum(Role::Client, |flow| flow.connections.established), 1);
    let starts: Vec<_> = said.accounting.iter().map(|a| a.window_start).collect();
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{starts:?}");
}

#[test]
fn single_time_outs_in_a_row_are_all_counted() {
    const REQUESTS: u64 = 15;
    let (network, cgroup) = (Network::new("rto").unwrap(), Cgroup::new("rto").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    // Without tail-loss probes, a request whose only segment is lost is sent again by a time-out alone.
    network.run_in("client", "sysctl -qw net.ipv4.tcp_early_retrans=0").unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("connect x 198.18.2.2:8080").unwrap();
    let every_second = "tcp dport 8080 tcp flags & psh == psh numgen inc mod 2 < 1 drop";
    network.rule("lossy", "filter hook forward priority 0", every_second).unwrap();
    for _ in 0..REQUESTS {
        client.tell("request x 100 100").unwrap();
    }
    let truth = counter(&network, "client", "TcpExt", "TCPTimeouts").unwrap();
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    assert!(truth >= REQUESTS, "{truth} time-outs: the loss did nothing");
    assert_eq!(said.sum(Role::Client, |flow| flow.timeouts), truth);
    assert_eq!(said.sum(Role::Server, |flow| flow.timeouts), 0);
}
