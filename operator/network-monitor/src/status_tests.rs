use std::collections::BTreeMap;

use tidewatch_crds::network_monitor::Category;
use tidewatch_health::{Sensitivity, Verdict};
use tidewatch_records::FlowWindow;

use super::super::reporting::Reporting;
use super::super::spec::{Item, Select, SpecReason, ValidSpec};
use super::super::testing::{at, flow, healthy, payments_blocked, zone_pair_down};
use super::super::traffic::TrafficTotals;
use super::*;

fn spec() -> ValidSpec {
    ValidSpec {
        boundary: Some("shop".to_owned()),
        local: vec![],
        remote: None,
        window_seconds: 60,
        other_window: None,
        sensitivity: Sensitivity::Standard,
        cloud_watch: None,
    }
}

pub(super) fn observed(now: i64, view: View) -> Observed {
    Observed {
        now: at(now),
        generation: Some(1),
        fleet: Fleet { desired: 6, ready: 6, ..Fleet::default() },
        unknown: None,
        monitor: Ok(Monitored { spec: spec(), unresolved: vec![], view, publishing: None }),
    }
}

pub(super) fn flows(rtt_us: u64, retransmissions: u64) -> Vec<FlowWindow> {
    (0..20)
        .map(|n| {
            flow().rtt(rtt_us).retransmissions(retransmissions).remote_ip(&format!("198.18.3.{n}")).build()
        })
        .collect()
}

pub(super) fn window_at(start: i64, verdict: Verdict, flows: &[FlowWindow]) -> Observed {
    let view = WindowView {
        start: at(start),
        verdict,
        hints: BTreeMap::new(),
        traffic: TrafficTotals::of(flows.iter(), std::iter::empty()),
        reporting: Reporting { reported: 1, expected: 1, agentless: 0 },
        nodes_reporting: 6,
        nodes_ready: 6,
        connections_seen: 1000,
        connections_reported: 1000,
    };
    observed(start + 63, View::Window(Box::new(view)))
}

pub(super) fn usual(start: i64) -> Observed {
    window_at(start, healthy(at(start)), &flows(500, 0))
}

pub(super) fn condition<'a>(status: &'a NetworkMonitorStatus, kind: &str) -> (&'a str, &'a str, &'a str) {
    let condition = status.conditions.iter().find(|c| c.type_ == kind).unwrap();
    (&condition.status, &condition.reason, &condition.message)
}

#[test]
fn the_first_window_fills_the_status() {
    let status = fold(&NetworkMonitorStatus::default(), &usual(0), &mut Memory::default());
    assert_eq!(status.network_health_indicator, Some(NetworkHealthIndicator::Healthy));
    assert_eq!(status.degradation, None);
    assert_eq!(status.traffic[0].category, Category::InterAz);
    assert_eq!(status.traffic[0].flows, 20);
    let overview = status.overview.as_ref().unwrap();
    assert_eq!(overview.coverage.as_deref(), Some("6/6"));
    assert_eq!(overview.retransmissions.as_deref(), Some("0%"));
    assert_eq!(condition(&status, "Ready").0, "True");
    assert_eq!(condition(&status, "Degraded").0, "False");
    assert_eq!(condition(&status, "WorkloadFault").0, "False");
    assert_eq!(status.observed_generation, Some(1));
}

#[test]
fn a_new_monitor_knows_nothing_until_a_window_closes() {
    let status = fold(&NetworkMonitorStatus::default(), &observed(0, View::Waiting), &mut Memory::default());
    assert_eq!(status.network_health_indicator, Some(NetworkHealthIndicator::InsufficientData));
    assert_eq!(condition(&status, "Ready").1, "WaitingForFirstWindow");
    assert_eq!(condition(&status, "Ready").0, "Unknown");
}

#[test]
fn steady_traffic_is_written_each_half_hour() {
    let mut memory = Memory::default();
    let mut status = NetworkMonitorStatus::default();
    let mut writes = 0;
    for n in 0..60 {
        // Jitter as real traffic has it: some retransmissions, RTT up to half more.
        let flows = flows(500 + (n * 37 % 250) as u64, u64::from(n % 7 == 3));
        let next = fold(&status, &window_at(n * 60, healthy(at(n * 60)), &flows), &mut memory);
        writes += u32::from(next != status);
        status = next;
    }
    assert_eq!(writes, 2);
}

#[test]
fn numbers_that_changed_for_good_are_written_after_a_while_and_once() {
    let mut memory = Memory::default();
    let mut status = NetworkMonitorStatus::default();
    let mut writes = Vec::new();
    for n in 0..60 {
        let rtt = if n < 20 { 500 } else { 5000 };
        let next = fold(&status, &window_at(n * 60, healthy(at(n * 60)), &flows(rtt, 0)), &mut memory);
        if next != status {
            writes.push(n);
        }
        status = next;
    }
    assert_eq!(writes.len(), 3, "{writes:?}");
    assert!((22..=24).contains(&writes[1]), "{writes:?}");
    assert!(status.overview.unwrap().rtt_p99.unwrap().starts_with('5'));
}

#[test]
fn without_windows_it_is_never_stale_healthy() {
    let mut memory = Memory::default();
    let before = fold(&NetworkMonitorStatus::default(), &usual(0), &mut memory);
    let gone = observed(400, View::NoData { last: Some(at(60)) });
    let status = fold(&before, &gone, &mut memory);
    assert_eq!(status.network_health_indicator, Some(NetworkHealthIndicator::InsufficientData));
    assert_eq!(status.overview.as_ref().unwrap().coverage.as_deref(), Some("0/6"));
    assert_eq!(status.coverage.unwrap().nodes_reporting, 0);
    assert!(status.traffic.is_empty());
    assert_eq!(condition(&status, "Ready").1, "NoData");
    assert_eq!(condition(&status, "Degraded").0, "Unknown");
    assert_eq!(fold(&status, &gone, &mut memory), status);
    // And back at once.
    let back = fold(&status, &usual(420), &mut memory);
    assert_eq!(back.network_health_indicator, Some(NetworkHealthIndicator::Healthy));
    assert_eq!(back.coverage.unwrap().nodes_reporting, 6);
}

#[test]
fn a_node_that_misses_one_window_is_not_news_and_two_are() {
    let mut memory = Memory::default();
    let mut status = fold(&NetworkMonitorStatus::default(), &usual(0), &mut memory);
    let with_nodes = |start: i64, reporting: u64| {
        let mut observed = usual(start);
        if let Ok(Monitored { view: View::Window(view), .. }) = &mut observed.monitor {
            view.nodes_reporting = reporting;
        }
        observed
    };
    let mut shown = Vec::new();
    for (n, reporting) in (0_i64..).zip([6, 5, 6, 5, 5, 5, 6, 6]) {
        status = fold(&status, &with_nodes(60 * (n + 1), reporting), &mut memory);
        shown.push(status.coverage.unwrap().nodes_reporting);
    }
    assert_eq!(shown, [6, 6, 6, 6, 5, 5, 6, 6]);
}

#[test]
fn lost_connections_are_shown_for_ten_minutes() {
    let mut memory = Memory::default();
    let mut status = fold(&NetworkMonitorStatus::default(), &usual(0), &mut memory);
    let mut shown = Vec::new();
    for n in 1..=14 {
        let mut observed = usual(n * 60);
        if let Ok(Monitored { view: View::Window(view), .. }) = &mut observed.monitor
            && n == 2
        {
            view.connections_reported = 500;
        }
        status = fold(&status, &observed, &mut memory);
        shown.push(status.overview.as_ref().unwrap().coverage.clone().unwrap() != "6/6");
    }
    assert!(!shown[0] && shown[1] && shown[9] && !shown[13], "{shown:?}");
}

#[test]
fn a_wrong_spec_is_unready_and_says_all_that_is_wrong() {
    let error = |path: &str| SpecError {
        path: path.to_owned(),
        reason: SpecReason::NamespaceNotAllowed,
        message: "write something else".to_owned(),
    };
    let observed = Observed {
        now: at(0),
        generation: Some(2),
        fleet: Fleet::default(),
        unknown: None,
        monitor: Err(vec![error("spec.local[0]"), error("spec.local[1]")]),
    };
    let before = fold(&NetworkMonitorStatus::default(), &usual(0), &mut Memory::default());
    let status = fold(&before, &observed, &mut Memory::default());
    assert_eq!(
        condition(&status, "Ready"),
        (
            "False",
            "NamespaceNotAllowed",
            "spec.local[0]: write something else; spec.local[1]: write something else"
        )
    );
    assert_eq!(status.network_health_indicator, Some(NetworkHealthIndicator::InsufficientData));
    assert_eq!(status.observed_generation, Some(2));
}

fn with_unknown_zone(local_items: usize) -> Observed {
    let item = |n: usize| Item { path: format!("spec.local[{n}]"), select: Select::Zone("z".to_owned()) };
    let mut observed = usual(0);
    if let Ok(monitored) = &mut observed.monitor {
        monitored.spec.local = (0..local_items).map(item).collect();
        monitored.unresolved = vec![Unresolved {
            path: "spec.local[0].zone".to_owned(),
            reason: UnresolvedReason::UnknownZone,
            message: "no node is in zone zone-9; known zones: zone-1".to_owned(),
        }];
    }
    observed
}

const UNKNOWN_ZONE: &str = "spec.local[0].zone: no node is in zone zone-9; known zones: zone-1";

#[test]
fn an_endpoint_that_nothing_answers_to_has_its_condition_and_leaves_the_rest_watched() {
    let status = fold(&NetworkMonitorStatus::default(), &with_unknown_zone(2), &mut Memory::default());
    assert_eq!(condition(&status, "EndpointsResolved"), ("False", "UnknownZone", UNKNOWN_ZONE));
    assert_eq!(condition(&status, "Ready").0, "True");
}

#[test]
fn a_monitor_none_of_whose_local_endpoints_exists_is_not_ready_yet() {
    let status = fold(&NetworkMonitorStatus::default(), &with_unknown_zone(1), &mut Memory::default());
    assert_eq!(condition(&status, "Ready"), ("Unknown", "EndpointsNotFound", UNKNOWN_ZONE));
}

#[test]
fn a_monitor_of_a_workload_that_is_scaled_to_zero_is_ready_and_says_nothing_of_its_health() {
    let mut memory = Memory::default();
    let scaled_to_zero = |start: i64| {
        let mut observed = window_at(start, healthy(at(start)), &[]);
        let Ok(monitored) = &mut observed.monitor else { panic!() };
        monitored.spec.local = with_unknown_zone(1).monitor.unwrap().spec.local;
        monitored.unresolved = vec![Unresolved {
            path: "spec.local[0].pods.selector".to_owned(),
            reason: UnresolvedReason::NoPods,
            message: "no pod of namespace shop has the labels app=checkout".to_owned(),
        }];
        observed
    };
    let mut status = NetworkMonitorStatus::default();
    for start in [0, 60, 120] {
        status = fold(&status, &scaled_to_zero(start), &mut memory);
    }
    let (truth, reason, message) = condition(&status, "Ready");
    assert_eq!((truth, reason), ("True", "NothingToWatch"));
    assert!(message.contains("no pod of namespace shop"), "{message}");
    assert_eq!(condition(&status, "EndpointsResolved").0, "False");
    assert_eq!(status.network_health_indicator, Some(NetworkHealthIndicator::InsufficientData));
    assert!(condition(&status, "Degraded").2.contains("no pod of namespace shop"));
    // Without agents nothing would be watched either way.
    let mut no_agents = scaled_to_zero(180);
    no_agents.fleet.problem = Some("ConfigMap is missing".to_owned());
    assert_eq!(condition(&fold(&status, &no_agents, &mut memory), "Ready").1, "AgentsNotDeployed");
}

#[test]
fn agents_that_are_not_there_are_the_reason_for_no_data() {
    let mut waiting = observed(0, View::Waiting);
    waiting.fleet = Fleet { desired: 6, ..Fleet::default() };
    let status = fold(&NetworkMonitorStatus::default(), &waiting, &mut Memory::default());
    assert_eq!(condition(&status, "Ready").1, "AgentsNotReady");
    waiting.fleet.problem = Some("ConfigMap is missing".to_owned());
    let status = fold(&status, &waiting, &mut Memory::default());
    assert_eq!(condition(&status, "Ready"), ("Unknown", "AgentsNotDeployed", "ConfigMap is missing"));
}

#[test]
fn where_no_node_can_run_an_agent_a_monitor_waits_for_none() {
    for view in [View::Waiting, View::NoData { last: None }] {
        let mut nowhere = observed(0, view);
        nowhere.fleet = Fleet { nowhere: true, ..Fleet::default() };
        let status = fold(&NetworkMonitorStatus::default(), &nowhere, &mut Memory::default());
        let (truth, reason, message) = condition(&status, "Ready");
        assert_eq!((truth, reason), ("True", "NothingToWatch"), "{message}");
        assert!(message.starts_with("no node can run an agent"), "{message}");
        for kind in ["Degraded", "WorkloadFault"] {
            assert_eq!(condition(&status, kind).0, "Unknown", "{kind}");
            assert_eq!(condition(&status, kind).1, "InsufficientData", "{kind}");
        }
        assert_eq!(status.network_health_indicator, Some(NetworkHealthIndicator::InsufficientData));
        nowhere.fleet.problem = Some("ConfigMap is missing".to_owned());
        let status = fold(&status, &nowhere, &mut Memory::default());
        assert_eq!(condition(&status, "Ready").1, "AgentsNotDeployed");
    }
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let mut memory = Memory::default();
    let time = |status: &NetworkMonitorStatus| {
        status.conditions.iter().find(|c| c.type_ == "Degraded").unwrap().last_transition_time.0
    };
    let first = fold(&NetworkMonitorStatus::default(), &usual(0), &mut memory);
    let workload = fold(&first, &window_at(60, payments_blocked(at(60)), &flows(500, 0)), &mut memory);
    assert_eq!(time(&first), time(&workload));
    let degraded = fold(&workload, &window_at(120, zone_pair_down(at(120)), &flows(500, 2)), &mut memory);
    assert_eq!(time(&degraded), at(183));
}

/// The NHI column after each window of 15 s.
fn indicators(verdicts: &[Verdict]) -> Vec<NetworkHealthIndicator> {
    let (mut memory, mut status) = (Memory::default(), NetworkMonitorStatus::default());
    let mut shown = Vec::new();
    for (n, verdict) in (0_i64..).zip(verdicts) {
        status = fold(&status, &window_at(n * 15, verdict.clone(), &flows(500, 0)), &mut memory);
        shown.push(status.network_health_indicator.unwrap());
    }
    shown
}

fn insufficient() -> Verdict {
    Verdict { nhi: HealthIndicator::InsufficientData, ..healthy(at(0)) }
}

#[test]
fn a_pause_of_the_traffic_does_not_unsettle_the_indicator() {
    use NetworkHealthIndicator::{Healthy, InsufficientData};
    let flips: Vec<Verdict> =
        (0..40).map(|n| if n % 3 == 0 { healthy(at(0)) } else { insufficient() }).collect();
    assert!(indicators(&flips).iter().all(|shown| *shown == Healthy));
    let mut ends = vec![healthy(at(0))];
    ends.extend(vec![insufficient(); 12]);
    let shown = indicators(&ends);
    assert_eq!(shown.iter().position(|shown| *shown == InsufficientData), Some(3), "{shown:?}");
    assert_eq!(indicators(&[insufficient()]), [InsufficientData], "at first nothing is known");
}

#[test]
fn recovery_is_told_only_where_there_is_enough_to_tell() {
    use NetworkHealthIndicator::{Degraded, Healthy, InsufficientData};
    let down = || zone_pair_down(at(0));
    assert_eq!(indicators(&[healthy(at(0)), down(), insufficient()]), [Healthy, Degraded, InsufficientData]);
    assert_eq!(indicators(&[healthy(at(0)), down(), healthy(at(0))]), [Healthy, Degraded, Healthy]);
}

#[test]
fn with_fewer_than_half_of_the_nodes_it_is_not_healthy() {
    let mut memory = Memory::default();
    let mut observed = usual(0);
    if let Ok(Monitored { view: View::Window(view), .. }) = &mut observed.monitor {
        view.reporting = Reporting { reported: 2, expected: 6, agentless: 0 };
    }
    let status = fold(&NetworkMonitorStatus::default(), &observed, &mut memory);
    let why = "only 2 of the 6 nodes that run its endpoints reported";
    assert_eq!(condition(&status, "Degraded"), ("Unknown", "InsufficientData", why));
}

#[test]
fn nodes_that_are_short_of_cpu_are_named_beside_a_healthy_network() {
    let mut short = healthy(at(0));
    short.shortages = vec![tidewatch_health::NodeShortage {
        node: "zone-1-a".to_owned(),
        resource: tidewatch_health::Resource::Cpu,
        pressure_ratio: 0.63,
        steal_ratio: Some(0.12),
    }];
    let (mut memory, mut status) = (Memory::default(), NetworkMonitorStatus::default());
    let mut writes = 0;
    for n in 0..20 {
        short.shortages[0].pressure_ratio = 0.4 + 0.02 * n as f64;
        let next = fold(&status, &window_at(n * 15, short.clone(), &flows(500, 0)), &mut memory);
        writes += u32::from(next != status);
        status = next;
    }
    assert_eq!(writes, 2, "the first window, and the shortage once it lasts");
    let shown = &status.node_shortages[0];
    assert_eq!((shown.node.as_str(), shown.steal.as_deref()), ("zone-1-a", Some("10%")));
    assert_eq!(
        condition(&status, "Degraded"),
        (
            "False",
            "Healthy",
            "no infrastructure component is at fault; short of CPU: zone-1-a: round trips there are the nodes' own"
        )
    );
}

#[test]
fn a_monitor_with_another_window_than_it_asks_for_says_so() {
    let mut observed = usual(0);
    if let Ok(monitored) = &mut observed.monitor {
        monitored.spec.other_window = Some("in windows of 30s, since 20s isn't a multiple".to_owned());
    }
    let status = fold(&NetworkMonitorStatus::default(), &observed, &mut Memory::default());
    let (truth, reason, message) = condition(&status, "Ready");
    assert_eq!((truth, reason), ("True", "WindowRounded"));
    assert!(message.starts_with("the selected traffic is being watched in windows of 30s"), "{message}");
}

#[test]
fn a_monitor_whose_cluster_isnt_known_says_so_and_never_that_all_is_well() {
    let mut memory = Memory::default();
    let seen = window_at(0, healthy(at(0)), &flows(100, 0));
    let well = fold(&NetworkMonitorStatus::default(), &seen, &mut memory);
    assert_eq!(well.network_health_indicator, Some(NetworkHealthIndicator::Healthy));
    let why = "the operator isn't allowed to list and watch nodes";
    let unknown = |start| Observed {
        unknown: Some(why.to_owned()),
        ..window_at(start, healthy(at(start)), &flows(100, 0))
    };
    let status = fold(&well, &unknown(60), &mut memory);
    assert_eq!(status.network_health_indicator, Some(NetworkHealthIndicator::InsufficientData));
    for condition in &status.conditions {
        let says = (condition.status.as_str(), condition.reason.as_str(), condition.message.as_str());
        assert_eq!(says, ("Unknown", "WatchFailing", why), "{}", condition.type_);
    }
    assert_eq!(fold(&status, &unknown(120), &mut memory), status, "it isn't written again and again");
    let back = fold(&status, &window_at(180, healthy(at(180)), &flows(100, 0)), &mut memory);
    assert_eq!(back.network_health_indicator, Some(NetworkHealthIndicator::Healthy));
}
