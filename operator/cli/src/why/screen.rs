//! `tidewatch why` on a screen.

use super::WhyReport;
use crate::age::age;
use crate::screen::{Cell, Column, Fit, Row, Screen, Tone};

/// The report as text of at most `width` columns.
pub(crate) fn render(report: &WhyReport, width: usize) -> String {
    let mut screen = Screen::new(width);
    let verdict = &report.verdict;
    let since = verdict.since.map(|at| format!(", for {}", age(at, report.as_of))).unwrap_or_default();
    let object = format!("{} {}/{}", report.kind.as_str(), report.namespace, report.name);
    screen.signed(verdict.tone, &format!("{object} is {}{since}.", verdict.state));
    screen.sentence(&capital(&verdict.message), 2);
    evidence(&mut screen, report);
    hints(&mut screen, report);
    related(&mut screen, report);
    conditions(&mut screen, report);
    events(&mut screen, report);
    next(&mut screen, report);
    screen.into_text()
}

/// The sentence with a capital letter and a full stop, where it begins with a word.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if sentence.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

fn evidence(screen: &mut Screen, report: &WhyReport) {
    if report.evidence.is_empty() {
        return;
    }
    screen.blank();
    screen.heading("EVIDENCE", "");
    for evidence in &report.evidence {
        screen.sentence(&evidence.subject, 2);
        for fact in &evidence.facts {
            screen.labelled("-", fact, 4, 2);
        }
    }
}

fn hints(screen: &mut Screen, report: &WhyReport) {
    if report.hints.is_empty() {
        return;
    }
    screen.blank();
    screen.heading("WHAT CHANGED", "just before; a hint where to look, no proof");
    for hint in &report.hints {
        screen.labelled(
            &hint.time.to_string(),
            &format!("{} {}: {}", hint.kind, hint.name, hint.message),
            2,
            22,
        );
    }
}

fn related(screen: &mut Screen, report: &WhyReport) {
    if report.related.is_empty() {
        return;
    }
    screen.blank();
    screen.heading("RELATED", "");
    let columns = [
        Column { title: "KIND", fit: Fit::Keep },
        Column { title: "NAME", fit: Fit::Cut(12) },
        Column { title: "STATE", fit: Fit::Cut(16) },
        Column { title: "RELATION", fit: Fit::Drop(1) },
    ];
    let rows = report.related.iter().map(|it| {
        let cells = vec![
            Cell::new(it.kind.as_str()),
            Cell::new(&it.name),
            Cell::toned(&it.state, it.tone),
            Cell::new(&it.relation),
        ];
        Row { tone: it.tone, cells, note: None }
    });
    screen.table(&columns, &rows.collect::<Vec<_>>());
}

fn conditions(screen: &mut Screen, report: &WhyReport) {
    if report.conditions.is_empty() {
        return;
    }
    screen.blank();
    screen.heading("CONDITIONS", "that aren't as they should be");
    let columns = [
        Column { title: "TYPE", fit: Fit::Keep },
        Column { title: "STATUS", fit: Fit::Keep },
        Column { title: "REASON", fit: Fit::Cut(12) },
        Column { title: "SINCE", fit: Fit::Keep },
    ];
    let rows = report.conditions.iter().map(|it| {
        let tone = if it.status == "Unknown" { Tone::Unknown } else { Tone::Warning };
        let since = age(it.since, report.as_of);
        let cells =
            vec![Cell::new(&it.kind), Cell::toned(&it.status, tone), Cell::new(&it.reason), Cell::new(since)];
        let is_in_verdict = report.verdict.message.contains(&it.message);
        Row { tone, cells, note: (!is_in_verdict).then(|| it.message.clone()) }
    });
    screen.table(&columns, &rows.collect::<Vec<_>>());
}

fn events(screen: &mut Screen, report: &WhyReport) {
    if report.events.is_empty() && report.events_error.is_none() {
        return;
    }
    screen.blank();
    screen.heading("EVENTS", "the newest first");
    if let Some(error) = &report.events_error {
        screen.item(Tone::Unknown, &format!("They couldn't be listed: {error}"));
    }
    for event in &report.events {
        let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
        let label = format!("{} ago", age(event.at, report.as_of));
        screen.labelled(&label, &format!("{}: {}{times}", event.reason, event.message), 2, 12);
    }
}

fn next(screen: &mut Screen, report: &WhyReport) {
    if report.next.is_empty() {
        return;
    }
    screen.blank();
    screen.heading("WHAT TO DO", "");
    for advice in &report.next {
        screen.sentence(&advice.reason, 2);
        for (label, sentence) in [("Means:", &advice.means), ("See:", &advice.see), ("Do:", &advice.act)] {
            if !sentence.is_empty() {
                screen.labelled(label, sentence, 4, 7);
            }
        }
        screen.labelled("More:", &advice.link, 4, 7);
    }
}
