//! What exists in one account and Region of CloudWatch, as plain structs that tests may look at and change by hand.

mod alarms;
mod band;
mod composite_rule;
mod detectors;
mod evaluation;

mod history;
mod line;
mod metrics;
mod mute_rules;
mod mute_schedule;
mod page;
mod queries;
mod settle;
mod statistic;
pub mod synthetics;
mod training;
mod world;

use std::collections::{BTreeMap, BTreeSet};

pub use alarms::{Alarm, AlarmConfig, AlarmState, CompositeAlarm, MetricAlarm};
pub use composite_rule::{Rule, RuleError};
pub use detectors::{Configuration, Detector, DetectorState, ExcludedRange, MetricCharacteristics, Subject};
pub(crate) use evaluation::EVALUATED_EVERY;
pub use history::HistoryItem;
use jiff::{SignedDuration, Timestamp};
pub(crate) use line::{Line, Window, floor};
pub use metrics::{Datum, MetricKey, Metrics, Series};
pub use mute_rules::{MuteRule, MuteSchedule, MuteStatus};
pub(crate) use mute_schedule::Schedule;
pub(crate) use page::page;
pub use queries::{Dimension, Metric, MetricDataQuery, MetricStat, SingleMetric};

pub use statistic::{Bounds, Measure, Statistic};
pub use synthetics::Synthetics;
pub(crate) use world::World;

/// CloudWatch and Synthetics in one account and Region.
#[derive(Debug, Clone)]
pub struct Region {
    pub account: String,
    pub name: String,
    /// By name; metric and composite alarms share the names.
    pub alarms: BTreeMap<String, Alarm>,
    /// By id.
    pub detectors: BTreeMap<String, Detector>,
    /// By name.
    pub mute_rules: BTreeMap<String, MuteRule>,
    pub metrics: Metrics,
    pub synthetics: Synthetics,
    /// Oldest first.
    pub history: Vec<HistoryItem>,
    /// What a detector needs from its creation to its first band.
    pub training: SignedDuration,
    pub(crate) now: Timestamp,
    /// Alarms that changed since composites last followed.
    pub(crate) changed: BTreeSet<String>,
}

/// An alarm was named that doesn't exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no alarm {0}")]
pub struct NoSuchAlarm(pub String);

impl Region {
    pub(crate) fn new(account: &str, name: &str, training: SignedDuration, now: Timestamp) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            alarms: BTreeMap::new(),
            detectors: BTreeMap::new(),
            mute_rules: BTreeMap::new(),
            metrics: Metrics::default(),
            synthetics: Synthetics::default(),
            history: Vec::new(),
            training,
            now,
            changed: BTreeSet::new(),
        }
    }

    /// The ARN of an alarm of this name, whether it exists or not.
    pub fn alarm_arn(&self, name: &str) -> String {
        self.arn("alarm", name)
    }

    pub(crate) fn arn(&self, kind: &str, name: &str) -> String {
        self.arn_of("cloudwatch", kind, name)
    }

    pub(crate) fn arn_of(&self, service: &str, kind: &str, name: &str) -> String {
        let partition = match self.name.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if self.name.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        format!("arn:{partition}:{service}:{}:{}:{kind}:{name}", self.name, self.account)
    }

    /// An alarm's name, given it or its ARN; none for an ARN of elsewhere.
    pub(crate) fn alarm_name<'a>(&self, reference: &'a str) -> Option<&'a str> {
        if !reference.starts_with("arn:") {
            return Some(reference);
        }
        reference.strip_prefix(&self.alarm_arn(""))
    }

    /// Puts an alarm into a state and keeps it there: evaluation leaves it alone until it is
    /// [released](Region::release). Composite alarms follow.
    pub fn set_state(
        &mut self,
        name: &str,
        state: AlarmState,
        reason: &str,
        reason_data: Option<&str>,
    ) -> Result<(), NoSuchAlarm> {
        let alarm = self.alarms.get_mut(name).ok_or_else(|| NoSuchAlarm(name.to_owned()))?;
        alarm.held = true;
        self.transition(name, state, reason, reason_data.map(str::to_owned));
        self.settle();
        Ok(())
    }

    /// Lets evaluation decide an alarm's state again.
    pub fn release(&mut self, name: &str) -> Result<(), NoSuchAlarm> {
        let alarm = self.alarms.get_mut(name).ok_or_else(|| NoSuchAlarm(name.to_owned()))?;
        alarm.held = false;
        alarm.evaluate_at = self.now;
        self.changed.insert(name.to_owned());
        self.settle();
        Ok(())
    }

    /// Puts a datapoint, as PutMetricData would.
    pub fn put_metric(
        &mut self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        at: Timestamp,
        value: f64,
    ) {
        let key = MetricKey::new(namespace, name, dimensions.iter().copied());
        self.metrics.put(key, at, Datum::value(value), self.now);
    }
}
