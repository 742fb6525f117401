//! The sketch keeps its promise on error, and merging is the same as recording everything in one.

use proptest::prelude::*;
use tidewatch_records::Histogram;
use tidewatch_records::histogram::{BUCKETS, MAX_VALUE, bucket_of, value_of};

fn sketch_of(values: &[u64]) -> Histogram {
    let mut sketch = Histogram::new();
    values.iter().for_each(|&value| sketch.record(value));
    sketch
}

proptest! {
    #[test]
    fn a_bucket_is_within_1_6_percent(value in 0..=MAX_VALUE) {
        let error = value_of(bucket_of(value)).abs_diff(value);
        prop_assert!(error as f64 <= value as f64 / 64.0, "{value} became {}", value_of(bucket_of(value)));
        prop_assert!(bucket_of(value) < BUCKETS);
    }

    #[test]
    fn buckets_rise_with_values(a in 0..=MAX_VALUE, b in 0..=MAX_VALUE) {
        prop_assert_eq!(bucket_of(a.min(b)).min(bucket_of(a.max(b))), bucket_of(a.min(b)));
    }

    #[test]
    fn merging_is_recording_all(a in prop::collection::vec(0u64..10_000_000, 0..80), b in prop::collection::vec(0u64..10_000_000, 0..80)) {
        let mut merged = sketch_of(&a);
        merged.merge(&sketch_of(&b));
        let all: Vec<u64> = a.iter().chain(&b).copied().collect();
        prop_assert_eq!(&merged, &sketch_of(&all));
        if let Some(summary) = merged.summary() {
            prop_assert_eq!(Histogram::from_latency(&summary), merged);
        }
    }

    #[test]
    fn quantiles_are_within_2_percent(mut values in prop::collection::vec(0u64..10_000_000, 1..300), q in 0.01f64..1.0) {
        let got = sketch_of(&values).quantile(q).unwrap();
        values.sort_unstable();
        let exact = values[((q * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1];
        prop_assert!(got.abs_diff(exact) as f64 <= exact as f64 * 0.02 + 1.0, "{got} for {exact}");
    }
}

#[test]
fn values_beyond_the_range_land_in_the_last_bucket() {
    assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
}

#[test]
fn nothing_has_no_summary() {
    assert_eq!(Histogram::new().summary(), None);
}

#[test]
fn a_summary_without_buckets_keeps_its_quantiles() {
    let latency =
        serde_json::from_str(r#"{"count":1000,"min":410,"p50":520,"p90":900,"p99":1400,"max":1700}"#)
            .unwrap();
    let back = Histogram::from_latency(&latency).summary().unwrap();
    assert_eq!((back.count, back.min, back.max), (1000, Some(410), Some(1700)));
    assert!(back.p50.abs_diff(520) <= 9 && back.p99.abs_diff(1400) <= 25, "{back:?}");
}
