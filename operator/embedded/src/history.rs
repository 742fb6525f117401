//! What is remembered of a canary's runs. Pure.

use std::collections::VecDeque;

use jiff::Timestamp;
use tidewatch_crds::CanaryStatus;
use tidewatch_crds::canary::{CheckRun, Failure, Hour, LastRun, Phases, Provider, Run, RunResult, Success};
use tidewatch_prober::{PhaseTimes, RunReport};

/// Runs that a status lists.
const LISTED: usize = 10;
const FIVE_MINUTES: i64 = 300;
const HOUR: i64 = 3600;

/// What a run changed, and how soon that is worth telling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing but when, how long and how many.
    #[default]
    Figures,
    /// Why it fails.
    Words,
    /// Whether it passes.
    Result,
}

/// What is remembered of a canary's runs.
#[derive(Debug, Clone)]
pub struct History {
    since: Option<Timestamp>,
    last: Option<LastRun>,
    failure: Option<Failure>,
    runs: VecDeque<Run>,
    hour: Counts,
    day: Counts,
}

impl Default for History {
    fn default() -> Self {
        Self {
            since: None,
            last: None,
            failure: None,
            runs: VecDeque::new(),
            hour: Counts::new(FIVE_MINUTES, 12),
            day: Counts::new(HOUR, 24),
        }
    }
}

impl History {
    /// What a status tells, so that a restart forgets little: of the last hour the listed runs, of the day every hour.
    pub fn restore(status: &CanaryStatus) -> Self {
        let mut history = Self {
            since: status.since,
            last: status.last_run.clone(),
            failure: status.last_failure.clone(),
            runs: status.runs.iter().take(LISTED).cloned().collect(),
            ..Self::default()
        };
        for run in history.runs.iter().rev() {
            history.hour.add(run.at, 1, u32::from(run.result == RunResult::Failed));
        }
        for hour in &status.hours {
            history.day.add(hour.from, hour.runs, hour.failed);
        }
        history
    }

    /// The same, if `provider` made the runs: those of another say nothing of this one.
    pub fn of(provider: Provider, status: &CanaryStatus) -> Self {
        if status.provider == Some(provider) { Self::restore(status) } else { Self::default() }
    }

    /// Takes in a run.
    pub fn record(&mut self, report: &RunReport) -> Change {
        let result = if report.failure.is_some() { RunResult::Failed } else { RunResult::Passed };
        let changed = self.last.as_ref().is_none_or(|last| last.result != result);
        let before = self.failing();
        if changed {
            self.since = Some(report.at);
        }
        let failed = u32::from(result == RunResult::Failed);
        self.hour.add(report.at, 1, failed);
        self.day.add(report.at, 1, failed);
        if let Some(failure) = &report.failure {
            self.failure = Some(Failure {
                at: report.at,
                check: failure.check.clone(),
                message: failure.message.clone(),
                expected: failure.expected.clone(),
                got: failure.got.clone(),
                phases: phases(&failure.phases),
                trace_id: report.trace_id.clone(),
            });
        }
        let message =
            report.failure.as_ref().map(|failure| format!("{}: {}", failure.check, failure.message));
        self.runs.truncate(LISTED - 1);
        self.runs.push_front(Run { at: report.at, result, duration_ms: millis(report.duration), message });
        self.last = Some(last_run(report, result));
        if changed {
            Change::Result
        } else if self.failing() != before {
            Change::Words
        } else {
            Change::Figures
        }
    }

    pub fn result(&self) -> Option<RunResult> {
        self.last.as_ref().map(|last| last.result)
    }

    /// When the last run began.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.last.as_ref().map(|last| last.at)
    }

    /// The last run's failure in a sentence, while it is one.
    pub fn failing(&self) -> Option<String> {
        let failing = self.result() == Some(RunResult::Failed);
        self.failure
            .as_ref()
            .filter(|_| failing)
            .map(|failure| format!("{}: {}", failure.check, failure.message))
    }

    /// Fills in what a status tells of runs.
    pub fn tell(&self, status: &mut CanaryStatus, now: Timestamp) {
        status.result = self.result();
        status.since = self.since;
        status.last_run = self.last.clone();
        status.last_failure = self.failure.clone();
        status.runs = self.runs.iter().cloned().collect();
        status.hours = self.day.hours(now);
        status.success =
            self.last.as_ref().map(|_| Success { hour: self.hour.percent(now), day: self.day.percent(now) });
    }
}

fn last_run(report: &RunReport, result: RunResult) -> LastRun {
    let checks = report.checks.iter().map(|check| CheckRun {
        name: check.name.clone(),
        result: if check.passed { RunResult::Passed } else { RunResult::Failed },
        duration_ms: millis(check.duration),
        phases: phases(&check.phases),
    });
    LastRun {
        at: report.at,
        result,
        duration_ms: millis(report.duration),
        attempts: report.attempts,
        trace_id: report.trace_id.clone(),
        checks: checks.collect(),
    }
}

fn phases(times: &PhaseTimes) -> Phases {
    Phases {
        dns_ms: times.dns.map(millis),
        connect_ms: times.connect.map(millis),
        tls_ms: times.tls.map(millis),
        first_byte_ms: times.first_byte.map(millis),
        body_ms: times.body.map(millis),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Runs and failures by spans of equal length.
#[derive(Debug, Clone)]
struct Counts {
    width: i64,
    keep: usize,
    spans: VecDeque<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    runs: u32,
    failed: u32,
}

impl Counts {
    fn new(width: i64, keep: usize) -> Self {
        Self { width, keep, spans: VecDeque::new() }
    }

    fn add(&mut self, at: Timestamp, runs: u32, failed: u32) {
        let from = at.as_second().div_euclid(self.width) * self.width;
        match self.spans.back_mut() {
            // A clock that was set back counts into the newest span.
            Some(last) if last.from >= from => {
                last.runs = last.runs.saturating_add(runs);
                last.failed = last.failed.saturating_add(failed);
            }
            _ => self.spans.push_back(Span { from, runs, failed }),
        }
        while self.spans.len() > self.keep {
            self.spans.pop_front();
        }
    }

    /// The spans that count, the one that `now` is in included.
    fn current(&self, now: Timestamp) -> impl Iterator<Item = &Span> {
        let keep = i64::try_from(self.keep).unwrap_or(i64::MAX);
        let oldest = (now.as_second().div_euclid(self.width) - keep + 1) * self.width;
        self.spans.iter().filter(move |span| span.from >= oldest)
    }

    /// The share that passed; 100 only if all did.
    fn percent(&self, now: Timestamp) -> Option<String> {
        let (runs, failed) = self.current(now).fold((0_u64, 0_u64), |(runs, failed), s| {
            (runs + u64::from(s.runs), failed + u64::from(s.failed))
        });
        let tenths = (runs - failed.min(runs)).checked_mul(1000)?.checked_div(runs)?;
        Some(match (tenths / 10, tenths % 10) {
            (whole, 0) => whole.to_string(),
            (whole, tenth) => format!("{whole}.{tenth}"),
        })
    }

    fn hours(&self, now: Timestamp) -> Vec<Hour> {
        let hour = |span: &Span| {
            let from = Timestamp::from_second(span.from).ok()?;
            Some(Hour { from, runs: span.runs, failed: span.failed })
        };
        self.current(now).filter_map(hour).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidewatch_prober::FailureReport;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 / HOUR * HOUR + minute * 60).unwrap()
    }

    fn run(minute: i64, failure: Option<&str>) -> RunReport {
        RunReport {
            at: at(minute),
            duration: Duration::from_millis(12),
            attempts: 1,
            trace_id: None,
            checks: Vec::new(),
            failure: failure.map(|message| FailureReport {
                check: "home".to_owned(),
                message: message.to_owned(),
                expected: None,
                got: None,
                phases: PhaseTimes::default(),
            }),
        }
    }

    fn told(history: &History, minute: i64) -> CanaryStatus {
        let mut status = CanaryStatus::default();
        history.tell(&mut status, at(minute));
        status
    }

    #[test]
    fn a_result_changes_once_and_its_failure_stays() {
        let mut history = History::default();
        assert_eq!(history.record(&run(0, None)), Change::Result, "the first is a change");
        assert_eq!(history.record(&run(1, None)), Change::Figures);
        assert_eq!(history.record(&run(2, Some("refused"))), Change::Result);
        assert_eq!(history.record(&run(3, Some("connect timed out"))), Change::Words);
        assert_eq!(history.record(&run(3, Some("connect timed out"))), Change::Figures);
        assert_eq!(history.failing().as_deref(), Some("home: connect timed out"));
        assert_eq!(history.record(&run(4, None)), Change::Result);
        assert_eq!(history.failing(), None);
        let status = told(&history, 4);
        assert_eq!((status.result, status.since), (Some(RunResult::Passed), Some(at(4))));
        assert_eq!(status.last_failure.map(|failure| failure.at), Some(at(3)));
    }

    #[test]
    fn shares_are_of_the_hour_and_of_the_day_and_never_rounded_up_to_all() {
        let mut history = History::default();
        for minute in 0..25 * 60 {
            history.record(&run(minute, (minute == 23 * 60).then_some("status 500")));
        }
        let success = told(&history, 25 * 60 - 1).success.unwrap();
        assert_eq!((success.hour.as_deref(), success.day.as_deref()), (Some("100"), Some("99.9")));
        let status = told(&history, 25 * 60 - 1);
        assert_eq!((status.hours.len(), status.runs.len()), (24, 10));
        assert_eq!(status.hours.iter().map(|hour| hour.runs).sum::<u32>(), 24 * 60);
    }

    #[test]
    fn nothing_is_told_of_long_ago() {
        let mut history = History::default();
        history.record(&run(0, None));
        let success = told(&history, 26 * 60).success.unwrap();
        assert_eq!((success.hour, success.day), (None, None));
    }

    #[test]
    fn a_restart_forgets_little() {
        let mut history = History::default();
        for minute in 0..180 {
            history.record(&run(minute, (minute % 10 == 0).then_some("refused")));
        }
        let status = told(&history, 179);
        let restored = History::restore(&status);
        let again = told(&restored, 179);
        assert_eq!(again.success.as_ref().unwrap().day, status.success.as_ref().unwrap().day);
        assert_eq!(
            (&again.runs, &again.hours, &again.last_run),
            (&status.runs, &status.hours, &status.last_run)
        );
        assert_eq!(again.since, status.since);
    }
}
