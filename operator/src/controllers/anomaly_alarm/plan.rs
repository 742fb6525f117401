//! From what is there and what should be to what is to be done, in order. Pure.
//!
//! What is made is recorded in the status before it is made, so that whatever crash leaves behind is known. Detector,
//! alarms, composite, mute rule are made in this order and deleted in the reverse one; a composite that should go is
//! changed or deleted before what it refers to.

use tidewatch_crds::anomaly_alarm::{AnomalyAlarmStatus, Resource, ResourceKind};

use super::desired::{Desired, SPEC_HASH, spec_hash};
use super::memory::Memory;
use super::observe::{DetectorSeen, MuteSeen, Observed, Owner, Seen, Stale, same};
use super::reason::{Problem, Reason};
use crate::aws::types::{AlarmConfig, DetectorConfig, DetectorId, MuteRule, Tags};

/// One thing to do. Each may be repeated without harm.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    AddFinalizer,
    /// Before anything of it is made.
    Record(Vec<Resource>),
    PutDetector(DetectorId, DetectorConfig),
    PutAlarm(Box<AlarmConfig>, Tags),
    PutMute(MuteRule, Tags),
    Tag(String, Tags),
    Untag(String, Vec<String>),
    Delete(Resource),
}

/// What to do, and what stands when it is done.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    pub actions: Vec<Action>,
    /// What is recorded once all is done.
    pub resources: Vec<Resource>,
    /// What keeps the alarm from being as declared.
    pub problem: Option<Problem>,
    /// Something was written and isn't seen yet, or something else must happen first.
    pub waiting: Option<String>,
    /// Hand-made changes that are undone, in words.
    pub drift: Vec<String>,
}

/// What to do about one object.
pub(super) fn plan(
    desired: Option<&Desired>,
    observed: &Observed,
    status: &AnomalyAlarmStatus,
    has_finalizer: bool,
    memory: &Memory,
) -> Plan {
    let mut plan = Plan::default();
    if let Some(desired) = desired {
        plan.problem = problem(desired, observed);
        if plan.problem.is_some() {
            plan.resources.clone_from(&status.resources);
            return plan;
        }
        plan.make(desired, observed, status, has_finalizer, memory);
    }
    plan.clear_away(observed);
    plan
}

/// Why nothing may be written at all.
fn problem(desired: &Desired, observed: &Observed) -> Option<Problem> {
    for (name, seen) in &observed.alarms {
        if let Seen::There { owner: Owner::Other(whose), .. } = seen {
            return Some(Problem::new(
                Reason::NotOurs,
                format!(
                    "alarm {name} exists in CloudWatch, and {whose}; nothing was changed: to take it over write annotation {}: {name}",
                    tidewatch_crds::anomaly_alarm::ADOPT_ANNOTATION
                ),
            ));
        }
    }
    if let MuteSeen::Other(whose) = &observed.mute {
        return Some(Problem::new(
            Reason::NotOurs,
            format!("the mute rule exists in CloudWatch, and {whose}; nothing was changed"),
        ));
    }
    let (id, config) = desired.detector.as_ref()?;
    let DetectorSeen { there, ours, contested_by } = &observed.detector;
    if let Some(other) = contested_by {
        return Some(Problem::new(
            Reason::TrainingConflict,
            format!(
                "AnomalyAlarm {other} has the same metric and another training, and CloudWatch keeps one band for both ({id}): write the same condition.band.training in both"
            ),
        ));
    }
    let foreign = there.as_ref().filter(|_| !ours)?;
    // One that someone else made is used as it is; only a wish for another training can't be had.
    if *config != DetectorConfig::default() && foreign.config != *config {
        return Some(Problem::new(
            Reason::NotOurs,
            format!(
                "the anomaly detector for {id} exists in CloudWatch, isn't Tidewatch's, and is trained otherwise: remove condition.band.training to use it as it is"
            ),
        ));
    }
    None
}

impl Plan {
    fn make(
        &mut self,
        desired: &Desired,
        observed: &Observed,
        status: &AnomalyAlarmStatus,
        has_finalizer: bool,
        memory: &Memory,
    ) {
        let owned = observed.detector.ours;
        let mut resources = desired.resources(owned);
        for resource in &mut resources {
            if let Some(Seen::There { alarm, .. }) = observed.alarms.get(&resource.name) {
                resource.arn = Some(alarm.arn.clone());
            }
        }
        let mut works = Vec::new();
        if let Some((id, config)) = &desired.detector {
            self.detector(id, config, &observed.detector, memory, &mut works);
        }
        for (_, config) in desired.alarms() {
            self.alarm(desired, &config, observed, status, memory, &mut works);
        }
        if let Some(rule) = &desired.mute {
            let differs = match &observed.mute {
                MuteSeen::Assumed | MuteSeen::Other(_) => false,
                MuteSeen::Absent => true,
                MuteSeen::There(there) => there != rule,
            };
            if differs {
                works.push(Action::PutMute(rule.clone(), desired.tags.clone()));
            }
        }
        if !has_finalizer {
            self.actions.push(Action::AddFinalizer);
        }
        let unrecorded = resources.iter().any(|wanted| !status.resources.iter().any(|r| same(r, wanted)));
        if unrecorded {
            let mut all = status.resources.clone();
            all.retain(|recorded| !resources.iter().any(|wanted| same(recorded, wanted)));
            all.extend(resources.iter().cloned());
            self.actions.push(Action::Record(all));
        }
        self.actions.append(&mut works);
        self.resources = resources;
    }

    fn detector(
        &mut self,
        id: &DetectorId,
        config: &DetectorConfig,
        seen: &DetectorSeen,
        memory: &Memory,
        works: &mut Vec<Action>,
    ) {
        let differs = match &seen.there {
            None => true,
            Some(there) => seen.ours && there.config != *config,
        };
        if !differs {
            return;
        }
        if memory.just_wrote(&detector_key(id), &format!("{config:?}")) {
            self.waiting = Some(format!("the anomaly detector for {id} was written and isn't seen yet"));
        } else {
            works.push(Action::PutDetector(id.clone(), config.clone()));
        }
    }

    fn alarm(
        &mut self,
        desired: &Desired,
        config: &AlarmConfig,
        observed: &Observed,
        status: &AnomalyAlarmStatus,
        memory: &Memory,
        works: &mut Vec<Action>,
    ) {
        let name = config.name();
        let tags = desired.tags_of(config, observed.detector.ours);
        let hash = spec_hash(config);
        let mut put = |waiting: &mut Option<String>| {
            if memory.just_wrote(name, &hash) {
                *waiting = Some(format!("alarm {name} was written and isn't seen yet"));
            } else {
                works.push(Action::PutAlarm(Box::new(config.clone()), tags.clone()));
            }
        };
        match observed.alarms.get(name) {
            None | Some(Seen::Absent) => {
                let made = status.resources.iter().any(|r| r.name == name && r.arn.is_some());
                if made && !memory.just_wrote(name, &hash) {
                    self.drift.push(format!("alarm {name} was deleted by hand, and is made again"));
                }
                put(&mut self.waiting);
            }
            Some(Seen::There { alarm, owner }) => {
                let there = match owner {
                    Owner::Ours(there) | Owner::Adoptable(there) => Some(there),
                    Owner::Assumed | Owner::Other(_) => None,
                };
                if alarm.config != *config {
                    let by_hand = there.is_some_and(|there| there.get(SPEC_HASH) == Some(&hash));
                    if by_hand && !memory.just_wrote(name, &hash) {
                        self.drift.push(format!("alarm {name} was changed by hand, and is put back"));
                    }
                    put(&mut self.waiting);
                }
                if let Some(there) = there {
                    let is_due = |action: &Action| !just_tagged(action, memory);
                    let (due, written): (Vec<_>, Vec<_>) =
                        retag(&alarm.arn, there, &tags, &status.tag_keys).into_iter().partition(is_due);
                    works.extend(due);
                    if !written.is_empty() {
                        self.waiting =
                            Some(format!("the tags of alarm {name} were written and aren't seen yet"));
                    }
                }
            }
        }
    }

    /// What is no longer wanted, the composite first.
    fn clear_away(&mut self, observed: &Observed) {
        let alarms_left = observed
            .stale
            .iter()
            .any(|(resource, stale)| resource.kind != ResourceKind::Detector && *stale == Stale::Ours);
        for (resource, stale) in &observed.stale {
            match stale {
                Stale::Absent | Stale::NotOurs => {}
                Stale::InUse if !alarms_left => {}
                Stale::Ours if resource.kind != ResourceKind::Detector || !alarms_left => {
                    self.actions.push(Action::Delete(resource.clone()));
                }
                // Whether others still use a detector is decided when our own alarms are gone: two that let go at the
                // same time would else each leave it to the other.
                Stale::InUse | Stale::Ours | Stale::Waiting => {
                    self.resources.push(resource.clone());
                    self.waiting.get_or_insert_with(|| {
                        format!("the anomaly detector for {} goes when its last alarm is gone", resource.name)
                    });
                }
            }
        }
    }
}

/// What a detector's writes are remembered by.
pub(super) fn detector_key(id: &DetectorId) -> String {
    format!("detector {id:?}")
}

/// Tags that are missing or differ, and those that we set once and are no longer wanted.
fn retag(arn: &str, there: &Tags, wanted: &Tags, set_before: &[String]) -> Vec<Action> {
    let differing: Tags = wanted
        .iter()
        .filter(|(key, value)| there.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let ours = |key: &String| set_before.contains(key) || key.starts_with("tidewatch.dev/");
    let surplus: Vec<String> =
        there.keys().filter(|key| ours(key) && !wanted.contains_key(*key)).cloned().collect();
    let mut actions = Vec::new();
    if !differing.is_empty() {
        actions.push(Action::Tag(arn.to_owned(), differing));
    }
    if !surplus.is_empty() {
        actions.push(Action::Untag(arn.to_owned(), surplus));
    }
    actions
}

/// What is remembered of tags that were written, by the alarm's ARN.
pub(super) fn tags_written(tags: &Tags) -> String {
    format!("{tags:?}")
}

/// What the removal of an alarm's tags is remembered by.
pub(super) fn untagging(arn: &str) -> String {
    format!("tags away from {arn}")
}

fn just_tagged(action: &Action, memory: &Memory) -> bool {
    match action {
        Action::Tag(arn, tags) => memory.just_wrote(arn, &tags_written(tags)),
        Action::Untag(arn, keys) => memory.just_wrote(&untagging(arn), &keys.join(" ")),
        _ => false,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
