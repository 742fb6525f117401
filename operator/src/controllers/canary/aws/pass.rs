//! One pass over one object: desired → observe → plan → apply, until nothing is left to do now, then status.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tidewatch_crds::canary::{AwsCanary, CANARY_FINALIZER, LastError, RUN_NOW_ANNOTATION};
use tidewatch_crds::{Canary, CanaryStatus, format_duration};
use tidewatch_synthetics::Runtime;
use tokio_util::sync::CancellationToken;

use super::apply::{Applier, Stopped};
use super::desired::{Desired, Facts, Prefer};
use super::gather::restored;
use super::memory::Memory;
use super::objects::{Files, Objects};
use super::observe::{Observed, Subject};
use super::place::Wanted;
use super::plan::{Plan, Standing, plan};
use super::reason::{Problem, Reason};
use super::runtime;
use super::status::{Outcome, events, fold};
use crate::aws::{Aws, AwsError};
use crate::backoff::{Backoff, jitter};
use crate::controllers::canary::status::{self as every_canary, ConditionType};
use crate::controllers::canary::{Error, Policy};
use crate::controllers::conditions::find;
use crate::controllers::events::Happened;
use crate::controllers::in_aws::{AwsPolicy, last_error};
use crate::controllers::object::Target;
use crate::reconcile::{Classify, ErrorClass};

/// Times that a pass looks again at what it did.
pub(super) const ROUNDS: usize = 4;
/// How often an object at rest is looked at though nothing changed.
const REST: Duration = Duration::from_secs(900);
/// How often a script's ConfigMap is read.
const SCRIPT: Duration = Duration::from_secs(60);
/// After a refusal that only a change of the spec can help; what is refused may depend on things in AWS too.
pub(super) const REFUSED: Duration = Duration::from_secs(600);
/// How often it is looked whether what failed in AWS may be tried again.
const FAILED: Duration = Duration::from_secs(60);
/// When to look again at what AWS works on, and to try again what it refused.
pub(super) const BACKOFF: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(40) };

/// What time it is.
pub(in crate::controllers::canary) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Reconciles canaries of AWS, one pass at a time for each.
pub(in crate::controllers::canary) struct AwsCanaries<O> {
    pub(super) objects: O,
    pub(super) aws: Aws,
    pub(super) policy: Policy,
    pub(super) aws_policy: AwsPolicy,
    lost: CancellationToken,
    pub(super) clock: Clock,
    memories: Mutex<HashMap<String, Memory>>,
}

/// What they stand on.
pub(in crate::controllers::canary) struct Surroundings<O> {
    pub objects: O,
    pub aws: Aws,
    pub policy: Policy,
    pub aws_policy: AwsPolicy,
    /// Cancelled when leadership ended.
    pub lost: CancellationToken,
    pub clock: Clock,
}

/// How a series of rounds ended.
struct Reached {
    desired: Option<Desired>,
    observed: Observed,
    plan: Plan,
    drift: Vec<String>,
    runtime_deprecation: Option<Timestamp>,
}

/// Why one ended early.
pub(super) enum Trouble {
    Problem(Problem),
    Refused(AwsError),
    Cluster(Error),
}

impl From<AwsError> for Trouble {
    fn from(error: AwsError) -> Self {
        Self::Refused(error)
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Stopped> for Trouble {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Refused(error) => Self::Refused(error),
            Stopped::Cluster(error) => Self::Cluster(error),
        }
    }
}

/// An object, and what is known of it during a pass.
pub(super) struct Case<'a> {
    pub canary: &'a Canary,
    pub key: String,
    pub target: Target,
    /// The one that stands, kept up.
    pub status: CanaryStatus,
    /// What is to be told at the end of the pass.
    pub told: Vec<Happened>,
}

impl<'a> Case<'a> {
    pub(super) fn new(canary: &'a Canary) -> Self {
        let target = Target::of(canary);
        Self {
            canary,
            key: format!("{}/{}", target.namespace, target.name),
            target,
            status: canary.status.clone().unwrap_or_default(),
            told: Vec::new(),
        }
    }

    /// The status says that this generation is in place and runs.
    fn ran(&self) -> bool {
        find(&self.status.conditions, ConditionType::Ready).is_some_and(|ready| {
            ready.status == "True"
                && ready.reason == "Running"
                && ready.observed_generation == self.canary.metadata.generation
        })
    }
}

impl<O: Objects> AwsCanaries<O> {
    pub(in crate::controllers::canary) fn new(surroundings: Surroundings<O>) -> Self {
        let Surroundings { objects, aws, policy, aws_policy, lost, clock } = surroundings;
        Self { objects, aws, policy, aws_policy, lost, clock, memories: Mutex::default() }
    }

    /// One pass over a canary of AWS; says when the next is due if nothing changes.
    pub(in crate::controllers::canary) async fn pass(
        &self,
        canary: &Canary,
    ) -> Result<Option<Duration>, Error> {
        let mut case = Case::new(canary);
        let mut memory = self.take(&case.key);
        let deleting = canary.metadata.deletion_timestamp.is_some();
        let result = if deleting {
            self.delete(&mut case, &mut memory).await
        } else {
            self.keep(&mut case, &mut memory).await
        };
        if !deleting || !matches!(result, Ok(None)) {
            self.put(case.key, memory);
        }
        result
    }

    /// The object is gone, or is run elsewhere.
    pub(in crate::controllers::canary) fn forget(&self, key: &str) {
        self.aws.forget(key);
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    pub(super) fn take(&self, key: &str) -> Memory {
        let taken = self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        taken.unwrap_or_else(|| Memory::new((self.clock)()))
    }

    pub(super) fn put(&self, key: String, memory: Memory) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).insert(key, memory);
    }

    /// Makes what is declared, and says what became of it.
    async fn keep(&self, case: &mut Case<'_>, memory: &mut Memory) -> Result<Option<Duration>, Error> {
        match self.reach(case, memory).await {
            Ok(reached) => self.report(case, reached, memory).await,
            Err(Trouble::Problem(problem)) => {
                let delay = if problem.reason.is_terminal() { None } else { Some(BACKOFF.cap) };
                // A ConfigMap isn't watched: it may be mended without a change of the object.
                let script = case.canary.spec.script.is_some().then_some(SCRIPT);
                let outcome = self.outcome(case, memory, Some(problem));
                self.write(case, memory, &fold(&case.status, &outcome)).await?;
                Ok(delay.or(script))
            }
            Err(Trouble::Refused(error)) => {
                let delay = self.after(&error, memory);
                let last_error = self.last_error(&case.status, &error, delay);
                let mut outcome = self.outcome(case, memory, Some(Problem::of(&error)));
                outcome.error = Some(last_error);
                self.write(case, memory, &fold(&case.status, &outcome)).await?;
                Ok(Some(delay))
            }
            Err(Trouble::Cluster(error)) => Err(error),
        }
    }

    /// Observes, plans and applies until there is nothing left to do, or nothing that can be done now.
    async fn reach(&self, case: &mut Case<'_>, memory: &mut Memory) -> Result<Reached, Trouble> {
        let region = self.aws.region();
        let wanted = Wanted::new(case.canary, &self.aws_policy, region.as_deref())?;
        let script = self.script(case.canary).await?;
        let connection = self.aws.connection(&wanted.place.scope).await;
        let offered = runtime::known(&connection.canaries.runtimes().await?);
        let mut view = case.status.aws.clone();
        let (mut drift, mut round) = (Vec::new(), 0);
        loop {
            round += 1;
            let observed = self.look(case, Some(&wanted), view.as_ref(), memory).await?;
            memory.saw(observed.current.usable().map(|canary| &canary.state));
            let desired = self.desired(case.canary, &wanted, script.as_ref(), &offered, &observed, memory)?;
            let standing = Standing {
                recorded: view.as_ref(),
                has_finalizer: case.target.has_finalizer(CANARY_FINALIZER),
                ran: case.ran(),
            };
            let plan = plan(Some(&desired), &observed, standing, memory);
            if plan.actions.is_empty() || round > ROUNDS {
                self.runs(&desired, &observed, &case.status, memory).await?;
                let runtime = observed.current.usable().map(|canary| canary.config.runtime.as_str());
                let runtime_deprecation = deprecation(runtime, &offered);
                return Ok(Reached { desired: Some(desired), observed, plan, drift, runtime_deprecation });
            }
            drift.extend(plan.drift.iter().cloned());
            self.apply(case, Some(&desired), &plan, memory).await?;
            view = plan.aws;
        }
    }

    pub(super) async fn look(
        &self,
        case: &Case<'_>,
        wanted: Option<&Wanted>,
        recorded: Option<&AwsCanary>,
        memory: &Memory,
    ) -> Result<Observed, AwsError> {
        let subject = Subject {
            key: &case.key,
            namespace: &case.target.namespace,
            name: &case.target.name,
            uid: case.canary.metadata.uid.as_deref().unwrap_or_default(),
            resync: self.aws_policy.resync(),
            newer_than: memory.last_write,
        };
        subject.observe(&self.aws, wanted, recorded).await
    }

    /// Staying on the runtime that it has, unless it is made or updated anyway.
    fn desired(
        &self,
        canary: &Canary,
        wanted: &Wanted,
        script: Option<&Files>,
        offered: &[Runtime],
        observed: &Observed,
        memory: &Memory,
    ) -> Result<Desired, Problem> {
        let there = observed.current.usable();
        let facts = Facts {
            offered,
            script,
            current: there.map(|canary| canary.config.runtime.as_str()),
            now: (self.clock)(),
        };
        let staying = Desired::new(canary, wanted, &facts, Prefer::Staying)?;
        let differs = there
            .is_none_or(|there| !staying.differing(there, memory.update_ended(staying.hash())).is_empty());
        if !differs {
            return Ok(staying);
        }
        let newest = Desired::new(canary, wanted, &facts, Prefer::Newest)?;
        Ok(Desired { stands_as: staying.hash().to_owned(), ..newest })
    }

    pub(super) async fn apply(
        &self,
        case: &mut Case<'_>,
        desired: Option<&Desired>,
        plan: &Plan,
        memory: &mut Memory,
    ) -> Result<(), Stopped> {
        let applier = Applier { objects: &self.objects, aws: &self.aws, desired, lost: &self.lost };
        let actions = plan.actions.clone();
        applier.apply(&mut case.target, &mut case.status, actions, memory, &mut case.told).await
    }

    /// The status after rounds that AWS didn't refuse.
    async fn report(
        &self,
        case: &mut Case<'_>,
        reached: Reached,
        memory: &mut Memory,
    ) -> Result<Option<Duration>, Error> {
        let Reached { desired, observed, plan, drift, runtime_deprecation } = reached;
        let waiting =
            plan.waiting.or((!plan.actions.is_empty()).then(|| "it isn't as declared yet".to_owned()));
        let problem = plan.problem.or(waiting.map(|why| Problem::new(Reason::InProgress, why)));
        let reason = problem.as_ref().map(|problem| problem.reason);
        let mut outcome = self.outcome(case, memory, problem);
        outcome.observed = Some(&observed);
        outcome.aws = plan.aws;
        outcome.runtime_deprecation = runtime_deprecation;
        outcome.tag_keys = desired.as_ref().filter(|_| reason.is_none()).map(user_tags);
        let next = fold(&case.status, &outcome);
        self.write(case, memory, &next).await?;
        for note in drift {
            let happened = Happened { reason: "DriftRepaired", is_warning: true, note, action: "Reconcile" };
            self.objects.tell(&case.target, &happened).await;
        }
        self.tell(case).await;
        Ok(Some(self.next(case, desired.as_ref(), reason, memory)))
    }

    /// When to look again.
    fn next(
        &self,
        case: &Case<'_>,
        desired: Option<&Desired>,
        reason: Option<Reason>,
        memory: &mut Memory,
    ) -> Duration {
        let script = case.canary.spec.script.as_ref().is_some_and(|script| script.config_map_ref.is_some());
        let rest = if script { SCRIPT } else { REST.mul_f64(0.8 + 0.4 * jitter()) };
        match reason {
            None => {
                memory.attempts = 0;
                memory.creation = None;
                if let Some(desired) = desired {
                    let names = BTreeSet::from([desired.place.name.clone()]);
                    self.aws.keep_only(&case.key, &desired.place.scope, &names);
                }
                rest
            }
            Some(Reason::NotOurs) => REFUSED.min(rest),
            // Whether it is time to try again is looked at; what happens meanwhile is read at each resync.
            Some(Reason::UpdateFailed) => FAILED,
            Some(reason) => {
                if reason == Reason::CreationFailed && memory.creation.is_none() {
                    memory.created(desired.map(Desired::hash).unwrap_or_default());
                }
                if reason == Reason::CreationFailed {
                    return FAILED;
                }
                memory.attempts = memory.attempts.saturating_add(1);
                // What was read doesn't do: the next pass must read again.
                memory.last_write = Some(tokio::time::Instant::now());
                BACKOFF.delay(ErrorClass::Retry, memory.attempts, jitter()).unwrap_or(REFUSED)
            }
        }
    }

    /// When to try again after AWS refused.
    pub(super) fn after(&self, error: &AwsError, memory: &mut Memory) -> Duration {
        memory.attempts = memory.attempts.saturating_add(1);
        memory.called();
        let class = match error.class() {
            ErrorClass::Terminal if error.operation.starts_with("Delete") => ErrorClass::Retry,
            class => class,
        };
        BACKOFF.delay(class, memory.attempts, jitter()).unwrap_or(REFUSED)
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
            read_every: format_duration(self.aws_policy.resync()),
            observed: None,
            aws: case.status.aws.clone(),
            runtime_deprecation: None,
            tag_keys: None,
            failure_artifacts: memory.failure_artifacts.clone(),
            history: memory.history.get_or_insert_with(|| restored(&case.status)).clone(),
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

/// Keys of the tags that are the user's.
fn user_tags(desired: &Desired) -> Vec<String> {
    desired.tags.keys().filter(|key| !key.starts_with("tidewatch.dev/")).cloned().collect()
}

fn deprecation(runtime: Option<&str>, offered: &[Runtime]) -> Option<Timestamp> {
    let version = runtime?.parse().ok()?;
    offered.iter().find(|it| it.version == version)?.deprecated
}
