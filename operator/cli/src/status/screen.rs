//! `tidewatch status` on a screen.

use jiff::Timestamp;

use super::{
    AlarmStatus, CanaryStatus, CheckState, MonitorState, MonitorStatus, StatusReport, coverage_sentence,
    needs_attention,
};
use crate::age::age;
use crate::invocation::Invocation;
use crate::objects::{Kind, api_name};
use crate::screen::{Cell, Column, Fit, Row, Screen, Tone};

/// The report as text of at most `width` columns.
pub(crate) fn render(report: &StatusReport, width: usize, invocation: &Invocation) -> String {
    let mut screen = Screen::new(width);
    let tone = overall(report);
    screen.signed(tone, &report.summary);
    if report.monitors.is_empty() && report.alarms.is_empty() && report.canaries.is_empty() {
        let place = report.namespace.as_ref().map(|name| format!(" in namespace {name}")).unwrap_or_default();
        screen.sentence(&format!("There is no NetworkMonitor, AnomalyAlarm or Canary{place}; docs/networkmonitor.md has one to begin with."), 2);
    }
    monitors(&mut screen, report);
    alarms(&mut screen, report);
    canaries(&mut screen, report);
    unreadable(&mut screen, report);
    if let Some(coverage) = &report.coverage {
        screen.blank();
        screen.heading("COVERAGE", &coverage_sentence(coverage));
    }
    if let Some((kind, namespace, name)) = worst(report) {
        screen.blank();
        screen.sentence(&format!("Next: {}", invocation.why(kind, namespace, name)), 0);
    }
    screen.into_text()
}

fn overall(report: &StatusReport) -> Tone {
    let degraded = report.monitors.iter().any(|it| it.state == MonitorState::Degraded);
    let failing = report.alarms.iter().any(|it| it.state == CheckState::Failing)
        || report.canaries.iter().any(|it| it.state == CheckState::Failing);
    let fault = report.monitors.iter().any(|it| it.state == MonitorState::Fault);
    let nothing = report.monitors.is_empty() && report.alarms.is_empty() && report.canaries.is_empty();
    match () {
        () if degraded || failing => Tone::Bad,
        () if fault => Tone::Warning,
        () if report.healthy && !nothing => Tone::Good,
        () => Tone::Unknown,
    }
}

impl MonitorState {
    pub(crate) fn tone(self) -> Tone {
        match self {
            Self::Degraded => Tone::Bad,
            Self::Fault => Tone::Warning,
            Self::Unknown => Tone::Unknown,
            Self::Healthy => Tone::Good,
        }
    }
}

impl CheckState {
    pub(crate) fn tone(self) -> Tone {
        match self {
            Self::Failing => Tone::Bad,
            Self::NotReady => Tone::Warning,
            Self::Unknown => Tone::Unknown,
            Self::Ok => Tone::Good,
        }
    }
}

/// The object to ask about first.
fn worst(report: &StatusReport) -> Option<(Kind, &str, &str)> {
    let monitor = report.monitors.first().filter(|it| it.state != MonitorState::Healthy);
    let alarm = report.alarms.first().filter(|it| needs_attention(it.state));
    let canary = report.canaries.first().filter(|it| needs_attention(it.state));
    let grave = monitor.filter(|it| it.state < MonitorState::Unknown);
    grave
        .map(|it| (Kind::NetworkMonitor, it.namespace.as_str(), it.name.as_str()))
        .or_else(|| alarm.map(|it| (Kind::AnomalyAlarm, it.namespace.as_str(), it.name.as_str())))
        .or_else(|| canary.map(|it| (Kind::Canary, it.namespace.as_str(), it.name.as_str())))
        .or_else(|| monitor.map(|it| (Kind::NetworkMonitor, it.namespace.as_str(), it.name.as_str())))
}

fn monitors(screen: &mut Screen, report: &StatusReport) {
    if report.monitors.is_empty() {
        return;
    }
    screen.blank();
    let unhealthy = report.monitors.iter().filter(|it| it.state != MonitorState::Healthy).count();
    screen.heading("MONITORS", &unhealthy_of(unhealthy, report.monitors.len(), "healthy", "not healthy"));
    let columns = [
        Column { title: "NAMESPACE", fit: Fit::Cut(9) },
        Column { title: "NAME", fit: Fit::Cut(12) },
        Column { title: "NHI", fit: Fit::Keep },
        Column { title: "FAULT", fit: Fit::Keep },
        Column { title: "COMPONENT", fit: Fit::Cut(12) },
        Column { title: "SINCE", fit: Fit::Keep },
        Column { title: "RTT-P99", fit: Fit::Drop(1) },
        Column { title: "RETRANS", fit: Fit::Drop(2) },
        Column { title: "COVERAGE", fit: Fit::Drop(3) },
    ];
    let rows: Vec<Row> = report.monitors.iter().map(|it| monitor(it, report.as_of)).collect();
    screen.table(&columns, &rows);
}

fn monitor(monitor: &MonitorStatus, now: Timestamp) -> Row {
    let tone = monitor.state.tone();
    let nhi = monitor.network_health_indicator.map_or_else(|| "none".to_owned(), |it| api_name(&it));
    let nhi_tone = if monitor.state == MonitorState::Fault { Tone::Plain } else { tone };
    let fault = monitor.attribution.map(|it| api_name(&it)).unwrap_or_default();
    let text = |text: &Option<String>| Cell::new(text.as_deref().unwrap_or_default());
    Row {
        tone,
        cells: vec![
            Cell::new(&monitor.namespace),
            Cell::new(&monitor.name),
            Cell::toned(nhi, nhi_tone),
            Cell::toned(fault, tone),
            text(&monitor.overview.component),
            Cell::new(monitor.since.map(|since| age(since, now)).unwrap_or_default()),
            text(&monitor.overview.rtt_p99),
            text(&monitor.overview.retransmissions),
            text(&monitor.overview.coverage),
        ],
        note: monitor.message.clone(),
    }
}

/// The number of objects where all are healthy, or else how many aren't. `healthy` and `unhealthy` are words for the kind.
fn unhealthy_of(number: usize, all: usize, healthy: &str, unhealthy: &str) -> String {
    match (number, all) {
        (0, 1) => format!("1, {healthy}"),
        (0, _) => format!("{all}, all {healthy}"),
        _ => format!("{number} of {all} {unhealthy}"),
    }
}

/// Only what somebody must look at, or has no result yet: the others are counted in the heading.
fn alarms(screen: &mut Screen, report: &StatusReport) {
    if report.alarms.is_empty() {
        return;
    }
    screen.blank();
    let shown: Vec<&AlarmStatus> = report.alarms.iter().filter(|it| it.state != CheckState::Ok).collect();
    screen.heading("ALARMS", &unhealthy_of(shown.len(), report.alarms.len(), "OK", "not OK"));
    let columns = [
        Column { title: "NAMESPACE", fit: Fit::Cut(9) },
        Column { title: "NAME", fit: Fit::Cut(12) },
        Column { title: "STATE", fit: Fit::Keep },
        Column { title: "VALUE", fit: Fit::Cut(8) },
        Column { title: "BAND", fit: Fit::Drop(1) },
        Column { title: "SINCE", fit: Fit::Keep },
    ];
    let row = |it: &&AlarmStatus| Row {
        tone: it.state.tone(),
        cells: vec![
            Cell::new(&it.namespace),
            Cell::new(&it.name),
            Cell::toned(it.alarm_state.map_or("none", |state| state.as_str()), it.state.tone()),
            Cell::new(it.overview.value.as_deref().unwrap_or_default()),
            Cell::new(it.overview.band.as_deref().unwrap_or_default()),
            Cell::new(it.since.map(|since| age(since, report.as_of)).unwrap_or_default()),
        ],
        note: it.message.clone(),
    };
    table_unless_empty(screen, &columns, shown.iter().map(row).collect());
}

fn canaries(screen: &mut Screen, report: &StatusReport) {
    if report.canaries.is_empty() {
        return;
    }
    screen.blank();
    let shown: Vec<&CanaryStatus> = report.canaries.iter().filter(|it| it.state != CheckState::Ok).collect();
    screen.heading("CANARIES", &unhealthy_of(shown.len(), report.canaries.len(), "passing", "not passing"));
    let columns = [
        Column { title: "NAMESPACE", fit: Fit::Cut(9) },
        Column { title: "NAME", fit: Fit::Cut(12) },
        Column { title: "RESULT", fit: Fit::Keep },
        Column { title: "SUCCESS-24H", fit: Fit::Keep },
        Column { title: "SINCE", fit: Fit::Keep },
        Column { title: "LAST-RUN", fit: Fit::Drop(1) },
    ];
    let row = |it: &&CanaryStatus| Row {
        tone: it.state.tone(),
        cells: vec![
            Cell::new(&it.namespace),
            Cell::new(&it.name),
            Cell::toned(it.result.map_or("none", |result| result.as_str()), it.state.tone()),
            Cell::new(it.success_day.as_ref().map(|share| format!("{share}%")).unwrap_or_default()),
            Cell::new(it.since.map(|since| age(since, report.as_of)).unwrap_or_default()),
            Cell::new(it.last_run.map(|at| age(at, report.as_of)).unwrap_or_default()),
        ],
        note: it.message.clone(),
    };
    table_unless_empty(screen, &columns, shown.iter().map(row).collect());
}

fn unreadable(screen: &mut Screen, report: &StatusReport) {
    if report.unreadable.is_empty() {
        return;
    }
    screen.blank();
    screen.heading("UNREADABLE", "stored by another version of Tidewatch");
    let columns = [
        Column { title: "NAMESPACE", fit: Fit::Cut(9) },
        Column { title: "NAME", fit: Fit::Cut(12) },
        Column { title: "KIND", fit: Fit::Keep },
    ];
    let rows = report.unreadable.iter().map(|it| Row {
        tone: Tone::Warning,
        cells: vec![Cell::new(&it.namespace), Cell::new(&it.name), Cell::new(it.kind.as_str())],
        note: Some(it.error.clone()),
    });
    screen.table(&columns, &rows.collect::<Vec<_>>());
}

fn table_unless_empty(screen: &mut Screen, columns: &[Column], rows: Vec<Row>) {
    if !rows.is_empty() {
        screen.table(columns, &rows);
    }
}
