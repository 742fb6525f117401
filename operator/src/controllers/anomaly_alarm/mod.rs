//! AnomalyAlarm: desired → observe → plan → apply → status.
//!
//! `desired` makes of the spec what should be in AWS; `observe` reads what is there; `plan` compares; `apply` writes;
//! `status` folds what came of it. `pass` is the sequence. Only `observe` and `apply` do I/O.

mod apply;
mod desired;
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
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::{self, ObjectRef};
use kube::{Api, Client};
use tidewatch_crds::anomaly_alarm::FINALIZER;
use tidewatch_crds::{AnomalyAlarm, AnomalyAlarmStatus};
use tokio_util::sync::CancellationToken;

use self::pass::Alarms;
use self::status::ConditionType;
use self::world::Watched;
use crate::aws::{Aws, CallMetrics, SdkConfig, Tuning};
use crate::controllers::conditions::{Says, Truth, conditions};
use crate::controllers::in_aws::{AwsPolicy, KubeObjects, Memories, Objects as _};
use crate::controllers::object::Target;
use crate::leader::Leadership;
use crate::passes::PassMetrics;
use crate::reconcile::{Limits, Loop, Objects, Reconciler};

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
}

/// Reconciles every alarm until `cancel`.
pub async fn run(dependencies: Dependencies, cancel: CancellationToken) {
    let Dependencies { client, policy, leadership, passes, instance, metrics, calls, config } = dependencies;
    let (wake, woken) = mpsc::unbounded();
    let aws = Aws::new(config, calls, Tuning::every(policy.resync()), wake.clone(), cancel.child_token());
    let controller = Loop::new(Api::all(client.clone()), passes);
    let alarms = controller.objects();
    let (monitors, monitors_writer) = reflector::store();
    let (canaries, canaries_writer) = reflector::store();
    let watching = watches::monitors(client.clone(), monitors_writer, alarms.clone(), wake.clone());
    let watching_canaries = watches::canaries(client.clone(), canaries_writer, alarms.clone(), wake.clone());
    // What isn't listed yet isn't missing: a pass before that would say of alarms that are in place that they wait for it.
    let listed = (monitors.clone(), canaries.clone());
    let listed = async move { tokio::join!(listed.0.wait_until_ready(), listed.1.wait_until_ready()) };
    let world = Watched { alarms: alarms.clone(), monitors, canaries };
    let shown = metrics.clone();
    let reconciler = Arc::new(Alarms {
        objects: KubeObjects::new(client, instance, "tidewatch.dev/anomaly-alarm", FINALIZER),
        world,
        aws,
        policy,
        metrics,
        lost: leadership.lost,
        wake,
        memories: Memories::default(),
        clock: Arc::new(Timestamp::now),
    });
    // A name that is told stands for itself and for those that depend on it.
    let triggers = woken.flat_map(move |key| futures::stream::iter(concerned(&key, &alarms)));
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

type AlarmRef = ObjectRef<DeserializeGuard<AnomalyAlarm>>;

fn concerned(key: &str, alarms: &Objects<AnomalyAlarm>) -> Vec<AlarmRef> {
    let Some((namespace, name)) = key.split_once('/') else { return Vec::new() };
    let mut concerned = vec![ObjectRef::new(name).within(namespace)];
    for other in alarms.state() {
        let Ok(other) = &other.0 else { continue };
        let combines = other.spec.alarms.as_ref().is_some_and(|all| all.any_of.iter().any(|n| n == name));
        if combines && other.metadata.namespace.as_deref() == Some(namespace) {
            concerned.push(ObjectRef::from_obj(&DeserializeGuard(Ok(other.clone()))));
        }
    }
    concerned
}

impl Reconciler for Alarms<KubeObjects<AnomalyAlarm>, Watched> {
    type Object = AnomalyAlarm;
    type Error = ApplyError;

    async fn reconcile(&self, alarm: &AnomalyAlarm) -> Result<Option<Duration>, ApplyError> {
        self.pass(alarm).await
    }

    /// One that doesn't parse can only have been stored past the CRD (an older or newer version of it).
    async fn reject(&self, invalid: &InvalidObject) -> Result<(), ApplyError> {
        let meta = &invalid.metadata;
        let message = format!(
            "the object can't be read: {}; upgrade the CRDs (chart tidewatch-crds) and the operator to the same version, then apply it again",
            invalid.error
        );
        let says = vec![Says::new(ConditionType::Ready, Truth::False, "Unreadable", message)];
        let created = meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |created| created.0);
        let status = AnomalyAlarmStatus {
            observed_generation: meta.generation,
            conditions: conditions(&[], says, meta.generation, created),
            ..AnomalyAlarmStatus::default()
        };
        let mut target = Target::unread(meta);
        self.objects
            .write_status(&mut target, &status)
            .await
            .map_err(|source| ApplyError::object(&target, source))
    }

    fn gone(&self, namespace: &str, name: &str) {
        self.forget(namespace, name);
    }
}
