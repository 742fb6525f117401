//! What came of a pass: the status, what is told, and when to look again.

use std::collections::BTreeSet;
use std::time::Duration;

use tidewatch_aws::AwsError;
use tidewatch_crds::canary::{LastError, Provider, RUN_NOW_ANNOTATION};
use tidewatch_crds::{CanaryStatus, format_duration};
use tidewatch_embedded::History;
use tidewatch_kube::backoff::Backoff;
use tidewatch_kube::events::Happened;
use tidewatch_managed::again::{self, REFUSED};
use tidewatch_managed::{Objects, Shared, last_error, owner};

use super::case::Case;
use super::desired::Desired;
use super::memory::Memory;
use super::pass::{AwsCanaries, Reached};
use super::reason::{Problem, Reason, problem_of};
use super::status::{Outcome, events, fold};
use crate::Error;
use crate::status as every_canary;

/// How often a script's ConfigMap is read: it isn't watched, and may be changed without a change of the object.
const SCRIPT: Duration = Duration::from_secs(60);
/// How often it is looked whether what failed in AWS may be tried again.
const FAILED: Duration = Duration::from_secs(60);
/// When to look again at what AWS works on, and to try again what it refused.
pub(super) const BACKOFF: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(40) };

impl<O: Objects<CanaryStatus>> AwsCanaries<O> {
    /// The status after rounds in which AWS could be read to the end, whatever it refused to write.
    pub(super) async fn report(
        &self,
        case: &mut Case<'_>,
        reached: Reached,
        memory: &mut Memory,
    ) -> Result<Option<Duration>, Error> {
        let Reached { desired, observed, plan, runtime_deprecation, refused } = reached;
        // Also where something was refused: the rest of it mustn't wait as long as that.
        let unfinished = !plan.actions.is_empty() || plan.waiting.is_some();
        let waiting =
            plan.waiting.or((!plan.actions.is_empty()).then(|| "it isn't as declared yet".to_owned()));
        let refusal = refused.as_ref().map(problem_of);
        let problem = refusal.or(plan.problem).or(waiting.map(|why| Problem::new(Reason::InProgress, why)));
        let reason = problem.as_ref().map(|problem| problem.reason);
        let mut outcome = self.outcome(case, memory, problem);
        outcome.observed = Some(&observed);
        outcome.aws = plan.aws;
        outcome.runtime_deprecation = runtime_deprecation;
        outcome.tag_keys = reason.is_none().then(|| owner::users_keys(&desired.tags));
        let refused = refused.map(|error| (self.after(&error, memory), error));
        outcome.error = refused.as_ref().map(|(delay, error)| self.last_error(&case.status, error, *delay));
        let next = fold(&case.status, &outcome);
        self.write(case, memory, &next).await?;
        if let Some((delay, _)) = refused {
            return Ok(Some(delay));
        }
        Ok(Some(self.next(case, &desired, reason, unfinished, memory)))
    }

    /// The status where something is in the way, in the object itself or around it.
    pub(super) async fn report_problem(
        &self,
        case: &mut Case<'_>,
        problem: Problem,
        memory: &mut Memory,
    ) -> Result<Option<Duration>, Error> {
        // Also what only a change of the spec can help depends on things in AWS, such as the runtimes that it offers.
        let delay = if problem.reason.is_terminal() { REFUSED } else { BACKOFF.cap };
        let outcome = self.outcome(case, memory, Some(problem));
        self.write(case, memory, &fold(&case.status, &outcome)).await?;
        Ok(Some(if has_script(case) { delay.min(SCRIPT) } else { delay }))
    }

    /// The status after AWS refused a call.
    pub(super) async fn report_refusal(
        &self,
        case: &mut Case<'_>,
        error: &AwsError,
        memory: &mut Memory,
    ) -> Result<Option<Duration>, Error> {
        let delay = self.after(error, memory);
        let last_error = self.last_error(&case.status, error, delay);
        let mut outcome = self.outcome(case, memory, Some(problem_of(error)));
        outcome.error = Some(last_error);
        self.write(case, memory, &fold(&case.status, &outcome)).await?;
        Ok(Some(delay))
    }

    /// When to look again.
    fn next(
        &self,
        case: &Case<'_>,
        desired: &Desired,
        reason: Option<Reason>,
        unfinished: bool,
        memory: &mut Memory,
    ) -> Duration {
        let rest = if has_script(case) { SCRIPT } else { again::rest() };
        match reason {
            None => {
                memory.attempts = 0;
                memory.creation = None;
                let names = BTreeSet::from([desired.place.name.clone()]);
                self.aws.keep_only(&case.key, &desired.place.scope, &names);
                rest
            }
            Some(Reason::Shared(Shared::NotOurs | Shared::Rejected)) if !unfinished => REFUSED.min(rest),
            // Whether it is time to try again is looked at; what happens meanwhile is read at each resync.
            Some(Reason::UpdateFailed) => FAILED,
            Some(Reason::CreationFailed) => {
                if memory.creation.is_none() {
                    memory.created(desired.hash(), (self.clock)());
                }
                FAILED
            }
            Some(_) => {
                memory.attempts = memory.attempts.saturating_add(1);
                // What was read doesn't do: the next pass must read again.
                memory.called();
                again::unfinished(memory.attempts, BACKOFF)
            }
        }
    }

    /// When to try again after AWS refused.
    pub(super) fn after(&self, error: &AwsError, memory: &mut Memory) -> Duration {
        memory.attempts = memory.attempts.saturating_add(1);
        memory.called();
        again::after(error, memory.attempts, BACKOFF)
    }

    /// The error as the status has it.
    pub(super) fn last_error(&self, before: &CanaryStatus, error: &AwsError, delay: Duration) -> LastError {
        let standing = before.aws.as_ref().and_then(|aws| aws.last_error.as_ref());
        last_error(standing, error, (self.clock)(), delay)
    }

    pub(super) fn outcome<'o>(
        &self,
        case: &Case<'_>,
        memory: &mut Memory,
        problem: Option<Problem>,
    ) -> Outcome<'o> {
        let annotations = case.canary.metadata.annotations.as_ref();
        Outcome {
            now: (self.clock)(),
            generation: case.canary.metadata.generation,
            suspended: case.canary.spec.suspend,
            read_every: format_duration(self.aws_policy.resync),
            observed: None,
            ending: None,
            aws: case.status.aws.clone(),
            runtime_deprecation: None,
            tag_keys: None,
            failure_artifacts: memory.failure_artifacts.clone(),
            history: memory.history.get_or_insert_with(|| History::of(Provider::Aws, &case.status)).clone(),
            run_now: annotations.and_then(|all| all.get(RUN_NOW_ANNOTATION)).cloned(),
            problem,
            error: None,
        }
    }

    /// Writes the status if it is worth it, and tells what changed.
    pub(super) async fn write(
        &self,
        case: &mut Case<'_>,
        memory: &mut Memory,
        next: &CanaryStatus,
    ) -> Result<(), Error> {
        let now = (self.clock)();
        if !every_canary::is_due(&case.status, next, Some(memory.status_written), now) {
            return Ok(());
        }
        if self.lost.is_cancelled() {
            return Err(Error::NotLeading);
        }
        self.objects
            .write_status(&mut case.target, next)
            .await
            .map_err(|source| Error::object(&case.target, source))?;
        memory.status_written = now;
        let mut told = every_canary::happened(&case.status, next);
        told.extend(events(&case.status, next));
        if next.run_now.is_some() && next.run_now != case.status.run_now {
            told.push(Happened {
                reason: "RunNowIgnored",
                is_warning: false,
                note: format!(
                    "annotation {RUN_NOW_ANNOTATION}: CloudWatch Synthetics runs a canary at its schedule only, and at once when it is started or changed"
                ),
                action: "Reconcile",
            });
        }
        case.status = next.clone();
        for happened in told {
            self.objects.tell(&case.target, &happened).await;
        }
        Ok(())
    }

    pub(super) async fn tell(&self, case: &mut Case<'_>) {
        for happened in std::mem::take(&mut case.told) {
            self.objects.tell(&case.target, &happened).await;
        }
    }
}

fn has_script(case: &Case<'_>) -> bool {
    case.canary.spec.script.as_ref().is_some_and(|script| script.config_map_ref.is_some())
}
