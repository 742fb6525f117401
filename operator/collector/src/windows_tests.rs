use super::*;
use tidewatch_records::{Connections, Endpoint, NodeFigures, Role};

const AGENT: u32 = 5;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn windows(limits: Limits, lengths: &[u32]) -> Windows {
    let mut windows = Windows::new(limits);
    windows.set_lengths(&lengths.iter().copied().collect(), at(0));
    windows
}

fn flow(node: &str, second: i64, port: u16) -> FlowWindow {
    FlowWindow {
        window_start: at(second),
        window_seconds: AGENT,
        reporter: node.into(),
        role: Role::Client,
        local: Endpoint::of("10.0.0.1".parse().unwrap()),
        remote: Endpoint { port: Some(port), ..Endpoint::of("10.0.0.2".parse().unwrap()) },
        category: None,
        connections: Connections { open: 2, closed: 1, ..Default::default() },
        data_segments_out: 0,
        retransmissions: 0,
        spurious_retransmissions: 0,
        syn_retransmissions: 0,
        timeouts: 0,
        bytes_out: 0,
        bytes_in: 0,
        rtt_us: None,
        handshake_us: None,
    }
}

fn offer(windows: &mut Windows, flow: FlowWindow, now: i64) -> Result<(), Reject> {
    let key = windows.key(&flow);
    windows.offer(flow, key, at(now))
}

fn account(windows: &mut Windows, node: &str, second: i64, now: i64) -> Result<(), Reject> {
    let accounting =
        Accounting { window_seconds: AGENT, seen: 10, reported: 10, ..nothing(&node.into(), at(second)) };
    windows.account(accounting, at(now))
}

fn ready(nodes: &[&str]) -> BTreeSet<Name> {
    nodes.iter().map(|node| Name::from(*node)).collect()
}

fn starts(closing: &Closing) -> Vec<(i64, u32)> {
    closing.windows.iter().map(|w| (w.start.as_second() - 1_000_000, w.seconds)).collect()
}

#[test]
fn a_window_closes_when_all_ready_nodes_have_reported_its_end() {
    let mut windows = windows(Limits::default(), &[10]);
    let nodes = ready(&["a", "b"]);
    for (node, second) in [("a", 0), ("b", 0), ("a", 5)] {
        offer(&mut windows, flow(node, second, 80), 10).unwrap();
        account(&mut windows, node, second, 10).unwrap();
        assert!(windows.close(at(10), &nodes).windows.is_empty());
    }
    account(&mut windows, "b", 5, 11).unwrap();
    let closing = windows.close(at(11), &nodes);
    assert_eq!(starts(&closing), [(0, 10)]);
    let window = &closing.windows[0];
    assert_eq!(window.flows.len(), 3);
    assert_eq!(window.accounting["a"].window_seconds, 10);
    assert_eq!(window.connections(), (40, 40));
    assert_eq!(windows.flows(), 0, "nobody needs the flows any more");
}

#[test]
fn a_window_never_closes_before_its_end_even_if_all_reported() {
    let mut windows = windows(Limits::default(), &[10]);
    account(&mut windows, "a", 5, 9).unwrap();
    assert!(windows.close(at(9), &ready(&["a"])).windows.is_empty());
    assert_eq!(windows.close(at(10), &ready(&["a"])).windows.len(), 1);
}

/// Reports the first five windows of 5 s of a node, each `delay` seconds after its end.
fn reports(windows: &mut Windows, node: &str, delay: i64) {
    for second in (0..25).step_by(5) {
        account(windows, node, second, second + 5 + delay).unwrap();
    }
}

/// Seconds past its end at which the window from 20 to 30 closes, while `a` reports and `b`, which reported with `delay`
/// until then, doesn't.
fn held_up_for(delay: i64) -> i64 {
    let mut windows = windows(Limits::default(), &[10]);
    let nodes = ready(&["a", "b"]);
    reports(&mut windows, "a", 0);
    reports(&mut windows, "b", delay);
    account(&mut windows, "a", 25, 30).unwrap();
    assert_eq!(windows.close(at(29), &nodes).windows.len(), 2);
    let closed = (30..).find(|second| !windows.close(at(*second), &nodes).windows.is_empty());
    closed.unwrap() - 30
}

#[test]
fn a_node_that_is_cut_off_holds_the_window_up_for_3_s() {
    assert_eq!(held_up_for(0), 3);
}

#[test]
fn a_node_that_was_slow_is_waited_for_longer_and_10_s_at_most() {
    for (delay, expected) in [(4, 5), (7, 8), (10, 10), (30, 10)] {
        assert_eq!(held_up_for(delay), expected, "{delay}");
    }
}

#[test]
fn what_a_node_did_not_report_is_not_invented() {
    let mut windows = windows(Limits::default(), &[10]);
    let nodes = ready(&["a", "b"]);
    account(&mut windows, "a", 0, 5).unwrap();
    account(&mut windows, "a", 5, 10).unwrap();
    assert!(windows.close(at(19), &nodes).windows.is_empty(), "b never reported: it may just have started");
    let closing = windows.close(at(20), &nodes);
    let window = &closing.windows[0];
    assert_eq!(window.expected, nodes);
    assert_eq!(window.accounting.keys().map(|n| &**n).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_report_that_was_late_by_seconds_is_waited_for_the_next_time() {
    let mut windows = windows(Limits::default(), &[10]);
    let nodes = ready(&["a", "b"]);
    for node in ["a", "b"] {
        reports(&mut windows, node, 0);
    }
    account(&mut windows, "a", 25, 30).unwrap();
    assert_eq!(windows.close(at(33), &nodes).windows.len(), 3);
    assert_eq!(account(&mut windows, "b", 25, 36), Err(Reject::Late));
    account(&mut windows, "a", 35, 40).unwrap();
    assert!(windows.close(at(45), &nodes).windows.is_empty());
    account(&mut windows, "b", 35, 46).unwrap();
    assert_eq!(windows.close(at(46), &nodes).windows[0].accounting.len(), 2);
}

#[test]
fn after_a_standstill_what_was_sent_meanwhile_is_waited_for() {
    let mut windows = windows(Limits::default(), &[10]);
    let nodes = ready(&["a", "b"]);
    for node in ["a", "b"] {
        reports(&mut windows, node, 0);
    }
    assert_eq!(windows.close(at(25), &nodes).windows.len(), 2);
    windows.resume(at(36));
    assert!(windows.close(at(36), &nodes).windows.is_empty());
    assert!(windows.close(at(38), &nodes).windows.is_empty());
    assert_eq!(windows.close(at(39), &nodes).windows.len(), 1);
    // Not for ever, however often it stands still.
    windows.resume(at(52));
    assert!(windows.close(at(52), &nodes).windows.is_empty());
    windows.resume(at(54));
    assert_eq!(windows.close(at(54), &nodes).windows.len(), 1);
}

#[test]
fn how_a_node_was_comes_with_the_window() {
    let mut windows = windows(Limits::default(), &[10, 20]);
    for second in [0, 5] {
        let figures = NodeWindow {
            window_start: at(second),
            window_seconds: AGENT,
            reporter: "a".into(),
            node: NodeFigures { cpu_pressure_ratio: Some(0.5), ..NodeFigures::default() },
        };
        assert_eq!(windows.offer_figures(figures.clone(), at(10)), Ok(()));
        assert_eq!(windows.offer_figures(figures, at(10)), Err(Reject::Duplicate));
        account(&mut windows, "a", second, 10).unwrap();
    }
    let closing = windows.close(at(23), &ready(&[]));
    let of = |window: &ClusterWindow| window.nodes.iter().map(|n| n.window_start).collect::<Vec<_>>();
    assert_eq!(starts(&closing), [(0, 10), (10, 10), (0, 20)]);
    assert_eq!(of(&closing.windows[0]), [at(0), at(5)]);
    assert_eq!(of(&closing.windows[2]), [at(0), at(5)]);
}

#[test]
fn a_window_without_any_agent_closes_empty_after_3_s() {
    let mut windows = windows(Limits::default(), &[10]);
    assert!(windows.close(at(12), &ready(&[])).windows.is_empty());
    let closing = windows.close(at(18), &ready(&[]));
    assert_eq!(closing.windows.len(), 1);
    assert!(closing.windows[0].accounting.is_empty() && closing.windows[0].flows.is_empty());
}

#[test]
fn lengths_share_the_records_and_each_closes_in_its_own_time() {
    let mut windows = windows(Limits::default(), &[10, 20]);
    let nodes = ready(&["a"]);
    for second in [0, 5, 10, 15] {
        offer(&mut windows, flow("a", second, 80), second + 5).unwrap();
        account(&mut windows, "a", second, second + 5).unwrap();
    }
    let closing = windows.close(at(20), &nodes);
    assert_eq!(starts(&closing), [(0, 10), (10, 10), (0, 20)]);
    assert_eq!(closing.windows.iter().map(|w| w.flows.len()).collect::<Vec<_>>(), [2, 2, 4]);
    assert_eq!(windows.flows(), 0);
}

#[test]
fn the_longest_evaluation_has_room_for_the_shortest_windows() {
    let mut windows = windows(Limits::default(), &[10, 600]);
    let nodes = ready(&["a"]);
    for second in 0..1800 {
        let accounting =
            Accounting { window_seconds: 1, seen: 1, reported: 1, ..nothing(&"a".into(), at(second)) };
        assert_eq!(windows.account(accounting, at(second + 1)), Ok(()), "{second}");
        windows.close(at(second + 1), &nodes);
    }
}

#[test]
fn a_new_length_does_not_count_what_was_gone_before_as_reported() {
    let mut windows = windows(Limits::default(), &[10]);
    let nodes = ready(&["a"]);
    for second in [0, 5] {
        offer(&mut windows, flow("a", second, 80), second + 5).unwrap();
        account(&mut windows, "a", second, second + 5).unwrap();
    }
    assert_eq!(starts(&windows.close(at(10), &nodes)), [(0, 10)]);
    windows.set_lengths(&[10, 20].into(), at(11));
    for second in [10, 15] {
        offer(&mut windows, flow("a", second, 80), second + 5).unwrap();
        account(&mut windows, "a", second, second + 5).unwrap();
    }
    let closing = windows.close(at(20), &nodes);
    assert_eq!(starts(&closing), [(10, 10), (0, 20)]);
    let longer = &closing.windows[1];
    assert_eq!((longer.flows.len(), longer.connections()), (2, (20, 20)), "half of it was gone");
}

#[test]
fn a_record_of_a_closed_window_is_late_and_one_sent_again_is_a_duplicate() {
    let mut windows = windows(Limits::default(), &[10]);
    offer(&mut windows, flow("a", 0, 80), 5).unwrap();
    assert_eq!(offer(&mut windows, flow("a", 0, 80), 6), Err(Reject::Duplicate));
    assert_eq!(windows.close(at(18), &ready(&[])).windows.len(), 1);
    assert_eq!(offer(&mut windows, flow("a", 5, 80), 19), Err(Reject::Late));
    assert_eq!(
        offer(&mut windows, flow("a", 0, 80), 19),
        Err(Reject::Duplicate),
        "kept for a while, closed or not"
    );
    assert_eq!(account(&mut windows, "a", 5, 19), Err(Reject::Late));
}

#[test]
fn the_order_of_batches_does_not_matter() {
    let forwards: Vec<i64> = (0..2).map(|n| n * 5).collect();
    let mut results = Vec::new();
    for order in [forwards.clone(), forwards.into_iter().rev().collect()] {
        let mut windows = windows(Limits::default(), &[10]);
        for second in order {
            for port in [80, 81] {
                offer(&mut windows, flow("a", second, port), 10).unwrap();
            }
            account(&mut windows, "a", second, 10).unwrap();
        }
        let mut window = windows.close(at(18), &ready(&["a"])).windows.remove(0);
        window.flows.sort_by_key(|flow| (flow.window_start, flow.remote.port));
        results.push(window);
    }
    assert_eq!(results[0], results[1]);
}

#[test]
fn records_of_the_far_past_and_of_the_future_are_refused() {
    let mut windows = windows(Limits::default(), &[10]);
    for (second, now, expected) in [
        (0, 904, Ok(())),
        (0, 906, Err(Reject::Past)),
        (1000, 965, Ok(())),
        (1000, 964, Err(Reject::Future)),
        (1_000_000_000, 1000, Err(Reject::Future)),
    ] {
        assert_eq!(offer(&mut windows, flow("a", second, 80), now), expected, "{second} at {now}");
    }
}

#[test]
fn every_bound_refuses_and_what_it_refused_is_missing_from_the_coverage() {
    let limits = Limits { flows_per_node_window: 1, flows: 2, windows: 2, nodes: 3, ..Limits::default() };
    let mut windows = windows(limits, &[10]);
    offer(&mut windows, flow("a", 0, 1), 0).unwrap();
    assert_eq!(offer(&mut windows, flow("a", 0, 2), 0), Err(Reject::NodeFull));
    offer(&mut windows, flow("b", 0, 1), 0).unwrap();
    assert_eq!(offer(&mut windows, flow("c", 0, 1), 0), Err(Reject::Full), "flows");
    assert_eq!(offer(&mut windows, flow("d", 0, 1), 0), Err(Reject::Full), "nodes");
    account(&mut windows, "a", 5, 0).unwrap();
    assert_eq!(account(&mut windows, "a", 10, 0), Err(Reject::Full), "windows");
    account(&mut windows, "a", 0, 0).unwrap();
    let window = windows.close(at(18), &ready(&[])).windows.remove(0);
    let a = &window.accounting["a"];
    assert_eq!((a.seen, a.reported, a.dropped), (20, 17, 3), "3 connections of the record that was refused");
}

#[test]
fn nothing_is_held_for_ever_if_nobody_wants_it() {
    let mut windows = windows(Limits::default(), &[]);
    offer(&mut windows, flow("a", 0, 80), 5).unwrap();
    assert!(windows.close(at(800), &ready(&["a"])).windows.is_empty());
    assert_eq!((windows.flows(), windows.slots()), (1, 1));
    windows.close(at(901), &ready(&["a"]));
    assert_eq!((windows.flows(), windows.slots()), (0, 0));
}

#[test]
fn after_a_long_sleep_the_windows_in_between_are_skipped_and_counted() {
    let mut windows = windows(Limits::default(), &[10]);
    let closing = windows.close(at(10_000), &ready(&["a"]));
    assert_eq!(closing.skipped, 990);
    assert!(closing.windows.len() <= 10);
    assert_eq!(windows.close(at(10_000), &ready(&["a"])).windows.len(), 0);
}
