//! Derives the changes that are worth remembering from the events of the watches. The objects of a first list are no
//! changes, since nobody knows for how long they have been as they are.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tidewatch_records::Name;

use super::changes::{Changes, NodeEdit, REMEMBERED, ServiceEdit, What};
use super::facts::{NodeFact, PodFact, PolicyFact, ServiceFact, SliceFact};
use super::index::HISTORY;
use super::revisions::Revisions;

/// The time of an event of a watch, and the list that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) now: Timestamp,
    /// True for the first list of the kind.
    pub(super) first: bool,
}

#[derive(Debug, Default)]
pub(super) struct Transitions {
    changes: Changes,
    revisions: Revisions,
    /// Ready endpoints of each Service that has any.
    ready: HashMap<Name, usize>,
}

impl Transitions {
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    pub(super) fn has_ready_endpoint(&self, service: &str) -> bool {
        self.ready.contains_key(service)
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        self.changes.forget(now);
        self.revisions.forget(now.checked_sub(HISTORY).unwrap_or(Timestamp::MIN));
    }

    /// A pod that wasn't known.
    pub(super) fn pod_appeared(&mut self, pod: &PodFact, told: Told) {
        let Some(revision) = pod.revision() else { return };
        let Some(revision) = self.revisions.appeared(&pod.workload, revision) else { return };
        if !told.first {
            let at = pod.started.map_or(told.now, |started| started.min(told.now));
            self.changes.record(at, What::Rollout { workload: pod.workload.clone(), revision });
        }
    }

    pub(super) fn pod_went(&mut self, pod: &PodFact, now: Timestamp) {
        if let Some(revision) = pod.revision() {
            self.revisions.went(&pod.workload, revision, now);
        }
    }

    pub(super) fn slice(&mut self, before: Option<&SliceFact>, after: Option<&SliceFact>, told: Told) {
        // Added before anything is taken away: endpoints that change slices are never missing in between.
        if let Some(slice) = after.filter(|slice| slice.ready > 0) {
            *self.ready.entry(slice.service.clone()).or_default() += slice.ready;
        }
        let Some(slice) = before.filter(|slice| slice.ready > 0) else { return };
        let Some(ready) = self.ready.get_mut(&slice.service) else { return };
        *ready = ready.saturating_sub(slice.ready);
        if *ready == 0 {
            self.ready.remove(&slice.service);
            if !told.first {
                self.changes.record(told.now, What::NoReadyEndpoints { service: slice.service.clone() });
            }
        }
    }

    pub(super) fn service(&mut self, before: &ServiceFact, after: Option<&ServiceFact>, told: Told) {
        let edit = match after {
            None => ServiceEdit::Deleted,
            Some(after) => {
                let selector = before.selector != after.selector;
                let ports = before.ports != after.ports || before.target_ports != after.target_ports;
                match (selector, ports) {
                    (true, true) => ServiceEdit::SelectorAndPorts,
                    (true, false) => ServiceEdit::Selector,
                    (false, true) => ServiceEdit::Ports,
                    (false, false) => return,
                }
            }
        };
        if !told.first {
            self.changes.record(told.now, What::Service { service: before.key.clone(), edit });
        }
    }

    pub(super) fn node(&mut self, before: &NodeFact, after: Option<&NodeFact>, told: Told) {
        let edit = match after {
            None => NodeEdit::Removed,
            Some(after) if after.unschedulable && !before.unschedulable => NodeEdit::Cordoned,
            Some(_) => return,
        };
        if !told.first {
            self.changes.record(told.now, What::Node { node: before.name.clone(), edit });
        }
    }

    pub(super) fn policy(
        &mut self,
        before: Option<&Arc<PolicyFact>>,
        after: Option<&Arc<PolicyFact>>,
        told: Told,
    ) {
        let created = after.and_then(|after| after.created).map(|created| created.min(told.now));
        // Deleted unseen and made again under the same name, it is another policy.
        let is_new = before.is_none_or(|before| after.is_some_and(|after| after.created != before.created));
        let at = match created {
            // The API server says itself when it was created, so this is known of a first list too.
            Some(created) if is_new && told.now.duration_since(created) < REMEMBERED => created,
            _ if told.first => return,
            _ => told.now,
        };
        let before = before.filter(|_| !is_new);
        self.changes.record(at, What::Policy { before: before.cloned(), after: after.cloned() });
    }
}

#[cfg(test)]
#[path = "transitions_tests.rs"]
mod tests;
