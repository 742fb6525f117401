use tidewatch_agent_fleet::Fleet;
use tidewatch_health::{HealthIndicator, Sensitivity, Verdict};

use super::super::numbers::Memory;
use super::super::observe::{Monitored, Observed, View, WindowView};
use super::super::reporting::Reporting;
use super::super::spec::{SpecError, SpecReason, ValidSpec};
use super::super::status::fold;
use super::super::testing::{at, flow, healthy, payments_blocked, zone_pair_down};
use super::super::traffic::TrafficTotals;
use super::*;

fn observed(start: i64, verdict: Option<Verdict>) -> Observed {
    let view = verdict.map_or(View::NoData { last: None }, |verdict| {
        View::Window(Box::new(WindowView {
            start: at(start),
            verdict,
            hints: std::collections::BTreeMap::new(),
            traffic: TrafficTotals::of([flow().build()].iter(), std::iter::empty()),
            reporting: Reporting { reported: 1, expected: 1, agentless: 0 },
            nodes_reporting: 1,
            nodes_ready: 1,
            connections_seen: 1,
            connections_reported: 1,
        }))
    });
    let spec = ValidSpec {
        boundary: None,
        local: vec![],
        remote: None,
        window_seconds: 60,
        other_window: None,
        sensitivity: Sensitivity::Standard,
        cloud_watch: None,
    };
    Observed {
        now: at(start + 60),
        generation: Some(1),
        fleet: Fleet { desired: 1, ready: 1, ..Fleet::default() },
        unknown: None,
        monitor: Ok(Monitored { spec, unresolved: vec![], view, publishing: None }),
    }
}

/// The events of a history of verdicts (none: no data).
fn told(history: Vec<Option<Verdict>>) -> Vec<&'static str> {
    let mut memory = Memory::default();
    let mut status = NetworkMonitorStatus::default();
    let mut told = Vec::new();
    for (n, verdict) in (0_i64..).zip(history) {
        let next = fold(&status, &observed(n * 60, verdict), &mut memory);
        for action in plan(&status, next.clone()) {
            if let Action::Tell(transition) = action {
                assert!(!transition.note.is_empty());
                told.push(transition.reason.as_str());
            }
        }
        status = next;
    }
    told
}

#[test]
fn nothing_is_done_where_nothing_changed() {
    let mut memory = Memory::default();
    let status = fold(&NetworkMonitorStatus::default(), &observed(0, Some(healthy(at(0)))), &mut memory);
    assert_eq!(plan(&status, status.clone()), []);
}

#[test]
fn the_status_is_written_before_it_is_told() {
    let mut memory = Memory::default();
    let next = fold(&NetworkMonitorStatus::default(), &observed(0, Some(zone_pair_down(at(0)))), &mut memory);
    let actions = plan(&NetworkMonitorStatus::default(), next);
    assert!(matches!(actions.as_slice(), [Action::WriteStatus(_), Action::Tell(_)]), "{actions:?}");
}

#[test]
fn each_transition_is_told_once() {
    let (well, down, blocked) = (healthy(at(0)), zone_pair_down(at(0)), payments_blocked(at(0)));
    let some = |verdict: &Verdict| Some(verdict.clone());
    for (history, events) in [
        (vec![some(&well), some(&well)], vec![]),
        (
            vec![some(&well), some(&down), some(&down), some(&well)],
            vec!["NetworkDegraded", "NetworkRecovered"],
        ),
        (vec![some(&well), some(&blocked), some(&well)], vec!["WorkloadFault", "WorkloadRecovered"]),
        (vec![some(&down), some(&blocked)], vec!["NetworkDegraded", "AttributionChanged"]),
        (vec![some(&well), None, None, some(&well)], vec!["InsufficientData"]),
        (vec![None, some(&well)], vec![]),
    ] {
        assert_eq!(told(history), events);
    }
}

#[test]
fn a_verdict_that_wobbles_is_told_three_times() {
    let (well, down) = (healthy(at(0)), zone_pair_down(at(0)));
    let mut insufficient = healthy(at(0));
    insufficient.nhi = HealthIndicator::InsufficientData;
    let wobble = |a: &Verdict, b: &Verdict| {
        (0..60).map(|n| Some(if n % 2 == 0 { a.clone() } else { b.clone() })).collect::<Vec<_>>()
    };
    assert_eq!(told(wobble(&well, &down)), ["NetworkDegraded", "NetworkRecovered", "NetworkDegraded"]);
    assert_eq!(told(wobble(&well, &insufficient)), Vec::<&str>::new());
}

#[test]
fn a_window_that_is_rounded_is_told_once() {
    let mut rounded = observed(0, Some(healthy(at(0))));
    if let Ok(monitored) = &mut rounded.monitor {
        monitored.spec.other_window = Some("in windows of 30s".to_owned());
    }
    let mut memory = Memory::default();
    let first = fold(&NetworkMonitorStatus::default(), &rounded, &mut memory);
    let actions = plan(&NetworkMonitorStatus::default(), first.clone());
    assert!(
        matches!(actions.as_slice(), [_, Action::Tell(t)] if t.reason == Reason::WindowRounded),
        "{actions:?}"
    );
    assert_eq!(plan(&first, fold(&first, &rounded, &mut memory)), []);
}

#[test]
fn a_wrong_spec_is_told_once() {
    let mut wrong = observed(0, None);
    wrong.monitor = Err(vec![SpecError {
        path: "spec.local[0]".to_owned(),
        reason: SpecReason::InvalidSpec,
        message: "write a label".to_owned(),
    }]);
    let mut memory = Memory::default();
    let first = fold(&NetworkMonitorStatus::default(), &wrong, &mut memory);
    let actions = plan(&NetworkMonitorStatus::default(), first.clone());
    assert!(
        matches!(actions.last(), Some(Action::Tell(t)) if t.reason == Reason::InvalidSpec && t.note == "spec.local[0]: write a label"),
        "{actions:?}"
    );
    assert_eq!(plan(&first, fold(&first, &wrong, &mut memory)), []);
}
