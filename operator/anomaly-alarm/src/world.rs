//! What the process knows of the cluster that alarms depend on.

use std::collections::BTreeSet;

use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use tidewatch_aws::Scope;
use tidewatch_crds::{AnomalyAlarm, Canary, NetworkMonitor};
use tidewatch_kube::reconcile::Objects;

use super::desired::detector_config;
use super::facts::{
    CanaryFact, CanaryInAws, ChildFact, Facts, MonitorFact, Parent, Published, Sharer, child, detector_of,
    is_held, parent_of, scope_of,
};

/// The cluster, as far as alarms depend on it.
pub(super) trait World: Send + Sync + 'static {
    fn monitor(&self, namespace: &str, name: &str) -> Option<MonitorFact>;
    fn canary(&self, namespace: &str, name: &str) -> Option<CanaryFact>;
    fn alarm(&self, namespace: &str, name: &str) -> Option<ChildFact>;
    /// The alarms that combine this one, or may still do so in AWS.
    fn parents(&self, namespace: &str, name: &str) -> Vec<Parent>;
    /// The alarms of a namespace that wait until others let go of what they want to delete, as `namespace/name`.
    fn held(&self, namespace: &str) -> Vec<String>;
    /// The other alarms whose status records one of these detectors.
    fn recording(&self, detectors: &BTreeSet<String>, except: &AnomalyAlarm) -> Vec<AnomalyAlarm>;
}

/// As the watches last saw it.
pub(super) struct WatchedWorld {
    pub alarms: Objects<AnomalyAlarm>,
    pub monitors: Store<DeserializeGuard<NetworkMonitor>>,
    pub canaries: Store<DeserializeGuard<Canary>>,
}

impl World for WatchedWorld {
    fn monitor(&self, namespace: &str, name: &str) -> Option<MonitorFact> {
        let monitor = self.monitors.get(&ObjectRef::new(name).within(namespace))?;
        monitor.0.as_ref().ok().map(monitor_fact)
    }

    fn canary(&self, namespace: &str, name: &str) -> Option<CanaryFact> {
        let canary = self.canaries.get(&ObjectRef::new(name).within(namespace))?;
        canary.0.as_ref().ok().map(canary_fact)
    }

    fn alarm(&self, namespace: &str, name: &str) -> Option<ChildFact> {
        let alarm = self.alarms.get(&ObjectRef::new(name).within(namespace))?;
        alarm.0.as_ref().ok().map(child)
    }

    fn parents(&self, namespace: &str, name: &str) -> Vec<Parent> {
        let all = self.alarms.state();
        let others = all.iter().filter_map(|alarm| alarm.0.as_ref().ok());
        let near = others.filter(|alarm| alarm.metadata.namespace.as_deref() == Some(namespace));
        near.filter_map(|alarm| parent_of(name, alarm)).collect()
    }

    fn held(&self, namespace: &str) -> Vec<String> {
        let all = self.alarms.state();
        let others = all.iter().filter_map(|alarm| alarm.0.as_ref().ok());
        let near = others.filter(|alarm| alarm.metadata.namespace.as_deref() == Some(namespace));
        near.filter(|alarm| is_held(alarm)).map(key).collect()
    }

    fn recording(&self, detectors: &BTreeSet<String>, except: &AnomalyAlarm) -> Vec<AnomalyAlarm> {
        if detectors.is_empty() {
            return Vec::new();
        }
        let all = self.alarms.state();
        let others = all.iter().filter_map(|alarm| alarm.0.as_ref().ok());
        others
            .filter(|alarm| alarm.metadata.uid != except.metadata.uid && records(alarm, detectors))
            .cloned()
            .collect()
    }
}

/// Whether the alarm's status records one of these detectors.
pub(super) fn records(alarm: &AnomalyAlarm, detectors: &BTreeSet<String>) -> bool {
    let resources = alarm.status.iter().flat_map(|status| &status.resources);
    resources.filter_map(|resource| resource.detector.as_ref()).any(|id| detectors.contains(id))
}

pub(super) fn monitor_fact(monitor: &NetworkMonitor) -> MonitorFact {
    let publish = monitor.spec.publish.as_ref().and_then(|publish| publish.cloud_watch.as_ref());
    MonitorFact {
        publishes: publish.map(|publish| Published {
            namespace: publish.namespace.clone(),
            region: publish.region.clone(),
        }),
    }
}

pub(super) fn canary_fact(canary: &Canary) -> CanaryFact {
    let status = canary.status.as_ref();
    let there = status.and_then(|status| status.aws.as_ref());
    // Its name is written before it is made; it has an id once it is there.
    let there = there.filter(|there| there.id.is_some() && !there.foreign);
    CanaryFact {
        provider: canary.spec.provider.or(status.and_then(|status| status.provider)),
        aws: there.map(|there| CanaryInAws {
            name: there.name.clone(),
            scope: Scope { region: there.region.clone(), role: there.role_arn.clone() },
        }),
    }
}

/// What `alarm` depends on.
pub(super) fn facts(alarm: &AnomalyAlarm, world: &impl World) -> Facts {
    let namespace = alarm.metadata.namespace.as_deref().unwrap_or_default();
    let spec = &alarm.spec;
    let metric = spec.metric.as_ref().and_then(|metric| metric.network_monitor.as_ref());
    let when = spec.when.as_ref().map(|when| &when.network_health.monitor);
    let monitors = metric.map(|metric| &metric.name).into_iter().chain(when);
    let canary = spec.metric.as_ref().and_then(|metric| metric.canary.as_ref()).map(|metric| &metric.name);
    let alarms = spec.alarms.iter().flat_map(|alarms| &alarms.any_of);
    Facts {
        monitors: monitors.filter_map(|name| Some((name.clone(), world.monitor(namespace, name)?))).collect(),
        canaries: canary
            .into_iter()
            .filter_map(|name| Some((name.clone(), world.canary(namespace, name)?)))
            .collect(),
        alarms: alarms.filter_map(|name| Some((name.clone(), world.alarm(namespace, name)?))).collect(),
    }
}

/// The other objects that have to do with these detectors (as JSON). What `wants` says of one is what its own spec says
/// now; one that is being deleted wants nothing.
pub(super) fn sharers(
    alarm: &AnomalyAlarm,
    detectors: &BTreeSet<String>,
    world: &impl World,
    wanted_by: impl Fn(&AnomalyAlarm) -> Option<String>,
) -> Vec<Sharer> {
    let mut sharers = Vec::new();
    for other in world.recording(detectors, alarm) {
        let wanted = other.metadata.deletion_timestamp.is_none().then(|| wanted_by(&other)).flatten();
        let band = other.spec.condition.as_ref().and_then(|condition| condition.band.as_ref());
        let resources: Vec<_> = other.status.iter().flat_map(|status| &status.resources).collect();
        for resource in &resources {
            let (Some(json), Some(detector)) = (&resource.detector, detector_of(resource)) else { continue };
            if !detectors.contains(json) {
                continue;
            }
            sharers.push(Sharer {
                object: key(&other),
                scope: scope_of(resource),
                detector,
                wants: band
                    .filter(|_| wanted.as_ref() == Some(json))
                    .map(|band| detector_config(&band.training)),
                owns: !resource.foreign,
                elder: age(&other) < age(alarm),
                alarms: resources.iter().map(|resource| resource.name.clone()).collect(),
            });
        }
    }
    sharers
}

fn age(alarm: &AnomalyAlarm) -> (Option<jiff::Timestamp>, String) {
    (alarm.metadata.creation_timestamp.as_ref().map(|created| created.0), key(alarm))
}

/// `namespace/name`
pub(super) fn key(alarm: &AnomalyAlarm) -> String {
    let meta = &alarm.metadata;
    format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}
