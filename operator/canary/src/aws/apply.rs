//! Doing what the plan says, under leadership.

use tidewatch_aws::synthetics::Synthetics;
use tidewatch_aws::{Aws, AwsError, ErrorKind};
use tidewatch_crds::CanaryStatus;
use tidewatch_kube::events::Happened;
use tidewatch_kube::object::Target;
use tidewatch_managed::{Clock, Objects, left_behind};
use tokio_util::sync::CancellationToken;

use super::desired::Desired;
use super::memory::Memory;
use super::place::Place;
use super::plan::Action;
use crate::Error;

/// Why an application ended early.
#[derive(Debug)]
pub(super) enum Stopped {
    /// AWS refused something.
    Refused(AwsError),
    /// The cluster did, or another replica leads.
    Cluster(Error),
}

/// What an application needs.
pub(super) struct Applier<'a, O> {
    pub objects: &'a O,
    pub aws: &'a Aws,
    pub desired: Option<&'a Desired>,
    /// Cancelled when leadership ended.
    pub lost: &'a CancellationToken,
    pub clock: &'a Clock,
}

impl<O: Objects<CanaryStatus>> Applier<'_, O> {
    /// Executes `actions` in order; the first failure ends it. `status` is the one that stands, and is kept up. What people
    /// should know of it goes to `told`.
    pub(super) async fn apply(
        &self,
        target: &mut Target,
        status: &mut CanaryStatus,
        actions: Vec<Action>,
        memory: &mut Memory,
        told: &mut Vec<Happened>,
    ) -> Result<(), Stopped> {
        for action in actions {
            tokio::select! {
                biased;
                () = self.lost.cancelled() => return Err(Stopped::Cluster(Error::NotLeading)),
                done = self.one(target, status, action, memory, told) => done?,
            }
        }
        Ok(())
    }

    async fn one(
        &self,
        target: &mut Target,
        status: &mut CanaryStatus,
        action: Action,
        memory: &mut Memory,
        told: &mut Vec<Happened>,
    ) -> Result<(), Stopped> {
        let cluster = |target: &Target, source| Stopped::Cluster(Error::object(target, source));
        match action {
            Action::AddFinalizer => {
                self.objects.set_finalizer(target, true).await.map_err(|source| cluster(target, source))
            }
            Action::Record(aws) => {
                let recorded = CanaryStatus { aws: Some(*aws), ..status.clone() };
                self.objects
                    .write_status(target, &recorded)
                    .await
                    .map_err(|source| cluster(target, source))?;
                *status = recorded;
                Ok(())
            }
            action => {
                let result = self.write(&action, memory, told).await;
                memory.called();
                result.map_err(Stopped::Refused)
            }
        }
    }

    async fn write(
        &self,
        action: &Action,
        memory: &mut Memory,
        told: &mut Vec<Happened>,
    ) -> Result<(), AwsError> {
        match action {
            Action::AddFinalizer | Action::Record(_) => Ok(()),
            Action::Stop(place) => {
                self.at(place).await.stop(&place.name).await?;
                memory.began(place, "stop", (self.clock)());
                Ok(())
            }
            Action::Delete(place) => {
                self.at(place).await.delete(&place.name).await?;
                memory.began(place, "delete", (self.clock)());
                Ok(())
            }
            Action::RemoveReplicas(place, regions) => {
                self.at(place).await.remove_replicas(&place.name, regions).await?;
                memory.began(place, "remove the replicas of", (self.clock)());
                told.push(Happened {
                    reason: "ReplicasRemoved",
                    is_warning: false,
                    note: format!(
                        "the replicas in {} go with the canary, which AWS doesn't delete before",
                        regions.join(", ")
                    ),
                    action: "Reconcile",
                });
                Ok(())
            }
            Action::DeleteLogs(place, function) => self.delete_logs(place, function, told).await,
            Action::Create | Action::Update(_) | Action::Start | Action::Tag(..) | Action::Untag(..) => {
                match self.desired {
                    Some(desired) => self.write_desired(desired, action, memory).await,
                    None => Ok(()),
                }
            }
        }
    }

    async fn write_desired(
        &self,
        desired: &Desired,
        action: &Action,
        memory: &mut Memory,
    ) -> Result<(), AwsError> {
        let (place, synthetics) = (&desired.place, self.at(&desired.place).await);
        match action {
            Action::Create => {
                synthetics.create(&desired.parts, &desired.tags).await?;
                memory.created(desired.hash(), (self.clock)());
                memory.began(place, "create", (self.clock)());
            }
            Action::Update(fields) => match synthetics.update(&desired.parts, fields).await {
                // What AWS takes of it must not wait for what it doesn't.
                Err(error) if error.kind == ErrorKind::Terminal => {
                    memory.update_refused(desired.hash(), fields, &error.to_string(), (self.clock)());
                }
                result => {
                    result?;
                    memory.updated(place, desired.hash(), fields, (self.clock)());
                    memory.began(place, "update", (self.clock)());
                }
            },
            Action::Start => {
                synthetics.start(&place.name).await?;
                memory.began(place, "start", (self.clock)());
            }
            Action::Tag(arn, tags) => {
                synthetics.tag(arn, tags).await?;
                memory.written.tagged(arn, tags, (self.clock)());
            }
            Action::Untag(arn, keys) => {
                synthetics.untag(arn, keys).await?;
                memory.written.untagged(arn, keys, (self.clock)());
            }
            _ => {}
        }
        Ok(())
    }

    /// A right that is missing keeps nothing but the logs: the object isn't held up for them.
    async fn delete_logs(
        &self,
        place: &Place,
        function: &str,
        told: &mut Vec<Happened>,
    ) -> Result<(), AwsError> {
        let connection = self.aws.connection(&place.scope).await;
        let group = format!("/aws/lambda/{function}");
        match connection.logs.delete_group(&group).await {
            Err(error) if error.kind == ErrorKind::Denied => {
                told.push(left_behind(&format!("log group {group} stays in AWS: {}", error.message)));
                Ok(())
            }
            result => result,
        }
    }

    async fn at(&self, place: &Place) -> std::sync::Arc<dyn Synthetics> {
        self.aws.connection(&place.scope).await.synthetics
    }
}
