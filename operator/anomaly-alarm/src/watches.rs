//! Watches of what alarms depend on: a change wakes the alarms that name it.

use std::fmt::Debug;
use std::hash::Hash;

use futures::channel::mpsc::UnboundedSender;
use futures::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tidewatch_crds::anomaly_alarm::AnomalyAlarmSpec;
use tidewatch_crds::{AnomalyAlarm, Canary, CanarySpec, CanaryStatus, NetworkMonitor};
use tidewatch_kube::reconcile::Objects;
use tidewatch_kube::watch_health::{WatchHealth, Watched};

use super::world::key;

type Event<K> = Result<watcher::Event<DeserializeGuard<K>>, watcher::Error>;

/// Keeps the monitors, and wakes their alarms.
pub(super) async fn monitors(
    client: Client,
    health: &WatchHealth,
    writer: Writer<DeserializeGuard<NetworkMonitor>>,
    alarms: Objects<AnomalyAlarm>,
    wake: UnboundedSender<String>,
) {
    let watched = health.watch(Watched::NETWORK_MONITORS, Api::all(client), config());
    tell(watched, writer, alarms, wake, |spec, monitor| {
        let metric = spec.metric.as_ref().and_then(|metric| metric.network_monitor.as_ref());
        let when = spec.when.as_ref().map(|when| &when.network_health);
        metric.is_some_and(|metric| metric.name == monitor)
            || when.is_some_and(|when| when.monitor == monitor)
    })
    .await;
}

/// Keeps the canaries, and wakes their alarms. Of a canary only what alarms look at is kept: its runs fill a store, and
/// none of them concerns an alarm.
pub(super) async fn canaries(
    client: Client,
    health: &WatchHealth,
    writer: Writer<DeserializeGuard<Canary>>,
    alarms: Objects<AnomalyAlarm>,
    wake: UnboundedSender<String>,
) {
    let watched = health.watch(Watched::CANARIES, Api::all(client), config());
    let reduced = watched.modify(|canary: &mut DeserializeGuard<Canary>| {
        canary.meta_mut().managed_fields = None;
        if let Ok(canary) = &mut canary.0 {
            canary.spec = CanarySpec { provider: canary.spec.provider, ..CanarySpec::default() };
            let status = canary.status.take().unwrap_or_default();
            canary.status =
                Some(CanaryStatus { provider: status.provider, aws: status.aws, ..CanaryStatus::default() });
        }
    });
    tell(reduced, writer, alarms, wake, |spec, canary| {
        let metric = spec.metric.as_ref().and_then(|metric| metric.canary.as_ref());
        metric.is_some_and(|metric| metric.name == canary)
    })
    .await;
}

fn config() -> watcher::Config {
    watcher::Config::default().page_size(500)
}

/// Wakes the alarms of the same namespace that name what changed.
async fn tell<K>(
    watched: impl Stream<Item = Event<K>>,
    writer: Writer<DeserializeGuard<K>>,
    alarms: Objects<AnomalyAlarm>,
    wake: UnboundedSender<String>,
    names: fn(&AnomalyAlarmSpec, &str) -> bool,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash,
{
    let mut touched = std::pin::pin!(reflector::reflector(writer, watched).touched_objects());
    while let Some(object) = touched.next().await {
        // A failure is told of by the watch's health.
        let Ok(object) = object else { continue };
        for alarm in alarms.state() {
            let Ok(alarm) = &alarm.0 else { continue };
            if alarm.metadata.namespace == object.meta().namespace && names(&alarm.spec, &object.name_any()) {
                let _ = wake.unbounded_send(key(alarm));
            }
        }
    }
}
