//! `tidewatch doctor` on a screen.

use super::{Check, DoctorReport, Severity};
use crate::screen::{Screen, Tone};

/// The report as text of at most `width` columns: the parts with findings first.
pub(crate) fn render(report: &DoctorReport, width: usize) -> String {
    let mut screen = Screen::new(width);
    let checks = || report.checks.iter();
    let worst = checks().flat_map(|check| &check.findings).map(|finding| finding.severity).min();
    screen.signed(worst.map_or(Tone::Good, tone), &report.summary);
    screen.blank();
    let mut failed: Vec<&Check> = checks().filter(|check| !check.findings.is_empty()).collect();
    failed.sort_by_key(|check| check.findings.iter().map(|finding| finding.severity).min());
    for check in failed {
        screen.heading(&check.name, "");
        for finding in &check.findings {
            screen.item(tone(finding.severity), &finding.message);
            screen.labelled("Do:", &finding.mend, 4, 4);
        }
        screen.blank();
    }
    for check in checks() {
        if let Some(summary) = &check.summary {
            screen.signed(Tone::Good, &format!("{}: {summary}", check.name));
        }
    }
    let version = format!("tidewatch {}, operator in namespace {}", report.version, report.namespace);
    screen.sentence(&version, 2);
    screen.into_text()
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Problem => Tone::Bad,
        Severity::Warning => Tone::Warning,
        Severity::Unchecked => Tone::Unknown,
    }
}
