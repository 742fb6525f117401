//! PutMetricData and ListMetrics.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::state::{Datum, Dimension, MetricKey, Region, Series, page};
use crate::validate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutMetricData {
    pub(crate) namespace: String,
    #[serde(default)]
    metric_data: Vec<MetricDatum>,
    #[serde(default)]
    entity_metric_data: Vec<EntityMetricData>,
}

/// The entity itself isn't kept: nothing that the double serves shows it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EntityMetricData {
    #[serde(default)]
    metric_data: Vec<MetricDatum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MetricDatum {
    pub(crate) metric_name: String,
    #[serde(default)]
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) value: Option<f64>,
    pub(crate) statistic_values: Option<StatisticSet>,
    #[serde(default)]
    pub(crate) values: Vec<f64>,
    #[serde(default)]
    pub(crate) counts: Vec<f64>,
    unit: Option<String>,
    pub(crate) storage_resolution: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StatisticSet {
    pub(crate) sample_count: f64,
    pub(crate) sum: f64,
    pub(crate) minimum: f64,
    pub(crate) maximum: f64,
}

impl PutMetricData {
    pub(crate) fn data(&self) -> impl Iterator<Item = &MetricDatum> {
        self.metric_data.iter().chain(self.entity_metric_data.iter().flat_map(|entity| &entity.metric_data))
    }
}

impl MetricDatum {
    fn datum(&self) -> Datum {
        let datum = match (&self.statistic_values, self.value) {
            (Some(set), _) => Datum::statistics(set.sample_count, set.sum, set.minimum, set.maximum),
            (None, Some(value)) => Datum::value(value),
            (None, None) => {
                let counts = self.counts.iter().copied().chain(std::iter::repeat(1.0));
                Datum::values(self.values.iter().copied().zip(counts).collect())
            }
        };
        Datum { unit: self.unit.clone(), ..datum }
    }
}

pub(super) fn put_metric_data(region: &mut Region, input: PutMetricData) -> Result<(), ApiError> {
    validate::metric_data::check(&input, region.now)?;
    for datum in input.data() {
        let key = MetricKey::of(&input.namespace, &datum.metric_name, &datum.dimensions);
        region.metrics.put(key, datum.timestamp.unwrap_or(region.now), datum.datum(), region.now);
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMetrics {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<DimensionFilter>,
    next_token: Option<String>,
    recently_active: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DimensionFilter {
    name: String,
    value: Option<String>,
}

/// ListMetrics: "Up to 500 results are returned for any one call."
const PAGE: usize = 500;
const RECENT: SignedDuration = SignedDuration::from_hours(3);

pub(super) fn list_metrics(region: &mut Region, input: ListMetrics) -> Result<Value, ApiError> {
    let wanted = |(key, series): &(&MetricKey, &Series)| {
        let has = |filter: &DimensionFilter| {
            key.dimensions
                .get(&filter.name)
                .is_some_and(|value| filter.value.as_ref().is_none_or(|wanted| wanted == value))
        };
        input.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && input.metric_name.as_ref().is_none_or(|name| *name == key.name)
            && input.dimensions.iter().all(has)
            && (input.recently_active.is_none() || region.now.duration_since(series.put_at) <= RECENT)
    };
    // A metric's key in a text that sorts as the key does, since nothing in it sorts before the separator.
    let order = |key: &MetricKey| format!("{}\u{1}{}\u{1}{:?}", key.namespace, key.name, key.dimensions);
    let mut found: Vec<_> =
        region.metrics.series.iter().filter(wanted).map(|(key, _)| (order(key), key)).collect();
    found.sort();
    let (metrics, next) = page(found, input.next_token.as_deref(), PAGE)?;
    let shown: Vec<Value> = metrics
        .into_iter()
        .map(
            |key| json!({"Namespace": key.namespace, "MetricName": key.name, "Dimensions": key.dimensions()}),
        )
        .collect();
    Ok(json!({"Metrics": shown, "NextToken": next}))
}
