//! Runs: when they begin and end, what they come to, and the metrics and logs that they leave.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::canary::{Canary, CanaryState};
use super::schedule::Frequency;
use super::surroundings::LogGroup;
use super::{DryRun, package};
use crate::state::{Datum, MetricKey, Region};

const NAMESPACE: &str = "CloudWatchSynthetics";
/// What a run takes unless planned otherwise.
const USUAL: SignedDuration = SignedDuration::from_millis(2_500);
/// AWS keeps runs for the retention period; this is enough for a test.
const KEPT: usize = 1_000;
/// A run's log.
const LOGGED: i64 = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunState {
    Running,
    Passed,
    Failed,
}

/// What a run comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Pass,
    Fail {
        reason: String,
        /// The step that fails, for its own metric.
        #[serde(default)]
        step: Option<String>,
    },
    /// It takes its whole timeout, fails, and leaves no datapoint.
    TimeOut,
}

/// What the next runs come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPlan {
    pub outcome: Outcome,
    /// What each takes.
    pub duration: Option<SignedDuration>,
    /// How many; none is all to come.
    pub times: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: String,
    /// The id of the first attempt.
    pub scheduled_id: String,
    /// 1 for the first retry.
    pub retry: Option<i64>,
    pub state: RunState,
    pub reason: Option<String>,
    pub reason_code: Option<&'static str>,
    pub started: Timestamp,
    pub completed: Option<Timestamp>,
    /// When the first attempt started.
    pub scheduled: Timestamp,
    pub dry_run_id: Option<String>,
    pub(crate) outcome: Outcome,
}

impl Region {
    pub(super) fn start_run(&mut self, canary: &mut Canary, at: Timestamp) {
        canary.next_run = canary.frequency().after(at);
        // Retries may have taken longer than the schedule leaves.
        let at = canary.runs.last().and_then(|run| run.completed).map_or(at, |completed| at.max(completed));
        self.attempt(canary, at, None);
    }

    fn attempt(&mut self, canary: &mut Canary, at: Timestamp, first: Option<(String, Timestamp, i64)>) {
        let id = self.uuid();
        let (outcome, duration) = planned(canary);
        let (scheduled_id, scheduled, retry) = match first {
            Some((id, at, retry)) => (id, at, Some(retry)),
            None => (id.clone(), at, None),
        };
        canary.run_ends = at.saturating_add(duration).ok();
        canary.runs.push(Run {
            id,
            scheduled_id,
            retry,
            state: RunState::Running,
            reason: None,
            reason_code: None,
            started: at,
            completed: None,
            scheduled,
            dry_run_id: None,
            outcome,
        });
        let excess = canary.runs.len().saturating_sub(KEPT);
        canary.runs.drain(..excess);
        let log = self.synthetics.surroundings.log_groups.entry(canary.log_group());
        log.or_insert(LogGroup { created: at, stored_bytes: 0 }).stored_bytes += LOGGED;
    }

    pub(super) fn end_run(&mut self, canary: &mut Canary, at: Timestamp) {
        canary.run_ends = None;
        let timeout = canary.timeout_seconds();
        // A dry run may have ended meanwhile; the run under way is the last that isn't complete.
        let Some(run) = canary.runs.iter_mut().rfind(|run| run.completed.is_none()) else { return };
        run.complete(at, timeout);
        let run = run.clone();
        let failed = run.state == RunState::Failed;
        let retries = canary.config.schedule.retry_config.as_ref().map_or(0, |config| config.max_retries);
        let retry = run.retry.unwrap_or(0);
        if failed && retry < retries && canary.state() == CanaryState::Running {
            self.attempt(canary, at, Some((run.scheduled_id, run.scheduled, retry + 1)));
            return;
        }
        self.record(&canary.name, &run, retries > 0);
        if canary.frequency() == Frequency::Once && canary.state() == CanaryState::Running {
            canary.stop(at);
        }
    }

    /// The metrics of a run; with retries, of the last attempt, at the time of the first.
    fn record(&mut self, canary: &str, run: &Run, retries: bool) {
        if run.outcome == Outcome::TimeOut {
            return;
        }
        let failed = run.state == RunState::Failed;
        let percent = if failed { 0.0 } else { 100.0 };
        let took =
            run.completed.map_or(SignedDuration::ZERO, |completed| completed.duration_since(run.started));
        let mut data = vec![
            ("SuccessPercent", percent, "Percent"),
            ("Duration", took.as_secs_f64() * 1_000.0, "Milliseconds"),
            ("Failed", f64::from(u8::from(failed)), "Count"),
        ];
        if retries {
            let retry = u8::try_from(run.retry.unwrap_or(0)).unwrap_or(u8::MAX);
            data.push(("RetryCount", f64::from(retry), "Count"));
        }
        for (name, value, unit) in data {
            self.put_run_metric(name, &[("CanaryName", canary)], run.scheduled, value, unit);
        }
        if let Outcome::Fail { step: Some(step), .. } = &run.outcome {
            let dimensions = [("CanaryName", canary), ("StepName", step)];
            self.put_run_metric("SuccessPercent", &dimensions, run.scheduled, 0.0, "Percent");
        }
    }

    fn put_run_metric(
        &mut self,
        name: &str,
        dimensions: &[(&str, &str)],
        at: Timestamp,
        value: f64,
        unit: &str,
    ) {
        let datum = Datum { unit: Some(unit.to_owned()), ..Datum::value(value) };
        let key = MetricKey::new(NAMESPACE, name, dimensions.iter().copied());
        self.metrics.put(key, at, datum, self.now);
    }

    pub(super) fn end_dry_run(&mut self, canary: &mut Canary, at: Timestamp) {
        let Some(mut dry_run) = canary.dry_run.take() else { return };
        let id = self.uuid();
        let outcome = dry_run.outcome();
        let mut run = Run {
            scheduled_id: id.clone(),
            id,
            retry: None,
            state: RunState::Running,
            reason: None,
            reason_code: None,
            started: dry_run.started,
            completed: None,
            scheduled: dry_run.started,
            dry_run_id: Some(dry_run.id.clone()),
            outcome,
        };
        run.complete(at, canary.timeout_seconds());
        dry_run.status = if run.state == RunState::Passed { "PASSED" } else { "FAILED" };
        canary.dry_run = Some(dry_run);
        // Before a run under way, which stays the last.
        let place = canary.runs.len() - usize::from(canary.run_ends.is_some() && !canary.runs.is_empty());
        canary.runs.insert(place, run);
    }
}

impl DryRun {
    fn outcome(&self) -> Outcome {
        let config = &self.config;
        let defect =
            self.package.as_ref().and_then(|it| package::defect(&config.runtime_version, &config.code, it));
        defect.map_or(Outcome::Pass, |reason| Outcome::Fail { reason, step: None })
    }
}

impl Run {
    fn complete(&mut self, at: Timestamp, timeout_seconds: i64) {
        self.completed = Some(at);
        let (state, reason, code) = match &self.outcome {
            Outcome::Pass => (RunState::Passed, None, None),
            Outcome::Fail { reason, step } => {
                let step = step.as_ref().map(|step| format!("Step {step}: ")).unwrap_or_default();
                (RunState::Failed, Some(format!("{step}{reason}")), Some("CANARY_FAILURE"))
            }
            Outcome::TimeOut => {
                let reason = format!("Canary timed out after {timeout_seconds} seconds");
                (RunState::Failed, Some(reason), Some("EXECUTION_FAILURE"))
            }
        };
        self.state = state;
        self.reason = reason;
        self.reason_code = code;
    }
}

/// What the next run comes to, and what it takes.
fn planned(canary: &mut Canary) -> (Outcome, SignedDuration) {
    let timeout = SignedDuration::from_secs(canary.timeout_seconds());
    if let Some(reason) = canary.defect.clone() {
        return (Outcome::Fail { reason, step: None }, USUAL.min(timeout));
    }
    let Some(plan) = canary.plans.first_mut() else { return (Outcome::Pass, USUAL.min(timeout)) };
    let (outcome, duration) = (plan.outcome.clone(), plan.duration.unwrap_or(USUAL));
    if let Some(times) = &mut plan.times {
        *times = times.saturating_sub(1);
    }
    canary.plans.retain(|plan| plan.times != Some(0));
    match outcome {
        Outcome::TimeOut => (outcome, timeout),
        // What takes longer than it may is cut off.
        _ if duration >= timeout => (Outcome::TimeOut, timeout),
        _ => (outcome, duration),
    }
}

impl Canary {
    /// "If you omit this, the frequency of the canary is used, up to 14 minutes" (API_CanaryRunConfigInput).
    pub(crate) fn timeout_seconds(&self) -> i64 {
        const LONGEST: i64 = 840;
        self.config.run_config.timeout_in_seconds.unwrap_or_else(|| match self.frequency() {
            Frequency::Every(interval) => interval.as_secs().min(LONGEST),
            Frequency::Once | Frequency::Cron(_) => LONGEST,
        })
    }

    /// The last run of each kind, by the time of its start.
    pub(crate) fn last_run(&self) -> Option<&Run> {
        self.runs.iter().rev().find(|run| run.dry_run_id.is_none())
    }
}

impl Run {
    /// None while it runs.
    pub(crate) fn test_result(&self) -> Option<&'static str> {
        match (self.state, &self.outcome) {
            (RunState::Running, _) => None,
            (RunState::Passed, _) => Some("PASSED"),
            (RunState::Failed, Outcome::TimeOut) => Some("UNKNOWN"),
            (RunState::Failed, _) => Some("FAILED"),
        }
    }
}
