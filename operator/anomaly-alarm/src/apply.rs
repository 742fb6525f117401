//! Doing what the plan says, under leadership.

use tidewatch_aws::types::{AlarmConfig, Tags};
use tidewatch_aws::{Aws, AwsError, Connection, ErrorKind, Scope};
use tidewatch_crds::AnomalyAlarmStatus;
use tidewatch_crds::anomaly_alarm::{Resource, ResourceKind};
use tidewatch_kube::object::Target;
use tidewatch_kube::reconcile::{Classify, ErrorClass};
use tidewatch_managed::owner::SPEC_HASH;
use tidewatch_managed::{Clock, Objects};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::desired::spec_hash;
use super::facts::{detector_of, scope_of};
use super::memory::Memory;
use super::plan::{Action, detector_key};

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("write AnomalyAlarm {object}: {source}")]
    Object { object: String, source: kube::Error },
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("this replica no longer leads: nothing was written")]
    NotLeading,
}

impl Classify for ApplyError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Object { source, .. } => match source.class() {
                // Deleted in between: there is nothing to write to, and its deletion is seen by the watch.
                ErrorClass::NotFound => ErrorClass::Terminal,
                class => class,
            },
            Self::Aws(error) => error.class(),
            Self::NotLeading => ErrorClass::Terminal,
        }
    }
}

impl ApplyError {
    pub(super) fn object(target: &Target, source: kube::Error) -> Self {
        Self::Object { object: format!("{}/{}", target.namespace, target.name), source }
    }
}

/// The result of a list of actions, of which those that could be done are done.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Resources that were to be deleted and are still there.
    pub left: Vec<Resource>,
    /// The first refusal that lasts until somebody changes, grants or raises something.
    pub refused: Option<AwsError>,
    /// A composite alarm was written or deleted: it may refer to fewer alarms than before.
    pub let_go: bool,
}

/// What an application needs.
pub(super) struct Applier<'a, O> {
    pub objects: &'a O,
    pub aws: &'a Aws,
    /// Where the desired things are.
    pub scope: Option<&'a Scope>,
    /// Cancelled when leadership ended.
    pub lost: &'a CancellationToken,
    pub clock: &'a Clock,
}

impl<O: Objects<AnomalyAlarmStatus>> Applier<'_, O> {
    /// Executes `actions` in order. What AWS will never take and what is still in use hold up no other; a right or a quota
    /// that is missing ends it; any other failure is the result. `status` is the one that stands, and is kept up.
    pub(super) async fn apply(
        &self,
        target: &mut Target,
        status: &mut AnomalyAlarmStatus,
        actions: Vec<Action>,
        memory: &mut Memory,
    ) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        let mut ended = false;
        let mut unwritten = Vec::new();
        for mut action in actions {
            // What takes the place of what goes must be there; and what something refers to refers to others itself.
            let resource = if let Action::Delete(resource) = &action { Some(resource.clone()) } else { None };
            if let Some(resource) = &resource
                && (applied.refused.is_some() || !applied.left.is_empty())
            {
                applied.left.push(resource.clone());
                continue;
            }
            if ended {
                continue;
            }
            let writes =
                if let Action::PutAlarm(config, _) = &action { Some(config.name().to_owned()) } else { None };
            if let Action::Tag(arn, tags) = &mut action
                && unwritten.iter().any(|name: &String| arn.ends_with(&format!(":alarm:{name}")))
            {
                // The hash would say that what was refused was written, and that somebody changed it since.
                tags.remove(SPEC_HASH);
                if tags.is_empty() {
                    continue;
                }
            }
            let changes_composite = action.changes_composite();
            let done = tokio::select! {
                biased;
                () = self.lost.cancelled() => return Err(ApplyError::NotLeading),
                done = self.one(target, status, action, memory) => done,
            };
            match (done, resource) {
                (Ok(()), _) => applied.let_go |= changes_composite,
                (Err(ApplyError::Aws(error)), Some(resource)) if error.kind == ErrorKind::InUse => {
                    memory.in_use.insert((scope_of(&resource), resource.name.clone()), error.to_string());
                    applied.left.push(resource);
                }
                // What is refused for good must not hold up what AWS would take.
                (Err(ApplyError::Aws(error)), None) if error.kind == ErrorKind::Terminal => {
                    unwritten.extend(writes);
                    applied.refused.get_or_insert(error);
                }
                (Err(ApplyError::Aws(error)), resource) if error.lasts() => {
                    applied.left.extend(resource);
                    applied.refused.get_or_insert(error);
                    ended = true;
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(applied)
    }

    async fn one(
        &self,
        target: &mut Target,
        status: &mut AnomalyAlarmStatus,
        action: Action,
        memory: &mut Memory,
    ) -> Result<(), ApplyError> {
        match action {
            Action::AddFinalizer => self
                .objects
                .set_finalizer(target, true)
                .await
                .map_err(|source| ApplyError::object(target, source)),
            Action::Record(resources) => {
                let recorded = AnomalyAlarmStatus { resources, ..status.clone() };
                self.objects
                    .write_status(target, &recorded)
                    .await
                    .map_err(|source| ApplyError::object(target, source))?;
                *status = recorded;
                Ok(())
            }
            action => {
                let result = self.write(&action, memory).await;
                if let Action::PutAlarm(config, _) = &action
                    && result.is_ok()
                    && !status.resources.iter().any(|r| {
                        r.name == config.name() && r.arn.is_some() && self.scope == Some(&scope_of(r))
                    })
                {
                    memory.created.insert(config.name().to_owned());
                }
                // Also when it failed: the time-out may have come after the effect.
                memory.last_write = Some(Instant::now());
                result.map_err(ApplyError::from)
            }
        }
    }

    async fn write(&self, action: &Action, memory: &mut Memory) -> Result<(), AwsError> {
        match action {
            Action::AddFinalizer | Action::Record(_) => Ok(()),
            Action::Delete(resource) => self.delete(resource, memory).await,
            Action::PutDetector(id, config) => {
                let Some(connection) = self.connection().await else { return Ok(()) };
                connection.cloudwatch.put_detector(id, config).await?;
                memory.written.wrote(&detector_key(id), format!("{config:?}"), (self.clock)());
                Ok(())
            }
            Action::PutAlarm(config, tags) => {
                let Some(connection) = self.connection().await else { return Ok(()) };
                self.put_alarm(&connection, config, tags, memory).await
            }
            Action::PutMute(rule, tags) => {
                let Some(connection) = self.connection().await else { return Ok(()) };
                connection.cloudwatch.put_mute_rule(rule, tags).await?;
                memory.written.wrote(&rule.name, format!("{rule:?}"), (self.clock)());
                Ok(())
            }
            Action::Tag(arn, tags) => {
                let Some(connection) = self.connection().await else { return Ok(()) };
                connection.cloudwatch.tag(arn, tags).await?;
                memory.written.tagged(arn, tags, (self.clock)());
                Ok(())
            }
            Action::Untag(arn, keys) => {
                let Some(connection) = self.connection().await else { return Ok(()) };
                connection.cloudwatch.untag(arn, keys).await?;
                memory.written.untagged(arn, keys, (self.clock)());
                Ok(())
            }
        }
    }

    async fn put_alarm(
        &self,
        connection: &Connection,
        config: &AlarmConfig,
        tags: &Tags,
        memory: &mut Memory,
    ) -> Result<(), AwsError> {
        match config {
            AlarmConfig::Metric(alarm) => connection.cloudwatch.put_metric_alarm(alarm, tags).await?,
            AlarmConfig::Composite(alarm) => connection.cloudwatch.put_composite_alarm(alarm, tags).await?,
        }
        memory.written.wrote(config.name(), spec_hash(config), (self.clock)());
        Ok(())
    }

    async fn delete(&self, resource: &Resource, memory: &mut Memory) -> Result<(), AwsError> {
        let connection = self.aws.connection(&scope_of(resource)).await;
        match resource.kind {
            ResourceKind::MuteRule => connection.cloudwatch.delete_mute_rule(&resource.name).await?,
            ResourceKind::Detector => {
                if let Some(id) = detector_of(resource) {
                    connection.cloudwatch.delete_detector(&id).await?;
                    memory.forget_write(&detector_key(&id));
                }
            }
            ResourceKind::MetricAlarm | ResourceKind::NetworkAlarm | ResourceKind::CompositeAlarm => {
                connection.cloudwatch.delete_alarm(&resource.name).await?;
            }
        }
        memory.forget_write(&resource.name);
        Ok(())
    }

    async fn connection(&self) -> Option<Connection> {
        match self.scope {
            Some(scope) => Some(self.aws.connection(scope).await),
            None => None,
        }
    }
}
