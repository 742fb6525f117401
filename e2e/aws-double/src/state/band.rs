//! The band that a trained detector expects.
//!
//! AWS doesn't publish its model. This one is a mean and a standard deviation of what the detector learnt, the same at
//! every hour: enough to fire and to clear alarms, and no forecast of what AWS would draw.

use super::training::LEARNT_FROM;
use super::{DetectorState, Line, MetricDataQuery, MetricStat, Region, SingleMetric, Subject, Window};
use crate::math::{Evaluation, Value, spread};

impl Region {
    /// Lower and upper bounds at each period of a window, `width` deviations apart from the mean; none while the
    /// detector is missing or untrained.
    pub(crate) fn band(&self, subject: &Subject, width: f64, window: Window) -> Option<(Line, Line)> {
        let detector = self.detectors.get(&subject.id(&self.account))?;
        if detector.state != DetectorState::Trained {
            return None;
        }
        let from = self.now.saturating_sub(LEARNT_FROM).ok()?;
        let learnt = self.watched(subject, Window { from, to: self.now, period: window.period })?;
        let learnt = || learnt.iter().filter(|(at, _)| detector.learns_from(**at));
        // What is judged doesn't teach, unless there is nothing else.
        let before: Vec<f64> =
            learnt().filter(|(at, _)| **at < window.from).map(|(_, value)| *value).collect();
        let all = || learnt().map(|(_, value)| *value).collect::<Vec<_>>();
        let (mean, deviation) = spread(&before).or_else(|| spread(&all()))?;
        let at = |bound: f64| window.periods().map(|at| (at, bound)).collect::<Line>();
        Some((at(mean - width * deviation), at(mean + width * deviation)))
    }

    fn watched(&self, subject: &Subject, window: Window) -> Option<Line> {
        match subject {
            Subject::Single(metric) => Some(self.metrics.line(&metric.over(window.period), window)),
            Subject::Math(queries) => {
                let result: &MetricDataQuery = queries.iter().find(|query| query.return_data)?;
                match (Evaluation { region: self, queries, window }).query(&result.id) {
                    Ok(Value::Line(line)) => Some(line),
                    _ => None,
                }
            }
        }
    }
}

impl SingleMetric {
    fn over(&self, period: i64) -> MetricStat {
        let metric = super::Metric {
            namespace: self.namespace.clone(),
            metric_name: self.metric_name.clone(),
            dimensions: self.dimensions.clone(),
        };
        MetricStat { metric, period, stat: self.stat.clone().unwrap_or_default(), unit: None }
    }
}
