//! A controller between a cluster in memory and the AWS double, and what tests do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_credential_types::Credentials;
use futures::channel::mpsc;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use tidewatch_aws_double::synthetics::Canary as DoubleCanary;
use tidewatch_aws_double::{Call, Double, Options, Region};
use tidewatch_crds::canary::CANARY_FINALIZER;
use tidewatch_crds::{Canary, CanaryStatus};
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, CallMetrics, Tuning};
use crate::controllers::canary::aws::names;
use crate::controllers::canary::aws::objects::{Files, Objects};
use crate::controllers::canary::aws::pass::{AwsCanaries, Clock, Surroundings};
use crate::controllers::canary::policy::Policy;
use crate::controllers::events::Happened;
use crate::controllers::in_aws::AwsPolicy;
use crate::controllers::object::Target;

pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const REGION: &str = "eu-west-1";
pub(super) const ROLE: &str = "arn:aws:iam::210987654321:role/canaries";
pub(super) const RUN_AS: &str = "arn:aws:iam::123456789012:role/canary-run";
pub(super) const RUN_AS_TOO: &str = "arn:aws:iam::123456789012:role/other";
/// Longer than AWS takes for anything in the double.
pub(super) const SOON: SignedDuration = SignedDuration::from_secs(25);

/// When a write of the cluster fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Before,
    After,
}

#[derive(Default)]
struct Inner {
    canaries: BTreeMap<String, Canary>,
    config_maps: BTreeMap<String, Files>,
    events: Vec<(String, String)>,
    version: u64,
    writes: usize,
    /// The n-th write from now fails.
    fail: Option<(usize, Effect)>,
}

/// The API server, as far as the controller sees it.
#[derive(Clone, Default)]
pub(super) struct Cluster(Arc<Mutex<Inner>>);

impl Cluster {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// One write: refused for an old version, and failing when it is told to.
    fn write(&self, target: &mut Target, change: impl FnOnce(&mut Canary)) -> Result<(), kube::Error> {
        let mut inner = self.lock();
        let key = format!("{}/{}", target.namespace, target.name);
        inner.writes += 1;
        let fails = match &mut inner.fail {
            Some((0, effect)) => Some(*effect),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if fails.is_some() {
            inner.fail = None;
        }
        if fails == Some(Effect::Before) {
            return Err(api_error(500));
        }
        inner.version += 1;
        let version = inner.version.to_string();
        let Some(canary) = inner.canaries.get_mut(&key) else { return Err(api_error(404)) };
        if target.resource_version.is_some() && canary.metadata.resource_version != target.resource_version {
            return Err(api_error(409));
        }
        change(canary);
        canary.metadata.resource_version = Some(version.clone());
        let let_go = canary.metadata.deletion_timestamp.is_some()
            && canary.metadata.finalizers.as_ref().is_none_or(Vec::is_empty);
        if let_go {
            inner.canaries.remove(&key);
        }
        if fails == Some(Effect::After) {
            return Err(api_error(504));
        }
        target.resource_version = Some(version);
        Ok(())
    }
}

fn api_error(code: u16) -> kube::Error {
    kube::Error::Api(Box::new(kube::core::Status { code, ..kube::core::Status::default() }))
}

impl Objects for Cluster {
    async fn set_finalizer(&self, target: &mut Target, wanted: bool) -> Result<(), kube::Error> {
        let finalizers = if wanted { vec![CANARY_FINALIZER.to_owned()] } else { Vec::new() };
        target.finalizers.clone_from(&finalizers);
        self.write(target, |canary| canary.metadata.finalizers = Some(finalizers))
    }

    async fn write_status(&self, target: &mut Target, status: &CanaryStatus) -> Result<(), kube::Error> {
        // As it would come back from the API server.
        let status: CanaryStatus = serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
        self.write(target, |canary| canary.status = Some(status))
    }

    async fn tell(&self, target: &Target, happened: &Happened) {
        self.lock().events.push((target.name.clone(), format!("{}: {}", happened.reason, happened.note)));
    }

    async fn files(&self, namespace: &str, config_map: &str) -> Result<Option<Files>, kube::Error> {
        Ok(self.lock().config_maps.get(&format!("{namespace}/{config_map}")).cloned())
    }
}

pub(super) struct Bed {
    pub double: Double,
    pub cluster: Cluster,
    pub aws_policy: AwsPolicy,
    pub policy: Policy,
    controller: AwsCanaries<Cluster>,
    running: CancellationToken,
    tuning: Tuning,
    woken: mpsc::UnboundedReceiver<String>,
    called: Vec<Call>,
}

impl Bed {
    pub(super) async fn start() -> Self {
        let tuning =
            Tuning { resync: Duration::from_secs(600), gather: Duration::from_millis(1), paced: false };
        Self::with(tuning).await
    }

    pub(super) async fn with(tuning: Tuning) -> Self {
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let double = Double::start(Options { now: Some(now), ..Options::default() }).await.unwrap();
        let aws_policy = AwsPolicy {
            enabled: true,
            roles: BTreeMap::from([(
                "shop".to_owned(),
                [ROLE, RUN_AS, RUN_AS_TOO].map(str::to_owned).into(),
            )]),
            adoptable: BTreeMap::from([("shop".to_owned(), BTreeSet::from(["legacy-".to_owned()]))]),
            ..AwsPolicy::default()
        };
        let policy = Policy { script_namespaces: BTreeSet::from(["shop".to_owned()]), ..Policy::default() };
        let cluster = Cluster::default();
        let running = CancellationToken::new();
        let (controller, woken) = controller(&double, &cluster, &policy, &aws_policy, tuning, &running).await;
        Self { double, cluster, aws_policy, policy, controller, running, tuning, woken, called: Vec::new() }
    }

    /// Another process takes over: what was only in memory is gone.
    pub(super) async fn restart(&mut self) {
        self.running.cancel();
        self.running = CancellationToken::new();
        (self.controller, self.woken) = controller(
            &self.double,
            &self.cluster,
            &self.policy,
            &self.aws_policy,
            self.tuning,
            &self.running,
        )
        .await;
    }

    pub(super) fn tune(&mut self, tuning: Tuning) {
        self.tuning = tuning;
    }

    /// As `kubectl apply` does: creates, or changes the spec.
    pub(super) fn apply(&self, name: &str, spec: &Value) {
        self.apply_annotated(name, spec, &json!({}));
    }

    pub(super) fn apply_annotated(&self, name: &str, spec: &Value, annotations: &Value) {
        let mut inner = self.cluster.lock();
        inner.version += 1;
        let (version, key) = (inner.version, format!("shop/{name}"));
        let made: Canary = serde_json::from_value(json!({
            "apiVersion": "tidewatch.dev/v1alpha1",
            "kind": "Canary",
            "metadata": {
                "namespace": "shop", "name": name, "uid": format!("uid-{name}"), "generation": 1,
                "resourceVersion": version.to_string(), "annotations": annotations,
                "creationTimestamp": "2026-11-25T11:00:00Z",
            },
            "spec": spec,
        }))
        .unwrap();
        match inner.canaries.get_mut(&key) {
            Some(canary) => {
                canary.spec = made.spec;
                canary.metadata.annotations = made.metadata.annotations;
                canary.metadata.generation = canary.metadata.generation.map(|generation| generation + 1);
                canary.metadata.resource_version = Some(version.to_string());
            }
            None => drop(inner.canaries.insert(key, made)),
        }
    }

    /// Makes a ConfigMap of one file, or changes it.
    pub(super) fn config_map(&self, name: &str, file: &str, content: &str) {
        let files = BTreeMap::from([(file.to_owned(), content.as_bytes().to_vec())]);
        self.cluster.lock().config_maps.insert(format!("shop/{name}"), files);
    }

    /// As `kubectl delete` does.
    pub(super) fn delete(&self, name: &str) {
        let mut inner = self.cluster.lock();
        inner.version += 1;
        let (version, key) = (inner.version, format!("shop/{name}"));
        let canary = inner.canaries.get_mut(&key).unwrap();
        if canary.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
            inner.canaries.remove(&key);
            return;
        }
        canary.metadata.deletion_timestamp = Some(Time(Timestamp::from_second(1_790_000_000).unwrap()));
        canary.metadata.resource_version = Some(version.to_string());
    }

    pub(super) fn get(&self, name: &str) -> Option<Canary> {
        self.cluster.lock().canaries.get(&format!("shop/{name}")).cloned()
    }

    pub(super) fn status(&self, name: &str) -> CanaryStatus {
        self.get(name).and_then(|canary| canary.status).unwrap_or_default()
    }

    /// Status, reason and message of a condition.
    pub(super) fn condition(&self, name: &str, kind: &str) -> (String, String, String) {
        let status = self.status(name);
        let found = status.conditions.iter().find(|condition| condition.type_ == kind);
        found.map(|c| (c.status.clone(), c.reason.clone(), c.message.clone())).unwrap_or_default()
    }

    pub(super) fn ready(&self, name: &str) -> (String, String, String) {
        self.condition(name, "Ready")
    }

    pub(super) fn events(&self, name: &str) -> Vec<String> {
        let inner = self.cluster.lock();
        inner.events.iter().filter(|(of, _)| of == name).map(|(_, said)| said.clone()).collect()
    }

    pub(super) fn kube_writes(&self) -> usize {
        self.cluster.lock().writes
    }

    pub(super) fn fail_kube_write(&self, skip: usize, effect: Effect) {
        self.cluster.lock().fail = Some((skip, effect));
    }

    /// Whether the injected failure of the cluster came to pass.
    pub(super) fn kube_failed(&self) -> bool {
        self.cluster.lock().fail.is_none()
    }

    /// One pass over one object; whether it went through.
    pub(super) async fn pass(&self, name: &str) -> bool {
        match self.get(name) {
            Some(canary) => self.controller.pass(&canary).await.is_ok(),
            None => true,
        }
    }

    /// As if the object were run in the cluster now: what it has in AWS goes.
    pub(super) async fn leave(&self, name: &str) -> bool {
        let canary = self.get(name).unwrap();
        let (left, _) = self.controller.leave(&canary).await.unwrap();
        let mut inner = self.cluster.lock();
        let canary = inner.canaries.get_mut(&format!("shop/{name}")).unwrap();
        if let Some(status) = &mut canary.status {
            status.aws.clone_from(&left);
        }
        left.is_none()
    }

    /// One pass over each object.
    pub(super) async fn sweep(&self) -> bool {
        let names: Vec<String> = self.cluster.lock().canaries.keys().cloned().collect();
        let mut all = true;
        for key in names {
            all &= self.pass(key.trim_start_matches("shop/")).await;
        }
        all
    }

    /// Every object is in place, or refused for good; none is being deleted.
    fn at_rest(&self) -> bool {
        let inner = self.cluster.lock();
        inner.canaries.values().all(|canary| {
            let ready = canary.status.iter().flat_map(|s| &s.conditions).find(|c| c.type_ == "Ready");
            canary.metadata.deletion_timestamp.is_none()
                && ready.is_some_and(|ready| {
                    ready.status != "Unknown" && ready.observed_generation == canary.metadata.generation
                })
        })
    }

    /// Passes, and lets AWS work, until everything is at rest; and once more.
    pub(super) async fn settle(&self) {
        for _ in 0..40 {
            let went_through = self.sweep().await;
            if went_through && self.at_rest() {
                self.sweep().await;
                return;
            }
            self.double.advance(SOON);
        }
        let inner = self.cluster.lock();
        let statuses: Vec<_> =
            inner.canaries.iter().map(|(key, canary)| (key, &canary.status, &canary.metadata)).collect();
        panic!("not at rest after 40 passes: {statuses:#?}\n{:#?}", inner.events);
    }

    pub(super) fn region<R>(&self, look: impl FnOnce(&mut Region) -> R) -> R {
        self.double.with(ACCOUNT, REGION, look)
    }

    /// A canary in the double, as it is; none if there is none of that object.
    pub(super) fn there(&self, name: &str) -> Option<DoubleCanary> {
        let name = self.name_of(name);
        self.region(|region| region.synthetics.canaries.get(&name).cloned())
    }

    /// Everything there is in an account and Region, without times and ids.
    pub(super) fn all_in(&self, account: &str, region: &str) -> BTreeMap<String, String> {
        self.double.with(account, region, |region| {
            let canaries = region.synthetics.canaries.values().map(|canary| {
                let code = format!("{:?}", canary.config.code.zip_file.as_ref().map(String::len));
                let mut config = canary.config.clone();
                config.code.zip_file = None;
                let is = (canary.status.state, &canary.tags, &config, code);
                (format!("canary {}", canary.name), format!("{is:#?}"))
            });
            // They have the id in their names: only how many there are is the same each time.
            let around = &region.synthetics.surroundings;
            let counts = (around.functions.len(), around.layers.len(), around.log_groups.len());
            canaries.chain([("around".to_owned(), format!("{counts:?}"))]).collect()
        })
    }

    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.all_in(ACCOUNT, REGION)
    }

    /// Functions, layers and log groups.
    pub(super) fn around(&self) -> (usize, usize, usize) {
        self.region(|region| {
            let around = &region.synthetics.surroundings;
            (around.functions.len(), around.layers.len(), around.log_groups.len())
        })
    }

    /// Writes to AWS since the log was cleared.
    pub(super) fn writes(&self) -> Vec<String> {
        self.double.calls().iter().filter(|call| call.is_write()).map(|call| call.operation.clone()).collect()
    }

    /// Clears the log of calls, remembering what they were.
    pub(super) fn keep_calls(&mut self) {
        self.called.extend(self.double.calls());
        self.double.clear_calls();
    }

    /// All calls, those that were cleared too.
    pub(super) fn all_calls(&self) -> Vec<Call> {
        self.called.iter().cloned().chain(self.double.calls()).collect()
    }

    /// Objects that were woken since this was last asked.
    pub(super) fn woken(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.woken.try_recv().ok()).collect()
    }

    /// The full name in AWS of an object's canary.
    pub(super) fn name_of(&self, name: &str) -> String {
        names::canary(&self.aws_policy, "shop", name)
    }
}

async fn controller(
    double: &Double,
    cluster: &Cluster,
    policy: &Policy,
    aws_policy: &AwsPolicy,
    tuning: Tuning,
    running: &CancellationToken,
) -> (AwsCanaries<Cluster>, mpsc::UnboundedReceiver<String>) {
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(double.url())
        .region(aws_config::Region::new(REGION))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .retry_config(aws_sdk_cloudwatch::config::retry::RetryConfig::disabled())
        .load()
        .await;
    let (wake, woken) = mpsc::unbounded();
    let aws = Aws::new(config, CallMetrics::default(), tuning, wake, running.clone());
    let time = double.clone();
    let clock: Clock = Arc::new(move || time.now());
    let controller = AwsCanaries::new(Surroundings {
        objects: cluster.clone(),
        aws,
        policy: policy.clone(),
        aws_policy: aws_policy.clone(),
        lost: running.clone(),
        clock,
    });
    (controller, woken)
}

/// A canary of checks.
pub(super) fn checks() -> Value {
    json!({
        "provider": "AWS",
        "schedule": {"every": "1m"},
        "timeout": "30s",
        "checks": [{"name": "home", "http": {"url": "https://shop.example.com/"}}],
        "aws": {"executionRoleArn": RUN_AS, "artifacts": "s3://shop-canaries/checkout"},
    })
}

/// A canary of a script in a ConfigMap.
pub(super) fn script() -> Value {
    let mut spec = checks();
    spec.as_object_mut().unwrap().remove("checks");
    spec["script"] = json!({
        "runtime": "syn-nodejs-puppeteer", "handler": "index.handler", "configMapRef": {"name": "script"},
    });
    spec
}

/// Sets the value at a JSON pointer, making the last member if it isn't there; null removes it.
pub(super) fn set(spec: &mut Value, pointer: &str, value: Value) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = spec.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() { drop(parent.remove(member)) } else { drop(parent.insert(member.to_owned(), value)) }
}

/// `spec` with a value at a pointer.
pub(super) fn with(mut spec: Value, pointer: &str, value: Value) -> Value {
    set(&mut spec, pointer, value);
    spec
}
