//! What changed in the cluster just before a service or pod was at fault: hints where to look. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tidewatch_cluster::{Change, Index, Labels, NodeEdit, PodFact, PolicyFact, ServiceEdit, What};
use tidewatch_crds::network_monitor::{FaultCause, FaultyComponent, Hint};
use tidewatch_health::{Cause, ComponentFault, ComponentId};
use tidewatch_records::Name;

use super::hint_fit::{ChangeKind, reach};

/// Hints a component.
const MOST: usize = 3;
/// How long before the onset a change may be; less for most, see [`reach`].
const BEFORE: SignedDuration = SignedDuration::from_mins(15);
/// How long before the onset a change may be that the summary tells.
const JUST_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// How long after the start of the first window with the fault a change may be, where windows aren't longer: all that
/// is known of the onset is the window.
const AROUND: SignedDuration = SignedDuration::from_secs(30);
/// Windows after the first with hints in which more may be added.
const ADDING_WINDOWS: i64 = 2;
/// Windows since the onset within which the hints of a fault are looked for although it is in the status already.
const TELLING_WINDOWS: i64 = 4 + ADDING_WINDOWS;

const NETWORK_POLICY: &str = "NetworkPolicy";
const SERVICE: &str = "Service";
const NODE: &str = "Node";

/// When a fault began, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Onset {
    /// Start of the first window in which it showed.
    pub since: Timestamp,
    pub window_seconds: u32,
}

impl Onset {
    /// Whether a window that starts at `start` may still tell of it for the first time.
    pub(super) fn is_recent(self, start: Timestamp) -> bool {
        start.duration_since(self.since) <= windows(TELLING_WINDOWS, self.window_seconds)
    }

    fn range(self) -> (Timestamp, Timestamp) {
        let after = AROUND.max(windows(1, self.window_seconds));
        let from = self.since.checked_sub(BEFORE).unwrap_or(Timestamp::MIN);
        (from, self.since.checked_add(after).unwrap_or(Timestamp::MAX))
    }
}

fn windows(count: i64, seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(count.saturating_mul(i64::from(seconds)))
}

/// What changed around `onset` that `component` has to do with and that can be why it is at fault as `cause` says, the
/// nearest first. With `boundary`, only a component of that namespace is looked at: a tenant isn't told of policies and
/// rollouts of another.
pub(super) fn hints(
    component: &ComponentId,
    cause: Cause,
    onset: Onset,
    boundary: Option<&str>,
    index: &Index,
) -> Vec<Hint> {
    let (from, until) = onset.range();
    let can_cause = |change: &&Change| {
        let before = onset.since.duration_since(change.at);
        reach(cause, ChangeKind::of(&change.what)).is_some_and(|reach| before <= reach)
    };
    let mut changes: Vec<&Change> = index.changes().between(from, until).filter(can_cause).collect();
    if changes.is_empty() {
        return Vec::new();
    }
    let Some(subject) = Subject::new(component, boundary, index) else { return Vec::new() };
    // Of two as near, the one before the onset.
    changes.sort_by_key(|change| {
        (change.at.duration_since(onset.since).abs(), Reverse(change.at <= onset.since))
    });
    let mut hints: Vec<Hint> = Vec::new();
    let mut said = BTreeSet::new();
    for change in changes {
        let Some(told) = subject.tell(&change.what) else { continue };
        // One that happened again and again is told once, where it was nearest.
        if said.insert(told.what.clone()) {
            hints.push(told.at(change.at, onset.since));
        }
        if hints.len() == MOST {
            break;
        }
    }
    hints
}

/// What a change must concern to be a hint.
struct Subject<'a> {
    namespace: &'a str,
    /// `namespace/name` of the Service, if it is one.
    service: Option<String>,
    pods: Vec<&'a Arc<PodFact>>,
    /// Those of `pods`, each once: thousands of replicas share one map.
    labels: Vec<&'a Labels>,
}

/// A change that concerns the subject.
struct Told {
    kind: String,
    name: String,
    what: String,
}

impl<'a> Subject<'a> {
    fn new(component: &'a ComponentId, boundary: Option<&str>, index: &'a Index) -> Option<Self> {
        let within = |namespace: &str| boundary.is_none_or(|boundary| boundary == namespace);
        let (namespace, pods, service) = match component {
            ComponentId::Service { namespace, name } if within(namespace) => {
                let key = format!("{namespace}/{name}");
                (namespace, index.pods_behind(&key), Some(key))
            }
            ComponentId::Pod { namespace, name } if within(namespace) => {
                let key = format!("{namespace}/{name}");
                let pods = index.pods_and_departed().filter(|pod| *pod.key == *key).collect();
                (namespace, pods, None)
            }
            _ => return None,
        };
        let mut labels: Vec<&Labels> = pods.iter().map(|pod| &pod.labels).collect();
        labels.sort_unstable_by_key(|labels| Arc::as_ptr(labels));
        labels.dedup_by_key(|labels| Arc::as_ptr(labels));
        Some(Self { namespace, service, pods, labels })
    }

    fn tell(&self, what: &What) -> Option<Told> {
        match what {
            What::Policy { before, after } => self.policy(before.as_deref(), after.as_deref()),
            What::Rollout { workload, revision } => self.rollout(workload, revision),
            What::NoReadyEndpoints { service } => {
                self.is_service(service).then(|| service_told(service, "lost its last ready endpoint"))
            }
            What::Service { service, edit } => {
                let what = match edit {
                    ServiceEdit::Selector => "got another selector",
                    ServiceEdit::Ports => "got other ports",
                    ServiceEdit::SelectorAndPorts => "got another selector and other ports",
                    ServiceEdit::Deleted => "was deleted",
                };
                self.is_service(service).then(|| service_told(service, what))
            }
            What::Node { node, edit } => {
                // A Service's pods are on many nodes; one of them going is its everyday life.
                let runs_there = self.service.is_none()
                    && self.pods.iter().any(|pod| pod.node.as_deref() == Some(&**node));
                let what = match edit {
                    NodeEdit::Cordoned => "was cordoned",
                    NodeEdit::Removed => "was removed",
                };
                runs_there.then(|| Told {
                    kind: NODE.to_owned(),
                    name: node.to_string(),
                    what: format!("{NODE} {node}, on which it runs, {what}"),
                })
            }
        }
    }

    fn is_service(&self, key: &str) -> bool {
        self.service.as_deref() == Some(key)
    }

    fn policy(&self, before: Option<&PolicyFact>, after: Option<&PolicyFact>) -> Option<Told> {
        let concerns = |policy: &PolicyFact| {
            // What connects to a Service is kept out by ingress rules alone.
            (policy.ingress || (policy.egress && self.service.is_none()))
                && self.labels.iter().any(|labels| policy.selects(self.namespace, labels))
        };
        let selected_before = before.is_some_and(concerns);
        let selects = after.is_some_and(concerns);
        if !selected_before && !selects {
            return None;
        }
        let name = &after.or(before)?.key;
        let what = match (before, after) {
            (None, _) => "which selects its pods, was created",
            (_, None) => "which selected its pods, was deleted",
            _ if selects => "which selects its pods, was changed",
            _ => "which selected its pods, was changed",
        };
        Some(Told {
            kind: NETWORK_POLICY.to_owned(),
            name: name.to_string(),
            what: format!("{NETWORK_POLICY} {name}, {what}"),
        })
    }

    fn rollout(&self, workload: &Name, revision: &str) -> Option<Told> {
        let mut parts = workload.splitn(3, '/');
        let (namespace, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        self.pods.iter().any(|pod| pod.workload == *workload).then(|| Told {
            kind: kind.to_owned(),
            name: format!("{namespace}/{name}"),
            what: format!("a rollout of {kind} {namespace}/{name} to revision {revision} started"),
        })
    }
}

fn service_told(service: &str, what: &str) -> Told {
    Told { kind: SERVICE.to_owned(), name: service.to_owned(), what: format!("{SERVICE} {service} {what}") }
}

impl Told {
    fn at(self, at: Timestamp, since: Timestamp) -> Hint {
        // A status has whole seconds.
        let time = Timestamp::from_second(at.as_second()).unwrap_or(at);
        let before = since.duration_since(time).as_secs();
        let when = match before {
            ..=0 => "as it began".to_owned(),
            1..=119 => format!("{before} s before"),
            _ => format!("{} min before", before / 60),
        };
        Hint { time, kind: self.kind, name: self.name, message: format!("{} {when}", self.what) }
    }
}

/// The hint that may well be the cause: a NetworkPolicy where nothing answers; a rollout, or a Service without
/// endpoints, where connections are refused.
pub(super) fn strong(component: &FaultyComponent) -> Option<&Hint> {
    component.hints.iter().find(|hint| {
        let explains = match component.cause {
            FaultCause::Unreachable => hint.kind == NETWORK_POLICY,
            FaultCause::Refused => hint.kind != NETWORK_POLICY && hint.kind != NODE,
            _ => false,
        };
        explains && component.since.duration_since(hint.time) <= JUST_BEFORE
    })
}

/// The faults whose hints may still be added to. Lost at a restart: then they stay as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Onsets(BTreeMap<ComponentId, FirstTold>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct FirstTold {
    window: Timestamp,
    /// The window in which hints were added.
    added: Option<Timestamp>,
}

impl Onsets {
    /// The hints that `component` should have in the status of the window that starts at `window`: those `found` when it is
    /// told for the first time; after that those it `has`, to which more are added once within two windows.
    pub(super) fn settle(
        &mut self,
        component: &ComponentId,
        has: Option<&[Hint]>,
        found: &[Hint],
        (window, seconds): (Timestamp, u32),
    ) -> Vec<Hint> {
        let Some(has) = has else {
            self.0.insert(component.clone(), FirstTold { window, added: None });
            return found.to_vec();
        };
        let mut hints = has.to_vec();
        let Some(first) = self.0.get_mut(component) else { return hints };
        let open = window > first.window
            && window.duration_since(first.window) <= windows(ADDING_WINDOWS, seconds)
            && first.added.is_none_or(|added| added == window);
        if open {
            let is_new = |hint: &&Hint| {
                !has.iter().any(|h| h.time == hint.time && h.kind == hint.kind && h.name == hint.name)
            };
            hints.extend(found.iter().filter(is_new).take(MOST.saturating_sub(has.len())).cloned());
            if hints.len() > has.len() {
                first.added = Some(window);
            }
        }
        hints
    }

    /// Forgets the faults that are over.
    pub(super) fn keep_only(&mut self, faults: &[ComponentFault]) {
        self.0.retain(|component, _| faults.iter().any(|fault| fault.component == *component));
    }
}

#[cfg(test)]
#[path = "hints_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "hints_status_tests.rs"]
mod status_tests;
