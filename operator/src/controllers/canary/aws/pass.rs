//! One pass over one object: desired → observe → plan → apply, until nothing is left to do now, then status.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidewatch_crds::canary::{
    AwsCanary, CANARY_FINALIZER, DeletionPolicy, LastError, Provider, RUN_NOW_ANNOTATION,
};
use tidewatch_crds::{Canary, CanaryStatus, format_duration};
use tidewatch_synthetics::Runtime;
use tokio_util::sync::CancellationToken;

use super::apply::{Applier, Stopped};
use super::desired::{Desired, Facts, Prefer};
use super::memory::Memory;
use super::objects::{Files, Objects};
use super::observe::{Observed, Subject};
use super::place::Wanted;
use super::plan::{Plan, Standing, plan};
use super::reason::{Problem, Reason};
use super::status::{Outcome, events, fold};
use super::{runs, runtime};
use crate::aws::{Aws, AwsError};
use crate::backoff::{Backoff, jitter};
use crate::controllers::anomaly_alarm;
use crate::controllers::canary::status::{self as every_canary, ConditionType};
use crate::controllers::canary::{Error, Policy};
use crate::controllers::conditions::find;
use crate::controllers::events::Happened;
use crate::controllers::object::Target;
use crate::embedded::History;
use crate::reconcile::{Classify, ErrorClass};

/// Times that a pass looks again at what it did.
const ROUNDS: usize = 4;
/// How often an object at rest is looked at though nothing changed.
const REST: Duration = Duration::from_secs(900);
/// How often a script's ConfigMap is read.
const SCRIPT: Duration = Duration::from_secs(60);
/// After a refusal that only a change of the spec can help; what is refused may depend on things in AWS too.
const REFUSED: Duration = Duration::from_secs(600);
/// When to look again at what AWS works on, and to try again what it refused.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(40) };
/// Runs that are older don't count any more.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What time it is.
pub(in crate::controllers::canary) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Reconciles canaries of AWS, one pass at a time for each.
pub(in crate::controllers::canary) struct AwsCanaries<O> {
    objects: O,
    aws: Aws,
    policy: Policy,
    aws_policy: anomaly_alarm::Policy,
    lost: CancellationToken,
    clock: Clock,
    memories: Mutex<HashMap<String, Memory>>,
}

/// What they stand on.
pub(in crate::controllers::canary) struct Surroundings<O> {
    pub objects: O,
    pub aws: Aws,
    pub policy: Policy,
    pub aws_policy: anomaly_alarm::Policy,
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
enum Trouble {
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
struct Case<'a> {
    canary: &'a Canary,
    key: String,
    target: Target,
    /// The one that stands, kept up.
    status: CanaryStatus,
    /// What stays in AWS, in words.
    left: Vec<String>,
}

impl<'a> Case<'a> {
    fn new(canary: &'a Canary) -> Self {
        let target = Target::of(canary);
        Self {
            canary,
            key: format!("{}/{}", target.namespace, target.name),
            target,
            status: canary.status.clone().unwrap_or_default(),
            left: Vec::new(),
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

    /// Deletes what an object has in AWS that is run elsewhere now. What is left of it, and when to go on.
    pub(in crate::controllers::canary) async fn leave(
        &self,
        canary: &Canary,
    ) -> Result<(Option<AwsCanary>, Option<Duration>), Error> {
        let mut case = Case::new(canary);
        let mut memory = self.take(&case.key);
        let result = self.clear(&mut case, &mut memory).await;
        let (left, next) = match result? {
            None => {
                self.aws.forget(&case.key);
                if case.target.has_finalizer(CANARY_FINALIZER) {
                    self.let_go(&mut case).await?;
                }
                return Ok((None, None));
            }
            Some((aws, _, error, delay)) => {
                (aws.map(|aws| AwsCanary { last_error: error, ..aws }), Some(delay))
            }
        };
        self.put(case.key, memory);
        Ok((left, next))
    }

    /// The object is gone, or is run elsewhere.
    pub(in crate::controllers::canary) fn forget(&self, key: &str) {
        self.aws.forget(key);
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn take(&self, key: &str) -> Memory {
        let taken = self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        taken.unwrap_or_else(|| Memory::new((self.clock)()))
    }

    fn put(&self, key: String, memory: Memory) {
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

    async fn look(
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

    async fn apply(
        &self,
        case: &mut Case<'_>,
        desired: Option<&Desired>,
        plan: &Plan,
        memory: &mut Memory,
    ) -> Result<(), Stopped> {
        let applier = Applier { objects: &self.objects, aws: &self.aws, desired, lost: &self.lost };
        let actions = plan.actions.clone();
        applier.apply(&mut case.target, &mut case.status, actions, memory, &mut case.left).await
    }

    /// The files of the script's ConfigMap.
    async fn script(&self, canary: &Canary) -> Result<Option<Files>, Problem> {
        let Some(reference) = canary.spec.script.as_ref().and_then(|script| script.config_map_ref.as_ref())
        else {
            return Ok(None);
        };
        let namespace = canary.metadata.namespace.as_deref().unwrap_or_default();
        if !self.policy.allows_scripts(namespace) {
            return Err(Problem::new(
                Reason::ScriptsNotAllowed,
                format!(
                    "the operator may not read ConfigMaps of namespace {namespace}: add it to the chart's canary.scriptNamespaces"
                ),
            ));
        }
        let name = &reference.name;
        match self.objects.files(namespace, name).await {
            Ok(Some(files)) => Ok(Some(files)),
            Ok(None) => Err(Problem::new(
                Reason::ScriptNotFound,
                format!("ConfigMap {name} isn't there: create it, with the script's files as its keys"),
            )),
            Err(error) => Err(Problem::new(
                Reason::ScriptUnreadable,
                format!("ConfigMap {name} can't be read: {error}"),
            )),
        }
    }

    /// Takes in the runs that ended since.
    async fn runs(
        &self,
        desired: &Desired,
        observed: &Observed,
        status: &CanaryStatus,
        memory: &mut Memory,
    ) -> Result<(), AwsError> {
        let history = memory.history.get_or_insert_with(|| restored(status));
        let Some(last) = observed.last_run.as_ref().filter(|_| observed.current.usable().is_some()) else {
            return Ok(());
        };
        let reading = format!("{} {:?}", last.id, last.state);
        if memory.run.as_ref() == Some(&reading) {
            return Ok(());
        }
        let known = history.last_at();
        let attempts = if desired.runs.missed(known, last) {
            let day_ago = (self.clock)().saturating_sub(DAY).unwrap_or(Timestamp::MIN);
            let after = known.map_or(day_ago, |known| known.max(day_ago));
            let connection = self.aws.connection(&desired.place.scope).await;
            connection.synthetics.runs(&desired.place.name, after).await?
        } else {
            vec![last.as_ref().clone()]
        };
        for run in desired.runs.ended(&attempts, known) {
            history.record(&run);
        }
        memory.failure_artifacts = runs::failure_artifacts(&attempts).or(memory.failure_artifacts.take());
        memory.run = Some(reading);
        Ok(())
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
        self.tell_left(case).await;
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
            Some(reason) => {
                if reason == Reason::CreationFailed && memory.creation.is_none() {
                    memory.created(desired.map(Desired::hash).unwrap_or_default());
                }
                memory.attempts = memory.attempts.saturating_add(1);
                // What was read doesn't do: the next pass must read again.
                memory.last_write = Some(tokio::time::Instant::now());
                BACKOFF.delay(ErrorClass::Retry, memory.attempts, jitter()).unwrap_or(REFUSED)
            }
        }
    }

    /// Deletes what was made, then lets the object go.
    async fn delete(&self, case: &mut Case<'_>, memory: &mut Memory) -> Result<Option<Duration>, Error> {
        let retain = case.canary.spec.deletion_policy == DeletionPolicy::Retain;
        if case.target.has_finalizer(CANARY_FINALIZER) && !retain {
            if let Some((aws, problem, error, delay)) = self.clear(case, memory).await? {
                let mut outcome = self.outcome(case, memory, Some(problem));
                outcome.aws = aws;
                outcome.error = error;
                self.write(case, memory, &fold(&case.status, &outcome)).await?;
                return Ok(Some(delay));
            }
            if let Some(aws) = case.status.aws.as_ref().filter(|aws| !aws.functions.is_empty()) {
                let place = case.canary.spec.aws.as_ref().map(|aws| aws.artifacts.as_str());
                case.left
                    .insert(0, format!("the results of {}'s runs, in {}", aws.name, place.unwrap_or("S3")));
            }
            self.tell_left(case).await;
        }
        if case.target.has_finalizer(CANARY_FINALIZER) {
            self.let_go(case).await?;
        }
        self.forget(&case.key);
        Ok(None)
    }

    async fn let_go(&self, case: &mut Case<'_>) -> Result<(), Error> {
        self.objects
            .set_finalizer(&mut case.target, false)
            .await
            .map_err(|source| Error::object(&case.target, source))
    }

    /// Deletes all that is recorded. What is left, why, and when to go on; none once nothing is.
    #[allow(clippy::type_complexity, reason = "four things that are always used together, at two places")]
    async fn clear(
        &self,
        case: &mut Case<'_>,
        memory: &mut Memory,
    ) -> Result<Option<(Option<AwsCanary>, Problem, Option<LastError>, Duration)>, Error> {
        if case.status.aws.is_none() {
            return Ok(None);
        }
        if !self.aws_policy.enabled {
            let why = "the operator isn't allowed to use AWS any more, so that what it made there can't be deleted: set the chart's aws.enabled, or deletionPolicy: Retain";
            let problem = Problem::new(Reason::AwsDisabled, why);
            return Ok(Some((case.status.aws.clone(), problem, None, REFUSED)));
        }
        match self.clear_rounds(case, memory).await {
            Ok(Plan { aws: None, .. }) => Ok(None),
            Ok(plan) => {
                let why = plan.waiting.unwrap_or_else(|| "it is still seen in AWS".to_owned());
                memory.attempts = memory.attempts.saturating_add(1);
                memory.called();
                let delay = BACKOFF.delay(ErrorClass::Retry, memory.attempts, jitter()).unwrap_or(REFUSED);
                Ok(Some((plan.aws, Problem::new(Reason::Deleting, why), None, delay)))
            }
            Err(Trouble::Refused(error)) => {
                let delay = self.after(&error, memory);
                let last_error = self.last_error(&case.status, &error, delay);
                Ok(Some((case.status.aws.clone(), Problem::of(&error), Some(last_error), delay)))
            }
            Err(Trouble::Problem(problem)) => Ok(Some((case.status.aws.clone(), problem, None, REFUSED))),
            Err(Trouble::Cluster(error)) => Err(error),
        }
    }

    async fn clear_rounds(&self, case: &mut Case<'_>, memory: &mut Memory) -> Result<Plan, Trouble> {
        let mut view = case.status.aws.clone();
        let mut round = 0;
        loop {
            round += 1;
            let observed = self.look(case, None, view.as_ref(), memory).await?;
            let standing = Standing { recorded: view.as_ref(), has_finalizer: true, ran: false };
            let plan = plan(None, &observed, standing, memory);
            if plan.actions.is_empty() || round > ROUNDS {
                return Ok(plan);
            }
            self.apply(case, None, &plan, memory).await?;
            view = plan.aws;
        }
    }

    /// When to try again after AWS refused.
    fn after(&self, error: &AwsError, memory: &mut Memory) -> Duration {
        memory.attempts = memory.attempts.saturating_add(1);
        memory.called();
        let class = match error.class() {
            ErrorClass::Terminal if error.operation.starts_with("Delete") => ErrorClass::Retry,
            class => class,
        };
        BACKOFF.delay(class, memory.attempts, jitter()).unwrap_or(REFUSED)
    }

    /// The error as the status has it; the same error again keeps its time.
    fn last_error(&self, before: &CanaryStatus, error: &AwsError, delay: Duration) -> LastError {
        let standing = before.aws.as_ref().and_then(|aws| aws.last_error.as_ref());
        anomaly_alarm::last_error(standing, error, (self.clock)(), delay)
    }

    fn outcome<'o>(&self, case: &Case<'_>, memory: &mut Memory, problem: Option<Problem>) -> Outcome<'o> {
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
    async fn write(
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

    /// What AWS keeps.
    async fn tell_left(&self, case: &mut Case<'_>) {
        for note in std::mem::take(&mut case.left) {
            let happened = Happened {
                reason: "LeftBehind",
                is_warning: false,
                note: format!("stays in AWS: {note}"),
                action: "Reconcile",
            };
            self.objects.tell(&case.target, &happened).await;
        }
    }
}

/// Runs of another provider are another canary's.
fn restored(status: &CanaryStatus) -> History {
    match status.provider {
        Some(Provider::Aws) => History::restore(status),
        _ => History::default(),
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
