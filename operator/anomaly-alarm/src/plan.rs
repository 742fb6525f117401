//! From what is there and what should be to what is to be done, in order. Pure.
//!
//! What is made is recorded in the status before it is made, so that whatever crash leaves behind is known. Detector,
//! alarms, composite, mute rule are made in this order and deleted in the reverse one; a composite that should go is
//! changed or deleted before what it refers to.

use jiff::Timestamp;
use tidewatch_aws::types::{AlarmConfig, DetectorConfig, DetectorId, MuteRule, Tags};
use tidewatch_crds::anomaly_alarm::{ADOPT_ANNOTATION, AnomalyAlarmStatus, Resource, ResourceKind};
use tidewatch_managed::Shared;
use tidewatch_managed::owner::{Retag, SPEC_HASH, changed_by_hand, retag};

use super::desired::{Desired, spec_hash};
use super::facts::scope_of;
use super::memory::Memory;
use super::observe::{DetectorSeen, MuteSeen, Observed, Owner, Seen, same};
use super::reason::{Problem, Reason};

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

impl Action {
    /// Once it is done, AWS may have forgotten that an alarm is referred to.
    pub(super) fn changes_composite(&self) -> bool {
        match self {
            Self::PutAlarm(config, _) => matches!(**config, AlarmConfig::Composite(_)),
            Self::Delete(resource) => resource.kind == ResourceKind::CompositeAlarm,
            _ => false,
        }
    }
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
    /// What stays in AWS though it is recorded, in words.
    pub left: Vec<String>,
}

/// What is known of the object so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    pub status: &'a AnomalyAlarmStatus,
    pub has_finalizer: bool,
    /// The status says that this generation of the spec is in place: what differs was changed by hand.
    pub settled: bool,
    pub now: Timestamp,
}

/// What to do about one object.
pub(super) fn plan(
    desired: Option<&Desired>,
    observed: &Observed,
    standing: Standing<'_>,
    memory: &Memory,
) -> Plan {
    let mut plan = Plan::default();
    if let Some(desired) = desired {
        plan.problem = problem(desired, observed);
        if plan.problem.is_some() {
            plan.resources.clone_from(&standing.status.resources);
            return plan;
        }
        plan.make(desired, observed, standing, memory);
    }
    plan.clear_away(desired.is_none(), observed, memory);
    plan
}

/// Why nothing may be written at all.
fn problem(desired: &Desired, observed: &Observed) -> Option<Problem> {
    for (name, seen) in &observed.alarms {
        if let Seen::There { owner: Owner::Other(whose), .. } = seen {
            return Some(Problem::new(
                Shared::NotOurs,
                format!(
                    "alarm {name} exists in CloudWatch, and {whose}; nothing was changed: to take it over write annotation {ADOPT_ANNOTATION}: {}",
                    desired.adoptable_as
                ),
            ));
        }
    }
    if let MuteSeen::Other(whose) = &observed.mute {
        return Some(Problem::new(
            Shared::NotOurs,
            format!(
                "the mute rule exists in CloudWatch, and {whose}; nothing was changed: to take it over write annotation {ADOPT_ANNOTATION}: {}",
                desired.adoptable_as
            ),
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
            Shared::NotOurs,
            format!(
                "the anomaly detector for {id} exists in CloudWatch, isn't Tidewatch's, and is trained otherwise: remove condition.band.training to use it as it is"
            ),
        ));
    }
    None
}

impl Plan {
    /// Keeps recorded what was to be deleted and wasn't.
    pub(super) fn keep_undone(&mut self) {
        let undone = self.actions.iter().filter_map(|action| match action {
            Action::Delete(resource) => Some(resource.clone()),
            _ => None,
        });
        // What is desired comes last, as it is recorded.
        self.resources = undone.chain(std::mem::take(&mut self.resources)).collect();
    }

    fn make(&mut self, desired: &Desired, observed: &Observed, standing: Standing<'_>, memory: &Memory) {
        let Standing { status, has_finalizer, .. } = standing;
        let owned = observed.detector.ours;
        let mut resources = desired.resources(owned);
        for resource in &mut resources {
            if let Some(Seen::There { alarm, .. }) = observed.alarms.get(&resource.name) {
                resource.arn = Some(alarm.arn.clone());
            }
        }
        let mut works = Works::default();
        if let Some((id, config)) = &desired.detector {
            self.detector(id, config, &observed.detector, standing, memory, &mut works);
        }
        for (_, config) in desired.alarms() {
            self.alarm(desired, &config, observed, standing, memory, &mut works);
        }
        if let Some(rule) = &desired.mute {
            self.mute(desired, rule, &observed.mute, standing, &mut works);
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
        self.actions.append(&mut works.claims);
        self.actions.append(&mut works.changes);
        self.resources = resources;
    }

    fn detector(
        &mut self,
        id: &DetectorId,
        config: &DetectorConfig,
        seen: &DetectorSeen,
        standing: Standing<'_>,
        memory: &Memory,
        works: &mut Works,
    ) {
        let differs = match &seen.there {
            None => true,
            Some(there) => seen.ours && there.config != *config,
        };
        if !differs {
            return;
        }
        if memory.written.just_wrote(&detector_key(id), &format!("{config:?}"), standing.now) {
            self.waiting = Some(format!("the anomaly detector for {id} was written and isn't seen yet"));
            return;
        }
        if standing.settled {
            self.drift.push(undone(&format!("the anomaly detector for {id}"), seen.there.is_some()));
        }
        works.changes.push(Action::PutDetector(id.clone(), config.clone()));
    }

    fn mute(
        &mut self,
        desired: &Desired,
        rule: &MuteRule,
        seen: &MuteSeen,
        standing: Standing<'_>,
        works: &mut Works,
    ) {
        let there = match seen {
            MuteSeen::Assumed | MuteSeen::Other(_) => return,
            MuteSeen::Absent => None,
            MuteSeen::There(there) => Some(there),
            MuteSeen::Adoptable(there, arn) => {
                works.claims.push(Action::Tag(arn.clone(), desired.tags.clone()));
                Some(there)
            }
        };
        if there == Some(rule) {
            return;
        }
        if standing.settled {
            self.drift.push(undone(&format!("mute rule {}", rule.name), there.is_some()));
        }
        works.changes.push(Action::PutMute(rule.clone(), desired.tags.clone()));
    }

    fn alarm(
        &mut self,
        desired: &Desired,
        config: &AlarmConfig,
        observed: &Observed,
        standing: Standing<'_>,
        memory: &Memory,
        works: &mut Works,
    ) {
        let Standing { status, now, settled, .. } = standing;
        let name = config.name();
        let tags = desired.tags_of(config, observed.detector.ours);
        let hash = spec_hash(config);
        let just_wrote = memory.written.just_wrote(name, &hash, now);
        let put = |waiting: &mut Option<String>, works: &mut Works| {
            if just_wrote {
                *waiting = Some(format!("alarm {name} was written and isn't seen yet"));
            } else {
                works.changes.push(Action::PutAlarm(Box::new(config.clone()), tags.clone()));
            }
        };
        match observed.alarms.get(name) {
            None | Some(Seen::Absent) => {
                // Elsewhere it isn't deleted by hand: the object moves.
                let is_here = |r: &Resource| r.name == name && scope_of(r) == desired.scope;
                let made = status.resources.iter().any(|r| is_here(r) && r.arn.is_some());
                if made && !just_wrote {
                    self.drift.push(undone(&format!("alarm {name}"), false));
                }
                put(&mut self.waiting, works);
            }
            Some(Seen::There { alarm, owner }) => {
                let there = match owner {
                    Owner::Ours(there) | Owner::Adoptable(there) => Some(there),
                    Owner::Assumed | Owner::Other(_) => None,
                };
                let differs = alarm.config != *config;
                if differs {
                    let by_hand = there.is_some_and(|there| there.get(SPEC_HASH) == Some(&hash));
                    if by_hand && !just_wrote {
                        self.drift.push(undone(&format!("alarm {name}"), true));
                    }
                }
                let Some(there) = there else {
                    if differs {
                        put(&mut self.waiting, works);
                    }
                    return;
                };
                let retag = retag(there, &tags, &status.tag_keys);
                let (due, unseen) = memory.written.due(&alarm.arn, retag, now);
                if unseen {
                    self.waiting = Some(format!("the tags of alarm {name} were written and aren't seen yet"));
                }
                let adopting = matches!(owner, Owner::Adoptable(_)) && !unseen;
                if adopting && !differs {
                    works.claims.extend(retagging(&alarm.arn, due));
                    return;
                }
                if adopting {
                    // Whose it is, before it is changed: the hash of what was written comes with the rest, afterwards.
                    works.claims.push(Action::Tag(alarm.arn.clone(), desired.ownership.clone()));
                }
                if differs {
                    put(&mut self.waiting, works);
                }
                let by_hand = changed_by_hand(&due);
                if settled && !adopting && !by_hand.is_empty() {
                    self.drift.push(undone(&format!("alarm {name} (tags {})", by_hand.join(", ")), true));
                }
                works.changes.extend(retagging(&alarm.arn, due));
            }
        }
    }
}

/// What is to be written for what is desired.
#[derive(Debug, Default)]
struct Works {
    /// Tags that say whose it is, of what is taken over: before anything is changed.
    claims: Vec<Action>,
    changes: Vec<Action>,
}

/// A change by hand, as it is told.
fn undone(what: &str, is_there: bool) -> String {
    if is_there {
        format!("{what} was changed by hand, and is put back")
    } else {
        format!("{what} was deleted by hand, and is made again")
    }
}

/// What a detector's writes are remembered by.
pub(super) fn detector_key(id: &DetectorId) -> String {
    format!("detector {id:?}")
}

fn retagging(arn: &str, Retag { set, remove }: Retag) -> impl Iterator<Item = Action> {
    let set = (!set.is_empty()).then(|| Action::Tag(arn.to_owned(), set));
    let remove = (!remove.is_empty()).then(|| Action::Untag(arn.to_owned(), remove));
    set.into_iter().chain(remove)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
