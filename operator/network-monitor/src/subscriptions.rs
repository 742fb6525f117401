//! Which monitors wait for which evaluations: each distinct (window, sensitivity) is asked for once, for as long as a
//! monitor wants it, and its monitors are woken when a window was judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::mpsc;
use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use tidewatch_crds::NetworkMonitor;
use tidewatch_evaluation::{Evaluation, Evaluations, Registry};
use tidewatch_health::Sensitivity;
use tokio::task::AbortHandle;

/// Namespace and name of a monitor.
pub(super) type Key = (String, String);
/// What a trigger names.
pub(super) type MonitorRef = ObjectRef<DeserializeGuard<NetworkMonitor>>;

type Members = Arc<Mutex<BTreeSet<Key>>>;

#[derive(Debug)]
struct Entry {
    evaluations: Evaluations,
    since: Timestamp,
    members: Members,
    waker: AbortHandle,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.waker.abort();
    }
}

/// The subscriptions of one term of leadership.
#[derive(Debug)]
pub(super) struct Subscriptions {
    registry: Registry,
    entries: Mutex<BTreeMap<(u32, Sensitivity), Entry>>,
    wake: mpsc::UnboundedSender<MonitorRef>,
}

impl Subscriptions {
    /// The stream names the monitors whose window was judged.
    pub(super) fn new(registry: Registry) -> (Self, mpsc::UnboundedReceiver<MonitorRef>) {
        let (wake, woken) = mpsc::unbounded();
        (Self { registry, entries: Mutex::default(), wake }, woken)
    }

    /// The latest evaluation for `monitor`, and since when it is waited for.
    pub(super) fn latest(
        &self,
        monitor: &Key,
        window_seconds: u32,
        sensitivity: Sensitivity,
        now: Timestamp,
    ) -> (Option<Arc<Evaluation>>, Timestamp) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = (window_seconds, sensitivity);
        entries.retain(|key, entry| *key == wanted || leave(&entry.members, monitor));
        let entry = entries.entry(wanted).or_insert_with(|| self.entry(window_seconds, sensitivity, now));
        entry.members.lock().unwrap_or_else(PoisonError::into_inner).insert(monitor.clone());
        let latest = entry.evaluations.borrow().clone();
        (latest, entry.since)
    }

    fn entry(&self, window_seconds: u32, sensitivity: Sensitivity, now: Timestamp) -> Entry {
        let evaluations = self.registry.want(window_seconds, sensitivity);
        let members = Members::default();
        let waker = tokio::spawn(wake(evaluations.clone(), Arc::clone(&members), self.wake.clone()));
        Entry { evaluations, since: now, members, waker: waker.abort_handle() }
    }

    /// Wakes every monitor that waits for anything.
    pub(super) fn wake_all(&self) {
        for entry in self.entries.lock().unwrap_or_else(PoisonError::into_inner).values() {
            for key in entry.members.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let _ = self.wake.unbounded_send(reference(key));
            }
        }
    }

    /// Forgets monitors that are gone, and evaluations that nobody wants any more.
    pub(super) fn keep_only(&self, exists: impl Fn(&Key) -> bool) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| {
            let mut members = entry.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.retain(&exists);
            !members.is_empty()
        });
    }
}

/// Takes `monitor` out of `members`; whether others are left.
fn leave(members: &Members, monitor: &Key) -> bool {
    let mut members = members.lock().unwrap_or_else(PoisonError::into_inner);
    members.remove(monitor);
    !members.is_empty()
}

fn reference((namespace, name): &Key) -> MonitorRef {
    ObjectRef::new(name).within(namespace)
}

async fn wake(mut evaluations: Evaluations, members: Members, wake: mpsc::UnboundedSender<MonitorRef>) {
    while evaluations.changed().await.is_ok() {
        for key in members.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if wake.unbounded_send(reference(key)).is_err() {
                return;
            }
        }
    }
}
