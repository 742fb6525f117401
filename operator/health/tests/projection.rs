//! What a monitor makes of the cluster's verdict.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic fails the test, as it should")]

mod lab;

use lab::{Harm, Hop, Lab, Watch, named, nothing};
use tidewatch_health::{
    Attribution, Cause, Config, HealthIndicator, RecentTraffic, Showing, Verdict, Window, project,
};
use tidewatch_records::{FlowWindow, NodeFigures, NodeWindow, Role};

/// The cluster's verdict after three windows of a fault, and the records of the last.
fn cluster(lab: Lab, fault: impl Fn(&Hop) -> Harm) -> (Verdict, Vec<FlowWindow>) {
    let mut watch = Watch::learned(lab, 4);
    watch.windows(2, &fault);
    let (start, seconds) = (watch.lab.start(), watch.lab.seconds);
    let flows = watch.lab.records(&fault);
    (watch.engine.evaluate(&Window { start, seconds, flows: &flows, nodes: &[] }), flows)
}

fn monitor(cluster: &Verdict, flows: &[FlowWindow], selects: impl Fn(&FlowWindow) -> bool) -> Verdict {
    project(
        cluster,
        Config::default(),
        &mut RecentTraffic::default(),
        flows.iter().filter(|flow| selects(flow)),
    )
}

fn zones(flow: &FlowWindow) -> (&str, &str) {
    (flow.local.zone.as_deref().unwrap_or(""), flow.remote.zone.as_deref().unwrap_or(""))
}

fn pair_loss(hop: &Hop) -> Harm {
    if hop.between("zone-1", "zone-2") { Harm { loss: 0.03, ..Harm::default() } } else { Harm::default() }
}

#[test]
fn a_monitor_whose_flows_cross_the_path_at_fault_is_degraded_however_few_they_are() {
    let (verdict, flows) = cluster(Lab::default(), pair_loss);
    let one = flows.iter().position(|flow| zones(flow) == ("zone-1", "zone-2")).unwrap();
    let mine =
        project(&verdict, Config::default(), &mut RecentTraffic::default(), std::iter::once(&flows[one]));
    assert_eq!(mine.nhi, HealthIndicator::Degraded);
    assert_eq!(named(&mine), ["zone-pair/zone-1~zone-2"]);
    assert_eq!(mine.components[0].evidence.flows, 1, "the evidence is of its own flows");
    assert_eq!(mine.components[0].since, verdict.components[0].since);
    assert_eq!(mine.coverage.flows, 1);
}

#[test]
fn a_monitor_none_of_whose_flows_cross_the_path_at_fault_is_healthy() {
    let (verdict, flows) = cluster(Lab::default(), pair_loss);
    let mine = monitor(&verdict, &flows, |flow| matches!(zones(flow), ("zone-3", _) | (_, "zone-3")));
    assert_eq!((mine.nhi, mine.attribution), (HealthIndicator::Healthy, Attribution::None));
    assert!(mine.components.is_empty());
}

#[test]
fn a_blocked_service_concerns_those_that_call_it_and_leaves_the_network_healthy() {
    let (verdict, flows) = cluster(Lab::default(), |hop| {
        let unanswered = if hop.calls("shop/payments") && hop.to_service { 1.0 } else { 0.0 };
        Harm { unanswered, ..Harm::default() }
    });
    let pair = |flow: &FlowWindow, a: &str, b: &str| {
        flow.local.service.as_deref() == Some(a) && flow.remote.service.as_deref() == Some(b)
    };
    let caller = monitor(&verdict, &flows, |flow| pair(flow, "shop/cart", "shop/payments"));
    assert_eq!((caller.nhi, caller.attribution), (HealthIndicator::Healthy, Attribution::Workload));
    assert_eq!(named(&caller), ["service/shop/payments"]);
    let other = monitor(&verdict, &flows, |flow| pair(flow, "shop/web", "shop/catalog"));
    assert_eq!((other.nhi, other.attribution), (HealthIndicator::Healthy, Attribution::None));
    // Payments itself is served well by the ledger: what it calls isn't what calls it.
    let below = monitor(&verdict, &flows, |flow| pair(flow, "shop/payments", "shop/ledger"));
    assert_eq!(below.attribution, Attribution::None);
}

#[test]
fn a_monitor_with_too_few_trials_or_none_has_insufficient_data() {
    let (verdict, flows) = cluster(Lab { segments: 100, ..Lab::default() }, nothing);
    assert_eq!(verdict.nhi, HealthIndicator::Healthy);
    let few = project(&verdict, Config::default(), &mut RecentTraffic::default(), flows.iter().take(1));
    assert_eq!(few.nhi, HealthIndicator::InsufficientData);
    let none = project(&verdict, Config::default(), &mut RecentTraffic::default(), std::iter::empty());
    assert_eq!(none.nhi, HealthIndicator::InsufficientData);
    assert_eq!(none.coverage.records, 0);
}

#[test]
fn what_ails_the_internet_is_no_concern_of_who_calls_an_aws_service() {
    let mut lab = Lab::default();
    lab.calls.extend([
        ("web", "internet/bank"),
        ("cart", "internet/bank"),
        ("web", "internet/partner"),
        ("cart", "internet/partner"),
    ]);
    let (verdict, flows) = cluster(lab, |hop| {
        let delay_us = if hop.service.starts_with("internet/") { 20_000 } else { 0 };
        Harm { delay_us, ..Harm::default() }
    });
    assert_eq!(named(&verdict), ["internet/0.0.0.0/0"], "{verdict:#?}");
    let caller = monitor(&verdict, &flows, |flow| flow.remote.service.as_deref() == Some("aws/dynamodb"));
    assert_eq!(caller.attribution, Attribution::None, "{caller:#?}");
}

#[test]
fn a_monitor_s_latency_is_told_of_its_own_flows_in_milliseconds() {
    let (verdict, flows) = cluster(Lab::default(), |hop| {
        let delay_us = if hop.between("zone-1", "zone-2") { 10_000 } else { 0 };
        Harm { delay_us, ..Harm::default() }
    });
    let crossing = |flow: &FlowWindow| matches!(zones(flow), ("zone-1", "zone-2") | ("zone-2", "zone-1"));
    let mine = monitor(&verdict, &flows, |flow| {
        crossing(flow) && flow.local.service.as_deref() == Some("shop/cart")
    });
    let fault = &mine.components[0];
    assert_eq!((fault.cause, fault.showing), (Cause::Latency, Showing::Now), "{mine:#?}");
    let evidence = &fault.evidence;
    assert_eq!(evidence.flows_affected, evidence.flows, "all of them take longer");
    let (now, usual) = (evidence.rtt_min_us.unwrap(), evidence.baseline_rtt_min_us.unwrap());
    assert!((18_000..30_000).contains(&now) && usual < 2_000, "{evidence:?}");
    assert!(evidence.rtt_p50_us > evidence.baseline_rtt_p50_us);
}

#[test]
fn requests_sent_again_are_no_lost_data_of_a_monitor_s_flows() {
    let (verdict, mut flows) = cluster(Lab { opens: 5.0, ..Lab::default() }, |hop| {
        let unanswered = if hop.calls("shop/payments") && hop.to_service { 0.5 } else { 0.0 };
        Harm { unanswered, spares_open: true, ..Harm::default() }
    });
    assert_eq!(verdict.components[0].cause, Cause::Overload, "{verdict:#?}");
    for flow in flows.iter_mut().filter(|flow| flow.role == Role::Client) {
        // Each connection carries little: requests that are sent again outnumber the data.
        flow.data_segments_out = flow.connections.established;
        flow.retransmissions = 4 * flow.connections.timed_out;
        flow.timeouts = flow.retransmissions;
    }
    let mine = monitor(&verdict, &flows, |flow| {
        flow.role == Role::Client && flow.remote.service.as_deref() == Some("shop/payments")
    });
    let evidence = &mine.components[0].evidence;
    assert!(evidence.attempts_failed > 0 && mine.components[0].showing == Showing::Now, "{mine:#?}");
    assert!(evidence.retransmission_ratio < 0.01, "{}", mine.reason);
}

#[test]
fn a_verdict_on_too_few_reports_does_not_call_the_network_fine() {
    let (verdict, flows) = cluster(Lab::default(), |hop| {
        let unanswered = if hop.calls("shop/payments") && hop.to_service { 1.0 } else { 0.0 };
        Harm { unanswered, ..Harm::default() }
    });
    let mut mine = monitor(&verdict, &flows, |flow| flow.remote.service.as_deref() == Some("shop/payments"));
    assert!(mine.reason.starts_with("the network is fine, but "), "{}", mine.reason);
    mine.withdraw_all_clear();
    assert_eq!(mine.nhi, HealthIndicator::InsufficientData);
    assert!(
        mine.reason
            .starts_with("too few nodes reported to tell how the network is, but service shop/payments"),
        "{}",
        mine.reason
    );
}

#[test]
fn flows_that_do_not_show_the_fault_are_told_what_others_show() {
    let (verdict, mut flows) = cluster(Lab::default(), pair_loss);
    for flow in &mut flows {
        (flow.retransmissions, flow.connections.timed_out) = (0, 0);
    }
    let mine = monitor(&verdict, &flows, |flow| zones(flow) == ("zone-1", "zone-2"));
    assert!(mine.coverage.flows > 0);
    assert_eq!(mine.nhi, HealthIndicator::Degraded, "{mine:#?}");
    let fault = &mine.components[0];
    assert_eq!(fault.showing, Showing::Elsewhere);
    assert_eq!(fault.evidence, verdict.components[0].evidence);
    assert!(fault.evidence.retransmission_ratio > fault.evidence.baseline_ratio);
    assert!(
        mine.reason.ends_with("(in the whole cluster; the flows watched here don't show it now)"),
        "{}",
        mine.reason
    );
}

#[test]
fn a_fault_that_is_being_cleared_keeps_its_worst_figures_and_says_so() {
    let mut watch = Watch::learned(Lab::default(), 4);
    watch.windows(4, &pair_loss);
    let (start, seconds) = (watch.lab.start(), watch.lab.seconds);
    let flows = watch.lab.records(&nothing);
    let verdict = watch.engine.evaluate(&Window { start, seconds, flows: &flows, nodes: &[] });
    for verdict in [&verdict, &monitor(&verdict, &flows, |flow| zones(flow) == ("zone-1", "zone-2"))] {
        let fault = &verdict.components[0];
        assert_eq!(fault.showing, Showing::Passing, "{verdict:#?}");
        assert!(fault.evidence.retransmission_ratio > 0.01, "{verdict:#?}");
        assert!(verdict.reason.ends_with("(passing: it no longer shows)"), "{}", verdict.reason);
    }
}

#[test]
fn what_the_other_end_sends_to_a_monitor_s_pods_is_its_traffic() {
    let (verdict, mut flows) = cluster(Lab { segments: 200, ..Lab::default() }, nothing);
    let is_mine = |end: &tidewatch_records::Endpoint| end.service.as_deref() == Some("shop/web");
    for flow in flows.iter_mut().filter(|flow| is_mine(&flow.local)) {
        // It downloads: nearly all segments come towards it.
        flow.data_segments_out = 1;
        flow.retransmissions = 0;
        flow.connections.established = 0;
        flow.connections.timed_out = 0;
    }
    let alone = monitor(&verdict, &flows, |flow| is_mine(&flow.local));
    assert_eq!(alone.nhi, HealthIndicator::InsufficientData);
    let both = monitor(&verdict, &flows, |flow| is_mine(&flow.local) || is_mine(&flow.remote));
    assert_eq!(both.nhi, HealthIndicator::Healthy, "{both:#?}");
    assert_eq!(both.coverage.flows, alone.coverage.flows, "each flow counts once");
    assert!(both.traffic.segments > both.traffic.needed, "{:?}", both.traffic);
    assert!(flows.iter().any(|flow| flow.role == Role::Server && is_mine(&flow.remote)));
}

#[test]
fn a_monitor_hears_of_shortages_at_the_nodes_that_its_flows_touch() {
    let mut watch = Watch::learned(Lab::default(), 4);
    let (start, seconds) = (watch.lab.start(), watch.lab.seconds);
    let busy = NodeFigures { cpu_pressure_ratio: Some(0.9), ..NodeFigures::default() };
    let nodes: Vec<NodeWindow> = watch
        .lab
        .node_names()
        .map(|reporter| NodeWindow { window_start: start, window_seconds: seconds, reporter, node: busy })
        .collect();
    let flows = watch.lab.records(&nothing);
    let verdict = watch.engine.evaluate(&Window { start, seconds, flows: &flows, nodes: &nodes });
    assert_eq!(verdict.shortages.len(), 6);
    let within = |flow: &FlowWindow| zones(flow) == ("zone-1", "zone-1");
    let mine = monitor(&verdict, &flows, within);
    let short: Vec<&str> = mine.shortages.iter().map(|shortage| shortage.node.as_str()).collect();
    assert_eq!(short, ["zone-1-a", "zone-1-b"]);
    assert!(mine.reason.contains("all 2 nodes are short of CPU"), "{}", mine.reason);
}
