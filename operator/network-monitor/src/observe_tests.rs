use std::collections::BTreeSet;
use std::sync::Arc;

use tidewatch_evaluation::ClusterWindow;

use super::super::spec::Policy;
use super::super::testing::{at, healthy};
use super::*;

/// The view of a window of ten seconds that began at `start` and that no agent reported, shortly after its close. The
/// operator started at second 0; `last` is the start of the last window that an agent reported.
fn silent_window(start: i64, last: Option<i64>) -> View {
    let spec = serde_json::json!({"local": [{"namespace": "shop"}], "evaluation": {"window": "10s"}});
    let monitor = NetworkMonitor::new("m", serde_json::from_value(spec).unwrap());
    let policy = Policy { cluster_wide_namespaces: BTreeSet::new(), agent_window_seconds: 5 };
    let spec = ValidSpec::new(&monitor.spec, "shop", &policy);
    let window = ClusterWindow {
        start: at(start),
        seconds: 10,
        flows: vec![],
        nodes: vec![],
        accounting: BTreeMap::new(),
        expected: BTreeSet::new(),
    };
    let evaluation = Evaluation { window: Arc::new(window), verdict: healthy(at(start)) };
    let clock = Clock {
        now: at(start + 13),
        waiting_since: at(0),
        last_window: last.map(at),
        agent_window_seconds: 5,
    };
    let (index, fleet) = (Index::default(), Fleet::default());
    let mut lately = RecentTraffic::default();
    observe(&monitor, spec, Some(&evaluation), &index, fleet, clock, &mut lately).monitor.unwrap().view
}

#[test]
fn two_windows_in_a_row_without_any_report_are_no_data() {
    assert_eq!(silent_window(110, Some(100)), View::Waiting);
    assert_eq!(silent_window(120, Some(100)), View::NoData { last: Some(at(110)) });
    assert_eq!(silent_window(200, Some(100)), View::NoData { last: Some(at(110)) });
}

#[test]
fn after_a_start_agents_get_the_time_to_find_the_new_operator() {
    // The windows that the operator before this one saw don't count against the agents.
    for last in [None, Some(-20)] {
        assert_eq!(silent_window(10, last), View::Waiting, "{last:?}");
        assert_eq!(silent_window(30, last), View::Waiting, "{last:?}");
        assert!(matches!(silent_window(40, last), View::NoData { .. }), "{last:?}");
    }
}
