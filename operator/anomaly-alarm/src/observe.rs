//! What is in AWS now, as far as the object is concerned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidewatch_aws::types::{Alarm, Detector, MuteRule, Tags};
use tidewatch_aws::{Aws, AwsError, Connection};
use tidewatch_crds::anomaly_alarm::{AnomalyAlarmStatus, Resource, ResourceKind};
use tidewatch_managed::again;
use tidewatch_managed::owner::{self, Claim, Whose};
use tokio::time::Instant;

use super::desired::{DETECTOR, Desired};
use super::facts::{Parent, Sharer, detector_of, scope_of};
use super::memory::Memory;

/// What is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Observed {
    /// The desired alarms, by name.
    pub alarms: BTreeMap<String, Seen>,
    /// Of the desired detector.
    pub detector: DetectorSeen,
    /// Of the desired mute rule.
    pub mute: MuteSeen,
    /// What is recorded and no longer desired.
    pub stale: Vec<(Resource, Stale)>,
}

/// A desired alarm.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    Absent,
    There { alarm: Arc<Alarm>, owner: Owner },
}

/// Whose an alarm is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Owner {
    /// Ours when it was last looked at, and there is no reason to look again.
    Assumed,
    /// Ours by its tags.
    Ours(Tags),
    /// Not ours, and the object may take it over.
    Adoptable(Tags),
    /// Not ours: whose, in words.
    Other(String),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct DetectorSeen {
    pub there: Option<Detector>,
    /// The operator made it, or makes it now.
    pub ours: bool,
    /// Another object was there before and wants it otherwise.
    pub contested_by: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum MuteSeen {
    /// Not looked at: nothing says that it changed.
    #[default]
    Assumed,
    Absent,
    There(MuteRule),
    /// Not ours, and the object may take it over; with its ARN.
    Adoptable(MuteRule, String),
    Other(String),
}

/// Something that is recorded and no longer desired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stale {
    Absent,
    Ours,
    /// Never made by the operator: left alone and forgotten.
    Foreign,
    /// Not ours any more: left alone and forgotten; whose, in words.
    NotOurs(String),
    /// An alarm that the composite of another object names: AWS doesn't delete it before that changes. Whose composite.
    Combined(String),
    /// A detector that others use: left to them and forgotten.
    InUse,
    /// A detector whose other users are about to let go of it.
    Waiting,
}

/// What an observation starts from.
pub(super) struct Subject<'a> {
    /// `namespace/name`
    pub key: &'a str,
    pub object: owner::Owner<'a>,
    pub status: &'a AnomalyAlarmStatus,
    /// The status says that this generation of the spec is in place.
    pub settled: bool,
    pub sharers: &'a [Sharer],
    /// Names in AWS that are this object's.
    pub own_names: &'a BTreeSet<String>,
    /// Tells the objects that combine this one or may still do so; asked only where something is to go.
    pub parents: &'a (dyn Fn() -> Vec<Parent> + Sync),
    pub resync: Duration,
    pub now: Timestamp,
    /// When the observation began.
    pub begun: Instant,
}

impl Subject<'_> {
    /// Looks at everything that `desired` and the status name.
    pub(super) async fn observe(
        &self,
        aws: &Aws,
        desired: Option<&Desired>,
        memory: &mut Memory,
    ) -> Result<Observed, AwsError> {
        let mut observed = Observed::default();
        let check = !self.settled || memory.check_is_due();
        let stale = self.stale(desired);
        if let Some(desired) = desired {
            let connection = aws.connection(&desired.scope).await;
            self.desired_alarms(&connection, desired, memory, check, &mut observed).await?;
            self.desired_detector(&connection, desired, memory, &mut observed).await?;
            self.desired_mute(&connection, desired, memory, check, &mut observed).await?;
            if check {
                memory.checked();
            }
        }
        let (mut alarms_left, mut lost) = (false, BTreeSet::new());
        for resource in stale {
            let scope = scope_of(&resource);
            let connection = aws.connection(&scope).await;
            let seen = match resource.kind {
                // It goes after the alarms, and who else uses it is asked then.
                ResourceKind::Detector if alarms_left && !resource.foreign => Stale::Waiting,
                _ => self.stale_resource(&connection, &scope, &resource, &lost, memory).await?,
            };
            alarms_left |=
                is_alarm(resource.kind) && matches!(seen, Stale::Ours | Stale::Combined(_) | Stale::Waiting);
            if matches!(seen, Stale::NotOurs(_)) {
                lost.insert(resource.name.clone());
            }
            observed.stale.push((resource, seen));
        }
        Ok(observed)
    }

    /// What is recorded and not desired, in the order in which it is deleted.
    fn stale(&self, desired: Option<&Desired>) -> Vec<Resource> {
        let wanted = desired.map(|desired| desired.resources(true)).unwrap_or_default();
        let mut stale: Vec<Resource> = self
            .status
            .resources
            .iter()
            .filter(|resource| !wanted.iter().any(|wanted| same(wanted, resource)))
            .cloned()
            .collect();
        stale.sort_by_key(|resource| std::cmp::Reverse(resource.kind));
        stale
    }

    pub(super) fn newer_than(&self, memory: &Memory) -> Instant {
        again::newer_than(memory.last_write, self.resync)
    }

    async fn desired_alarms(
        &self,
        connection: &Connection,
        desired: &Desired,
        memory: &mut Memory,
        check: bool,
        observed: &mut Observed,
    ) -> Result<(), AwsError> {
        let wanted: Vec<_> = desired.alarms().map(|(_, config)| config).collect();
        let names: Vec<String> = wanted.iter().map(|config| config.name().to_owned()).collect();
        let mut readings = connection.reader.alarms(self.key, &names, self.newer_than(memory)).await?;
        // One that somebody made since that reading would be overwritten: what is to be made is looked for now.
        if readings.values().any(Option::is_none) {
            readings = connection.reader.alarms(self.key, &names, self.begun).await?;
        }
        for config in wanted {
            let Some(alarm) = readings.remove(config.name()).flatten() else {
                observed.alarms.insert(config.name().to_owned(), Seen::Absent);
                continue;
            };
            let recorded =
                self.status.resources.iter().any(|resource| resource.arn.as_ref() == Some(&alarm.arn));
            let known = recorded || memory.created.contains(config.name());
            let adopting = desired.adopts && !recorded;
            let owner = if known
                && !adopting
                && alarm.config == config
                && (!check || memory.created.contains(config.name()))
            {
                if memory.created.contains(config.name()) {
                    memory.was_ours(&alarm);
                }
                Owner::Assumed
            } else {
                let claim = Claim { adopts: desired.adopts, recorded };
                let owner = self.owner(connection, &alarm.arn, claim).await?;
                if matches!(owner, Owner::Ours(_)) {
                    memory.was_ours(&alarm);
                }
                owner
            };
            observed.alarms.insert(config.name().to_owned(), Seen::There { alarm, owner });
        }
        Ok(())
    }

    pub(super) async fn owner(
        &self,
        connection: &Connection,
        arn: &str,
        claim: Claim,
    ) -> Result<Owner, AwsError> {
        let tags = connection.cloudwatch.tags(arn).await?;
        Ok(match self.object.whose(&tags, claim) {
            Whose::Ours => Owner::Ours(tags),
            Whose::Adoptable => Owner::Adoptable(tags),
            Whose::Other(whose) => Owner::Other(whose),
        })
    }

    async fn desired_detector(
        &self,
        connection: &Connection,
        desired: &Desired,
        memory: &Memory,
        observed: &mut Observed,
    ) -> Result<(), AwsError> {
        let Some((id, config)) = &desired.detector else {
            return Ok(());
        };
        let mut detectors = connection.reader.detectors(self.key, Some(id), self.newer_than(memory)).await?;
        // One that somebody made since that list was read would be overwritten, and deleted with the object.
        if !detectors.contains_key(id) {
            detectors = connection.reader.detectors(self.key, Some(id), self.begun).await?;
        }
        let sharers = || self.sharers.iter().filter(|s| s.scope == desired.scope && s.detector == *id);
        let recorded = self.status.resources.iter().find(|resource| {
            scope_of(resource) == desired.scope && detector_of(resource).as_ref() == Some(id)
        });
        let tagged = observed.alarms.values().any(|seen| match seen {
            Seen::There { owner: Owner::Ours(tags), .. } => {
                tags.get(DETECTOR).is_some_and(|whose| whose == "owned")
            }
            _ => false,
        });
        let there = detectors.get(id).cloned();
        let ours = there.is_none()
            || desired.adopts
            || recorded.is_some_and(|resource| !resource.foreign)
            || (recorded.is_none() && tagged)
            || sharers().any(|sharer| sharer.owns);
        let contested_by = sharers()
            .find(|sharer| sharer.elder && sharer.wants.as_ref().is_some_and(|wants| wants != config))
            .map(|sharer| sharer.object.clone());
        observed.detector = DetectorSeen { there, ours, contested_by };
        Ok(())
    }

    async fn desired_mute(
        &self,
        connection: &Connection,
        desired: &Desired,
        memory: &Memory,
        check: bool,
        observed: &mut Observed,
    ) -> Result<(), AwsError> {
        let Some(rule) = &desired.mute else { return Ok(()) };
        if !check || memory.written.just_wrote(&rule.name, &format!("{rule:?}"), self.now) {
            return Ok(());
        }
        observed.mute = match connection.cloudwatch.mute_rule(&rule.name).await? {
            None => MuteSeen::Absent,
            Some((there, arn)) => {
                let recorded = self.status.resources.iter().any(|resource| {
                    resource.kind == ResourceKind::MuteRule
                        && resource.name == rule.name
                        && scope_of(resource) == desired.scope
                });
                // Its name is recorded before it is made, and somebody else may have made it instead.
                if recorded && there == *rule {
                    MuteSeen::There(there)
                } else {
                    let claim = Claim { adopts: desired.adopts, recorded };
                    match self.owner(connection, &arn, claim).await? {
                        Owner::Other(whose) => MuteSeen::Other(whose),
                        Owner::Adoptable(_) => MuteSeen::Adoptable(there, arn),
                        Owner::Ours(_) | Owner::Assumed => MuteSeen::There(there),
                    }
                }
            }
        };
        Ok(())
    }
}

/// Whether it is an alarm, of whichever kind.
pub(super) fn is_alarm(kind: ResourceKind) -> bool {
    match kind {
        ResourceKind::MetricAlarm | ResourceKind::NetworkAlarm | ResourceKind::CompositeAlarm => true,
        ResourceKind::Detector | ResourceKind::MuteRule => false,
    }
}

/// Whether two records mean the same thing in AWS.
pub(super) fn same(a: &Resource, b: &Resource) -> bool {
    let identity = |r: &Resource| match r.kind {
        ResourceKind::Detector => r.detector.clone().unwrap_or_default(),
        _ => r.name.clone(),
    };
    a.kind == b.kind && scope_of(a) == scope_of(b) && identity(a) == identity(b)
}
