//! AnomalyAlarm: desired → observe → plan → apply → status.
//!
//! `desired` makes of the spec what should be in AWS; `observe` reads what is there, and `stale` what should go; `plan`
//! compares, with `clear` for what should go; `apply` writes; `status` folds what came of it. `pass` is the sequence, and
//! `ending` that of the end. Only `observe`, `stale` and `apply` do I/O.

#![forbid(unsafe_code)]

mod apply;
mod clear;
mod desired;
mod ending;
mod expression;
mod facts;
mod memory;
mod metric;
mod metrics;
mod names;
mod observe;
mod parts;
mod pass;
mod plan;
mod reading;
mod reason;
mod refusals;
mod stale;
mod status;
#[cfg(test)]
mod tests;
mod watches;
mod world;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use jiff::Timestamp;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::{self, ObjectRef};
use kube::{Api, Client};
use serde_json::json;
use tidewatch_aws::{Aws, CallMetrics, SdkConfig, Tuning};
use tidewatch_crds::AnomalyAlarm;
use tidewatch_crds::anomaly_alarm::FINALIZER;
use tidewatch_kube::leader::Leadership;
use tidewatch_kube::object::Target;
use tidewatch_kube::passes::PassMetrics;
use tidewatch_kube::reconcile::{Limits, Loop, Reconciler};
use tidewatch_kube::unreadable;
use tidewatch_kube::watch_health::{WatchHealth, Watched};
use tidewatch_managed::{AwsPolicy, KubeObjects, Memories};
use tokio_util::sync::CancellationToken;

use self::pass::Alarms;
use self::world::WatchedWorld;

pub use self::apply::ApplyError;
pub use self::metrics::AlarmMetrics;

/// As many passes at a time as share a batch well; most of them wait for their turn at AWS.
const LIMITS: Limits = Limits { concurrency: 32, reconcile: Duration::from_secs(150) };

/// What the controller stands on.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube's Client has no Debug")]
pub struct Dependencies {
    pub client: Client,
    pub policy: AwsPolicy,
    pub leadership: Leadership,
    pub passes: PassMetrics,
    /// Name of this pod.
    pub instance: String,
    pub metrics: AlarmMetrics,
    pub calls: CallMetrics,
    pub config: SdkConfig,
    pub watches: WatchHealth,
}

/// Reconciles every alarm until `cancel`.
pub async fn run(dependencies: Dependencies, cancel: CancellationToken) {
    let Dependencies { client, policy, leadership, passes, instance, metrics, calls, config, watches } =
        dependencies;
    let (wake, woken) = mpsc::unbounded();
    let aws = Aws::new(config, calls, Tuning::every(policy.resync), wake.clone(), cancel.child_token());
    let controller = Loop::new(Api::all(client.clone()), Watched::ANOMALY_ALARMS, passes, watches.clone());
    let alarms = controller.objects();
    let (monitors, monitors_writer) = reflector::store();
    let (canaries, canaries_writer) = reflector::store();
    let watching = watches::monitors(client.clone(), &watches, monitors_writer, alarms.clone(), wake.clone());
    let watching_canaries =
        watches::canaries(client.clone(), &watches, canaries_writer, alarms.clone(), wake.clone());
    // What isn't listed yet isn't missing: a pass before that would say of alarms that are in place that they wait for it.
    let (listed_monitors, listed_canaries) = (monitors.clone(), canaries.clone());
    let listed = async {
        tokio::join!(
            async {
                tokio::select! {
                    _ = listed_monitors.wait_until_ready() => {}
                    () = watches.until_failing(&[Watched::NETWORK_MONITORS]) => {}
                }
            },
            async {
                tokio::select! {
                    _ = listed_canaries.wait_until_ready() => {}
                    () = watches.until_failing(&[Watched::CANARIES]) => {}
                }
            },
        )
    };
    let world = WatchedWorld { alarms, monitors, canaries };
    let shown = metrics.clone();
    let reconciler = Arc::new(Alarms {
        objects: KubeObjects::new(client, instance, "tidewatch.dev/anomaly-alarm", FINALIZER),
        world,
        aws,
        policy,
        metrics,
        lost: leadership.lost,
        wake,
        watches: watches.clone(),
        memories: Memories::default(),
        clock: Arc::new(Timestamp::now),
    });
    let triggers = woken.filter_map(|key| async move {
        let (namespace, name) = key.split_once('/')?;
        Some(ObjectRef::new(name).within(namespace))
    });
    let passes = async {
        tokio::select! {
            _ = listed => {}
            () = cancel.cancelled() => return,
        }
        controller.run(reconciler, triggers, LIMITS, cancel.clone()).await;
    };
    tokio::select! {
        () = passes => {}
        () = watching => {}
        () = watching_canaries => {}
    }
    shown.clear();
}

impl Reconciler for Alarms<KubeObjects<AnomalyAlarm>, WatchedWorld> {
    type Object = AnomalyAlarm;
    type Error = ApplyError;

    async fn reconcile(&self, alarm: &AnomalyAlarm) -> Result<Option<Duration>, ApplyError> {
        self.pass(alarm).await
    }

    fn hide(&self, namespace: &str, name: &str) {
        self.metrics.forget(namespace, name);
    }

    /// One that doesn't parse can only have been stored past the CRD (an older or newer version of it).
    async fn reject(&self, invalid: &InvalidObject) -> Result<(), ApplyError> {
        let stale = json!({"state": null, "since": null, "metricState": null, "networkState": null, "reading": null,
            "overview": null});
        unreadable::write::<AnomalyAlarm>(&self.objects.client, invalid, &stale)
            .await
            .map_err(|source| ApplyError::object(&Target::unread(&invalid.metadata), source))
    }

    fn gone(&self, namespace: &str, name: &str) {
        self.forget(namespace, name);
        self.wake_parents(namespace, name);
    }
}
