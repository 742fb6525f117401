//! One pass over one object: desired → observe → plan → apply, until nothing is left to do, then status.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use tidewatch_aws::{Aws, AwsError};
use tidewatch_crds::anomaly_alarm::{FINALIZER, Resource};
use tidewatch_crds::{AnomalyAlarm, AnomalyAlarmStatus, format_duration};
use tidewatch_kube::backoff::Backoff;
use tidewatch_kube::object::Target;
use tidewatch_kube::watch_health::{WatchHealth, Watched};
use tidewatch_managed::again::{self, REFUSED, ROUNDS};
use tidewatch_managed::{AwsPolicy, Clock, Memories, Objects, Shared, drift, last_error, left_behind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::apply::{Applied, Applier, ApplyError};
use super::desired::{Desired, owner};
use super::facts::{child, settled};
use super::memory::Memory;
use super::metrics::AlarmMetrics;
use super::names::Names;
use super::observe::{Observed, Subject};
use super::plan::{Plan, Standing, plan};
use super::reason::{Problem, Reason};
use super::status::{Outcome, events, fold};
use super::world::{World, facts, key, sharers};

/// When to try again: sooner than elsewhere, since an alarm that isn't there guards nothing.
pub(super) const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(40) };
/// How often it is looked whether what something else must mend is mended.
const MENDED: Duration = Duration::from_secs(30);

/// Reconciles alarms, one pass at a time for each.
pub(super) struct Alarms<O, W> {
    pub objects: O,
    pub world: W,
    pub aws: Aws,
    pub policy: AwsPolicy,
    pub metrics: AlarmMetrics,
    pub lost: CancellationToken,
    /// Told which other objects to look at again.
    pub wake: UnboundedSender<String>,
    pub watches: WatchHealth,
    pub memories: Memories<Memory>,
    pub clock: Clock,
}

/// How a series of rounds ended.
pub(super) struct Reached {
    observed: Observed,
    pub plan: Plan,
    /// A refusal that lasts until somebody changes the spec, grants a right or raises a quota.
    refused: Option<AwsError>,
}

impl<O: Objects<AnomalyAlarmStatus>, W: World> Alarms<O, W> {
    /// One pass; says when the next is due if nothing changes.
    pub(super) async fn pass(&self, alarm: &AnomalyAlarm) -> Result<Option<Duration>, ApplyError> {
        let key = key(alarm);
        let mut memory = Memory::from(self.memories.take(&key));
        memory.in_use.clear();
        self.tell_parents(alarm, &mut memory);
        let deleting = alarm.metadata.deletion_timestamp.is_some();
        let result = if deleting {
            self.delete(alarm, &key, &mut memory).await
        } else {
            self.keep(alarm, &key, &mut memory).await
        };
        if !deleting || !matches!(result, Ok(None)) {
            self.memories.put(&key, memory);
        }
        result
    }

    /// Wakes the objects that combine this one when what they see of it changed, whoever changed it: their rules name its
    /// alarm, and AWS deletes no alarm that a rule names.
    fn tell_parents(&self, alarm: &AnomalyAlarm, memory: &mut Memory) {
        let seen = child(alarm);
        if memory.told_parents.as_ref() != Some(&seen) {
            let meta = &alarm.metadata;
            self.wake_parents(
                meta.namespace.as_deref().unwrap_or_default(),
                meta.name.as_deref().unwrap_or_default(),
            );
            memory.told_parents = Some(seen);
        }
    }

    /// Wakes the objects that combine the one of that name.
    pub(super) fn wake_parents(&self, namespace: &str, name: &str) {
        for parent in self.world.parents(namespace, name) {
            let _ = self.wake.unbounded_send(parent.object);
        }
    }

    /// The object is gone.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        let key = format!("{namespace}/{name}");
        self.aws.forget(&key);
        self.memories.forget(&key);
        self.metrics.forget(namespace, name);
    }

    /// Makes what is declared, and says what became of it.
    async fn keep(
        &self,
        alarm: &AnomalyAlarm,
        key: &str,
        memory: &mut Memory,
    ) -> Result<Option<Duration>, ApplyError> {
        let mut target = Target::of(alarm);
        let mut status = alarm.status.clone().unwrap_or_default();
        let before = status.clone();
        let facts = facts(alarm, &self.world);
        let region = self.aws.region();
        let desired =
            self.known(alarm).and_then(|()| Desired::new(alarm, &facts, &self.policy, region.as_deref()));
        let desired = match desired {
            Ok(desired) => desired,
            Err(problem) => {
                let terminal = problem.reason.is_terminal();
                let resources = status.resources.clone();
                let outcome = self.outcome(alarm, None, None, resources, Some(problem));
                self.write(&mut target, &before, &fold(&before, &outcome)).await?;
                return Ok((!terminal).then_some(MENDED));
            }
        };
        let reached = self.rounds(alarm, key, &mut target, &mut status, Some(&desired), memory).await;
        match reached {
            Ok(reached) => self.report(alarm, &mut target, &status, &desired, reached, memory).await,
            Err(ApplyError::Aws(error)) => {
                let delay = self.after(&error, memory);
                let problem = Problem::of(&error);
                let resources = status.resources.clone();
                let mut outcome = self.outcome(alarm, Some(&desired), None, resources, Some(problem));
                outcome.error = Some(last_error(before.last_error.as_ref(), &error, outcome.now, delay));
                self.write(&mut target, &status, &fold(&status, &outcome)).await?;
                Ok(Some(delay))
            }
            Err(error) => Err(error),
        }
    }

    /// That what the object stands on is known as it is now.
    fn known(&self, alarm: &AnomalyAlarm) -> Result<(), Problem> {
        let spec = &alarm.spec;
        let metric = spec.metric.as_ref();
        let monitor = spec.when.is_some() || metric.is_some_and(|metric| metric.network_monitor.is_some());
        let canary = metric.is_some_and(|metric| metric.canary.is_some());
        let mut needed = vec![Watched::ANOMALY_ALARMS];
        needed.extend(monitor.then_some(Watched::NETWORK_MONITORS));
        needed.extend(canary.then_some(Watched::CANARIES));
        match self.watches.failing(&needed) {
            Some(why) => Err(Problem::new(Shared::WatchFailing, why)),
            None => Ok(()),
        }
    }

    /// The status after rounds in which AWS could be read to the end, whatever it refused to write.
    async fn report(
        &self,
        alarm: &AnomalyAlarm,
        target: &mut Target,
        before: &AnomalyAlarmStatus,
        desired: &Desired,
        reached: Reached,
        memory: &mut Memory,
    ) -> Result<Option<Duration>, ApplyError> {
        let Reached { observed, plan, refused } = reached;
        let waiting =
            plan.waiting.or((!plan.actions.is_empty()).then(|| "it isn't as declared yet".to_owned()));
        let refusal = refused.as_ref().map(Problem::of);
        let problem = refusal.or(plan.problem).or(waiting.map(|why| Problem::new(Reason::Settling, why)));
        let settled = problem.is_none();
        let terminal = problem.as_ref().is_some_and(|problem| problem.reason.is_terminal());
        let mut outcome = self.outcome(alarm, Some(desired), Some(&observed), plan.resources, problem);
        let refused = refused.map(|error| (self.after(&error, memory), error));
        outcome.error = refused
            .as_ref()
            .map(|(delay, error)| last_error(before.last_error.as_ref(), error, outcome.now, *delay));
        self.write(target, before, &fold(before, &outcome)).await?;
        if let Some((delay, _)) = refused {
            return Ok(Some(delay));
        }
        let names: BTreeSet<String> = desired.alarms().map(|(_, config)| config.name().to_owned()).collect();
        if settled {
            memory.attempts = 0;
            memory.created.clear();
            self.aws.keep_only(&key(alarm), &desired.scope, &names);
            return Ok(Some(again::rest()));
        }
        if terminal {
            return Ok(Some(REFUSED));
        }
        memory.attempts = memory.attempts.saturating_add(1);
        // What was read doesn't do: the next pass must read again.
        memory.last_write = Some(Instant::now());
        Ok(Some(again::unfinished(memory.attempts.saturating_add(1), BACKOFF)))
    }

    /// Observes, plans and applies until there is nothing left to do, or nothing that can be done now. After a refusal that
    /// lasts it is looked once more: what is in place goes on being told.
    pub(super) async fn rounds(
        &self,
        alarm: &AnomalyAlarm,
        key: &str,
        target: &mut Target,
        status: &mut AnomalyAlarmStatus,
        desired: Option<&Desired>,
        memory: &mut Memory,
    ) -> Result<Reached, ApplyError> {
        let own_names = self.own_names(alarm, status);
        let sharers = self.sharers(alarm, desired, status);
        let (namespace, name) = (target.namespace.clone(), target.name.clone());
        let parents = || self.world.parents(&namespace, &name);
        let mut round = 0;
        let mut refused: Option<AwsError> = None;
        // What is recorded is what stands in the status; what was deleted since is left out here.
        let mut view = status.clone();
        loop {
            round += 1;
            let settled = settled(&view, alarm.metadata.generation);
            let subject = Subject {
                key,
                object: owner(alarm),
                status: &view,
                settled,
                sharers: &sharers,
                own_names: &own_names,
                parents: &parents,
                resync: self.policy.resync,
                now: (self.clock)(),
                begun: Instant::now(),
            };
            let observed = match subject.observe(&self.aws, desired, memory).await {
                Ok(observed) => observed,
                Err(error) => return Err(refused.unwrap_or(error).into()),
            };
            let has_finalizer = target.has_finalizer(FINALIZER);
            let standing = Standing { status: &view, has_finalizer, settled, now: subject.now };
            let mut plan = plan(desired, &observed, standing, memory);
            for what in &plan.left {
                self.objects.tell(target, &left_behind(what)).await;
            }
            if plan.actions.is_empty() || round > ROUNDS || refused.is_some() {
                plan.keep_undone();
                return Ok(Reached { observed, plan, refused });
            }
            let applier = Applier {
                objects: &self.objects,
                aws: &self.aws,
                scope: desired.map(|desired| &desired.scope),
                lost: &self.lost,
                clock: &self.clock,
            };
            let Applied { left, refused: now_refused, let_go } =
                applier.apply(target, status, plan.actions, memory).await?;
            if let_go {
                self.wake_held(&target.namespace, key);
            }
            match now_refused {
                Some(error) if desired.is_none() => return Err(error.into()),
                Some(error) => refused = Some(error),
                None => {
                    self.metrics.repaired(plan.drift.len());
                    drift::tell(&self.objects, target, plan.drift).await;
                }
            }
            // What couldn't be deleted stays recorded, before what is desired.
            view.resources = left.into_iter().chain(plan.resources).collect();
        }
    }

    /// Wakes the objects that wait to delete what a composite may have named.
    fn wake_held(&self, namespace: &str, except: &str) {
        for held in self.world.held(namespace).into_iter().filter(|held| held != except) {
            let _ = self.wake.unbounded_send(held);
        }
    }

    /// Names that no other object's things can have.
    fn own_names(&self, alarm: &AnomalyAlarm, status: &AnomalyAlarmStatus) -> BTreeSet<String> {
        let meta = &alarm.metadata;
        let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
        let names = Names::new(&self.policy, namespace.unwrap_or_default(), name.unwrap_or_default());
        let recorded = status.resources.iter().map(|resource| resource.name.clone());
        recorded.chain([names.metric, names.network, names.composite]).collect()
    }

    fn sharers(
        &self,
        alarm: &AnomalyAlarm,
        desired: Option<&Desired>,
        status: &AnomalyAlarmStatus,
    ) -> Vec<super::facts::Sharer> {
        let wanted = desired.and_then(detector_json);
        let recorded = status.resources.iter().filter_map(|resource| resource.detector.clone());
        let detectors: BTreeSet<String> = recorded.chain(wanted).collect();
        let region = self.aws.region();
        sharers(alarm, &detectors, &self.world, |other| {
            let facts = facts(other, &self.world);
            let desired = Desired::new(other, &facts, &self.policy, region.as_deref()).ok()?;
            detector_json(&desired)
        })
    }

    /// When to try again after AWS refused.
    pub(super) fn after(&self, error: &AwsError, memory: &mut Memory) -> Duration {
        memory.attempts = memory.attempts.saturating_add(1);
        again::after(error, memory.attempts, BACKOFF)
    }

    pub(super) fn outcome<'a>(
        &'a self,
        alarm: &AnomalyAlarm,
        desired: Option<&'a Desired>,
        observed: Option<&'a Observed>,
        resources: Vec<Resource>,
        problem: Option<Problem>,
    ) -> Outcome<'a> {
        Outcome {
            now: (self.clock)(),
            generation: alarm.metadata.generation,
            read_every: format_duration(self.policy.resync),
            desired,
            observed,
            resources,
            problem,
            deleting: alarm.metadata.deletion_timestamp.is_some(),
            error: None,
        }
    }

    /// Writes the status if it differs from the one that stands, and tells what changed.
    pub(super) async fn write(
        &self,
        target: &mut Target,
        before: &AnomalyAlarmStatus,
        next: &AnomalyAlarmStatus,
    ) -> Result<(), ApplyError> {
        self.metrics.show(&target.namespace, &target.name, next);
        if before == next {
            return Ok(());
        }
        self.objects.write_status(target, next).await.map_err(|source| ApplyError::object(target, source))?;
        self.metrics.wrote();
        for happened in events(before, next) {
            self.objects.tell(target, &happened).await;
        }
        if before.resources != next.resources {
            // There may be more to do than could be seen with the resources as they were.
            let _ = self.wake.unbounded_send(format!("{}/{}", target.namespace, target.name));
        }
        Ok(())
    }
}

fn detector_json(desired: &Desired) -> Option<String> {
    desired.detector.as_ref().and_then(|(id, _)| serde_json::to_string(id).ok())
}
