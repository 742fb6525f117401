use tidewatch_agent_fleet::Fleet;
use tidewatch_crds::{NetworkMonitor, NetworkMonitorStatus};
use tidewatch_evaluation::{ClusterWindow, Evaluation};

use super::super::numbers::Memory;
use super::super::observe::{Clock, Observed, observe};
use super::super::spec::{Policy, ValidSpec};
use super::super::status::fold;
use super::super::testing::{at, flow, payments_blocked};
use super::tests::{ONSET, cluster, messages, policy, service, slice};
use super::*;

/// The observation of the window of 10 s that starts at `start`, with payments blocked since the onset.
fn blocked(start: i64, status: &NetworkMonitorStatus, index: &Index) -> Observed {
    blocked_as(Cause::Unreachable, start, status, index)
}

fn blocked_as(cause: Cause, start: i64, status: &NetworkMonitorStatus, index: &Index) -> Observed {
    let spec = serde_json::json!({"local": [{"namespace": "shop"}], "evaluation": {"window": "10s"}});
    let mut monitor = NetworkMonitor::new("m", serde_json::from_value(spec).unwrap());
    monitor.status = Some(status.clone());
    let policy = Policy { cluster_wide_namespaces: BTreeSet::new(), agent_window_seconds: 10 };
    let mut flow = flow().build();
    flow.connections.attempted = 20;
    flow.connections.timed_out = 20;
    let accounting = serde_json::json!({
        "window_start": at(start), "window_seconds": 10, "reporter": "node-a", "seen": 1, "reported": 1,
        "sampled_out": 0, "buffer_full": 0, "dropped": 0, "invalid": 0
    });
    let window = ClusterWindow {
        start: at(start),
        seconds: 10,
        flows: vec![flow],
        nodes: vec![],
        accounting: [("node-a".into(), serde_json::from_value(accounting).unwrap())].into(),
        expected: BTreeSet::new(),
    };
    let mut verdict = payments_blocked(at(ONSET));
    (verdict.window_start, verdict.window_seconds) = (at(start), 10);
    verdict.components.iter_mut().for_each(|fault| fault.cause = cause);
    let evaluation = Evaluation { window: Arc::new(window), verdict };
    let clock =
        Clock { now: at(start + 13), waiting_since: at(0), last_window: None, agent_window_seconds: 10 };
    let spec = ValidSpec::new(&monitor.spec, "shop", &policy);
    observe(
        &monitor,
        spec,
        Some(&evaluation),
        index,
        Fleet::default(),
        clock,
        &mut tidewatch_health::RecentTraffic::default(),
    )
}

#[test]
fn a_fault_is_told_with_its_hints_and_is_not_rewritten_for_them_while_it_lasts() {
    let mut index = cluster();
    let mut memory = Memory::default();
    let mut status = NetworkMonitorStatus::default();
    index.apply(policy("shop/deny", None, "Ingress", 1), at(ONSET - 12));
    let mut writes = Vec::new();
    for n in 0..100 {
        // What goes on changing is nearer and nearer to now, not to the onset.
        index.apply(slice("shop/payments", usize::from(n % 2 == 0)), at(ONSET + 40 + 10 * n));
        // Told later than it was noticed: the watch was behind.
        if n == 1 {
            index.apply(service("shop/payments", 81), at(ONSET + 2));
        }
        let next = fold(&status, &blocked(ONSET + 10 + 10 * n, &status, &index), &mut memory);
        if next != status {
            writes.push(n);
        }
        status = next;
    }
    assert_eq!(writes, [0, 1], "at the onset, and once for what came to light in the next window");
    let degradation = status.degradation.unwrap();
    let created = "NetworkPolicy shop/deny, which selects its pods, was created 12 s before";
    assert_eq!(
        messages(&degradation.components[0].hints),
        [created, "Service shop/payments got other ports as it began"]
    );
    assert!(degradation.summary.ends_with(&format!("; {created}")), "{}", degradation.summary);
}

#[test]
fn a_fault_that_a_former_process_told_keeps_its_hints_and_nothing_is_written() {
    let mut index = cluster();
    index.apply(policy("shop/deny", None, "Ingress", 1), at(ONSET - 12));
    let first = fold(
        &NetworkMonitorStatus::default(),
        &blocked(ONSET + 10, &NetworkMonitorStatus::default(), &index),
        &mut Memory::default(),
    );
    assert_eq!(first.degradation.as_ref().unwrap().components[0].hints.len(), 1);
    let empty = cluster();
    let mut memory = Memory::default();
    for n in 2..10 {
        let status = fold(&first, &blocked(ONSET + 10 * n, &first, &empty), &mut memory);
        assert_eq!(status, first, "{n}");
    }
}

#[test]
fn a_fault_of_another_cause_has_its_hints_looked_for_anew() {
    let mut index = cluster();
    index.apply(policy("shop/deny", None, "Ingress", 1), at(ONSET - 12));
    index.apply(slice("shop/payments", 0), at(ONSET - 10));
    let mut memory = Memory::default();
    let mut status = NetworkMonitorStatus::default();
    let deny = "NetworkPolicy shop/deny, which selects its pods, was created 12 s before";
    let gone = "Service shop/payments lost its last ready endpoint 10 s before";
    for (n, cause, expected) in [
        (1, Cause::Overload, &[deny][..]),
        (2, Cause::Unreachable, &[gone, deny]),
        (3, Cause::Refused, &[gone]),
        (4, Cause::Refused, &[gone]),
        (5, Cause::Latency, &[]),
    ] {
        let observed = blocked_as(cause, ONSET + 10 * n, &status, &index);
        status = fold(&status, &observed, &mut memory);
        let degradation = status.degradation.as_ref().unwrap();
        assert_eq!(messages(&degradation.components[0].hints), expected, "{cause:?}");
    }
}
