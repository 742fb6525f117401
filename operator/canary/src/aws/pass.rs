//! One pass over one object: desired → observe → plan → apply, until nothing is left to do now, then status.

use std::time::Duration;

use jiff::Timestamp;
use tidewatch_aws::synthetics::types::CanaryState;
use tidewatch_aws::{Aws, AwsError};
use tidewatch_crds::canary::{AwsCanary, CANARY_FINALIZER};
use tidewatch_crds::{Canary, CanaryStatus};
use tidewatch_kube::watch_health::{WatchHealth, Watched};
use tidewatch_managed::again::ROUNDS;
use tidewatch_managed::{AwsPolicy, Clock, Memories, Objects, Shared, drift};
use tidewatch_synthetics::Runtime;
use tokio_util::sync::CancellationToken;

use super::apply::{Applier, Stopped};
use super::case::{Case, Trouble};
use super::desired::{Desired, Facts, Prefer, owner};
use super::memory::Memory;
use super::observe::{Observed, Subject};
use super::place::{Place, Wanted};
use super::plan::{Plan, Standing, is_failed_creation, plan};
use super::reason::Problem;
use super::runtime;
use super::scripts::{Files, Scripts};
use crate::{Error, Policy};

/// Reconciles canaries of AWS, one pass at a time for each.
pub(crate) struct AwsCanaries<O> {
    pub(super) objects: O,
    pub(super) aws: Aws,
    pub(super) policy: Policy,
    pub(super) aws_policy: AwsPolicy,
    pub(super) lost: CancellationToken,
    pub(super) clock: Clock,
    watches: WatchHealth,
    memories: Memories<Memory>,
}

/// What they stand on.
pub(crate) struct Surroundings<O> {
    pub objects: O,
    pub aws: Aws,
    pub policy: Policy,
    pub aws_policy: AwsPolicy,
    /// Cancelled when leadership ended.
    pub lost: CancellationToken,
    pub clock: Clock,
    pub watches: WatchHealth,
}

/// How a series of rounds ended.
pub(super) struct Reached {
    pub desired: Desired,
    pub observed: Observed,
    pub plan: Plan,
    pub runtime_deprecation: Option<Timestamp>,
    /// A refusal that lasts until somebody changes the spec, grants a right or raises a quota.
    pub refused: Option<AwsError>,
}

impl<O: Objects<CanaryStatus> + Scripts> AwsCanaries<O> {
    pub(crate) fn new(surroundings: Surroundings<O>) -> Self {
        let Surroundings { objects, aws, policy, aws_policy, lost, clock, watches } = surroundings;
        Self { objects, aws, policy, aws_policy, lost, clock, watches, memories: Memories::default() }
    }

    /// One pass over a canary of AWS; says when the next is due if nothing changes.
    pub(crate) async fn pass(&self, canary: &Canary) -> Result<Option<Duration>, Error> {
        let mut case = Case::new(canary);
        let mut memory = self.take(&case.key);
        let deleting = canary.metadata.deletion_timestamp.is_some();
        let result = if deleting {
            self.delete(&mut case, &mut memory).await
        } else {
            self.keep(&mut case, &mut memory).await
        };
        self.tell(&mut case).await;
        if !deleting || !matches!(result, Ok(None)) {
            self.put(&case.key, memory);
        }
        result
    }

    /// The object is gone, or is run elsewhere.
    pub(crate) fn forget(&self, key: &str) {
        self.aws.forget(key);
        self.memories.forget(key);
    }

    pub(super) fn take(&self, key: &str) -> Memory {
        Memory::from_taken(self.memories.take(key), (self.clock)())
    }

    pub(super) fn put(&self, key: &str, memory: Memory) {
        self.memories.put(key, memory);
    }

    /// Makes what is declared, and says what became of it.
    async fn keep(&self, case: &mut Case<'_>, memory: &mut Memory) -> Result<Option<Duration>, Error> {
        match self.reach(case, memory).await {
            Ok(reached) => self.report(case, reached, memory).await,
            Err(Trouble::Problem(problem)) => self.report_problem(case, problem, memory).await,
            Err(Trouble::Refused(error)) => self.report_refusal(case, &error, memory).await,
            Err(Trouble::Cluster(error)) => Err(error),
        }
    }

    /// Observes, plans and applies until there is nothing left to do, or nothing that can be done now. After a refusal that
    /// lasts it is looked once more: what runs goes on being told.
    async fn reach(&self, case: &mut Case<'_>, memory: &mut Memory) -> Result<Reached, Trouble> {
        if let Some(why) = self.watches.failing(&[Watched::CANARIES]) {
            return Err(Problem::new(Shared::WatchFailing, why).into());
        }
        let region = self.aws.region();
        let wanted = Wanted::new(case.canary, &self.aws_policy, region.as_deref())?;
        let script = self.script(case.canary).await?;
        let connection = self.aws.connection(&wanted.place.scope).await;
        let offered = runtime::known(&connection.canaries.runtimes().await?);
        let mut view = case.status.aws.clone();
        let mut round = 0;
        let mut refused: Option<AwsError> = None;
        loop {
            round += 1;
            let observed = match self.look(case, Some(&wanted), view.as_ref(), memory).await {
                Ok(observed) => observed,
                Err(error) => return Err(refused.unwrap_or(error).into()),
            };
            let desired = self.desired(case.canary, &wanted, script.as_ref(), &offered, &observed, memory)?;
            let standing = Standing {
                recorded: view.as_ref(),
                has_finalizer: case.target.has_finalizer(CANARY_FINALIZER),
                ran: case.ran(),
                now: (self.clock)(),
            };
            let plan = plan(Some(&desired), &observed, standing, memory);
            case.left_behind(&plan);
            if plan.actions.is_empty() || round > ROUNDS || refused.is_some() {
                if let Err(error) = self.runs(&desired, &observed, &case.status, memory).await {
                    return Err(refused.unwrap_or(error).into());
                }
                let runtime = observed.current.usable().map(|canary| canary.config.runtime.as_str());
                let runtime_deprecation = deprecation(runtime, &offered);
                return Ok(Reached { desired, observed, plan, runtime_deprecation, refused });
            }
            match self.apply(case, Some(&desired), &plan, memory).await {
                Ok(()) => view = plan.aws,
                Err(Stopped::Refused(error)) if error.lasts() => {
                    refused = Some(error);
                    view = case.status.aws.clone();
                }
                Err(stopped) => return Err(stopped.into()),
            }
        }
    }

    pub(super) async fn look(
        &self,
        case: &Case<'_>,
        wanted: Option<&Wanted>,
        recorded: Option<&AwsCanary>,
        memory: &mut Memory,
    ) -> Result<Observed, AwsError> {
        let subject = Subject {
            key: &case.key,
            object: owner(case.canary),
            resync: self.aws_policy.resync,
            last_write: memory.last_write,
        };
        let observed = subject.observe(&self.aws, wanted, recorded).await?;
        if let Some((wanted, canary)) = wanted.zip(observed.current.usable()) {
            memory.saw(&wanted.place, &canary.state);
            if canary.state == CanaryState::Error && is_failed_creation(canary) {
                memory.creation_failed((self.clock)());
            }
        }
        for (former, seen) in &observed.leaving {
            if let Some(canary) = seen.usable() {
                memory.saw(&Place::of_former(former), &canary.state);
            }
        }
        Ok(observed)
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
        let written = memory.written_fields(staying.hash(), facts.now);
        let differs = there.is_none_or(|there| !staying.differing(there, &written).is_empty());
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
        let applier =
            Applier { objects: &self.objects, aws: &self.aws, desired, lost: &self.lost, clock: &self.clock };
        let actions = plan.actions.clone();
        applier.apply(&mut case.target, &mut case.status, actions, memory, &mut case.told).await?;
        drift::tell(&self.objects, &case.target, plan.drift.clone()).await;
        case.told.extend(plan.told.clone());
        Ok(())
    }
}

fn deprecation(runtime: Option<&str>, offered: &[Runtime]) -> Option<Timestamp> {
    let version = runtime?.parse().ok()?;
    offered.iter().find(|it| it.version == version)?.deprecated
}
