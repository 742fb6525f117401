//! What one window is as CloudWatch metrics. Pure. A window is published once, and one that is missing stays missing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidewatch_aws::published::{HEALTH_INDICATOR, dimensions, metric_name};
use tidewatch_aws::types::Datum;
use tidewatch_crds::anomaly_alarm::NetworkMonitorMetricName as Name;
use tidewatch_health::HealthIndicator;
use tidewatch_records::Histogram;
use tidewatch_records::histogram::value_of;

use super::observe::WindowView;
use super::traffic::Totals;

/// A datum takes so many distinct values (PutMetricData).
const VALUES: usize = 150;

/// The data of a window of monitor `namespace`/`monitor`.
pub(super) fn data(view: &WindowView, cluster_name: &str, namespace: &str, monitor: &str) -> Vec<Datum> {
    let of = |category| dimensions(cluster_name, namespace, monitor, category);
    let mut data = Vec::new();
    let health = match view.verdict.nhi {
        HealthIndicator::Healthy => Some(0.0),
        HealthIndicator::Degraded => Some(100.0),
        // Nothing is known, and nothing is said: the alarm on it becomes INSUFFICIENT_DATA.
        HealthIndicator::InsufficientData => None,
    };
    if let Some(value) = health {
        data.push(datum(HEALTH_INDICATOR, of(None), view.start, vec![(value, 1.0)], "None"));
    }
    traffic(&view.traffic.all, &of(None), view.start, &mut data);
    for (category, totals) in &view.traffic.by_category {
        traffic(totals, &of(Some(*category)), view.start, &mut data);
    }
    data
}

fn traffic(totals: &Totals, of: &BTreeMap<String, String>, at: Timestamp, data: &mut Vec<Datum>) {
    // A window without traffic has no ratio of anything, and no zero either.
    if totals.flows == 0 {
        return;
    }
    let rtt = rtt_values(&totals.rtt_us);
    if !rtt.is_empty() {
        data.push(datum(metric_name(Name::RoundTripTime), of.clone(), at, rtt, "Microseconds"));
    }
    for (name, value, unit) in [
        (Name::Retransmissions, totals.retransmissions, "Count"),
        (Name::Timeouts, totals.timeouts, "Count"),
        (Name::DataTransferred, totals.bytes, "Bytes"),
    ] {
        data.push(datum(metric_name(name), of.clone(), at, vec![(float(value), 1.0)], unit));
    }
}

/// Values and counts, so that CloudWatch computes percentiles of all round trips. Too many distinct values are joined
/// with their neighbours, which keeps the count and moves a value by a bucket or two.
fn rtt_values(rtt: &Histogram) -> Vec<(f64, f64)> {
    let buckets = rtt.summary().map(|summary| summary.buckets).unwrap_or_default();
    let group = buckets.len().div_ceil(VALUES).max(1);
    buckets
        .chunks(group)
        .filter_map(|chunk| {
            let count: u64 = chunk.iter().map(|(_, count)| u64::from(*count)).sum();
            let (middle, _) = chunk.get(chunk.len() / 2)?;
            (count > 0).then(|| (float(value_of(*middle)), float(count)))
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a window fit 53 bits")]
fn float(number: u64) -> f64 {
    number as f64
}

fn datum(
    metric: &str,
    dimensions: BTreeMap<String, String>,
    at: Timestamp,
    values: Vec<(f64, f64)>,
    unit: &'static str,
) -> Datum {
    Datum { metric: metric.to_owned(), dimensions, at, values, unit }
}

#[cfg(test)]
mod tests {
    use super::super::reporting::Reporting;
    use super::*;
    use crate::testing::{at, flow, healthy, zone_pair_down};
    use crate::traffic::TrafficTotals;

    fn view(verdict: tidewatch_health::Verdict) -> WindowView {
        WindowView {
            start: at(0),
            verdict,
            traffic: TrafficTotals::of(
                [flow().rtt(700).retransmissions(3).build()].iter(),
                std::iter::empty(),
            ),
            hints: std::collections::BTreeMap::new(),
            reporting: Reporting { reported: 1, expected: 1, agentless: 0 },
            nodes_reporting: 1,
            nodes_ready: 1,
            connections_seen: 1,
            connections_reported: 1,
        }
    }

    fn health(view: &WindowView) -> Option<f64> {
        let data = data(view, "c", "shop", "net");
        data.iter().find(|d| d.metric == HEALTH_INDICATOR).and_then(|d| d.values.first()).map(|(v, _)| *v)
    }

    #[test]
    fn health_is_0_or_100_and_absent_while_it_isnt_known() {
        assert_eq!(health(&view(healthy(at(0)))), Some(0.0));
        assert_eq!(health(&view(zone_pair_down(at(0)))), Some(100.0));
        let mut unknown = healthy(at(0));
        unknown.nhi = HealthIndicator::InsufficientData;
        assert_eq!(health(&view(unknown)), None);
    }

    #[test]
    fn round_trips_keep_their_number_however_many_values_there_are() {
        let mut rtt = Histogram::new();
        for value in 1..200_000_u64 {
            rtt.record(value);
        }
        let values = rtt_values(&rtt);
        assert!(values.len() <= VALUES, "{}", values.len());
        let count: f64 = values.iter().map(|(_, count)| count).sum();
        assert!((count - 199_999.0).abs() < 0.5, "{count}");
    }

    #[test]
    fn series_are_bounded_by_categories_and_name_no_address() {
        let data = data(&view(healthy(at(0))), "c", "shop", "net");
        assert!(data.len() <= 1 + 4 * 9, "{}", data.len());
        for datum in &data {
            let names: Vec<&str> = datum.dimensions.keys().map(String::as_str).collect();
            assert!(
                names == ["ClusterName", "MonitorName", "Namespace"]
                    || names == ["Category", "ClusterName", "MonitorName", "Namespace"],
                "{names:?}"
            );
        }
    }
}
