use tidewatch_crds::network_monitor::AttributedTo;
use tidewatch_health::{Cause, ComponentId, Verdict};

use super::super::testing::{at, fault, healthy, payments_blocked, zone_pair_down};
use super::tests::{condition, flows, observed, usual, window_at};
use super::*;

#[test]
fn a_degradation_is_written_at_once_with_the_latest_numbers_and_its_evidence() {
    let mut memory = Memory::default();
    let before = fold(&NetworkMonitorStatus::default(), &usual(0), &mut memory);
    let status = fold(&before, &window_at(60, zone_pair_down(at(60)), &flows(900, 2)), &mut memory);
    assert_eq!(status.network_health_indicator, Some(NetworkHealthIndicator::Degraded));
    let degradation = status.degradation.as_ref().unwrap();
    assert_eq!(degradation.attribution, AttributedTo::Infrastructure);
    assert_eq!(degradation.since, at(60));
    let component = &degradation.components[0];
    assert_eq!(component.name, "zone-1~zone-2");
    assert!((component.retransmission_ratio.unwrap() - 0.021).abs() < 1e-9);
    assert_eq!(status.overview.as_ref().unwrap().component.as_deref(), Some("zone-1~zone-2"));
    assert_eq!(status.overview.as_ref().unwrap().retransmissions.as_deref(), Some("2%"));
    assert_eq!(status.numbers_as_of, Some(at(60)));
    assert_eq!(
        condition(&status, "Degraded"),
        ("True", "InfrastructureFault", "packet loss at zone-pair/zone-1~zone-2")
    );
    assert_eq!(condition(&status, "Ready").0, "True", "a degraded network doesn't make the monitor unready");
}

#[test]
fn a_workload_fault_leaves_the_network_healthy() {
    let mut memory = Memory::default();
    let before = fold(&NetworkMonitorStatus::default(), &usual(0), &mut memory);
    let status = fold(&before, &window_at(60, payments_blocked(at(60)), &flows(500, 0)), &mut memory);
    assert_eq!(status.network_health_indicator, Some(NetworkHealthIndicator::Healthy));
    assert_eq!(status.degradation.as_ref().unwrap().attribution, AttributedTo::Workload);
    assert_eq!(condition(&status, "Degraded").0, "False");
    assert_eq!(condition(&status, "WorkloadFault").0, "True");
}

#[test]
fn an_ongoing_degradation_keeps_its_beginning_across_a_restart_of_the_operator() {
    let mut memory = Memory::default();
    let before = fold(
        &NetworkMonitorStatus::default(),
        &window_at(0, zone_pair_down(at(0)), &flows(500, 2)),
        &mut memory,
    );
    let mut restarted = Memory::default();
    let waiting = fold(&before, &observed(600, View::Waiting), &mut restarted);
    assert_eq!(waiting, before);
    // The new process saw it begin only now.
    let after = fold(&waiting, &window_at(600, zone_pair_down(at(600)), &flows(500, 2)), &mut restarted);
    assert_eq!(after.degradation.unwrap().since, at(0));
}

#[test]
fn numbers_of_a_degradation_that_jitter_are_not_written_each_window() {
    let mut memory = Memory::default();
    let mut status = fold(&NetworkMonitorStatus::default(), &usual(0), &mut memory);
    let mut writes = 0;
    for n in 1..20 {
        let mut verdict = zone_pair_down(at(60));
        verdict.components[0].confidence = 0.9 + 0.005 * n as f64;
        verdict.reason = format!("packet loss: {n}");
        let next = fold(&status, &window_at(n * 60, verdict, &flows(500, 2)), &mut memory);
        writes += u32::from(next != status);
        status = next;
    }
    assert_eq!(writes, 1);
}

#[test]
fn a_fault_that_comes_and_goes_is_one_fault() {
    let (mut memory, mut status) = (Memory::default(), NetworkMonitorStatus::default());
    let mut changes = 0;
    for n in 0..120_i64 {
        let verdict = if n % 4 < 2 { zone_pair_down(at(0)) } else { healthy(at(0)) };
        let next = fold(&status, &window_at(n * 15, verdict, &flows(500, 0)), &mut memory);
        changes += u32::from(next.network_health_indicator != status.network_health_indicator);
        status = next;
    }
    assert_eq!(changes, 3, "down, up, and down for good");
    let degradation = status.degradation.unwrap();
    assert!(degradation.summary.ends_with("; it comes and goes"), "{}", degradation.summary);
    assert_eq!(status.overview.unwrap().component.as_deref(), Some("zone-1~zone-2"));
}

#[test]
fn another_component_s_fault_soon_after_is_one_of_its_own() {
    let (mut memory, mut status) = (Memory::default(), NetworkMonitorStatus::default());
    let other = || {
        let components = vec![fault(ComponentId::zone_pair("zone-2", "zone-3"), Cause::PacketLoss, at(0))];
        Verdict { components, ..zone_pair_down(at(0)) }
    };
    let mut shown = Vec::new();
    for n in 0..40_i64 {
        let verdict = match n % 20 {
            2..6 if n < 20 => zone_pair_down(at(0)),
            2..6 => other(),
            _ => healthy(at(0)),
        };
        status = fold(&status, &window_at(n * 15, verdict, &flows(500, 0)), &mut memory);
        shown.push(status.degradation.is_some());
    }
    let count = shown.iter().filter(|shown| **shown).count();
    assert_eq!(count, 8, "each is over as soon as it is gone: {shown:?}");
}

#[test]
fn a_workload_that_comes_and_goes_beside_the_network_is_one_mixture() {
    let both = || {
        let mut both = zone_pair_down(at(0));
        both.components.extend(payments_blocked(at(0)).components);
        both
    };
    let (mut memory, mut status) = (Memory::default(), NetworkMonitorStatus::default());
    let mut attributions = Vec::new();
    for n in 0..60_i64 {
        let verdict = if n % 2 == 0 { zone_pair_down(at(0)) } else { both() };
        status = fold(&status, &window_at(n * 15, verdict, &flows(500, 0)), &mut memory);
        attributions.push(status.degradation.as_ref().unwrap().attribution);
    }
    attributions.dedup();
    use AttributedTo::{Infrastructure, Mixed};
    assert_eq!(attributions, [Infrastructure, Mixed, Infrastructure, Mixed]);
    let degradation = status.degradation.unwrap();
    let names: Vec<&str> = degradation.components.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["zone-1~zone-2", "shop/payments"], "the infrastructure first");
}

#[test]
fn the_infrastructure_is_first_whatever_the_order_of_the_verdict() {
    let mut both = payments_blocked(at(0));
    both.components.extend(zone_pair_down(at(0)).components);
    both.nhi = HealthIndicator::Degraded;
    let status =
        fold(&NetworkMonitorStatus::default(), &window_at(0, both, &flows(500, 2)), &mut Memory::default());
    assert_eq!(status.overview.unwrap().component.as_deref(), Some("zone-1~zone-2 +1"));
}
