//! Anomaly detectors. They belong to a metric (or an expression) and a statistic, not to who asked for them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Dimension, MetricDataQuery, Region, SingleMetric};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DetectorState {
    PendingTraining,
    TrainedInsufficientData,
    Trained,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    pub id: String,
    pub subject: Subject,
    pub configuration: Option<Configuration>,
    pub metric_characteristics: Option<MetricCharacteristics>,
    pub state: DetectorState,
    pub created_at: Timestamp,
    /// The state was set by hand, and training leaves it alone.
    pub held: bool,
}

/// What it learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Single(SingleMetric),
    Math(Vec<MetricDataQuery>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Configuration {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_time_ranges: Vec<ExcludedRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation_speed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_filtering_strength: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExcludedRange {
    pub start_time: Timestamp,
    pub end_time: Timestamp,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MetricCharacteristics {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub periodic_spikes: Option<bool>,
}

impl Subject {
    /// The detector's id: the same for the same account, metric, set of dimensions and statistic, whatever their order.
    pub fn id(&self, account: &str) -> String {
        let identity = match self {
            Self::Single(metric) => {
                let mut dimensions: Vec<&Dimension> = metric.dimensions.iter().collect();
                dimensions.sort();
                let account = metric.account_id.as_deref().unwrap_or(account);
                let of = (account, &metric.namespace, &metric.metric_name, dimensions, &metric.stat);
                format!("{of:?}")
            }
            Self::Math(queries) => format!("{account}{queries:?}"),
        };
        let digest = Sha256::digest(identity);
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Region {
    /// Creates the detector or replaces its configuration; gives its id.
    pub(crate) fn put_detector(
        &mut self,
        subject: Subject,
        configuration: Option<Configuration>,
        metric_characteristics: Option<MetricCharacteristics>,
    ) -> String {
        let id = subject.id(&self.account);
        let before = self.detectors.get(&id);
        let detector = Detector {
            id: id.clone(),
            subject,
            configuration,
            metric_characteristics,
            state: before.map_or(DetectorState::PendingTraining, |before| before.state),
            created_at: before.map_or(self.now, |before| before.created_at),
            held: before.is_some_and(|before| before.held),
        };
        self.detectors.insert(id.clone(), detector);
        id
    }

    /// What a band alarm does: creates the detector if there is none, and else leaves it as it is.
    pub(crate) fn need_detector(&mut self, subject: Subject) {
        if !self.detectors.contains_key(&subject.id(&self.account)) {
            self.put_detector(subject, None, None);
        }
    }

    /// Puts a detector into a state and keeps it there; false if there is none of this id.
    pub fn set_detector_state(&mut self, id: &str, state: DetectorState) -> bool {
        let Some(detector) = self.detectors.get_mut(id) else { return false };
        detector.state = state;
        detector.held = true;
        true
    }
}
