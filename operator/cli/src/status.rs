//! `tidewatch status`: from the objects to what is shown of them, the worst first. Pure.

mod screen;

use jiff::Timestamp;
use serde::Serialize;
use tidewatch_crds::anomaly_alarm::{self, AlarmState};
use tidewatch_crds::canary::RunResult;
use tidewatch_crds::network_monitor::{self, AttributedTo, Coverage, NetworkHealthIndicator};
use tidewatch_crds::{AnomalyAlarm, Canary, NetworkMonitor};

use crate::count::counted;
use crate::objects::{Objects, TidewatchObject, Unreadable};

pub(crate) use screen::render;

/// Age of a monitor's numbers beyond which nobody watches it any more (they are written again within half an hour).
const OUTDATED_SECONDS: i64 = 35 * 60;

/// The whole cluster, or one namespace of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// False where a monitor isn't healthy, an alarm or canary fails or isn't ready, or an object is unreadable. An alarm or
    /// canary without a result yet doesn't count.
    pub healthy: bool,
    pub summary: String,
    pub as_of: Timestamp,
    /// The namespace that was asked for; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub monitors: Vec<MonitorStatus>,
    pub alarms: Vec<AlarmStatus>,
    pub canaries: Vec<CanaryStatus>,
    /// Objects that another version stored and that this one can't read.
    pub unreadable: Vec<Unreadable>,
    /// The widest coverage that a monitor has; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// State of a monitor, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum MonitorState {
    /// The infrastructure is at fault.
    Degraded,
    /// A service or pod is at fault, or something outside the cluster.
    Fault,
    /// Nothing is known, or what is known is old.
    Unknown,
    Healthy,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitorStatus {
    pub namespace: String,
    pub name: String,
    pub state: MonitorState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_health_indicator: Option<NetworkHealthIndicator>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<AttributedTo>,
    /// The problem in a sentence; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(flatten)]
    pub overview: network_monitor::Overview,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers_as_of: Option<Timestamp>,
}

/// State of an alarm or canary, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum CheckState {
    /// The alarm fires, or the canary's last run failed.
    Failing,
    /// It isn't in place as declared.
    NotReady,
    /// There is no result yet.
    Unknown,
    Ok,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmStatus {
    pub namespace: String,
    pub name: String,
    pub state: CheckState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_state: Option<AlarmState>,
    #[serde(flatten)]
    pub overview: anomaly_alarm::Overview,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    pub namespace: String,
    pub name: String,
    pub state: CheckState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// Share of the runs of 24 hours that passed.
    #[serde(rename = "successDay", skip_serializing_if = "Option::is_none")]
    pub success_day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The report on `objects`.
pub fn report(objects: &Objects, namespace: Option<&str>, now: Timestamp) -> StatusReport {
    let mut monitors: Vec<MonitorStatus> =
        objects.monitors.iter().map(|object| monitor_status(object, now)).collect();
    monitors.sort_by(|a, b| (a.state, &a.namespace, &a.name).cmp(&(b.state, &b.namespace, &b.name)));
    let mut alarms: Vec<AlarmStatus> = objects.alarms.iter().map(alarm_status).collect();
    alarms.sort_by(|a, b| (a.state, &a.namespace, &a.name).cmp(&(b.state, &b.namespace, &b.name)));
    let mut canaries: Vec<CanaryStatus> = objects.canaries.iter().map(canary_status).collect();
    canaries.sort_by(|a, b| (a.state, &a.namespace, &a.name).cmp(&(b.state, &b.namespace, &b.name)));
    let mut report = StatusReport {
        healthy: false,
        summary: String::new(),
        as_of: now,
        namespace: namespace.map(str::to_owned),
        monitors,
        alarms,
        canaries,
        unreadable: objects.unreadable.clone(),
        coverage: coverage(&objects.monitors),
    };
    let problems = problems(&report);
    report.healthy = problems.is_empty();
    report.summary =
        if problems.is_empty() { all_well(&report) } else { format!("{}.", problems.join(", ")) };
    report
}

/// The parts of the summary: the number of objects of each kind that aren't healthy.
fn problems(report: &StatusReport) -> Vec<String> {
    let monitors = |state| report.monitors.iter().filter(|monitor| monitor.state == state).count();
    let alarms = |state| report.alarms.iter().filter(|alarm| alarm.state == state).count();
    let canaries = |state| report.canaries.iter().filter(|canary| canary.state == state).count();
    let not_ready = alarms(CheckState::NotReady) + canaries(CheckState::NotReady);
    let counts = [
        (monitors(MonitorState::Degraded), ["monitor degraded", "monitors degraded"]),
        (
            monitors(MonitorState::Fault),
            ["monitor with a fault outside the network", "monitors with a fault outside the network"],
        ),
        (monitors(MonitorState::Unknown), ["monitor without a verdict", "monitors without a verdict"]),
        (alarms(CheckState::Failing), ["alarm firing", "alarms firing"]),
        (canaries(CheckState::Failing), ["canary failing", "canaries failing"]),
        (not_ready, ["object not ready", "objects not ready"]),
        (report.unreadable.len(), ["object unreadable", "objects unreadable"]),
    ];
    counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, [one, several])| counted(count, one, several))
        .collect()
}

fn all_well(report: &StatusReport) -> String {
    let counts = [
        (report.monitors.len(), "monitor", "monitors"),
        (report.alarms.len(), "alarm", "alarms"),
        (report.canaries.len(), "canary", "canaries"),
    ];
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, several)| counted(count, one, several))
        .collect();
    match parts.as_slice() {
        [] => "Nothing is watched.".to_owned(),
        parts => format!("All is well: {}.", parts.join(", ")),
    }
}

fn monitor_status(monitor: &NetworkMonitor, now: Timestamp) -> MonitorStatus {
    let (namespace, name) = monitor.namespace_and_name();
    let status = monitor.status.clone().unwrap_or_default();
    let indicator = status.network_health_indicator;
    let degradation = status.degradation.as_ref();
    let outdated = status.numbers_as_of.filter(|at| now.as_second() - at.as_second() > OUTDATED_SECONDS);
    let state = match indicator {
        _ if outdated.is_some() || monitor.status.is_none() => MonitorState::Unknown,
        Some(NetworkHealthIndicator::Degraded) => MonitorState::Degraded,
        _ if degradation.is_some() => MonitorState::Fault,
        Some(NetworkHealthIndicator::Healthy) => MonitorState::Healthy,
        Some(NetworkHealthIndicator::InsufficientData) | None => MonitorState::Unknown,
    };
    // Where nothing is known, condition Degraded says what is missing, and Ready where the fault is Tidewatch's own.
    let unknown = || {
        let degraded = monitor.condition("Degraded").map(|it| (it.reason.as_str(), it.message.as_str()));
        let (reason, message) = monitor.not_ready().or(degraded)?;
        Some(format!("{reason}: {message}"))
    };
    let message = match (state, outdated) {
        (MonitorState::Healthy, _) => None,
        (_, Some(at)) => Some(format!("nobody watches it: its numbers are of {at}")),
        (MonitorState::Unknown, None) => unknown(),
        (_, None) => degradation.map(|degradation| degradation.summary.clone()),
    };
    let since = degradation.map(|it| it.since).or_else(|| {
        let condition = monitor.condition("Degraded").or_else(|| monitor.condition("Ready"))?;
        Some(condition.last_transition_time.0)
    });
    MonitorStatus {
        namespace,
        name,
        state,
        network_health_indicator: indicator,
        attribution: degradation.map(|it| it.attribution),
        message,
        since,
        overview: status.overview.unwrap_or_default(),
        numbers_as_of: status.numbers_as_of,
    }
}

fn alarm_status(alarm: &AnomalyAlarm) -> AlarmStatus {
    let (namespace, name) = alarm.namespace_and_name();
    let status = alarm.status.clone().unwrap_or_default();
    let not_ready = alarm.not_ready();
    let state = match (status.state, not_ready) {
        (Some(AlarmState::Alarm), _) => CheckState::Failing,
        (_, Some(_)) => CheckState::NotReady,
        (Some(AlarmState::Ok), None) => CheckState::Ok,
        (Some(AlarmState::InsufficientData) | None, None) => CheckState::Unknown,
    };
    let message = match state {
        CheckState::Ok => None,
        CheckState::NotReady => not_ready.map(|(reason, message)| format!("{reason}: {message}")),
        CheckState::Failing | CheckState::Unknown => {
            status.reason.or_else(|| alarm.condition("Firing").map(|it| it.message.clone()))
        }
    };
    AlarmStatus {
        namespace,
        name,
        state,
        alarm_state: status.state,
        overview: status.overview.unwrap_or_default(),
        since: status.since,
        message,
    }
}

fn canary_status(canary: &Canary) -> CanaryStatus {
    let (namespace, name) = canary.namespace_and_name();
    let status = canary.status.clone().unwrap_or_default();
    let not_ready = canary.not_ready();
    let state = match (status.result, not_ready) {
        (Some(RunResult::Failed), _) => CheckState::Failing,
        (_, Some(_)) => CheckState::NotReady,
        (Some(RunResult::Passed), None) => CheckState::Ok,
        (None, None) => CheckState::Unknown,
    };
    let passing = canary.condition("Passing").map(|it| it.message.clone());
    let message = match state {
        CheckState::Ok => None,
        CheckState::NotReady => not_ready.map(|(reason, message)| format!("{reason}: {message}")),
        CheckState::Failing => {
            let failure = status.last_failure.map(|it| format!("check {}: {}", it.check, it.message));
            passing.or(failure)
        }
        CheckState::Unknown => passing,
    };
    CanaryStatus {
        namespace,
        name,
        state,
        result: status.result,
        success_day: status.success.and_then(|it| it.day),
        since: status.since,
        last_run: status.last_run.map(|it| it.at),
        message,
    }
}

/// Coverage of the monitor with the most nodes: agents see all connections of a node, whoever selects them.
fn coverage(monitors: &[NetworkMonitor]) -> Option<Coverage> {
    let all = monitors.iter().filter_map(|monitor| monitor.status.as_ref()?.coverage);
    all.max_by_key(|it| (it.nodes_expected, it.connections_seen))
}

/// The share of the traffic that is seen, in words.
pub(crate) fn coverage_sentence(coverage: &Coverage) -> String {
    let nodes = format!("{} of {} nodes report", coverage.nodes_reporting, coverage.nodes_expected);
    match coverage.connections_reported.saturating_mul(100).checked_div(coverage.connections_seen) {
        Some(percent) => format!("{nodes} {percent}% of their {} connections", coverage.connections_seen),
        None => nodes,
    }
}

/// True for a state that somebody must look at.
pub(crate) fn needs_attention(state: CheckState) -> bool {
    match state {
        CheckState::Failing | CheckState::NotReady => true,
        CheckState::Unknown | CheckState::Ok => false,
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
