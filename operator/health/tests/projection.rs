//! What a monitor makes of the cluster's verdict.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic fails the test, as it should")]

mod lab;

use lab::{Harm, Hop, Lab, Watch, named, nothing};
use tidewatch_health::{Attribution, Config, HealthIndicator, Lately, Verdict, Window, project};
use tidewatch_records::FlowWindow;

/// The cluster's verdict after three windows of a fault, and the records of the last.
fn cluster(lab: Lab, fault: impl Fn(&Hop) -> Harm) -> (Verdict, Vec<FlowWindow>) {
    let mut watch = Watch::learned(lab, 4);
    watch.windows(2, &fault);
    let (start, seconds) = (watch.lab.start(), watch.lab.seconds);
    let flows = watch.lab.records(&fault);
    (watch.engine.evaluate(&Window { start, seconds, flows: &flows, nodes: &[] }), flows)
}

fn monitor(cluster: &Verdict, flows: &[FlowWindow], selects: impl Fn(&FlowWindow) -> bool) -> Verdict {
    project(cluster, Config::default(), &mut Lately::default(), flows.iter().filter(|flow| selects(flow)))
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
    let mine = project(&verdict, Config::default(), &mut Lately::default(), std::iter::once(&flows[one]));
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
    let few = project(&verdict, Config::default(), &mut Lately::default(), flows.iter().take(1));
    assert_eq!(few.nhi, HealthIndicator::InsufficientData);
    let none = project(&verdict, Config::default(), &mut Lately::default(), std::iter::empty());
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
