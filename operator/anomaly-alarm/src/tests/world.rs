//! What alarms depend on, as far as the controller sees it: a map.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tidewatch_crds::{AnomalyAlarm, Canary};
use tidewatch_kube::watch_health::WatchHealth;
use tidewatch_testing::managed::Cluster;
use tidewatch_testing::watches::impatient;

use crate::facts::{CanaryFact, ChildFact, MonitorFact, Parent, child, is_held, parent_of};
use crate::world::{World, canary_fact, key, records};

#[derive(Default)]
pub(super) struct Others {
    pub(super) monitors: BTreeMap<String, MonitorFact>,
    pub(super) canaries: BTreeMap<String, Canary>,
}

#[derive(Clone)]
pub(super) struct Around {
    alarms: Cluster<AnomalyAlarm>,
    pub(super) watches: WatchHealth,
    others: Arc<Mutex<Others>>,
}

impl Default for Around {
    fn default() -> Self {
        Self { alarms: Cluster::default(), watches: impatient(), others: Arc::default() }
    }
}

impl Around {
    /// The same others, around these alarms.
    pub(super) fn of(&self, alarms: Cluster<AnomalyAlarm>) -> Self {
        Self { alarms, watches: self.watches.clone(), others: Arc::clone(&self.others) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap()
    }
}

impl World for Around {
    fn monitor(&self, namespace: &str, name: &str) -> Option<MonitorFact> {
        self.lock().monitors.get(&format!("{namespace}/{name}")).cloned()
    }

    fn canary(&self, namespace: &str, name: &str) -> Option<CanaryFact> {
        self.lock().canaries.get(&format!("{namespace}/{name}")).map(canary_fact)
    }

    fn alarm(&self, _namespace: &str, name: &str) -> Option<ChildFact> {
        self.alarms.get(name).as_ref().map(child)
    }

    fn parents(&self, _namespace: &str, name: &str) -> Vec<Parent> {
        self.alarms.pick(|alarm| parent_of(name, alarm))
    }

    fn held(&self, _namespace: &str) -> Vec<String> {
        self.alarms.pick(|alarm| is_held(alarm).then(|| key(alarm)))
    }

    fn recording(&self, detectors: &BTreeSet<String>, except: &AnomalyAlarm) -> Vec<AnomalyAlarm> {
        self.alarms.pick(|other| {
            let shares = other.metadata.uid != except.metadata.uid && records(other, detectors);
            shares.then(|| other.clone())
        })
    }
}
