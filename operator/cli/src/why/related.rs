//! Other objects that concern the same thing, and their states.

use std::collections::BTreeSet;

use serde::Serialize;
use tidewatch_crds::AnomalyAlarm;

use crate::objects::{Kind, Objects, TidewatchObject, api_name};
use crate::screen::Tone;
use crate::status::{CheckState, MonitorState, StatusReport};

/// Another object of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Related {
    pub kind: Kind,
    pub name: String,
    /// A phrase that joins the two, such as `names it`.
    pub relation: String,
    pub state: String,
    #[serde(skip)]
    pub(super) tone: Tone,
}

/// Names of one kind's objects, with how each is related.
type Names = BTreeSet<(Kind, String, &'static str)>;

/// The objects that are related to that of `kind` and `name`. `objects` are those of its namespace, and `status` is theirs.
pub(super) fn of(objects: &Objects, status: &StatusReport, kind: Kind, name: &str) -> Vec<Related> {
    let mut names = Names::new();
    for alarm in &objects.alarms {
        let (_, alarm_name) = alarm.namespace_and_name();
        let touched = named_by(alarm);
        if kind == Kind::AnomalyAlarm && alarm_name == name {
            names.extend(touched);
        } else if touched.iter().any(|(of, other, _)| *of == kind && other == name) {
            names.insert((Kind::AnomalyAlarm, alarm_name, "names it"));
        }
    }
    let linked = |of: Kind, other: &str| names.iter().any(|(there, named, _)| *there == of && named == other);
    let mut neighbours = Names::new();
    if kind != Kind::Canary {
        let failing = status.canaries.iter().filter(|it| it.state == CheckState::Failing);
        let failing = failing.filter(|it| !linked(Kind::Canary, &it.name));
        neighbours.extend(failing.map(|it| (Kind::Canary, it.name.clone(), "in the same namespace")));
    }
    if kind != Kind::NetworkMonitor {
        let faulty = status.monitors.iter().filter(|it| it.state < MonitorState::Unknown);
        let faulty = faulty.filter(|it| !linked(Kind::NetworkMonitor, &it.name));
        neighbours.extend(faulty.map(|it| (Kind::NetworkMonitor, it.name.clone(), "in the same namespace")));
    }
    names
        .into_iter()
        .chain(neighbours)
        .map(|(kind, name, relation)| found(status, kind, name, relation))
        .collect()
}

/// The objects that an alarm names in its spec.
fn named_by(alarm: &AnomalyAlarm) -> Names {
    let mut names = Names::new();
    let metric = alarm.spec.metric.as_ref();
    if let Some(monitor) = metric.and_then(|metric| metric.network_monitor.as_ref()) {
        names.insert((Kind::NetworkMonitor, monitor.name.clone(), "is what its metric is of"));
    }
    if let Some(canary) = metric.and_then(|metric| metric.canary.as_ref()) {
        names.insert((Kind::Canary, canary.name.clone(), "is what its metric is of"));
    }
    if let Some(when) = &alarm.spec.when {
        names.insert((Kind::NetworkMonitor, when.network_health.monitor.clone(), "is what it waits for"));
    }
    let combined = alarm.spec.alarms.as_ref().map(|alarms| alarms.any_of.as_slice()).unwrap_or_default();
    names.extend(combined.iter().map(|name| (Kind::AnomalyAlarm, name.clone(), "is combined in it")));
    names
}

fn found(status: &StatusReport, kind: Kind, name: String, relation: &'static str) -> Related {
    let known: Option<(String, Tone)> = match kind {
        Kind::NetworkMonitor => status.monitors.iter().find(|it| it.name == name).map(|it| {
            let indicator = it.network_health_indicator.map_or_else(|| "none".to_owned(), |it| api_name(&it));
            let fault = it.attribution.map(|it| format!(", fault {}", api_name(&it)));
            (format!("{indicator}{}", fault.unwrap_or_default()), it.state.tone())
        }),
        Kind::AnomalyAlarm => status
            .alarms
            .iter()
            .find(|it| it.name == name)
            .map(|it| (it.alarm_state.map_or("none", |state| state.as_str()).to_owned(), it.state.tone())),
        Kind::Canary => status
            .canaries
            .iter()
            .find(|it| it.name == name)
            .map(|it| (it.result.map_or("none", |result| result.as_str()).to_owned(), it.state.tone())),
    };
    let (state, tone) = known.unwrap_or_else(|| ("there is no such object".to_owned(), Tone::Unknown));
    Related { kind, name, relation: relation.to_owned(), state, tone }
}
