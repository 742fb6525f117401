//! Anomaly detectors.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::limit;
use crate::error::ApiError;
use crate::state::{
    Configuration, Detector, Dimension, MetricCharacteristics, MetricDataQuery, Region, SingleMetric,
    Subject, page,
};
use crate::validate;

/// How requests name a detector: by one of three shapes.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Named {
    pub(crate) anomaly_detector_id: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) metric_name: Option<String>,
    pub(crate) dimensions: Option<Vec<Dimension>>,
    pub(crate) stat: Option<String>,
    pub(crate) single_metric_anomaly_detector: Option<SingleMetric>,
    pub(crate) metric_math_anomaly_detector: Option<MetricMath>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct MetricMath {
    pub(crate) metric_data_queries: Vec<MetricDataQuery>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutAnomalyDetector {
    #[serde(flatten)]
    named: Named,
    configuration: Option<Configuration>,
    metric_characteristics: Option<MetricCharacteristics>,
}

pub(super) fn put_anomaly_detector(
    region: &mut Region,
    input: PutAnomalyDetector,
) -> Result<Value, ApiError> {
    let subject = validate::detector::subject(input.named)?;
    validate::detector::configuration(input.configuration.as_ref())?;
    let id = region.put_detector(subject, input.configuration, input.metric_characteristics);
    Ok(json!({"AnomalyDetectorId": id}))
}

pub(super) fn delete_anomaly_detector(region: &mut Region, input: Named) -> Result<(), ApiError> {
    let id = match validate::detector::id_alone(&input)? {
        Some(id) => id,
        None => validate::detector::subject(input)?.id(&region.account),
    };
    region.detectors.remove(&id).map(drop).ok_or_else(|| ApiError::not_found("anomaly-detector", &id))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DescribeAnomalyDetectors {
    anomaly_detector_ids: Vec<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
    namespace: Option<String>,
    metric_name: Option<String>,
    dimensions: Option<Vec<Dimension>>,
    anomaly_detector_types: Vec<String>,
}

pub(super) fn describe_anomaly_detectors(
    region: &mut Region,
    input: DescribeAnomalyDetectors,
) -> Result<Value, ApiError> {
    let by_id = !input.anomaly_detector_ids.is_empty();
    let filtered = input.namespace.is_some()
        || input.metric_name.is_some()
        || input.dimensions.is_some()
        || !input.anomaly_detector_types.is_empty();
    if by_id && filtered {
        return Err(ApiError::combination("AnomalyDetectorIds can't be combined with another filter"));
    }
    if input.max_results.is_some_and(|most| most > 100) {
        return Err(ApiError::invalid_value("The value for parameter MaxResults is more than 100"));
    }
    let of_type = |subject: &Subject| {
        let kind = if matches!(subject, Subject::Single(_)) { "SINGLE_METRIC" } else { "METRIC_MATH" };
        match input.anomaly_detector_types.as_slice() {
            [] => kind == "SINGLE_METRIC",
            types => types.iter().any(|wanted| wanted == kind),
        }
    };
    let wanted = |detector: &&Detector| {
        if by_id {
            return input.anomaly_detector_ids.contains(&detector.id);
        }
        of_type(&detector.subject)
            && metrics(&detector.subject).any(|(namespace, name, dimensions)| {
                let same = |wanted: &Option<String>, has: &Option<String>| wanted.is_none() || wanted == has;
                let mut sorted = dimensions.to_vec();
                sorted.sort();
                let has = input.dimensions.clone().is_none_or(|mut wanted| {
                    wanted.sort();
                    wanted == sorted
                });
                same(&input.namespace, namespace) && same(&input.metric_name, name) && has
            })
    };
    let found = region.detectors.values().filter(wanted).map(|detector| (detector.id.clone(), detector));
    let (detectors, next) = page(found, input.next_token.as_deref(), limit(input.max_results, 100))?;
    let shown: Vec<_> = detectors.into_iter().map(described).collect();
    Ok(json!({"AnomalyDetectors": shown, "NextToken": next}))
}

type MetricParts<'a> = (&'a Option<String>, &'a Option<String>, &'a [Dimension]);

fn metrics(subject: &Subject) -> Box<dyn Iterator<Item = MetricParts<'_>> + '_> {
    match subject {
        Subject::Single(metric) => {
            Box::new(std::iter::once((&metric.namespace, &metric.metric_name, metric.dimensions.as_slice())))
        }
        Subject::Math(queries) => Box::new(queries.iter().filter_map(|query| {
            let metric = &query.metric_stat.as_ref()?.metric;
            Some((&metric.namespace, &metric.metric_name, metric.dimensions.as_slice()))
        })),
    }
}

pub(crate) fn described(detector: &Detector) -> Value {
    let mut shown = Map::new();
    let mut set = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    set("AnomalyDetectorId", detector.id.clone().into());
    set("StateValue", json!(detector.state));
    set("Configuration", json!(detector.configuration.clone().unwrap_or_default()));
    if let Some(characteristics) = &detector.metric_characteristics {
        set("MetricCharacteristics", json!(characteristics));
    }
    match &detector.subject {
        Subject::Single(metric) => {
            set("SingleMetricAnomalyDetector", json!(metric));
            // The members of old are still there.
            set("Namespace", json!(metric.namespace));
            set("MetricName", json!(metric.metric_name));
            set("Dimensions", json!(metric.dimensions));
            set("Stat", json!(metric.stat));
        }
        Subject::Math(queries) => {
            set("MetricMathAnomalyDetector", json!({"MetricDataQueries": queries}));
        }
    }
    Value::Object(shown)
}
