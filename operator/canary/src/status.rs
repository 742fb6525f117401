//! From what is known to the status, and whether it is worth a write. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tidewatch_crds::CanaryStatus;
use tidewatch_crds::canary::{AwsCanary, Provider, RunResult};
use tidewatch_embedded::{Change, History, is_due as is_worth_telling};
use tidewatch_kube::conditions::{ConditionKind, Says, Truth, WATCH_FAILING, conditions};
use tidewatch_kube::events::Happened;

use super::desired::Problem;

/// The state of a canary that can't run.
pub const STOPPED: &str = "Stopped";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConditionType {
    Ready,
    Passing,
    /// The runtime in AWS isn't about to be deprecated.
    RuntimeCurrent,
}

impl ConditionKind for ConditionType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Passing => "Passing",
            Self::RuntimeCurrent => "RuntimeCurrent",
        }
    }
}

/// What a status is made of.
pub(super) struct Known<'a> {
    pub generation: Option<i64>,
    pub provider: Provider,
    pub suspended: bool,
    pub problem: Option<&'a Problem>,
    /// Why changes of the object aren't seen, if they aren't.
    pub unwatched: Option<String>,
    pub history: &'a History,
    pub run_now: Option<&'a str>,
    /// What it still has in AWS, where it was run before.
    pub aws: Option<AwsCanary>,
    pub now: Timestamp,
}

pub(super) fn status(previous: &CanaryStatus, known: &Known<'_>) -> CanaryStatus {
    let mut status = CanaryStatus {
        observed_generation: known.generation,
        provider: Some(known.provider),
        state: match (known.problem, known.suspended) {
            (Some(_), _) => Some(STOPPED.to_owned()),
            (None, true) => Some("Suspended".to_owned()),
            (None, false) => Some("Running".to_owned()),
        },
        run_now: known.run_now.map(str::to_owned),
        aws: known.aws.clone(),
        ..CanaryStatus::default()
    };
    known.history.tell(&mut status, known.now);
    let says = vec![ready(known), passing(known)];
    status.conditions = conditions(&previous.conditions, says, known.generation, known.now);
    status
}

fn ready(known: &Known<'_>) -> Says<ConditionType> {
    if let Some(why) = &known.unwatched {
        return Says::new(ConditionType::Ready, Truth::Unknown, WATCH_FAILING, why.clone());
    }
    let (truth, reason, message) = match (known.problem, known.suspended) {
        (Some(problem), _) => (Truth::False, problem.reason, problem.message.clone()),
        (None, true) => (Truth::True, "Suspended", "suspended, as declared".to_owned()),
        (None, false) => (Truth::True, "Running", "runs on its schedule".to_owned()),
    };
    Says::new(ConditionType::Ready, truth, reason, message)
}

fn passing(known: &Known<'_>) -> Says<ConditionType> {
    let idle = known.suspended || known.problem.is_some();
    let (truth, reason, message) = match (known.history.result(), idle) {
        (_, true) => (Truth::Unknown, "NotRunning", String::new()),
        (None, _) => (Truth::Unknown, "NoRunYet", String::new()),
        (Some(RunResult::Passed), _) => (Truth::True, "Passed", String::new()),
        (Some(RunResult::Failed), _) => (Truth::False, "Failed", known.history.failing().unwrap_or_default()),
    };
    Says::new(ConditionType::Passing, truth, reason, message)
}

/// Whether `next` is written over `standing`: at once if something else than figures changed, otherwise from time to
/// time. `written` is when this operator last wrote it.
pub(super) fn is_due(
    standing: &CanaryStatus,
    next: &CanaryStatus,
    written: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    if standing == next {
        return false;
    }
    let change = if state_of(standing) != state_of(next) {
        Change::Result
    } else if message_of(standing) != message_of(next) {
        Change::Words
    } else {
        Change::Figures
    };
    written.is_none_or(|written| is_worth_telling(change, now.duration_since(written)))
}

/// The status without figures and without the words of a failure.
fn state_of(status: &CanaryStatus) -> CanaryStatus {
    let mut state = CanaryStatus {
        last_run: None,
        last_failure: None,
        success: None,
        runs: Vec::new(),
        hours: Vec::new(),
        ..status.clone()
    };
    if let Some(aws) = &mut state.aws {
        aws.failure_artifacts = None;
    }
    for condition in state.conditions.iter_mut().filter(|condition| is_passing(condition)) {
        condition.message.clear();
    }
    state
}

fn message_of(status: &CanaryStatus) -> Option<&str> {
    status
        .conditions
        .iter()
        .find(|condition| is_passing(condition))
        .map(|condition| condition.message.as_str())
}

fn is_passing(condition: &Condition) -> bool {
    condition.type_ == ConditionType::Passing.as_str()
}

/// That another provider runs it now, and that the history begins anew.
fn moved(standing: &CanaryStatus, next: &CanaryStatus) -> Option<&'static str> {
    match (standing.provider?, next.provider?) {
        (Provider::Aws, Provider::Embedded) => {
            Some("runs from within the cluster now: the results of its runs in AWS don't count any more")
        }
        (Provider::Embedded, Provider::Aws) => Some(
            "runs in CloudWatch Synthetics now: the results of its runs from within the cluster don't count any more",
        ),
        (Provider::Aws, Provider::Aws) | (Provider::Embedded, Provider::Embedded) => None,
    }
}

/// What is worth an Event in the step from `standing` to `next`.
pub(super) fn happened(standing: &CanaryStatus, next: &CanaryStatus) -> Vec<Happened> {
    let mut happened = Vec::new();
    let said = |reason, is_warning, note| Happened { reason, is_warning, note, action: "Probe" };
    happened.extend(moved(standing, next).map(|note| said("ProviderChanged", false, note.to_owned())));
    match (standing.result, next.result) {
        (before, Some(RunResult::Failed)) if before != Some(RunResult::Failed) => {
            happened.push(said("Failing", true, message_of(next).unwrap_or_default().to_owned()));
        }
        (Some(RunResult::Failed), Some(RunResult::Passed)) => {
            happened.push(said("Recovered", false, "passes again".to_owned()));
        }
        _ => {}
    }
    let problem = |status: &CanaryStatus| {
        let ready =
            status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str());
        ready
            .filter(|ready| ready.status == "False")
            .map(|ready| (ready.reason.clone(), ready.message.clone()))
    };
    if let Some((_, message)) = problem(next).filter(|now| problem(standing).as_ref() != Some(now)) {
        happened.push(said("NotRunnable", true, message));
    }
    happened
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidewatch_prober::{FailureReport, PhaseTimes, RunReport};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn run(second: i64, failure: Option<&str>) -> RunReport {
        RunReport {
            at: at(second),
            duration: Duration::from_millis(5),
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

    fn fold(standing: &CanaryStatus, history: &History, second: i64) -> CanaryStatus {
        let known = Known {
            generation: Some(1),
            provider: Provider::Embedded,
            suspended: false,
            problem: None,
            unwatched: None,
            history,
            run_now: None,
            aws: None,
            now: at(second),
        };
        status(standing, &known)
    }

    /// Seconds at which a status is written while a canary runs every ten seconds and fails as `failure` says.
    fn writes(seconds: i64, failure: impl Fn(i64) -> Option<String>) -> Vec<i64> {
        let (mut standing, mut written, mut history) = (CanaryStatus::default(), None, History::default());
        let mut writes = Vec::new();
        for second in (0..seconds).step_by(10) {
            history.record(&run(second, failure(second).as_deref()));
            let next = fold(&standing, &history, second);
            if is_due(&standing, &next, written, at(second)) {
                (standing, written) = (next, Some(at(second)));
                writes.push(second);
            }
        }
        writes
    }

    #[test]
    fn a_canary_that_goes_on_as_before_is_written_every_five_minutes() {
        assert_eq!(writes(1200, |_| None), [0, 300, 600, 900]);
    }

    #[test]
    fn a_failure_and_its_end_are_written_at_once_and_a_failure_s_words_every_minute() {
        let failing = |second: i64| (100..300).contains(&second).then(|| format!("took {second} ms"));
        assert_eq!(writes(400, failing), [0, 100, 160, 220, 280, 300]);
    }

    #[test]
    fn events_tell_of_changes_only() {
        let mut history = History::default();
        let mut standing = CanaryStatus::default();
        let mut told = Vec::new();
        for (second, failure) in [(0, None), (10, Some("refused")), (20, Some("refused")), (30, None)] {
            history.record(&run(second, failure));
            let next = fold(&standing, &history, second);
            told.extend(
                happened(&standing, &next).into_iter().map(|event| (second, event.reason, event.note)),
            );
            standing = next;
        }
        assert_eq!(
            told,
            [(10, "Failing", "home: refused".to_owned()), (30, "Recovered", "passes again".to_owned())]
        );
    }

    #[test]
    fn a_change_of_the_provider_is_told_and_ends_no_failure() {
        let of = |provider, result| CanaryStatus { provider, result, ..CanaryStatus::default() };
        let told = |standing, next| -> Vec<&str> {
            happened(&standing, &next).into_iter().map(|event| event.reason).collect()
        };
        let (aws, embedded) = (Some(Provider::Aws), Some(Provider::Embedded));
        let failed = Some(RunResult::Failed);
        assert_eq!(told(of(aws, failed), of(embedded, None)), ["ProviderChanged"]);
        assert_eq!(told(of(embedded, failed), of(aws, None)), ["ProviderChanged"]);
        assert_eq!(told(of(embedded, None), of(embedded, failed)), ["Failing"]);
        assert!(told(of(None, None), of(embedded, None)).is_empty());
    }

    #[test]
    fn what_can_t_run_says_why_and_never_that_it_passes() {
        let mut history = History::default();
        history.record(&run(0, None));
        let problem = Problem::of_spec("InvalidSpec", "spec.schedule.cron: …");
        let known = Known {
            generation: Some(2),
            provider: Provider::Embedded,
            suspended: false,
            problem: Some(&problem),
            unwatched: None,
            history: &history,
            run_now: None,
            aws: None,
            now: at(1),
        };
        let status = status(&CanaryStatus::default(), &known);
        let says: Vec<_> = status
            .conditions
            .iter()
            .map(|c| (c.type_.as_str(), c.status.as_str(), c.reason.as_str()))
            .collect();
        assert_eq!(says, [("Ready", "False", "InvalidSpec"), ("Passing", "Unknown", "NotRunning")]);
    }

    #[test]
    fn a_canary_whose_changes_arent_seen_goes_on_and_isnt_said_to_be_as_declared() {
        let mut history = History::default();
        history.record(&run(0, None));
        let known = Known {
            generation: Some(2),
            provider: Provider::Embedded,
            suspended: false,
            problem: None,
            unwatched: Some("the operator isn't allowed to list and watch canaries".to_owned()),
            history: &history,
            run_now: None,
            aws: None,
            now: at(1),
        };
        let status = status(&CanaryStatus::default(), &known);
        let says = |kind: &str| {
            let condition = status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
            (condition.status.as_str(), condition.reason.as_str())
        };
        assert_eq!((says("Ready"), says("Passing")), (("Unknown", "WatchFailing"), ("True", "Passed")));
    }
}
