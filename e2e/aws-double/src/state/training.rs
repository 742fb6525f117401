//! How detectors come to be trained, by the double's clock.

use jiff::{SignedDuration, Timestamp};

use super::{Detector, DetectorState, MetricKey, Region, Series, SingleMetric, Subject};

/// What a detector learns from (AWS: CloudWatch_Anomaly_Detection).
pub(crate) const LEARNT_FROM: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Datapoints below which there is no band. AWS doesn't publish its own number; a spread needs several.
const ENOUGH: usize = 10;

impl Region {
    /// Detectors whose training time is over are trained; with too little data, they become so when it comes.
    pub(crate) fn train(&mut self) {
        let trained = |detector: &Detector| {
            let over = self.now.duration_since(detector.created_at) >= self.training;
            if detector.held || !over || detector.state == DetectorState::Trained {
                return detector.state;
            }
            match self.datapoints(detector) >= ENOUGH {
                true => DetectorState::Trained,
                false => DetectorState::TrainedInsufficientData,
            }
        };
        let states: Vec<DetectorState> = self.detectors.values().map(trained).collect();
        for (detector, state) in self.detectors.values_mut().zip(states) {
            detector.state = state;
        }
    }

    /// How many points in time a detector has to learn from; for an expression, those of its sparsest metric.
    fn datapoints(&self, detector: &Detector) -> usize {
        if self.metrics.series.is_empty() {
            return 0;
        }
        let count = |key: MetricKey| {
            let series = self.metrics.series.get(&key);
            series.map_or(0, |series| learnable(series, detector, self.now).count())
        };
        match &detector.subject {
            Subject::Single(metric) => count(key(metric)),
            Subject::Math(queries) => {
                let metrics = queries.iter().filter_map(|query| Some(&query.metric_stat.as_ref()?.metric));
                let counts = metrics.map(|metric| {
                    let namespace = metric.namespace.as_deref().unwrap_or_default();
                    let name = metric.metric_name.as_deref().unwrap_or_default();
                    count(MetricKey::of(namespace, name, &metric.dimensions))
                });
                counts.min().unwrap_or_default()
            }
        }
    }
}

fn key(metric: &SingleMetric) -> MetricKey {
    let namespace = metric.namespace.as_deref().unwrap_or_default();
    MetricKey::of(namespace, metric.metric_name.as_deref().unwrap_or_default(), &metric.dimensions)
}

fn learnable<'a>(
    series: &'a Series,
    detector: &'a Detector,
    now: Timestamp,
) -> impl Iterator<Item = Timestamp> + 'a {
    let from = now.saturating_sub(LEARNT_FROM).unwrap_or(Timestamp::MIN);
    series.points.range(from..=now).map(|(at, _)| *at).filter(|at| detector.learns_from(*at))
}

impl Detector {
    /// Whether a time isn't excluded from training.
    pub(crate) fn learns_from(&self, at: Timestamp) -> bool {
        let excluded =
            self.configuration.iter().flat_map(|configuration| &configuration.excluded_time_ranges);
        !excluded.into_iter().any(|range| range.start_time <= at && at < range.end_time)
    }
}
