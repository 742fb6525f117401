//! The end of an object: what it has in AWS is deleted before it is let go.

use std::time::Duration;

use tidewatch_crds::anomaly_alarm::{DeletionPolicy, FINALIZER};
use tidewatch_crds::{AnomalyAlarm, AnomalyAlarmStatus};
use tidewatch_kube::object::Target;
use tidewatch_managed::again::{self, REFUSED};
use tidewatch_managed::{Objects, Shared, last_error};
use tokio::time::Instant;

use super::apply::ApplyError;
use super::memory::Memory;
use super::pass::{Alarms, BACKOFF, Reached};
use super::reason::Problem;
use super::status::fold;
use super::world::World;

/// How often it is looked whether what was deleted is gone.
const DELETING: Duration = Duration::from_secs(2);

impl<O: Objects<AnomalyAlarmStatus>, W: World> Alarms<O, W> {
    /// Deletes what was made, then lets the object go.
    pub(super) async fn delete(
        &self,
        alarm: &AnomalyAlarm,
        key: &str,
        memory: &mut Memory,
    ) -> Result<Option<Duration>, ApplyError> {
        let mut target = Target::of(alarm);
        let mut status = alarm.status.clone().unwrap_or_default();
        let retain = alarm.spec.deletion_policy == DeletionPolicy::Retain;
        if target.has_finalizer(FINALIZER)
            && !retain
            && !status.resources.is_empty()
            && let Some(next) = self.clear(alarm, key, &mut target, &mut status, memory).await?
        {
            return Ok(Some(next));
        }
        if target.has_finalizer(FINALIZER) {
            self.objects
                .set_finalizer(&mut target, false)
                .await
                .map_err(|source| ApplyError::object(&target, source))?;
        }
        self.forget(&target.namespace, &target.name);
        Ok(None)
    }

    /// Deletes all that is recorded. When to go on, if something is left; the status then says why.
    async fn clear(
        &self,
        alarm: &AnomalyAlarm,
        key: &str,
        target: &mut Target,
        status: &mut AnomalyAlarmStatus,
        memory: &mut Memory,
    ) -> Result<Option<Duration>, ApplyError> {
        if !self.policy.enabled {
            let before = status.clone();
            let resources = status.resources.clone();
            let outcome = self.outcome(alarm, None, None, resources, Some(Problem::left_in_aws()));
            self.write(target, &before, &fold(&before, &outcome)).await?;
            return Ok(Some(REFUSED));
        }
        let (resources, problem, error) = match self.rounds(alarm, key, target, status, None, memory).await {
            Ok(Reached { plan, .. }) => {
                let undone = (!plan.actions.is_empty()).then(|| "it is still seen in AWS".to_owned());
                let held = plan.problem.map(|problem| problem.message);
                memory.attempts = if held.is_some() { memory.attempts.saturating_add(1) } else { 0 };
                let Some(why) = held.or(plan.waiting).or(undone) else { return Ok(None) };
                (plan.resources, Problem::new(Shared::Deleting, why), None)
            }
            Err(ApplyError::Aws(error)) => (status.resources.clone(), Problem::of(&error), Some(error)),
            Err(error) => return Err(error),
        };
        let delay = match &error {
            Some(error) => self.after(error, memory),
            None if memory.attempts > 0 => again::unfinished(memory.attempts, BACKOFF),
            None => DELETING,
        };
        memory.last_write = Some(Instant::now());
        let resources = if resources.is_empty() { status.resources.clone() } else { resources };
        let mut outcome = self.outcome(alarm, None, None, resources, Some(problem));
        outcome.error = error.map(|error| last_error(status.last_error.as_ref(), &error, outcome.now, delay));
        self.write(target, status, &fold(status, &outcome)).await?;
        Ok(Some(delay))
    }
}
