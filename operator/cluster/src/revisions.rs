//! The running revisions of each workload, to distinguish the first pod of a new revision from one more pod of a known
//! one.

use std::collections::HashMap;

use jiff::Timestamp;
use tidewatch_records::Name;

/// Workloads without pods are remembered only while there are fewer workloads than this.
const CROWDED: usize = 100_000;

#[derive(Debug)]
struct Running {
    /// Live pods by revision.
    pods: Vec<(Name, u32)>,
    /// The revision that appeared last.
    last: Name,
    /// Time since which the workload has had no pods.
    idle_since: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(super) struct Revisions(HashMap<Name, Running>);

impl Revisions {
    /// A pod of `workload` appeared; the revision, if it isn't one that ran until now. A workload's first pods are no
    /// new revision, and neither are those that come after a scale to zero.
    pub(super) fn appeared(&mut self, workload: &Name, revision: &str) -> Option<Name> {
        let Some(running) = self.0.get_mut(workload) else {
            let revision = Name::from(revision);
            let running = Running { pods: vec![(revision.clone(), 1)], last: revision, idle_since: None };
            self.0.insert(workload.clone(), running);
            return None;
        };
        running.idle_since = None;
        if let Some((_, pods)) = running.pods.iter_mut().find(|(known, _)| **known == *revision) {
            *pods += 1;
            return None;
        }
        let is_new = !running.pods.is_empty() || *running.last != *revision;
        let revision = if is_new { Name::from(revision) } else { running.last.clone() };
        running.pods.push((revision.clone(), 1));
        running.last = revision.clone();
        is_new.then_some(revision)
    }

    /// A pod of `workload` went.
    pub(super) fn went(&mut self, workload: &Name, revision: &str, now: Timestamp) {
        let Some(running) = self.0.get_mut(workload) else { return };
        for (_, pods) in running.pods.iter_mut().filter(|(known, _)| **known == *revision) {
            *pods = pods.saturating_sub(1);
        }
        running.pods.retain(|(_, pods)| *pods > 0);
        if running.pods.is_empty() {
            running.idle_since = Some(now);
        }
    }

    /// Forgets workloads that have had no pods since before `horizon`.
    pub(super) fn forget(&mut self, horizon: Timestamp) {
        let crowded = self.0.len() > CROWDED;
        self.0.retain(|_, running| running.idle_since.is_none_or(|since| !crowded && since >= horizon));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn appeared(revisions: &mut Revisions, revision: &str) -> bool {
        revisions.appeared(&"shop/Deployment/payments".into(), revision).is_some()
    }

    fn went(revisions: &mut Revisions, revision: &str) {
        revisions.went(&"shop/Deployment/payments".into(), revision, at(0));
    }

    #[test]
    fn a_new_revision_is_told_once_a_rollout() {
        let mut revisions = Revisions::default();
        assert!(!appeared(&mut revisions, "a"), "the workload is new itself");
        assert!(!appeared(&mut revisions, "a"));
        assert!(appeared(&mut revisions, "b"));
        assert!(!appeared(&mut revisions, "b"));
        assert!(!appeared(&mut revisions, "a"), "a pod of the old revision, evicted in between, came back");
        for revision in ["a", "a", "a"] {
            went(&mut revisions, revision);
        }
        assert!(appeared(&mut revisions, "a"), "rolled back");
    }

    #[test]
    fn a_revision_that_replaces_all_pods_at_once_is_new_and_one_that_comes_back_from_zero_is_not() {
        let mut revisions = Revisions::default();
        appeared(&mut revisions, "a");
        went(&mut revisions, "a");
        assert!(!appeared(&mut revisions, "a"));
        went(&mut revisions, "a");
        assert!(appeared(&mut revisions, "b"));
    }

    #[test]
    fn a_workload_long_without_pods_is_forgotten() {
        let mut revisions = Revisions::default();
        appeared(&mut revisions, "a");
        revisions.forget(at(100));
        assert_eq!(revisions.0.len(), 1);
        went(&mut revisions, "a");
        revisions.forget(at(0));
        assert_eq!(revisions.0.len(), 1);
        revisions.forget(at(1));
        assert!(revisions.0.is_empty());
    }
}
