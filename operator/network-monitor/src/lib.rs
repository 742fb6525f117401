//! NetworkMonitor: observe → desired → plan → apply → status.
//!
//! `spec` makes the spec one that can be acted on; `observe` gathers what is known; `status` folds it into the status
//! that should stand; `plan` compares that with the one that does; `apply` writes. Only `apply` talks to the API server.

#![forbid(unsafe_code)]

mod apply;
mod components;
mod conditions;
mod degradation;
mod hint_fit;
mod hints;
mod hysteresis;
mod metrics;
mod numbers;
mod observe;
mod plan;
mod publish;
mod reporting;
#[cfg(test)]
mod rights_tests;
mod selection;
mod shortages;
mod spec;
mod status;
mod subscriptions;
mod sufficiency;
#[cfg(test)]
mod testing;
mod traffic;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource};
use serde_json::json;
use tidewatch_agent_fleet::Fleet;
use tidewatch_aws::{ErrorKind, Published, Publisher};
use tidewatch_cluster::Cluster;
use tidewatch_crds::network_monitor::NetworkHealthIndicator;
use tidewatch_crds::{NetworkMonitor, NetworkMonitorStatus};
use tidewatch_evaluation::Registry;
use tidewatch_kube::leader::Leadership;
use tidewatch_kube::passes::PassMetrics;
use tidewatch_kube::reconcile::{Limits, Loop, Objects, Reconciler};
use tidewatch_kube::unreadable;
use tidewatch_kube::watch_health::{WatchHealth, Watched};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::apply::{Applier, Target};
use self::metrics::MonitorMetrics;
use self::numbers::Memory;
use self::observe::{Clock, Observed, Publishing, View, late_after, observe};
use self::plan::plan;
use self::spec::ValidSpec;
use self::subscriptions::{Key, Subscriptions};

pub use self::apply::ApplyError;
pub use self::metrics::MonitorMetrics as NetworkMonitorMetrics;
pub use self::spec::Policy;

/// How often what belongs to deleted monitors is forgotten.
const SWEEP: Duration = Duration::from_secs(60);
/// How often it is looked whether what the verdicts stand on is known again.
const UNKNOWN: Duration = Duration::from_secs(10);
/// What every verdict stands on. NetworkPolicies only explain a fault.
const STANDS_ON: [Watched; 9] = [
    Watched::PODS,
    Watched::NODES,
    Watched::SERVICES,
    Watched::NAMESPACES,
    Watched::ENDPOINT_SLICES,
    Watched::NETWORK_MONITORS,
    Watched::CONFIG_MAPS,
    Watched::DAEMON_SETS,
    Watched::TOKEN_REVIEWS,
];

/// Waits until verdicts can be made, or until it can be told why they can't.
pub async fn until_known(cluster: &Cluster, watches: &WatchHealth) {
    tokio::select! {
        () = cluster.synced() => {}
        () = watches.until_failing(&STANDS_ON) => {}
    }
}

/// What the controller stands on.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube's Client has no Debug")]
pub struct Dependencies {
    pub client: Client,
    pub cluster: Cluster,
    pub registry: Registry,
    pub policy: Policy,
    pub fleet: watch::Receiver<Fleet>,
    pub leadership: Leadership,
    pub passes: PassMetrics,
    /// Name of this pod.
    pub instance: String,
    pub metrics: MonitorMetrics,
    /// None: the operator isn't allowed to use AWS.
    pub publisher: Option<Publisher>,
    /// Tells this cluster's metrics from another's.
    pub cluster_name: String,
    pub watches: WatchHealth,
}

/// Reconciles every monitor until `cancel`.
pub async fn run(dependencies: Dependencies, cancel: CancellationToken) {
    let api = Api::all(dependencies.client.clone());
    let (subscriptions, woken) = Subscriptions::new(dependencies.registry.clone());
    let fleet = dependencies.fleet.clone();
    let applier = Applier::new(
        dependencies.client.clone(),
        dependencies.leadership.clone(),
        dependencies.instance.clone(),
    );
    let controller =
        Loop::new(api, Watched::NETWORK_MONITORS, dependencies.passes.clone(), dependencies.watches.clone());
    let shown = dependencies.metrics.clone();
    let objects = controller.objects();
    let reconciler = Arc::new(Monitors {
        dependencies,
        applier,
        subscriptions,
        memories: Mutex::default(),
        published: Mutex::default(),
        began: Timestamp::now(),
    });
    let housekeeping = keep_house(Arc::clone(&reconciler), objects, fleet);
    tokio::select! {
        () = controller.run(Arc::clone(&reconciler), woken, Limits::default(), cancel) => {}
        () = housekeeping => {}
    }
    shown.clear();
}

/// Wakes the monitors when the fleet changes, and forgets deleted ones.
async fn keep_house(
    monitors: Arc<Monitors>,
    objects: Objects<NetworkMonitor>,
    mut fleet: watch::Receiver<Fleet>,
) {
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            changed = fleet.changed() => match changed {
                Ok(()) => monitors.subscriptions.wake_all(),
                // The agents' controller ended: so will this one.
                Err(_) => std::future::pending().await,
            },
            _ = sweep.tick() => monitors.forget_deleted(&objects),
        }
    }
}

struct Monitors {
    dependencies: Dependencies,
    applier: Applier,
    subscriptions: Subscriptions,
    memories: Mutex<HashMap<Key, Memory>>,
    /// Start of the last window of each monitor that was handed to the publisher.
    published: Mutex<HashMap<Key, Timestamp>>,
    /// When this term began: windows that began before it may have been published by another replica.
    began: Timestamp,
}

impl Monitors {
    fn forget_deleted(&self, objects: &Objects<NetworkMonitor>) {
        let exists = |(namespace, name): &Key| objects.get(&ObjectRef::new(name).within(namespace)).is_some();
        self.subscriptions.keep_only(exists);
        self.published.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| exists(key));
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.retain(|key, _| {
            let keep = exists(key);
            if !keep {
                self.dependencies.metrics.forget(key);
            }
            keep
        });
    }

    fn observe(&self, monitor: &NetworkMonitor, key: &Key) -> Observed {
        let now = Timestamp::now();
        let policy = &self.dependencies.policy;
        let spec = ValidSpec::new(&monitor.spec, &key.0, policy);
        let (evaluation, waiting_since) = match &spec {
            Ok(spec) => self.subscriptions.latest(key, spec.window_seconds, spec.sensitivity, now),
            Err(_) => (None, now),
        };
        // Taken out, so that the lock isn't held while the monitor's traffic is summed; no other pass is over this object.
        let (last_window, mut lately) =
            self.with_memory(key, |memory| (memory.last_window(), std::mem::take(&mut memory.lately)));
        let clock =
            Clock { now, waiting_since, last_window, agent_window_seconds: policy.agent_window_seconds };
        let fleet = self.dependencies.fleet.borrow().clone();
        let index = self.dependencies.cluster.read();
        let unknown = self.dependencies.watches.failing(&STANDS_ON).or_else(|| {
            (!index.synced()).then(|| "the cluster's objects haven't all been listed yet".to_owned())
        });
        let observed = Observed {
            unknown,
            ..observe(monitor, spec, evaluation.as_deref(), &index, fleet, clock, &mut lately)
        };
        self.with_memory(key, |memory| memory.lately = lately);
        observed
    }

    /// Hands a window that wasn't yet to the publisher, and notes how publishing goes.
    fn publish(&self, key: &Key, observed: &mut Observed) {
        // What can't be told isn't published either.
        if observed.unknown.is_some() {
            return;
        }
        let Ok(monitored) = &mut observed.monitor else { return };
        let Some(to) = &monitored.spec.cloud_watch else { return };
        let Some(publisher) = &self.dependencies.publisher else {
            monitored.publishing = Some(Publishing::Disabled);
            return;
        };
        if let View::Window(view) = &monitored.view
            && view.start >= self.began
        {
            let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
            if published.get(key).is_none_or(|last| *last < view.start) {
                published.insert(key.clone(), view.start);
                let cluster_name = &self.dependencies.cluster_name;
                publisher.publish(to.clone(), publish::data(view, cluster_name, &key.0, &key.1));
            }
        }
        monitored.publishing = Some(match publisher.outcome(to) {
            None => Publishing::Waiting,
            Some(Published::Ok) => Publishing::Ok,
            Some(Published::Failing(kind, why)) => {
                Publishing::Failing { denied: kind == ErrorKind::Denied, why }
            }
        });
    }

    fn fold(&self, key: &Key, previous: &NetworkMonitorStatus, observed: &Observed) -> NetworkMonitorStatus {
        self.with_memory(key, |memory| status::fold(previous, observed, memory))
    }

    fn with_memory<T>(&self, key: &Key, use_it: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(memories.entry(key.clone()).or_default())
    }
}

impl Reconciler for Monitors {
    type Object = NetworkMonitor;
    type Error = ApplyError;

    async fn reconcile(&self, monitor: &NetworkMonitor) -> Result<Option<Duration>, ApplyError> {
        let meta = monitor.meta();
        let (Some(namespace), Some(name)) = (meta.namespace.clone(), meta.name.clone()) else {
            return Ok(None);
        };
        if meta.deletion_timestamp.is_some() {
            return Ok(None);
        }
        let key = (namespace, name);
        let mut observed = self.observe(monitor, &key);
        self.publish(&key, &mut observed);
        let previous = monitor.status.clone().unwrap_or_default();
        let next = self.fold(&key, &previous, &observed);
        self.dependencies.metrics.show(&key, &next, &observed);
        let actions = plan(&previous, next);
        self.dependencies.metrics.count(&actions);
        let target = Target {
            namespace: &key.0,
            name: &key.1,
            resource_version: meta.resource_version.as_deref(),
            reference: monitor.object_ref(&()),
        };
        self.applier.apply(&target, actions).await?;
        Ok(next_look(&observed, self.dependencies.policy.agent_window_seconds))
    }

    fn hide(&self, namespace: &str, name: &str) {
        self.dependencies.metrics.forget(&(namespace.to_owned(), name.to_owned()));
    }

    /// A monitor that doesn't parse can only have been stored past the CRD (an older or newer version of it).
    async fn reject(&self, invalid: &InvalidObject) -> Result<(), ApplyError> {
        let stale = json!({"networkHealthIndicator": NetworkHealthIndicator::InsufficientData, "degradation": null,
            "nodeShortages": null, "traffic": null, "coverage": null, "overview": null, "numbersAsOf": null});
        unreadable::write::<NetworkMonitor>(&self.dependencies.client, invalid, &stale).await.map_err(
            |source| {
                let (namespace, name) = (&invalid.metadata.namespace, &invalid.metadata.name);
                let object = [namespace, name].map(|part| part.as_deref().unwrap_or_default()).join("/");
                ApplyError::Status { object, source }
            },
        )
    }
}

/// When to look again though nothing happened: when the next window would be late.
fn next_look(observed: &Observed, agent_window_seconds: u32) -> Option<Duration> {
    if observed.unknown.is_some() {
        return Some(UNKNOWN);
    }
    let monitored = observed.monitor.as_ref().ok()?;
    let window = monitored.spec.window_seconds;
    Some(match monitored.view {
        View::Waiting | View::Window(_) => {
            late_after(window, agent_window_seconds) + Duration::from_secs(u64::from(window) + 1)
        }
        View::NoData { .. } => Duration::from_secs(u64::from(window).max(30)),
    })
}

/// The controller's metrics, registered once a process.
pub fn register(registry: &mut prometheus_client::registry::Registry) -> MonitorMetrics {
    MonitorMetrics::register(registry)
}
