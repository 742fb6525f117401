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
use crate::objects::{Kind, Objects, Read, TidewatchObject, api_name, is_abnormal};
use crate::screen::Tone;
use crate::status::{self, AlarmStatus, CanaryStatus, MonitorStatus};

pub use evidence::Evidence;
pub use related::Related;
pub(crate) use screen::render;

/// Number of events that are shown, the newest.
const EVENTS: usize = 8;

/// The report on one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyReport {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    pub as_of: Timestamp,
    pub healthy: bool,
    pub verdict: Verdict,
    pub evidence: Vec<Evidence>,
    /// Changes in the cluster just before a fault began. They hint where to look and prove no cause.
    pub hints: Vec<Hint>,
    pub related: Vec<Related>,
    /// Conditions that aren't as they should be.
    pub conditions: Vec<ConditionStatus>,
    /// The newest first.
    pub events: Vec<EventStatus>,
    /// The error, where the events couldn't be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_error: Option<String>,
    pub next: Vec<Advice>,
}

/// The object's own verdict, in a word and in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The indicator of a monitor, the state of an alarm, the result of a canary.
    pub state: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip)]
    tone: Tone,
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

/// The report on the object of that name; none where it isn't among `objects`, which are those of one namespace. An object
/// that can't be read says why.
pub fn report(
    objects: &Objects,
    kind: Kind,
    name: &str,
    events: &Read<Vec<Event>>,
    now: Timestamp,
) -> Option<WhyReport> {
    if let Some(unreadable) = objects.unreadable.iter().find(|it| it.kind == kind && it.name == name) {
        let verdict = Verdict {
            state: "Unreadable".to_owned(),
            message: format!("the object doesn't parse: {}", unreadable.error),
            since: None,
            tone: Tone::Warning,
        };
        let next = advice("Unreadable").into_iter().collect();
        let namespace = unreadable.namespace.clone();
        return Some(WhyReport { next, ..empty(kind, namespace, name.to_owned(), now, verdict) });
    }
    let status = status::report(objects, None, now);
    let report = match kind {
        Kind::NetworkMonitor => {
            let object = named(&objects.monitors, name)?;
            let row = status.monitors.iter().find(|it| it.name == name)?;
            let components = object.status.as_ref().and_then(|status| status.degradation.as_ref());
            let components = components.map(|it| it.components.as_slice()).unwrap_or_default();
            let hints = components.iter().flat_map(|it| it.hints.clone()).collect();
            let evidence = evidence::of_monitor(object);
            WhyReport { evidence, hints, ..common(object, monitor_verdict(row), now) }
        }
        Kind::AnomalyAlarm => {
            let object = named(&objects.alarms, name)?;
            let row = status.alarms.iter().find(|it| it.name == name)?;
            let evidence = evidence::of_alarm(object);
            WhyReport { evidence, ..common(object, alarm_verdict(row), now) }
        }
        Kind::Canary => {
            let object = named(&objects.canaries, name)?;
            let row = status.canaries.iter().find(|it| it.name == name)?;
            let evidence = evidence::of_canary(object);
            WhyReport { evidence, ..common(object, canary_verdict(row), now) }
        }
    };
    let related = related::of(objects, &status, kind, name);
    let (events, events_error) = match events {
        Ok(events) => (recent(events), None),
        Err(error) => (Vec::new(), Some(error.clone())),
    };
    Some(WhyReport { related, events, events_error, ..report })
}

fn named<'o, K: TidewatchObject>(objects: &'o [K], name: &str) -> Option<&'o K> {
    objects.iter().find(|it| it.meta().name.as_deref() == Some(name))
}

fn empty(kind: Kind, namespace: String, name: String, as_of: Timestamp, verdict: Verdict) -> WhyReport {
    WhyReport {
        kind,
        namespace,
        name,
        as_of,
        healthy: verdict.tone == Tone::Good,
        verdict,
        evidence: Vec::new(),
        hints: Vec::new(),
        related: Vec::new(),
        conditions: Vec::new(),
        events: Vec::new(),
        events_error: None,
        next: Vec::new(),
    }
}

fn common<K: TidewatchObject>(object: &K, verdict: Verdict, now: Timestamp) -> WhyReport {
    let (namespace, name) = object.namespace_and_name();
    let abnormal: Vec<&Condition> = object.conditions().iter().filter(|it| is_abnormal(it)).collect();
    let mut next: Vec<Advice> = Vec::new();
    for condition in &abnormal {
        let found = advice(&condition.reason).filter(|it| next.iter().all(|there| there.reason != it.reason));
        next.extend(found);
    }
    let conditions: Vec<ConditionStatus> = abnormal.into_iter().map(condition_status).collect();
    let healthy = verdict.tone == Tone::Good && conditions.is_empty();
    WhyReport { conditions, next, healthy, ..empty(K::KIND, namespace, name, now, verdict) }
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

fn monitor_verdict(row: &MonitorStatus) -> Verdict {
    let state = row.network_health_indicator.map_or_else(|| "none".to_owned(), |it| api_name(&it));
    let fault = row.attribution.map(|it| format!(", fault {}", api_name(&it))).unwrap_or_default();
    let healthy = "nothing is wrong with the traffic that it selects";
    Verdict {
        state: format!("{state}{fault}"),
        message: row.message.clone().unwrap_or_else(|| healthy.to_owned()),
        since: row.since,
        tone: row.state.tone(),
    }
}

fn alarm_verdict(row: &AlarmStatus) -> Verdict {
    Verdict {
        state: row.alarm_state.map_or("none", |state| state.as_str()).to_owned(),
        message: row.message.clone().unwrap_or_else(|| "the metric is as usual".to_owned()),
        since: row.since,
        tone: row.state.tone(),
    }
}

fn canary_verdict(row: &CanaryStatus) -> Verdict {
    Verdict {
        state: row.result.map_or("none", |result| result.as_str()).to_owned(),
        message: row.message.clone().unwrap_or_else(|| "the last run passed".to_owned()),
        since: row.since,
        tone: row.state.tone(),
    }
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
