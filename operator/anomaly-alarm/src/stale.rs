//! What becomes of what is recorded and no longer desired: whose it is, and who else refers to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidewatch_aws::types::{AlarmConfig, DetectorId};
use tidewatch_aws::{AwsError, Connection, Scope};
use tidewatch_crds::anomaly_alarm::{Resource, ResourceKind};
use tidewatch_managed::again;
use tidewatch_managed::owner::Claim;
use tokio::time::Instant;

use super::facts::{Parent, Sharer, detector_of};
use super::memory::Memory;
use super::observe::{Owner, Stale, Subject};
use super::plan::detector_key;

impl Subject<'_> {
    /// What becomes of one such thing. `lost` are the object's alarms that aren't its own any more.
    pub(super) async fn stale_resource(
        &self,
        connection: &Connection,
        scope: &Scope,
        resource: &Resource,
        lost: &BTreeSet<String>,
        memory: &Memory,
    ) -> Result<Stale, AwsError> {
        if resource.foreign {
            return Ok(Stale::Foreign);
        }
        match resource.kind {
            ResourceKind::MuteRule => match connection.cloudwatch.mute_rule(&resource.name).await? {
                // Reads may be behind, and to delete what isn't there does no harm.
                None => Ok(Stale::Ours),
                Some((_, arn)) => {
                    let claim = Claim { recorded: true, adopts: false };
                    Ok(match self.owner(connection, &arn, claim).await? {
                        Owner::Ours(_) | Owner::Assumed | Owner::Adoptable(_) => Stale::Ours,
                        Owner::Other(whose) => Stale::NotOurs(whose),
                    })
                }
            },
            ResourceKind::Detector => match detector_of(resource) {
                Some(id) => self.stale_detector(connection, scope, &id, lost, memory).await,
                None => Ok(Stale::Foreign),
            },
            ResourceKind::MetricAlarm | ResourceKind::NetworkAlarm | ResourceKind::CompositeAlarm => {
                let names = [resource.name.clone()];
                let readings = connection.reader.alarms(self.key, &names, self.newer_than(memory)).await?;
                let Some(alarm) = readings.into_values().flatten().next() else {
                    return Ok(self.unseen(&resource.name, memory));
                };
                if !memory.is_ours_still(&alarm) {
                    let recorded = resource.arn.as_ref().is_none_or(|arn| *arn == alarm.arn);
                    let claim = Claim { recorded, adopts: false };
                    if let Owner::Other(whose) = self.owner(connection, &alarm.arn, claim).await? {
                        return Ok(Stale::NotOurs(whose));
                    }
                }
                let by = self.combined_by(connection, scope, &resource.name).await?;
                Ok(by.map_or(Stale::Ours, Stale::Combined))
            }
        }
    }

    /// The object whose composite alarm names `alarm`, among those that may combine this object.
    async fn combined_by(
        &self,
        connection: &Connection,
        scope: &Scope,
        alarm: &str,
    ) -> Result<Option<String>, AwsError> {
        let mut theirs = BTreeMap::new();
        for Parent { object, composites } in (self.parents)() {
            let there = composites.into_iter().filter(|(at, _)| at == scope);
            theirs.extend(there.map(|(_, name)| (name, object.clone())));
        }
        let names: Vec<String> = theirs.keys().cloned().collect();
        let quoted = format!("\"{alarm}\"");
        for batch in names.chunks(100) {
            for parent in connection.cloudwatch.describe_alarms(batch).await? {
                if let AlarmConfig::Composite(composite) = &parent.config
                    && composite.rule.contains(&quoted)
                {
                    return Ok(theirs.get(&composite.name).cloned());
                }
            }
        }
        Ok(None)
    }

    /// What isn't seen isn't there, unless this process wrote it just now: then it is ours, and only reads are behind.
    fn unseen(&self, name: &str, memory: &Memory) -> Stale {
        if memory.written.just_wrote_any(name, self.now) { Stale::Ours } else { Stale::Absent }
    }

    /// A detector goes with its last user. Users are looked for in the cluster and among all alarms of the account.
    async fn stale_detector(
        &self,
        connection: &Connection,
        scope: &Scope,
        id: &DetectorId,
        lost: &BTreeSet<String>,
        memory: &Memory,
    ) -> Result<Stale, AwsError> {
        let sharers: Vec<&Sharer> =
            self.sharers.iter().filter(|s| s.scope == *scope && s.detector == *id).collect();
        if sharers.iter().any(|sharer| sharer.wants.is_some()) {
            return Ok(Stale::InUse);
        }
        // To delete one that isn't there does no harm; only that one isn't there must be known for certain.
        let list = connection.reader.detectors(self.key, None, again::newer_than(None, self.resync)).await?;
        if !list.contains_key(id) {
            let list =
                connection.reader.detectors(self.key, None, self.newer_than(memory).max(self.begun)).await?;
            if !list.contains_key(id) && self.unseen(&detector_key(id), memory) == Stale::Absent {
                return Ok(Stale::Absent);
            }
        }
        let minute_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap_or_else(Instant::now);
        let users = connection.reader.detector_users(minute_ago).await?;
        let others: Vec<String> = users
            .get(id)
            .into_iter()
            .flatten()
            .filter(|name| !self.own_names.contains(*name) || lost.contains(*name))
            .take(100)
            .cloned()
            .collect();
        if others.is_empty() {
            return Ok(Stale::Ours);
        }
        // That list may be a minute old: only what is there now counts.
        let there = connection.cloudwatch.describe_alarms(&others).await?;
        let users: Vec<&str> = there
            .iter()
            .filter(|alarm| tidewatch_aws::detector_of(&alarm.config).as_ref() == Some(id))
            .map(|alarm| alarm.config.name())
            .collect();
        let letting_go = |name: &&str| sharers.iter().any(|sharer| sharer.alarms.contains(*name));
        Ok(if users.is_empty() {
            Stale::Ours
        } else if users.iter().all(letting_go) {
            Stale::Waiting
        } else {
            Stale::InUse
        })
    }
}
