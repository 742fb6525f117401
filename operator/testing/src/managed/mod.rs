//! A controller of a kind in AWS between a cluster in memory and the AWS double, and what tests do with it.

mod cluster;
mod kinds;
pub mod sweeps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tidewatch_aws::{Aws, CallMetrics, SdkConfig, Tuning};
use tidewatch_aws_double::{Call, Double, Options, Region};
use tidewatch_managed::{AwsPolicy, Clock};
use tokio_util::sync::CancellationToken;

pub use self::cluster::{Cluster, Effect, Fate, Kind};
use self::sweeps::{End, Way};
use crate::sdk_config;

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-west-1";

/// The controller of a kind.
pub trait Controller: Sized {
    type Kind: Kind;
    /// What it takes besides what all take; kept when another process takes over.
    type Extra;
    /// Longer than AWS takes for anything in the double.
    const AWS_TAKES: SignedDuration;
    /// Writes that AWS tells nothing of until another one follows: a process that ends in between leads to one more.
    const UNTOLD: usize;

    fn policy() -> AwsPolicy;

    fn extra() -> Self::Extra;

    fn new(parts: Parts<Self::Kind>, extra: &Self::Extra) -> Self;

    /// One pass; whether it went through.
    fn pass(&self, object: &Self::Kind) -> impl Future<Output = bool>;

    /// Creates, changes and deletes, beside an object that stays.
    fn scenario(bed: &mut Bed<Self>, way: &impl Way<Self>) -> impl Future<Output = End>;

    /// Everything that there is in an account and Region, without times and ids.
    fn there(region: &Region) -> BTreeMap<String, String>;
}

/// What all controllers take.
pub struct Parts<K> {
    pub objects: Cluster<K>,
    pub aws: Aws,
    pub policy: AwsPolicy,
    pub lost: CancellationToken,
    pub wake: mpsc::UnboundedSender<String>,
    pub clock: Clock,
}

pub struct Bed<C: Controller> {
    pub double: Double,
    pub cluster: Cluster<C::Kind>,
    pub policy: AwsPolicy,
    pub extra: C::Extra,
    /// How another process reads.
    pub tuning: Tuning,
    controller: C,
    running: CancellationToken,
    woken: mpsc::UnboundedReceiver<String>,
    called: Vec<Call>,
}

impl<C: Controller> Bed<C> {
    /// With a clock that stands still unless it is moved.
    pub async fn start() -> Self {
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let tuning =
            Tuning { resync: Duration::from_secs(600), gather: Duration::from_millis(1), paced: false };
        Self::with(Options { now: Some(now), ..Options::default() }, tuning).await
    }

    pub async fn with(options: Options, tuning: Tuning) -> Self {
        let double = Double::start(options).await.unwrap();
        let (policy, extra, cluster) = (C::policy(), C::extra(), Cluster::default());
        let running = CancellationToken::new();
        let (controller, woken) = controller::<C>(&double, &cluster, &policy, &extra, tuning, &running).await;
        Self { double, cluster, policy, extra, tuning, controller, running, woken, called: Vec::new() }
    }

    /// Another process takes over: what was only in memory is gone.
    pub async fn restart(&mut self) {
        self.running.cancel();
        self.cluster.answers_again();
        self.running = CancellationToken::new();
        (self.controller, self.woken) = controller::<C>(
            &self.double,
            &self.cluster,
            &self.policy,
            &self.extra,
            self.tuning,
            &self.running,
        )
        .await;
    }

    pub fn controller(&self) -> &C {
        &self.controller
    }

    /// As `kubectl apply` does: creates, or changes the spec.
    pub fn apply(&self, name: &str, spec: &Value) {
        self.cluster.apply(name, spec, &json!({}));
    }

    pub fn delete(&self, name: &str) {
        self.cluster.delete(name);
    }

    pub fn get(&self, name: &str) -> Option<C::Kind> {
        self.cluster.get(name)
    }

    pub fn status(&self, name: &str) -> <C::Kind as kube::core::object::HasStatus>::Status {
        self.cluster.status(name)
    }

    /// Status, reason and message of condition Ready.
    pub fn ready(&self, name: &str) -> (String, String, String) {
        self.cluster.condition(name, "Ready")
    }

    pub fn events(&self, name: &str) -> Vec<String> {
        self.cluster.events(name)
    }

    /// Until a call to AWS is held, or a write of the cluster hangs.
    pub async fn stands_still(&self) {
        tokio::select! {
            () = self.double.held() => {}
            () = self.cluster.hangs() => {}
        }
    }

    /// One pass over one object; whether it went through.
    pub async fn pass(&self, name: &str) -> bool {
        match self.get(name) {
            Some(object) => self.controller.pass(&object).await,
            None => true,
        }
    }

    /// One pass over each object.
    pub async fn sweep(&self) -> bool {
        let mut all = true;
        for name in self.cluster.names() {
            all &= self.pass(&name).await;
        }
        all
    }

    /// One pass over each of these objects, many at a time, as the loop would.
    pub async fn sweep_together(&self, names: impl Iterator<Item = String>) {
        use futures::StreamExt;
        let pass = |name: String| async move { assert!(self.pass(&name).await, "{name}") };
        futures::stream::iter(names).for_each_concurrent(32, pass).await;
    }

    /// Passes, and lets AWS work, until everything is at rest; and once more.
    pub async fn settle(&self) {
        for _ in 0..40 {
            let went_through = self.sweep().await;
            if went_through && self.cluster.at_rest() {
                self.sweep().await;
                return;
            }
            self.double.advance(C::AWS_TAKES);
        }
        panic!("not at rest after 40 passes: {}", self.cluster.describe());
    }

    pub fn region<R>(&self, look: impl FnOnce(&mut Region) -> R) -> R {
        self.double.with(ACCOUNT, REGION, look)
    }

    /// Everything there is in an account and Region, without times and ids.
    pub fn all_in(&self, account: &str, region: &str) -> BTreeMap<String, String> {
        self.double.with(account, region, |region| C::there(region))
    }

    pub fn all(&self) -> BTreeMap<String, String> {
        self.all_in(ACCOUNT, REGION)
    }

    /// Writes to AWS since the log was cleared.
    pub fn writes(&self) -> Vec<String> {
        self.double.calls().iter().filter(|call| call.is_write()).map(|call| call.operation.clone()).collect()
    }

    /// Clears the log of calls, remembering what they were.
    pub fn keep_calls(&mut self) {
        self.called.extend(self.double.calls());
        self.double.clear_calls();
    }

    /// All calls, those that were cleared too.
    pub fn all_calls(&self) -> Vec<Call> {
        self.called.iter().cloned().chain(self.double.calls()).collect()
    }

    /// How the SDK reaches the double.
    pub async fn sdk_config(&self) -> SdkConfig {
        sdk_config(&self.double, REGION).await
    }

    /// Objects that were woken since this was last asked.
    pub fn woken(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.woken.try_recv().ok()).collect()
    }
}

async fn controller<C: Controller>(
    double: &Double,
    cluster: &Cluster<C::Kind>,
    policy: &AwsPolicy,
    extra: &C::Extra,
    tuning: Tuning,
    running: &CancellationToken,
) -> (C, mpsc::UnboundedReceiver<String>) {
    let config = sdk_config(double, REGION).await;
    let (wake, woken) = mpsc::unbounded();
    let time = double.clone();
    let parts = Parts {
        objects: cluster.clone(),
        aws: Aws::new(config, CallMetrics::default(), tuning, wake.clone(), running.clone()),
        policy: policy.clone(),
        lost: running.clone(),
        wake,
        clock: Arc::new(move || time.now()),
    };
    (C::new(parts, extra), woken)
}

/// Sets the value at a JSON pointer, making the last member if it isn't there; null removes it.
pub fn set(spec: &mut Value, pointer: &str, value: Value) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = spec.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() { drop(parent.remove(member)) } else { drop(parent.insert(member.to_owned(), value)) }
}

/// `spec` with a value at a pointer.
pub fn with(mut spec: Value, pointer: &str, value: Value) -> Value {
    set(&mut spec, pointer, value);
    spec
}
