//! What comes and goes, and what stays: blips, faults that last for days, services that changed for good.

#![allow(clippy::indexing_slicing, reason = "a panic fails the test, as it should")]

mod lab;

use lab::{Fault, Harm, Hop, Lab, Watch, named, nothing};
use tidewatch_health::{Cause, HealthIndicator, Verdict};

/// Healthy windows before anything happens.
const HISTORY: usize = 12;
const MILD: f64 = 0.004;

fn by_half_minutes() -> Lab {
    Lab { seconds: 30, ..Lab::default() }
}

fn at_node(hop: &Hop, loss: f64) -> Harm {
    if hop.touches_node("zone-2-b") { Harm { loss, ..Harm::default() } } else { Harm::default() }
}

fn between_zones(hop: &Hop, harm: Harm) -> Harm {
    if hop.between("zone-1", "zone-2") { harm } else { Harm::default() }
}

fn towards(service: &'static str, harm: Harm) -> impl Fn(&Hop) -> Harm {
    move |hop| if hop.calls(service) && hop.to_service { harm } else { Harm::default() }
}

/// Windows of ten minutes, so that days don't take long.
fn by_tens_of_minutes() -> Lab {
    Lab { seconds: 600, segments: 400, ..Lab::default() }
}

const HOUR: usize = 6;
const DAY: usize = 24 * HOUR;

#[test]
fn a_node_that_blips_twice_in_a_minute_is_not_at_fault() {
    for gap in 0..4 {
        let mut watch = Watch::learned(by_half_minutes(), HISTORY);
        let mut all = vec![watch.window(&|hop| at_node(hop, MILD))];
        all.extend((0..gap).map(|_| watch.window(&nothing)));
        all.push(watch.window(&|hop| at_node(hop, MILD)));
        all.extend((0..6).map(|_| watch.window(&nothing)));
        let names: Vec<String> = all.iter().flat_map(named).collect();
        assert_eq!(names, Vec::<String>::new(), "{gap} windows between the two");
    }
}

#[test]
fn a_node_that_keeps_losing_as_little_is_named_with_the_third_window() {
    let mut watch = Watch::learned(by_half_minutes(), HISTORY);
    assert_eq!(named(&watch.windows(2, &|hop| at_node(hop, MILD))), Vec::<String>::new());
    let verdict = watch.window(&|hop| at_node(hop, MILD));
    assert_eq!(named(&verdict), ["node/zone-2-b"], "{verdict:#?}");
}

#[test]
fn a_node_that_loses_more_than_blips_do_is_named_with_the_second_window() {
    let mut watch = Watch::learned(by_half_minutes(), HISTORY);
    let verdict = watch.windows(2, &|hop| at_node(hop, 0.01));
    assert_eq!(named(&verdict), ["node/zone-2-b"], "{verdict:#?}");
}

#[test]
fn a_node_that_blips_every_few_minutes_is_given_more_time_than_others() {
    let mut watch = Watch::learned(by_half_minutes(), HISTORY);
    for _ in 0..12 {
        watch.window(&|hop| at_node(hop, MILD));
        assert_eq!(named(&watch.windows(11, &nothing)), Vec::<String>::new());
    }
    let verdict = watch.windows(3, &|hop| at_node(hop, MILD));
    assert_eq!(named(&verdict), Vec::<String>::new(), "three of its blips come together sooner than others'");
    let verdict = watch.windows(3, &|hop| at_node(hop, MILD));
    assert_eq!(named(&verdict), ["node/zone-2-b"], "it is at fault in the end");
}

#[test]
fn a_blip_beside_an_overloaded_service_is_judged_without_what_the_service_loses() {
    let overload = Harm { unanswered: 0.4, loss: 0.04, ..Harm::default() };
    let mut watch = Watch::learned(by_half_minutes(), HISTORY);
    let both = |hop: &Hop| {
        let (blip, busy) = (at_node(hop, 0.003), towards("shop/stock", overload)(hop));
        Harm { loss: blip.loss + busy.loss, ..busy }
    };
    watch.windows(3, &towards("shop/stock", overload));
    for _ in 0..2 {
        let verdict = watch.window(&both);
        assert_eq!(named(&verdict), ["service/shop/stock"], "{verdict:#?}");
    }
}

#[test]
fn a_fault_that_ends_in_the_middle_of_a_window_leaves_nothing_else_behind() {
    type Where = fn(&Hop) -> bool;
    let places: [(&str, Where); 3] = [
        ("zone-pair/zone-1~zone-2", |hop| hop.between("zone-1", "zone-2")),
        ("node/zone-2-b", |hop| hop.touches_node("zone-2-b")),
        ("zone/zone-2", |hop| hop.from.node != hop.to.node && touches_zone(hop, "zone-2")),
    ];
    for (component, is_there) in places {
        for (loss, delay_us) in [(0.01, 0), (0.05, 0), (0.2, 0), (0.0, 10_000)] {
            for left in [0.1, 0.3, 0.6] {
                let harm = |share: f64| {
                    let delay_us = (delay_us as f64 * share) as u64;
                    let harm = Harm { loss: loss * share, delay_us, ..Harm::default() };
                    move |hop: &Hop| if is_there(hop) { harm } else { Harm::default() }
                };
                let mut watch = Watch::learned(by_half_minutes(), HISTORY);
                assert_eq!(named(&watch.windows(6, &harm(1.0))), [component], "{loss} {delay_us}");
                let mut after = vec![watch.window(&harm(left))];
                after.extend((0..4).map(|_| watch.window(&nothing)));
                let others: Vec<String> =
                    after.iter().flat_map(named).filter(|name| name != component).collect();
                assert_eq!(others, Vec::<String>::new(), "{component}, {left} of {loss} and {delay_us} µs");
                assert_eq!(named(&after[4]), Vec::<String>::new());
            }
        }
    }
}

fn touches_zone(hop: &Hop, zone: &str) -> bool {
    [&hop.from, &hop.to].iter().any(|end| end.zone.as_deref() == Some(zone))
}

fn after_a_day_of_health(fault: Fault<'_>, windows: usize) -> (Verdict, Watch) {
    let mut watch = Watch::learned(by_tens_of_minutes(), DAY);
    let verdict = watch.windows(windows, fault);
    (verdict, watch)
}

#[test]
fn a_path_that_loses_packets_for_days_stays_at_fault() {
    let lossy = |hop: &Hop| between_zones(hop, Harm { loss: 0.01, ..Harm::default() });
    let (verdict, mut watch) = after_a_day_of_health(&lossy, 3 * DAY);
    assert_eq!(named(&verdict), ["zone-pair/zone-1~zone-2"], "{verdict:#?}");
    assert_eq!(verdict.nhi, HealthIndicator::Degraded);
    assert_eq!(named(&watch.windows(3, &nothing)), Vec::<String>::new(), "and is healed when it is");
}

#[test]
fn a_service_that_nobody_reaches_for_days_stays_at_fault() {
    let blocked = towards("shop/payments", Harm { unanswered: 1.0, ..Harm::default() });
    let refused = towards("shop/payments", Harm { refused: 1.0, ..Harm::default() });
    let faults: [(Fault<'_>, Cause); 2] = [(&blocked, Cause::Unreachable), (&refused, Cause::Refused)];
    for (fault, cause) in faults {
        let (verdict, _) = after_a_day_of_health(fault, 3 * DAY);
        assert_eq!(named(&verdict), ["service/shop/payments"], "{verdict:#?}");
        assert_eq!(verdict.components[0].cause, cause);
    }
}

#[test]
fn a_service_that_retransmits_more_from_one_day_on_is_used_to_it_the_day_after() {
    let changed = |hop: &Hop| {
        let loss = if hop.calls("shop/stock") { 0.03 } else { 0.0 };
        Harm { loss, ..Harm::default() }
    };
    let (verdict, mut watch) = after_a_day_of_health(&changed, 23 * HOUR);
    assert_eq!(named(&verdict), ["service/shop/stock"], "{verdict:#?}");
    let verdict = watch.windows(6 * HOUR, &changed);
    assert_eq!(named(&verdict), Vec::<String>::new(), "{verdict:#?}");
    let verdict = watch.windows(3, &|hop| {
        let loss = changed(hop).loss * 5.0;
        Harm { loss, ..Harm::default() }
    });
    assert_eq!(named(&verdict), ["service/shop/stock"], "worse than that is a fault again: {verdict:#?}");
}

#[test]
fn a_service_that_gets_worse_by_the_hour_is_not_got_used_to() {
    let mut watch = Watch::learned(by_tens_of_minutes(), DAY);
    for hour in 0..60 {
        let loss = 0.02 * 1.05_f64.powi(hour);
        let verdict = watch.windows(HOUR, &|hop| Harm {
            loss: if hop.calls("shop/stock") { loss } else { 0.0 },
            ..Harm::default()
        });
        assert_eq!(named(&verdict), ["service/shop/stock"], "in hour {hour}: {verdict:#?}");
    }
}

#[test]
fn a_longer_way_between_two_zones_is_usual_the_day_after() {
    let detour = |hop: &Hop| between_zones(hop, Harm { delay_us: 3_000, ..Harm::default() });
    let (verdict, mut watch) = after_a_day_of_health(&detour, 23 * HOUR);
    assert_eq!(named(&verdict), ["zone-pair/zone-1~zone-2"], "{verdict:#?}");
    assert_eq!(named(&watch.windows(6 * HOUR, &detour)), Vec::<String>::new());
}

#[test]
fn what_a_service_was_used_to_is_known_after_a_fault_of_days() {
    let lab = Lab { always_lossy: vec![("stock", 0.006)], ..by_tens_of_minutes() };
    let mut watch = Watch::learned(lab, DAY);
    let refused = towards("shop/stock", Harm { refused: 1.0, ..Harm::default() });
    assert_eq!(named(&watch.windows(3 * DAY, &refused)), ["service/shop/stock"]);
    watch.windows(2, &nothing);
    for window in 0..DAY {
        let verdict = watch.window(&nothing);
        assert_eq!(named(&verdict), Vec::<String>::new(), "{window} windows after the fault: {verdict:#?}");
    }
}

/// Windows of 15 s from the onset until exactly `component` is named.
fn named_after(component: &str, windows: usize, fault: Fault<'_>) -> Option<usize> {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    (1..=windows).find(|_| named(&watch.window(fault)) == [component])
}

#[test]
fn an_outage_is_named_with_the_second_short_window() {
    let cut = Harm { loss: 0.95, unanswered: 1.0, ..Harm::default() };
    let lossy = |loss| Harm { loss, ..Harm::default() };
    let blocked = towards("shop/payments", Harm { unanswered: 1.0, ..Harm::default() });
    assert_eq!(named_after("service/shop/payments", 9, &blocked), Some(2));
    assert_eq!(named_after("zone-pair/zone-1~zone-2", 9, &|hop| between_zones(hop, cut)), Some(2));
    assert_eq!(named_after("zone-pair/zone-1~zone-2", 9, &|hop| between_zones(hop, lossy(0.06))), Some(2));
    assert_eq!(named_after("node/zone-2-b", 9, &|hop| at_node(hop, 0.06)), Some(2));
}

#[test]
fn milder_loss_is_named_within_minutes_of_short_windows() {
    for (loss, windows) in [(0.01, 3), (MILD, 5), (0.002, 5)] {
        assert_eq!(named_after("node/zone-2-b", 16, &|hop| at_node(hop, loss)), Some(windows), "{loss}");
    }
}

#[test]
fn a_blip_that_straddles_two_short_windows_is_no_fault() {
    for loss in [0.002, 0.005, 0.01, 0.02] {
        let mut watch = Watch::learned(Lab::default(), HISTORY);
        let mut all = vec![watch.window(&|hop| at_node(hop, loss)), watch.window(&|hop| at_node(hop, loss))];
        all.extend((0..12).map(|_| watch.window(&nothing)));
        let names: Vec<String> = all.iter().flat_map(named).collect();
        assert_eq!(names, Vec::<String>::new(), "{loss}");
    }
}
