//! Datapoints of a statistic: one for each period that has data.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Datum, MetricKey, MetricStat, Metrics, Statistic};

/// Values by the beginning of their periods.
pub(crate) type Line = BTreeMap<Timestamp, f64>;

/// A stretch of time in whole periods: from the first's beginning to the last's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Seconds.
    pub(crate) period: i64,
}

impl Window {
    /// The beginnings of its periods.
    pub(crate) fn periods(self) -> impl Iterator<Item = Timestamp> {
        let step = SignedDuration::from_secs(self.period.max(1));
        let next = move |at: &Timestamp| at.checked_add(step).ok();
        std::iter::successors(Some(floor(self.from, self.period)), next).take_while(move |at| *at < self.to)
    }
}

/// The beginning of the period that a time is in.
pub(crate) fn floor(at: Timestamp, period: i64) -> Timestamp {
    let seconds = at.as_second();
    Timestamp::from_second(seconds - seconds.rem_euclid(period.max(1))).unwrap_or(at)
}

impl Metrics {
    /// The datapoints of a metric in a window; the metric's own period counts.
    pub(crate) fn line(&self, wanted: &MetricStat, window: Window) -> Line {
        let metric = &wanted.metric;
        let namespace = metric.namespace.as_deref().unwrap_or_default();
        let key =
            MetricKey::of(namespace, metric.metric_name.as_deref().unwrap_or_default(), &metric.dimensions);
        let (Some(series), Some(statistic)) = (self.series.get(&key), Statistic::parse(&wanted.stat)) else {
            return Line::new();
        };
        let from = floor(window.from, wanted.period);
        if from >= window.to {
            return Line::new();
        }
        let mut bins: BTreeMap<Timestamp, Vec<&Datum>> = BTreeMap::new();
        for (at, data) in series.points.range(from..window.to) {
            let data = data.iter().filter(|datum| wanted.unit.is_none() || datum.unit == wanted.unit);
            bins.entry(floor(*at, wanted.period)).or_default().extend(data);
        }
        bins.into_iter().filter_map(|(at, data)| Some((at, statistic.of(data.into_iter())?))).collect()
    }
}
