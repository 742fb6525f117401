//! `tidewatch why KIND/NAME`: the verdict on one object, what it stands on, what changed, and what to do. Pure.

mod evidence;
mod related;
mod screen;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use tidewatch_crds::network_monitor::Hint;

use crate::guide::{Advice, advice};
use crate::objects::{Kind, Objects, Watched, is_amiss};
use crate::status::{self, MonitorState, WatchState};

pub use evidence::Evidence;
pub use related::Related;
pub(crate) use screen::render;

/// Number of events that are shown, the newest.
const EVENTS: usize = 8;

/// What is known of one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyReport {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    pub as_of: Timestamp,
    pub well: bool,
    pub verdict: Verdict,
    pub evidence: Vec<Evidence>,
    /// What changed in the cluster just before a fault began. They hint where to look and prove no cause.
    pub hints: Vec<Hint>,
    pub related: Vec<Related>,
    /// Conditions that aren't as they should be.
    pub conditions: Vec<ConditionStatus>,
    /// The newest first.
    pub events: Vec<EventStatus>,
    pub next: Vec<Advice>,
}

/// What the object says, in a word and in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The indicator of a monitor, the state of an alarm, the result of a canary.
    pub state: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip)]
    severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Bad,
    Warning,
    Unknown,
    Good,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionStatus {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventStatus {
    pub at: Timestamp,
    pub warning: bool,
    pub reason: String,
    pub message: String,
    pub count: i32,
}

/// The report on the object of that name; none where it isn't among `objects`. An object that can't be read says why.
pub fn report(
    objects: &Objects,
    kind: Kind,
    name: &str,
    events: &[Event],
    now: Timestamp,
) -> Option<WhyReport> {
    if let Some(unreadable) = objects.unreadable.iter().find(|it| it.kind == kind && it.name == name) {
        let verdict = Verdict {
            state: "Unreadable".to_owned(),
            message: format!("the object doesn't parse: {}", unreadable.error),
            since: None,
            severity: Severity::Warning,
        };
        let next = advice("Unreadable").into_iter().collect();
        let namespace = unreadable.namespace.clone();
        return Some(WhyReport { next, ..empty(kind, namespace, name.to_owned(), now, verdict) });
    }
    let report = match kind {
        Kind::NetworkMonitor => {
            let object = objects.monitors.iter().find(|it| it.meta_name() == name)?;
            let degradation = object.status.as_ref().and_then(|status| status.degradation.as_ref());
            let components = degradation.map(|it| it.components.as_slice()).unwrap_or_default();
            let mut evidence: Vec<Evidence> = components.iter().map(evidence::of_component).collect();
            let shortages = object.status.as_ref().map(|status| status.node_shortages.as_slice());
            evidence.extend(shortages.unwrap_or_default().iter().map(evidence::of_shortage));
            let hints = components.iter().flat_map(|it| it.hints.clone()).collect();
            WhyReport { evidence, hints, ..common(object, monitor_verdict(objects, name, now)?, now) }
        }
        Kind::AnomalyAlarm => {
            let object = objects.alarms.iter().find(|it| it.meta_name() == name)?;
            let evidence = evidence::of_alarm(object);
            WhyReport { evidence, ..common(object, alarm_verdict(objects, name, now)?, now) }
        }
        Kind::Canary => {
            let object = objects.canaries.iter().find(|it| it.meta_name() == name)?;
            let evidence = evidence::of_canary(object);
            WhyReport { evidence, ..common(object, canary_verdict(objects, name, now)?, now) }
        }
    };
    let related = related::of(objects, kind, name, now);
    Some(WhyReport { related, events: recent(events), ..report })
}

trait MetaName {
    fn meta_name(&self) -> &str;
}

impl<K: Watched> MetaName for K {
    fn meta_name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }
}

fn empty(kind: Kind, namespace: String, name: String, as_of: Timestamp, verdict: Verdict) -> WhyReport {
    WhyReport {
        kind,
        namespace,
        name,
        as_of,
        well: verdict.severity == Severity::Good,
        verdict,
        evidence: Vec::new(),
        hints: Vec::new(),
        related: Vec::new(),
        conditions: Vec::new(),
        events: Vec::new(),
        next: Vec::new(),
    }
}

fn common<K: Watched>(object: &K, verdict: Verdict, now: Timestamp) -> WhyReport {
    let (namespace, name) = object.namespace_and_name();
    let amiss: Vec<&Condition> = object.conditions().iter().filter(|it| is_amiss(it)).collect();
    let mut next: Vec<Advice> = Vec::new();
    for condition in &amiss {
        let found = advice(&condition.reason).filter(|it| next.iter().all(|there| there.reason != it.reason));
        next.extend(found);
    }
    let conditions: Vec<ConditionStatus> = amiss.into_iter().map(condition_status).collect();
    let well = verdict.severity == Severity::Good && conditions.is_empty();
    WhyReport { conditions, next, well, ..empty(K::KIND, namespace, name, now, verdict) }
}

fn condition_status(condition: &Condition) -> ConditionStatus {
    ConditionStatus {
        kind: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        since: condition.last_transition_time.0,
    }
}

fn monitor_verdict(objects: &Objects, name: &str, now: Timestamp) -> Option<Verdict> {
    let row = status::report(objects, None, now).monitors.into_iter().find(|it| it.name == name)?;
    let state = row.network_health_indicator.map_or("none", status::indicator);
    let fault = row.attribution.map(|it| format!(", fault {}", status::attribution(it))).unwrap_or_default();
    let healthy = "nothing is wrong with the traffic that it selects".to_owned();
    Some(Verdict {
        state: format!("{state}{fault}"),
        message: row.message.unwrap_or(healthy),
        since: row.since,
        severity: match row.state {
            MonitorState::Degraded => Severity::Bad,
            MonitorState::Fault => Severity::Warning,
            MonitorState::Unknown => Severity::Unknown,
            MonitorState::Healthy => Severity::Good,
        },
    })
}

fn severity(state: WatchState) -> Severity {
    match state {
        WatchState::Failing => Severity::Bad,
        WatchState::NotReady => Severity::Warning,
        WatchState::Unknown => Severity::Unknown,
        WatchState::Well => Severity::Good,
    }
}

fn alarm_verdict(objects: &Objects, name: &str, now: Timestamp) -> Option<Verdict> {
    let row = status::report(objects, None, now).alarms.into_iter().find(|it| it.name == name)?;
    Some(Verdict {
        state: row.alarm_state.map_or("none", |state| state.as_str()).to_owned(),
        message: row.message.unwrap_or_else(|| "the metric is as usual".to_owned()),
        since: row.since,
        severity: severity(row.state),
    })
}

fn canary_verdict(objects: &Objects, name: &str, now: Timestamp) -> Option<Verdict> {
    let row = status::report(objects, None, now).canaries.into_iter().find(|it| it.name == name)?;
    Some(Verdict {
        state: row.result.map_or("none", |result| result.as_str()).to_owned(),
        message: row.message.unwrap_or_else(|| "the last run passed".to_owned()),
        since: row.since,
        severity: severity(row.state),
    })
}

fn recent(events: &[Event]) -> Vec<EventStatus> {
    let mut recent: Vec<EventStatus> = events.iter().filter_map(event_status).collect();
    recent.sort_by_key(|event| std::cmp::Reverse(event.at));
    recent.truncate(EVENTS);
    recent
}

/// An event with its time, which stands in another field for each API that wrote it.
fn event_status(event: &Event) -> Option<EventStatus> {
    let series = event.series.as_ref();
    let observed = series.and_then(|it| it.last_observed_time.as_ref()).map(|it| it.0);
    let at = observed
        .or(event.last_timestamp.as_ref().map(|it| it.0))
        .or(event.event_time.as_ref().map(|it| it.0))
        .or(event.metadata.creation_timestamp.as_ref().map(|it| it.0))?;
    Some(EventStatus {
        at,
        warning: event.type_.as_deref() == Some("Warning"),
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
        count: series.and_then(|it| it.count).or(event.count).unwrap_or(1).max(1),
    })
}

#[cfg(test)]
#[path = "why_tests.rs"]
mod tests;
