//! Outcomes of connections: refused, timed out, waiting, reset, aborted, closed.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use tidewatch_kernel_tests::agent::Said;
use tidewatch_kernel_tests::{Agent, Cgroup, Network, Traffic};
use tidewatch_records::{Connections, Role};

struct Lab {
    network: Network,
    cgroup: Cgroup,
    server: Traffic,
    client: Traffic,
}

fn lab(name: &str) -> Lab {
    let (network, cgroup) = (Network::new(name).unwrap(), Cgroup::new(name).unwrap());
    let server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    Lab { network, cgroup, server, client }
}

/// The connections of the only flow of a role.
fn only(said: &Said, role: Role) -> Connections {
    let flows = said.of(role);
    assert_eq!(flows.len(), 1, "{flows:#?}");
    assert!(said.all_reported(), "{:?}", said.accounting);
    flows[0].connections
}

#[test]
fn a_reset_in_answer_to_the_syn_is_refused_also_when_the_caller_waited_for_it() {
    let mut lab = lab("refused");
    let agent = Agent::start(&lab.network, &lab.cgroup, &[]).unwrap();
    let error = lab.client.fails("connect x 198.18.2.2:81").unwrap();
    assert!(error.contains("refused"), "{error}");
    lab.client.fails("try 198.18.2.2:81 2000").unwrap();
    let said = agent.finish().unwrap();
    let expected = Connections { attempted: 2, refused: 2, closed: 2, ..Connections::default() };
    assert_eq!(only(&said, Role::Client), expected);
}

#[test]
fn an_icmp_port_unreachable_is_refused_as_kube_proxy_does_for_a_service_without_endpoints() {
    let mut lab = lab("icmp");
    let reject = "ip daddr 198.18.2.2 tcp dport 82 reject with icmp port-unreachable";
    lab.network.rule("no_endpoints", "filter hook forward priority 0", reject).unwrap();
    let agent = Agent::start(&lab.network, &lab.cgroup, &[]).unwrap();
    lab.client.fails("connect x 198.18.2.2:82").unwrap();
    let said = agent.finish().unwrap();
    let expected = Connections { attempted: 1, refused: 1, closed: 1, ..Connections::default() };
    assert_eq!(only(&said, Role::Client), expected);
}

/// Answers of the node between to the ports from 90 on, with true for those that are a refusal.
const ANSWERS: [(&str, bool); 13] = [
    ("meta nfproto ipv4 reject with icmp type port-unreachable", true),
    ("meta nfproto ipv4 reject with icmp type prot-unreachable", true),
    ("meta nfproto ipv4 reject with tcp reset", true),
    ("meta nfproto ipv4 reject with icmp type net-unreachable", false),
    ("meta nfproto ipv4 reject with icmp type host-unreachable", false),
    ("meta nfproto ipv4 reject with icmp type host-prohibited", false),
    ("meta nfproto ipv4 reject with icmp type admin-prohibited", false),
    ("meta nfproto ipv6 reject with icmpv6 type port-unreachable", true),
    ("meta nfproto ipv6 reject with tcp reset", true),
    ("meta nfproto ipv6 reject with icmpv6 type no-route", false),
    ("meta nfproto ipv6 reject with icmpv6 type addr-unreachable", false),
    ("meta nfproto ipv6 reject with icmpv6 type admin-prohibited", false),
    ("meta nfproto ipv6 reject with icmpv6 type policy-fail", false),
];

/// Makes an attempt at each of these ports, and checks that each outcome is reported right.
fn each_answer_is_told(name: &str, attempt: impl Fn(&str) -> String) {
    let mut lab = lab(name);
    let agent = Agent::start(&lab.network, &lab.cgroup, &[]).unwrap();
    for (port, (answer, _)) in (90..).zip(ANSWERS) {
        let rule = format!("tcp dport {port} {answer}");
        lab.network.rule("answers", "filter hook forward priority 0", &rule).unwrap();
        let host = if answer.contains("ipv6") { "[fd00:2::2]" } else { "198.18.2.2" };
        lab.client.fails(&attempt(&format!("{host}:{port}"))).unwrap();
    }
    let said = agent.finish().unwrap();
    for (port, (answer, refused)) in (90..).zip(ANSWERS) {
        let flow = said.flows.iter().find(|flow| flow.remote.port == Some(port));
        let got = flow.unwrap_or_else(|| panic!("no flow: {answer}")).connections;
        let (refused, timed_out) = (u64::from(refused), u64::from(!refused));
        let expected = Connections { attempted: 1, refused, timed_out, closed: 1, ..Connections::default() };
        assert_eq!(got, expected, "{answer}");
    }
}

#[test]
fn an_icmp_answer_is_told_by_its_kind_when_nobody_waits_for_it() {
    each_answer_is_told("icmp-try", |address| format!("try {address} 2500"));
}

#[test]
fn an_icmp_answer_is_told_by_its_kind_when_the_caller_waits() {
    each_answer_is_told("icmp-wait", |address| format!("connect x {address}"));
}

#[test]
fn an_attempt_that_is_given_up_has_timed_out() {
    let mut lab = lab("given-up");
    lab.network.rule("block", "filter hook forward priority 0", "tcp dport 83 drop").unwrap();
    let agent = Agent::start(&lab.network, &lab.cgroup, &[]).unwrap();
    lab.client.fails("try 198.18.2.2:83 1500").unwrap();
    let said = agent.finish().unwrap();
    let expected = Connections { attempted: 1, timed_out: 1, closed: 1, ..Connections::default() };
    assert_eq!(only(&said, Role::Client), expected);
    let again = said.sum(Role::Client, |flow| flow.retransmissions);
    assert!(again >= 1, "SYNs count as retransmitted");
    assert_eq!(said.sum(Role::Client, |flow| flow.syn_retransmissions), again);
}

#[test]
fn an_attempt_that_is_answered_at_a_later_try_says_so() {
    let mut lab = lab("later-try");
    lab.server.tell("listen 198.18.2.2:86").unwrap();
    lab.network.rule("block", "filter hook forward priority 0", "tcp dport 86 drop").unwrap();
    let agent = Agent::start(&lab.network, &lab.cgroup, &["--window", "1s"]).unwrap();
    lab.client.tell("begin late 198.18.2.2:86").unwrap();
    let sent_again = |said: &Said| said.sum(Role::Client, |f| f.syn_retransmissions) >= 1;
    agent.wait_until("the SYN is sent again", sent_again).unwrap();
    lab.network.clear_rules().unwrap();
    let established = |said: &Said| said.sum(Role::Client, |f| f.connections.established) == 1;
    agent.wait_until("it is established", established).unwrap();
    lab.client.tell("close late").unwrap();
    agent.wait_until("the end", |said| said.sum(Role::Client, |f| f.connections.closed) == 1).unwrap();
    let said = agent.finish().unwrap();
    let again = said.sum(Role::Client, |flow| flow.syn_retransmissions);
    assert!(again >= 1, "{:#?}", said.flows);
    assert_eq!(said.sum(Role::Client, |flow| flow.retransmissions), again, "nothing else was sent again");
}

#[test]
fn an_attempt_unanswered_for_3_s_has_timed_out_once_though_it_is_given_up_later() {
    let mut lab = lab("unanswered");
    lab.network.rule("block", "filter hook forward priority 0", "tcp dport 84 drop").unwrap();
    let agent = Agent::start(&lab.network, &lab.cgroup, &["--window", "1s"]).unwrap();
    lab.client.tell("begin impatient 198.18.2.2:84").unwrap();
    agent
        .wait_until("it times out", |said| said.sum(Role::Client, |f| f.connections.timed_out) == 1)
        .unwrap();
    lab.client.tell("close impatient").unwrap();
    agent.wait_until("the end", |said| said.sum(Role::Client, |f| f.connections.closed) == 1).unwrap();
    let said = agent.finish().unwrap();
    assert_eq!(said.sum(Role::Client, |f| f.connections.attempted), 1);
    assert_eq!(said.sum(Role::Client, |f| f.connections.timed_out), 1);
    assert_eq!(said.sum(Role::Client, |f| f.connections.established + f.connections.open), 0);
    let when = |of: fn(&Connections) -> u64| {
        said.flows.iter().find(|f| of(&f.connections) > 0).unwrap().window_start
    };
    assert!(when(|c| c.timed_out) < when(|c| c.closed), "it was said before the caller gave up");
}

#[test]
fn a_patient_client_is_evidence_in_every_window() {
    let mut lab = lab("patient");
    lab.network.rule("block", "filter hook forward priority 0", "tcp dport 85 drop").unwrap();
    let agent = Agent::start(&lab.network, &lab.cgroup, &["--window", "1s"]).unwrap();
    lab.client.tell("begin patient 198.18.2.2:85").unwrap();
    let waits = |said: &Said| said.sum(Role::Client, |f| f.connections.waiting) >= 3;
    agent.wait_until("it waits in three windows", waits).unwrap();
    lab.client.tell("close patient").unwrap();
    agent.wait_until("the end", |said| said.sum(Role::Client, |f| f.connections.closed) == 1).unwrap();
    let said = agent.finish().unwrap();
    let sum = |of: fn(&Connections) -> u64| said.sum(Role::Client, |f| of(&f.connections));
    assert_eq!((sum(|c| c.attempted), sum(|c| c.timed_out), sum(|c| c.established)), (1, 1, 0));
    let windows: Vec<_> = said.of(Role::Client);
    let timed_out = windows.iter().position(|f| f.connections.timed_out == 1).unwrap();
    let ended = windows.iter().position(|f| f.connections.closed == 1).unwrap();
    for (at, flow) in windows.iter().enumerate() {
        let expected = u64::from(timed_out < at && at < ended);
        assert_eq!(flow.connections.waiting, expected, "window {at} of {windows:#?}");
    }
}

#[test]
fn a_patient_client_older_than_the_agent_is_seen_too() {
    let mut lab = lab("patient-old");
    lab.network.rule("block", "filter hook forward priority 0", "tcp dport 86 drop").unwrap();
    lab.client.tell("begin patient 198.18.2.2:86").unwrap();
    let agent = Agent::start(&lab.network, &lab.cgroup, &["--window", "1s"]).unwrap();
    let waits = |said: &Said| said.sum(Role::Client, |f| f.connections.waiting) >= 2;
    let said = agent.wait_until("it waits in two windows", waits).unwrap();
    let sum = |of: fn(&Connections) -> u64| said.sum(Role::Client, |f| of(&f.connections));
    assert_eq!((sum(|c| c.attempted), sum(|c| c.timed_out), sum(|c| c.closed)), (0, 1, 0));
}

#[test]
fn a_peers_reset_is_reset_and_ours_is_aborted() {
    let mut lab = lab("reset");
    lab.server.tell("stall 198.18.2.2:8080").unwrap();
    let agent = Agent::start(&lab.network, &lab.cgroup, &[]).unwrap();
    lab.client.tell("connect theirs 198.18.2.2:8080").unwrap();
    lab.client.tell("pour theirs 1000").unwrap();
    lab.server.tell("reset-peers 1").unwrap();
    wait_until("the client's connection is gone", || {
        lab.network.run_in("client", "ss -tnHO state established").unwrap().is_empty()
    });
    lab.client.tell("connect ours 198.18.2.2:8080").unwrap();
    lab.client.tell("abort ours").unwrap();
    let said = agent.finish().unwrap();
    let client = only(&said, Role::Client);
    assert_eq!((client.established, client.reset, client.aborted, client.closed), (2, 1, 1, 2), "{client:?}");
    let server = only(&said, Role::Server);
    assert_eq!((server.established, server.aborted, server.reset), (2, 1, 1), "{server:?}");
    assert_eq!(
        said.sum(Role::Client, |flow| flow.bytes_out),
        1000,
        "counted before tcp_disconnect() cleared it"
    );
}

#[test]
fn an_orderly_end_is_closed_and_nothing_else() {
    let mut lab = lab("orderly");
    lab.server.tell("listen 198.18.2.2:8080").unwrap();
    let agent = Agent::start(&lab.network, &lab.cgroup, &[]).unwrap();
    lab.client.tell("connect x 198.18.2.2:8080").unwrap();
    lab.client.tell("request x 100 100").unwrap();
    lab.client.tell("close x").unwrap();
    lab.network.settle().unwrap();
    let said = agent.finish().unwrap();
    let expected = Connections { attempted: 1, established: 1, closed: 1, ..Connections::default() };
    assert_eq!(only(&said, Role::Client), expected);
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "not within 60 s: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
