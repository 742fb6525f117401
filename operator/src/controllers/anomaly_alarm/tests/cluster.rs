//! The API server, as far as the controller sees it: a map, whose writes fail or hang when they are told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tidewatch_crds::anomaly_alarm::FINALIZER;
use tidewatch_crds::{AnomalyAlarm, AnomalyAlarmStatus, Canary};
use tokio::sync::Notify;

use crate::controllers::anomaly_alarm::facts::{CanaryFact, ChildFact, MonitorFact, child};
use crate::controllers::anomaly_alarm::objects::{Objects, Target};
use crate::controllers::anomaly_alarm::world::{World, canary_fact, records};
use crate::controllers::events::Happened;

/// When a write of the cluster fails, or its writer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Before,
    After,
}

/// What becomes of a write of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fails,
    /// It has no answer: its writer waits for one until it ends.
    Hangs,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) alarms: BTreeMap<String, AnomalyAlarm>,
    pub(super) monitors: BTreeMap<String, MonitorFact>,
    pub(super) canaries: BTreeMap<String, Canary>,
    pub(super) events: Vec<(String, String)>,
    pub(super) version: u64,
    pub(super) writes: usize,
    /// What becomes of the n-th write from now, and before or after its effect.
    pub(super) fate: Option<(usize, Effect, Fate)>,
    pub(super) hanging: bool,
}

/// The API server, as far as the controller sees it.
#[derive(Clone, Default)]
pub(super) struct Cluster {
    inner: Arc<Mutex<Inner>>,
    pub(super) hangs: Arc<Notify>,
}

impl Cluster {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// One write: refused for an old version, and failing when it is told to.
    fn write(&self, target: &mut Target, change: impl FnOnce(&mut AnomalyAlarm)) -> Result<(), kube::Error> {
        let mut inner = self.lock();
        let key = format!("{}/{}", target.namespace, target.name);
        inner.writes += 1;
        let fate = match &mut inner.fate {
            Some((0, effect, fate)) => Some((*effect, *fate)),
            Some((left, ..)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if let Some((_, fate)) = fate {
            inner.fate = None;
            inner.hanging = fate == Fate::Hangs;
        }
        if fate.is_some_and(|(effect, _)| effect == Effect::Before) {
            return Err(api_error(500));
        }
        inner.version += 1;
        let version = inner.version.to_string();
        let Some(alarm) = inner.alarms.get_mut(&key) else { return Err(api_error(404)) };
        if target.resource_version.is_some() && alarm.metadata.resource_version != target.resource_version {
            return Err(api_error(409));
        }
        change(alarm);
        alarm.metadata.resource_version = Some(version.clone());
        let let_go = alarm.metadata.deletion_timestamp.is_some()
            && alarm.metadata.finalizers.as_ref().is_none_or(Vec::is_empty);
        if let_go {
            inner.alarms.remove(&key);
        }
        if fate.is_some() {
            return Err(api_error(504));
        }
        target.resource_version = Some(version);
        Ok(())
    }

    /// The answer to a write, if there is one.
    async fn answer(&self, written: Result<(), kube::Error>) -> Result<(), kube::Error> {
        if self.lock().hanging {
            self.hangs.notify_one();
            std::future::pending::<()>().await;
        }
        written
    }
}

fn api_error(code: u16) -> kube::Error {
    kube::Error::Api(Box::new(kube::core::Status { code, ..kube::core::Status::default() }))
}

impl Objects for Cluster {
    async fn set_finalizer(&self, target: &mut Target, wanted: bool) -> Result<(), kube::Error> {
        let finalizers = if wanted { vec![FINALIZER.to_owned()] } else { Vec::new() };
        target.finalizers.clone_from(&finalizers);
        let written = self.write(target, |alarm| alarm.metadata.finalizers = Some(finalizers));
        self.answer(written).await
    }

    async fn write_status(
        &self,
        target: &mut Target,
        status: &AnomalyAlarmStatus,
    ) -> Result<(), kube::Error> {
        // As it would come back from the API server.
        let status: AnomalyAlarmStatus =
            serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
        let written = self.write(target, |alarm| alarm.status = Some(status));
        self.answer(written).await
    }

    async fn tell(&self, target: &Target, happened: &Happened) {
        self.lock().events.push((target.name.clone(), format!("{}: {}", happened.reason, happened.note)));
    }
}

impl World for Cluster {
    fn monitor(&self, namespace: &str, name: &str) -> Option<MonitorFact> {
        self.lock().monitors.get(&format!("{namespace}/{name}")).cloned()
    }

    fn canary(&self, namespace: &str, name: &str) -> Option<CanaryFact> {
        self.lock().canaries.get(&format!("{namespace}/{name}")).map(canary_fact)
    }

    fn alarm(&self, namespace: &str, name: &str) -> Option<ChildFact> {
        self.lock().alarms.get(&format!("{namespace}/{name}")).map(child)
    }

    fn recording(&self, detectors: &BTreeSet<String>, except: &AnomalyAlarm) -> Vec<AnomalyAlarm> {
        let inner = self.lock();
        let others = inner.alarms.values().filter(|alarm| alarm.metadata.uid != except.metadata.uid);
        others.filter(|alarm| records(alarm, detectors)).cloned().collect()
    }
}
