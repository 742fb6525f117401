//! What is to be done about what is recorded and no longer desired. Pure.
//!
//! Mute rule and composite go first, then the alarms, then the detector. What something else in AWS refers to waits, and so
//! does what it refers to itself.

use std::collections::BTreeMap;

use tidewatch_aws::Scope;
use tidewatch_crds::anomaly_alarm::{Resource, ResourceKind};
use tidewatch_managed::Shared;

use super::facts::scope_of;
use super::memory::Memory;
use super::observe::{Observed, Stale, is_alarm};
use super::plan::{Action, Plan};
use super::reason::Problem;

impl Plan {
    /// Deletes what can go now. `ending` says that nothing at all is desired any more.
    pub(super) fn clear_away(&mut self, ending: bool, observed: &Observed, memory: &Memory) {
        let held = held(observed, memory);
        if let Some(why) = held.values().next() {
            self.problem = Some(Problem::new(Shared::InUse, why.clone()));
        }
        let alarms_left = observed.stale.iter().any(|(resource, stale)| {
            is_alarm(resource.kind) && matches!(stale, Stale::Ours | Stale::Combined(_))
        });
        let mut kept = Vec::new();
        for (resource, stale) in &observed.stale {
            let scope = scope_of(resource);
            let waits = (held.contains_key(&scope)
                && (is_alarm(resource.kind) || (ending && resource.kind == ResourceKind::MuteRule)))
                || memory.in_use.contains_key(&(scope, resource.name.clone()));
            match stale {
                Stale::Absent | Stale::Foreign => {}
                Stale::NotOurs(whose) => self.left.push(format!("{} stays in AWS: {whose}", named(resource))),
                Stale::InUse if !alarms_left => {}
                Stale::Ours | Stale::Combined(_) if waits => kept.push(resource.clone()),
                Stale::Ours if resource.kind != ResourceKind::Detector || !alarms_left => {
                    self.actions.push(Action::Delete(resource.clone()));
                }
                // Whether others still use a detector is decided when our own alarms are gone: two that let go at the
                // same time would else each leave it to the other.
                Stale::InUse | Stale::Ours | Stale::Combined(_) | Stale::Waiting => {
                    kept.push(resource.clone());
                    self.waiting.get_or_insert_with(|| {
                        format!("the anomaly detector for {} goes when its last alarm is gone", resource.name)
                    });
                }
            }
        }
        // What is desired comes last, as it is recorded: of two alarms of one kind the last is the one that counts.
        kept.append(&mut self.resources);
        self.resources = kept;
    }
}

/// Where alarms can't be deleted now, and why.
fn held(observed: &Observed, memory: &Memory) -> BTreeMap<Scope, String> {
    let mut held = BTreeMap::new();
    for (resource, stale) in &observed.stale {
        let scope = scope_of(resource);
        let why = match stale {
            Stale::Combined(by) => Some(format!(
                "{} goes once AnomalyAlarm {by} doesn't combine it any more: remove this object from its alarms.anyOf (if it isn't there, that object's condition Ready says what its change waits for), or delete it",
                named(resource)
            )),
            Stale::Ours => memory.in_use.get(&(scope.clone(), resource.name.clone())).map(|said| {
                format!("{} can't be deleted while something else refers to it: {said}", named(resource))
            }),
            _ => None,
        };
        if let Some(why) = why {
            held.entry(scope).or_insert(why);
        }
    }
    held
}

fn named(resource: &Resource) -> String {
    let Resource { name, region, .. } = resource;
    match resource.kind {
        ResourceKind::Detector => format!("the anomaly detector for {name} in {region}"),
        ResourceKind::MuteRule => format!("mute rule {name} in {region}"),
        ResourceKind::MetricAlarm | ResourceKind::NetworkAlarm | ResourceKind::CompositeAlarm => {
            format!("alarm {name} in {region}")
        }
    }
}
