//! Metric data, as it was put.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Dimension;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricKey {
    pub namespace: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
}

impl MetricKey {
    pub fn new<'a>(
        namespace: &str,
        name: &str,
        dimensions: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let dimensions =
            dimensions.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }

    pub(crate) fn of(namespace: &str, name: &str, dimensions: &[Dimension]) -> Self {
        let pairs = dimensions.iter().map(|dimension| (dimension.name.as_str(), dimension.value.as_str()));
        Self::new(namespace, name, pairs)
    }

    pub(crate) fn dimensions(&self) -> Vec<Dimension> {
        let pair = |(name, value): (&String, &String)| Dimension { name: name.clone(), value: value.clone() };
        self.dimensions.iter().map(pair).collect()
    }
}

/// Everything that was put, by metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    pub series: BTreeMap<MetricKey, Series>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// By the time that each is about.
    pub points: BTreeMap<Timestamp, Vec<Datum>>,
    /// When data last came.
    pub put_at: Timestamp,
}

/// One value, a set of values with their counts, or a statistic set.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    pub unit: Option<String>,
    pub count: f64,
    pub sum: f64,
    pub minimum: f64,
    pub maximum: f64,
    /// Values with their counts; empty for a statistic set whose values nobody knows.
    pub values: Vec<(f64, f64)>,
}

impl Datum {
    pub fn value(value: f64) -> Self {
        Self::values(vec![(value, 1.0)])
    }

    pub fn values(values: Vec<(f64, f64)>) -> Self {
        Self {
            unit: None,
            count: values.iter().map(|(_, count)| count).sum(),
            sum: values.iter().map(|(value, count)| value * count).sum(),
            minimum: values.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min),
            maximum: values.iter().map(|(value, _)| *value).fold(f64::NEG_INFINITY, f64::max),
            values,
        }
    }

    /// Percentiles of a statistic set exist only where every value is known to be the same (PutMetricData).
    pub fn statistics(count: f64, sum: f64, minimum: f64, maximum: f64) -> Self {
        #[expect(clippy::float_cmp, reason = "the rule is about exact equality")]
        let values = if minimum == maximum { vec![(minimum, count)] } else { Vec::new() };
        Self { unit: None, count, sum, minimum, maximum, values }
    }
}

impl Metrics {
    pub fn put(&mut self, key: MetricKey, at: Timestamp, datum: Datum, now: Timestamp) {
        let series =
            self.series.entry(key).or_insert_with(|| Series { points: BTreeMap::new(), put_at: now });
        series.put_at = now;
        series.points.entry(at).or_default().push(datum);
    }
}
