//! The status, folded from the one that stands and what was seen. Pure; the same observation twice changes nothing the
//! second time.

use jiff::Timestamp;
use tidewatch_aws::synthetics::types::{CanarySeen, CanaryState};
use tidewatch_crds::CanaryStatus;
use tidewatch_crds::canary::{AwsCanary, LastError, Provider, RunResult};
use tidewatch_embedded::History;
use tidewatch_kube::conditions::{Says, Truth, conditions, find};
use tidewatch_kube::events::Happened;
use tidewatch_managed::Shared;

use super::observe::{Observed, Seen};
use super::reason::{Problem, Reason};
use super::runtime::is_near;
use crate::status::ConditionType;

/// What came of a pass.
#[derive(Debug, Clone)]
pub(super) struct Outcome<'a> {
    pub now: Timestamp,
    pub generation: Option<i64>,
    pub suspended: bool,
    pub read_every: String,
    /// None: AWS wasn't looked at, or didn't answer.
    pub observed: Option<&'a Observed>,
    /// The state of a canary that is being deleted, where it was seen.
    pub ending: Option<String>,
    pub aws: Option<AwsCanary>,
    /// When the runtime that the canary is on is deprecated, where that is known.
    pub runtime_deprecation: Option<Timestamp>,
    /// Keys of the user's tags, once they are there.
    pub tag_keys: Option<Vec<String>>,
    pub history: History,
    pub failure_artifacts: Option<String>,
    pub run_now: Option<String>,
    /// None: all is in place.
    pub problem: Option<Problem>,
    pub error: Option<LastError>,
}

/// The status that should stand.
pub(super) fn fold(previous: &CanaryStatus, outcome: &Outcome<'_>) -> CanaryStatus {
    let canary = outcome.observed.and_then(|observed| observed.current.usable());
    let mut next = CanaryStatus {
        observed_generation: outcome.generation,
        provider: Some(Provider::Aws),
        state: match outcome.observed {
            None if outcome.ending.is_some() => outcome.ending.clone(),
            None => previous.state.clone().filter(|_| previous.provider == Some(Provider::Aws)),
            Some(_) => canary.map(|canary| canary.state.as_str().to_owned()),
        },
        run_now: outcome.run_now.clone(),
        aws: outcome.aws.clone(),
        ..CanaryStatus::default()
    };
    outcome.history.tell(&mut next, outcome.now);
    if let Some(aws) = &mut next.aws {
        aws.read_every = Some(outcome.read_every.clone());
        aws.last_error = outcome.error.clone();
        if outcome.observed.is_some() {
            told(aws, canary, outcome);
        }
        if outcome.failure_artifacts.is_some() {
            aws.failure_artifacts.clone_from(&outcome.failure_artifacts);
        }
        if let Some(keys) = &outcome.tag_keys {
            aws.tag_keys.clone_from(keys);
        }
    }
    let mut says = vec![ready(outcome), passing(canary, outcome)];
    says.extend(runtime_current(canary, outcome));
    next.conditions = conditions(&previous.conditions, says, outcome.generation, outcome.now);
    next
}

/// What AWS tells of the canary itself.
fn told(aws: &mut AwsCanary, canary: Option<&CanarySeen>, outcome: &Outcome<'_>) {
    aws.id = canary.and_then(|canary| canary.id.clone());
    aws.state_reason = canary.and_then(|canary| canary.reason.clone());
    aws.state_reason_code = canary.and_then(|canary| canary.reason_code.clone());
    aws.runtime_version = canary.map(|canary| canary.config.runtime.clone());
    aws.runtime_deprecation = outcome.runtime_deprecation.filter(|_| canary.is_some());
    aws.foreign = outcome
        .observed
        .is_some_and(|observed| matches!(observed.current, Seen::There { .. }) && canary.is_none());
}

fn ready(outcome: &Outcome<'_>) -> Says<ConditionType> {
    let (truth, reason, message) = match (&outcome.problem, outcome.suspended) {
        (Some(problem), _) => {
            let truth = if problem.reason.is_terminal() { Truth::False } else { Truth::Unknown };
            (truth, problem.reason.as_str(), problem.message.clone())
        }
        (None, true) => (Truth::True, "Suspended", "suspended, as declared".to_owned()),
        (None, false) => (Truth::True, "Running", "runs in CloudWatch Synthetics as declared".to_owned()),
    };
    Says::new(ConditionType::Ready, truth, reason, message)
}

fn passing(canary: Option<&CanarySeen>, outcome: &Outcome<'_>) -> Says<ConditionType> {
    let runs =
        canary.is_some_and(|canary| matches!(canary.state, CanaryState::Running | CanaryState::Updating));
    let (truth, reason, message) = match outcome.history.result() {
        // What was read before says nothing of now.
        _ if outcome.observed.is_none() => {
            (Truth::Unknown, "NotRead", "the last run isn't known now".to_owned())
        }
        _ if !runs => (Truth::Unknown, "NotRunning", String::new()),
        None => (Truth::Unknown, "NoRunYet", String::new()),
        Some(RunResult::Passed) => (Truth::True, "Passed", String::new()),
        Some(RunResult::Failed) => (Truth::False, "Failed", outcome.history.failing().unwrap_or_default()),
    };
    Says::new(ConditionType::Passing, truth, reason, message)
}

fn runtime_current(canary: Option<&CanarySeen>, outcome: &Outcome<'_>) -> Option<Says<ConditionType>> {
    let version = &canary?.config.runtime;
    let kind = ConditionType::RuntimeCurrent;
    let date = outcome.runtime_deprecation.filter(|date| is_near(Some(*date), outcome.now));
    Some(match date {
        None => Says::new(kind, Truth::True, "Current", format!("AWS keeps {version} for 90 days or more")),
        Some(date) => {
            let (reason, does) = if date <= outcome.now {
                (
                    "Deprecated",
                    "has deprecated it: the canary goes on, but can't be changed before its runtime is",
                )
            } else {
                ("DeprecationNear", "deprecates it soon")
            };
            let day = date.strftime("%Y-%m-%d");
            Says::new(
                kind,
                Truth::False,
                reason,
                format!("{version} ({day}): AWS {does}; write latest, or a newer version"),
            )
        }
    })
}

/// What the change from `previous` to `next` is told as, beyond what every canary tells.
pub(super) fn events(previous: &CanaryStatus, next: &CanaryStatus) -> Vec<Happened> {
    let mut events = Vec::new();
    let said = |reason, note| Happened { reason, is_warning: true, note, action: "Reconcile" };
    let of = |status: &CanaryStatus, kind| find(&status.conditions, kind).cloned();
    if let Some(now) = of(next, ConditionType::RuntimeCurrent).filter(|now| now.status == "False") {
        let before = of(previous, ConditionType::RuntimeCurrent);
        if before.is_none_or(|before| before.message != now.message) {
            events.push(said("RuntimeDeprecation", now.message));
        }
    }
    let mut refusals = Shared::REFUSALS.map(Reason::Shared).into_iter().chain([Reason::RoleNotAssumable]);
    if let Some(now) = of(next, ConditionType::Ready)
        && refusals.any(|reason| reason.as_str() == now.reason)
        && of(previous, ConditionType::Ready).is_none_or(|before| before.reason != now.reason)
    {
        events.push(said("AWSRefused", format!("{}: {}", now.reason, now.message)));
    }
    events
}
