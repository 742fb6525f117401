//! Watches of what alarms depend on: a change wakes the alarms that name it.

use std::fmt::Debug;
use std::hash::Hash;

use futures::channel::mpsc::UnboundedSender;
use futures::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tidewatch_crds::anomaly_alarm::AnomalyAlarmSpec;
use tidewatch_crds::{AnomalyAlarm, Canary, CanarySpec, CanaryStatus, NetworkMonitor};

use super::world::key;
use crate::reconcile::Objects;

type Event<K> = Result<watcher::Event<DeserializeGuard<K>>, watcher::Error>;

/// Keeps the monitors, and wakes their alarms.
pub(super) async fn monitors(
    client: Client,
    writer: Writer<DeserializeGuard<NetworkMonitor>>,
    alarms: Objects<AnomalyAlarm>,
    wake: UnboundedSender<String>,
) {
    tell(watched::<NetworkMonitor>(client), writer, alarms, wake, |spec, monitor| {
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
    writer: Writer<DeserializeGuard<Canary>>,
    alarms: Objects<AnomalyAlarm>,
    wake: UnboundedSender<String>,
) {
    let reduced = watched::<Canary>(client).modify(|canary| {
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

fn watched<K>(client: Client) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    watcher(Api::all(client), watcher::Config::default().page_size(500)).default_backoff()
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
        let object = match object {
            Ok(object) => object,
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "the watch failed; it is tried again");
                continue;
            }
        };
        for alarm in alarms.state() {
            let Ok(alarm) = &alarm.0 else { continue };
            if alarm.metadata.namespace == object.meta().namespace && names(&alarm.spec, &object.name_any()) {
                let _ = wake.unbounded_send(key(alarm));
            }
        }
    }
}
