//! The table "what must be told apart" of flow-records.md, on built records.

#![allow(clippy::indexing_slicing, reason = "a panic fails the test, as it should")]

mod lab;

use lab::{Harm, Hop, Lab, Watch, named, nothing};
use tidewatch_health::{Attribution, Cause, Class, HealthIndicator, Verdict};

/// Healthy history before the fault: a minute.
const HISTORY: usize = 4;
/// Windows of 15 s within which a fault is named.
const NAMED_WITHIN: usize = 5;
const CLEARED_WITHIN: usize = 5;

/// Injects `fault` after a short history, and checks that exactly `component` is named, and cleared after it healed.
fn expect(component: &str, attribution: Attribution, cause: Cause, fault: impl Fn(&Hop) -> Harm) -> Verdict {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let verdict = watch.windows(NAMED_WITHIN, &fault);
    assert_eq!(named(&verdict), [component], "{verdict:#?}");
    assert_eq!(verdict.attribution, attribution, "{verdict:#?}");
    assert_eq!(verdict.components[0].cause, cause, "{verdict:#?}");
    let degraded = verdict.components[0].class == Class::Infrastructure;
    let expected = if degraded { HealthIndicator::Degraded } else { HealthIndicator::Healthy };
    assert_eq!(verdict.nhi, expected, "{verdict:#?}");
    for _ in 0..6 {
        assert_eq!(named(&watch.window(&fault)), [component], "it stays named while it lasts");
    }
    let after = watch.windows(CLEARED_WITHIN, &nothing);
    assert_eq!(named(&after), Vec::<String>::new(), "{after:#?}");
    assert_eq!(after.nhi, HealthIndicator::Healthy);
    verdict
}

fn loss(loss: f64) -> Harm {
    Harm { loss, ..Harm::default() }
}

fn when(condition: bool, harm: Harm) -> Harm {
    if condition { harm } else { Harm::default() }
}

#[test]
fn loss_between_two_zones_is_that_zone_pair() {
    for ratio in [0.005, 0.02, 0.05, 0.3] {
        expect("zone-pair/zone-1~zone-2", Attribution::Infrastructure, Cause::PacketLoss, |hop| {
            when(hop.between("zone-1", "zone-2"), loss(ratio))
        });
    }
}

#[test]
fn loss_one_way_between_two_zones_is_that_zone_pair() {
    for (from, to) in [("zone-1", "zone-3"), ("zone-3", "zone-1")] {
        expect("zone-pair/zone-1~zone-3", Attribution::Infrastructure, Cause::PacketLoss, |hop| {
            when(hop.goes(from, to), loss(0.02))
        });
    }
}

#[test]
fn no_path_between_two_zones_is_that_zone_pair_unreachable() {
    expect("zone-pair/zone-1~zone-2", Attribution::Infrastructure, Cause::Unreachable, |hop| {
        when(hop.between("zone-1", "zone-2"), Harm { loss: 0.95, unanswered: 1.0, ..Harm::default() })
    });
}

#[test]
fn delay_between_two_zones_is_that_zone_pair() {
    expect("zone-pair/zone-2~zone-3", Attribution::Infrastructure, Cause::Latency, |hop| {
        when(hop.between("zone-2", "zone-3"), Harm { delay_us: 10_000, ..Harm::default() })
    });
}

#[test]
fn a_node_that_drops_packets_is_that_node() {
    for ratio in [0.01, 0.05] {
        expect("node/zone-2-b", Attribution::Infrastructure, Cause::PacketLoss, |hop| {
            when(hop.touches_node("zone-2-b"), loss(ratio))
        });
    }
}

#[test]
fn a_zone_that_drops_packets_is_that_zone() {
    expect("zone/zone-2", Attribution::Infrastructure, Cause::PacketLoss, |hop| {
        let inside = [&hop.from, &hop.to].iter().any(|end| end.zone.as_deref() == Some("zone-2"));
        when(inside && hop.from.node != hop.to.node, loss(0.03))
    });
}

#[test]
fn a_blocked_port_is_that_service_unreachable() {
    for spares_open in [false, true] {
        expect("service/shop/payments", Attribution::Workload, Cause::Unreachable, |hop| {
            when(
                hop.calls("shop/payments") && hop.to_service,
                Harm { unanswered: 1.0, spares_open, ..Harm::default() },
            )
        });
    }
}

#[test]
fn a_service_that_is_down_is_that_service_refused() {
    expect("service/shop/stock", Attribution::Workload, Cause::Refused, |hop| {
        when(hop.calls("shop/stock") && hop.to_service, Harm { refused: 1.0, ..Harm::default() })
    });
}

#[test]
fn an_overloaded_service_is_that_service_overload() {
    expect("service/shop/search", Attribution::Workload, Cause::Overload, |hop| {
        when(
            hop.calls("shop/search") && hop.to_service,
            Harm { unanswered: 0.4, loss: 0.01, delay_us: 2_000, ..Harm::default() },
        )
    });
}

#[test]
fn one_sick_pod_is_that_pod() {
    expect("pod/shop/stock-1", Attribution::Workload, Cause::PacketLoss, |hop| {
        when(hop.touches_pod("shop/stock-1"), loss(0.05))
    });
}

#[test]
fn a_lossy_remote_is_that_remote() {
    expect("service/aws/dynamodb", Attribution::External, Cause::PacketLoss, |hop| {
        when(hop.calls("aws/dynamodb"), loss(0.03))
    });
}

fn with_two_addresses_outside() -> Lab {
    let mut lab = Lab::default();
    lab.calls.extend([
        ("web", "internet/bank"),
        ("cart", "internet/bank"),
        ("web", "internet/partner"),
        ("cart", "internet/partner"),
    ]);
    lab
}

fn slow(delay_us: u64) -> Harm {
    Harm { delay_us, ..Harm::default() }
}

#[test]
fn one_slow_address_outside_is_that_address_and_not_the_internet() {
    let mut watch = Watch::learned(with_two_addresses_outside(), HISTORY);
    let verdict = watch.windows(NAMED_WITHIN, &|hop| when(hop.calls("internet/partner"), slow(20_000)));
    assert_eq!(named(&verdict), ["internet/93.184.216.7"], "{verdict:#?}");
    assert_eq!(verdict.attribution, Attribution::External);
}

#[test]
fn all_addresses_outside_slow_at_once_are_the_internet() {
    let mut watch = Watch::learned(with_two_addresses_outside(), HISTORY);
    let verdict =
        watch.windows(NAMED_WITHIN, &|hop| when(hop.service.starts_with("internet/"), slow(20_000)));
    assert_eq!(named(&verdict), ["internet/0.0.0.0/0"], "{verdict:#?}");
    assert_eq!(verdict.attribution, Attribution::External);
}

#[test]
fn two_at_once_are_both_named_and_mixed() {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let verdict = watch.windows(NAMED_WITHIN, &|hop| {
        if hop.calls("shop/payments") && hop.to_service {
            Harm { refused: 1.0, ..Harm::default() }
        } else {
            when(hop.between("zone-1", "zone-2"), loss(0.03))
        }
    });
    let mut both = named(&verdict);
    both.sort();
    assert_eq!(both, ["service/shop/payments", "zone-pair/zone-1~zone-2"], "{verdict:#?}");
    assert_eq!(verdict.attribution, Attribution::Mixed);
    assert_eq!(verdict.nhi, HealthIndicator::Degraded);
}

#[test]
fn two_paths_at_once_are_both_named() {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let verdict = watch.windows(NAMED_WITHIN, &|hop| {
        when(hop.between("zone-1", "zone-2") || hop.touches_node("zone-3-a"), loss(0.03))
    });
    let mut both = named(&verdict);
    both.sort();
    assert_eq!(both, ["node/zone-3-a", "zone-pair/zone-1~zone-2"], "{verdict:#?}");
    assert_eq!(verdict.attribution, Attribution::Infrastructure);
}

#[test]
fn a_healthy_cluster_names_nothing_for_an_hour() {
    let mut watch = Watch::learned(Lab::default(), 0);
    for window in 0..360 {
        let verdict = watch.window(&nothing);
        assert_eq!(named(&verdict), Vec::<String>::new(), "in window {window}: {verdict:#?}");
        assert_eq!(verdict.nhi, HealthIndicator::Healthy);
    }
}

#[test]
fn a_service_that_always_retransmits_a_little_more_is_nothing() {
    let lab = Lab { always_lossy: vec![("stock", 0.003), ("aws/dynamodb", 0.004)], ..Lab::default() };
    let mut watch = Watch::learned(lab, 0);
    for window in 0..60 {
        let verdict = watch.window(&nothing);
        assert_eq!(named(&verdict), Vec::<String>::new(), "in window {window}: {verdict:#?}");
    }
}

#[test]
fn a_traffic_spike_is_nothing() {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    watch.lab.segments *= 10;
    assert_eq!(named(&watch.windows(5, &nothing)), Vec::<String>::new());
    watch.lab.segments /= 20;
    assert_eq!(named(&watch.windows(5, &nothing)), Vec::<String>::new());
}

#[test]
fn what_listens_on_every_node_is_one_service_and_not_a_path() {
    let mut lab = Lab { nodes_per_zone: 12, ..Lab::default() };
    lab.calls.push(("scraper", "host/exporter"));
    let mut watch = Watch::learned(lab, 12);
    for window in 0..12 {
        let verdict = watch.window(&|hop| when(hop.calls("host/exporter") && hop.to_service, loss(0.004)));
        assert_eq!(named(&verdict), Vec::<String>::new(), "in window {window}: {verdict:#?}");
    }
}

#[test]
fn services_that_have_a_bad_minute_everywhere_are_no_paths_fault() {
    for bad in [["cart", "payments", "search"], ["catalog", "stock", "ledger"], ["cart", "stock", "ledger"]] {
        let mut watch = Watch::learned(Lab { nodes_per_zone: 4, ..Lab::default() }, 12);
        let is_bad = |hop: &Hop| hop.to_service && bad.iter().any(|name| hop.calls(&format!("shop/{name}")));
        for window in 0..6 {
            let verdict = watch.window(&|hop| when(is_bad(hop), loss(0.006)));
            assert_eq!(named(&verdict), Vec::<String>::new(), "{bad:?} in window {window}: {verdict:#?}");
        }
        let at_fault = |hop: &Hop| hop.between("zone-1", "zone-2");
        let verdict = watch.windows(3, &|hop| {
            loss(0.006 * f64::from(u8::from(is_bad(hop))) + 0.02 * f64::from(u8::from(at_fault(hop))))
        });
        assert_eq!(named(&verdict), ["zone-pair/zone-1~zone-2"], "a fault is still found in it");
    }
}

#[test]
fn too_little_traffic_is_insufficient_data() {
    let calls = vec![("web", "cart")];
    let lab = Lab { calls, pods: 1, segments: 25, ..Lab::default() };
    let mut watch = Watch::learned(lab, HISTORY);
    let verdict = watch.window(&nothing);
    assert_eq!(verdict.nhi, HealthIndicator::InsufficientData);
    assert_eq!(verdict.attribution, Attribution::None);
}

#[test]
fn since_is_the_first_window_that_showed() {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let onset = watch.lab.start();
    let verdict = watch.windows(5, &|hop| when(hop.between("zone-1", "zone-2"), loss(0.02)));
    assert_eq!(verdict.components[0].since, onset);
}

#[test]
fn a_fault_that_lasts_does_not_become_the_baseline() {
    let mut watch = Watch::learned(Lab::default(), 12);
    let verdict = watch.windows(200, &|hop| when(hop.between("zone-1", "zone-2"), loss(0.01)));
    assert_eq!(named(&verdict), ["zone-pair/zone-1~zone-2"]);
    assert!(verdict.components[0].evidence.baseline_ratio < 0.001);
}

#[test]
fn a_stall_of_the_whole_machine_is_no_paths_fault() {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    for _ in 0..6 {
        let verdict = watch.window(&|_| Harm { loss: 0.003, delay_us: 1_500, ..Harm::default() });
        assert_eq!(named(&verdict), Vec::<String>::new(), "{verdict:#?}");
    }
    let verdict = watch.windows(NAMED_WITHIN, &|hop| {
        let loss = if hop.between("zone-1", "zone-2") { 0.02 } else { 0.003 };
        Harm { loss, ..Harm::default() }
    });
    assert_eq!(named(&verdict), ["zone-pair/zone-1~zone-2"], "a fault is still found in it");
}

#[test]
fn after_a_block_heals_the_backlog_of_retries_is_nothing() {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let blocked = |unanswered: f64| {
        move |hop: &Hop| {
            when(hop.calls("shop/payments") && hop.to_service, Harm { unanswered, ..Harm::default() })
        }
    };
    watch.windows(6, &blocked(1.0));
    watch.lab.segments *= 3;
    let verdict = watch.window(&blocked(0.3));
    assert_eq!(named(&verdict), ["service/shop/payments"], "{verdict:#?}");
    assert_eq!(
        verdict.components[0].cause,
        Cause::Unreachable,
        "a window's end is no overload: {verdict:#?}"
    );
    watch.lab.segments /= 3;
    assert_eq!(named(&watch.windows(3, &nothing)), Vec::<String>::new());
}
