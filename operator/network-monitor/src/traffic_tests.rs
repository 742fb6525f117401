use proptest::prelude::*;

use super::super::testing::flow;
use super::*;

#[test]
fn numbers_are_shown_with_two_digits() {
    for (us, text) in [
        (0, "0ms"),
        (7, "0.007ms"),
        (523, "0.52ms"),
        (1449, "1.4ms"),
        (48_400, "48ms"),
        (999, "1ms"),
        (1_234_567, "1200ms"),
    ] {
        assert_eq!(rtt_text(us), text);
    }
    for (ratio, text) in
        [(0.0, "0%"), (0.0214, "2.1%"), (0.000_42, "0.042%"), (1.0, "100%"), (0.125, "13%"), (7.0, "100%")]
    {
        assert_eq!(percent_text(ratio), text, "{ratio}");
    }
    for (ratio, rounded) in
        [(0.0, 0.0), (0.021_49, 0.021), (0.987_3, 0.99), (f64::NAN, 0.0), (0.000_412, 0.000_41)]
    {
        assert!((two_digit_ratio(ratio) - rounded).abs() < 1e-12, "{ratio}");
    }
}

proptest! {
    #[test]
    fn rounding_is_near_and_settles(number in 0_u64..u64::MAX / 16) {
        let rounded = two_digits(number);
        prop_assert_eq!(two_digits(rounded), rounded);
        prop_assert!(number.abs_diff(rounded) <= number / 20);
    }
}

#[test]
fn a_flow_that_two_agent_windows_report_counts_once_and_its_bytes_twice() {
    let totals = TrafficTotals::of([flow().build(), flow().build()].iter(), std::iter::empty());
    assert_eq!(totals.all.flows, 1);
    assert_eq!(totals.all.bytes, 2 * (1000 + 500));
}

#[test]
fn categories_are_kept_apart_and_their_round_trips_merged() {
    let flows = [
        flow().category(Category::InterAz).rtt(1000).build(),
        flow().category(Category::InterAz).rtt(3000).remote_ip("198.18.9.9").build(),
        flow().category(Category::IntraAz).rtt(100).build(),
    ];
    let totals = TrafficTotals::of(flows.iter(), std::iter::empty());
    let shown = totals.rounded();
    assert_eq!(
        shown.iter().map(|t| t.category).collect::<Vec<_>>(),
        [api::Category::IntraAz, api::Category::InterAz]
    );
    assert_eq!(shown[1].flows, 2);
    let p99: f64 = shown[1].rtt_p99.as_deref().unwrap().trim_end_matches("ms").parse().unwrap();
    assert!((2.7..=3.3).contains(&p99), "{shown:?}");
}

#[test]
fn what_the_far_end_sent_again_counts_and_its_bytes_do_not() {
    let near = flow().build();
    let mut far = flow().retransmissions(30).build();
    std::mem::swap(&mut far.local, &mut far.remote);
    far.data_segments_out = 900;
    let totals = TrafficTotals::of([near].iter(), [far].iter());
    assert_eq!(totals.all.retransmission_ratio(), Some(0.03));
    assert_eq!((totals.all.flows, totals.all.bytes), (1, 1000 + 500));
    assert_eq!(totals.rounded()[0].retransmissions, 30);
}
