//! A controller between a cluster in memory and the AWS double, and what tests do with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_async::time::TimeSource;
use futures::channel::mpsc;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use tidewatch_aws_double::{Double, Options, Region};
use tidewatch_crds::{AnomalyAlarm, AnomalyAlarmStatus};
use tokio_util::sync::CancellationToken;

use super::cluster::{Cluster, Effect, Fate};
use crate::aws::{Aws, CallMetrics, SdkConfig, Tuning};
use crate::controllers::anomaly_alarm::facts::{MonitorFact, Published};
use crate::controllers::anomaly_alarm::metrics::AlarmMetrics;
use crate::controllers::anomaly_alarm::pass::Alarms;
use crate::controllers::in_aws::AwsPolicy;

pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const REGION: &str = "eu-west-1";
/// The operator's own access key.
pub(super) const KEY: &str = "AKIDEXAMPLE";
pub(super) const ROLE: &str = "arn:aws:iam::210987654321:role/alarms";

pub(super) struct Bed {
    pub double: Double,
    pub cluster: Cluster,
    pub policy: AwsPolicy,
    controller: Alarms<Cluster, Cluster>,
    running: CancellationToken,
    tuning: Tuning,
    woken: mpsc::UnboundedReceiver<String>,
    called: Vec<String>,
}

impl Bed {
    pub(super) async fn start() -> Self {
        let tuning =
            Tuning { resync: Duration::from_secs(600), gather: Duration::from_millis(1), paced: false };
        Self::with(Options::default(), tuning).await
    }

    pub(super) async fn with(options: Options, tuning: Tuning) -> Self {
        let double = Double::start(options).await.unwrap();
        let policy = AwsPolicy {
            enabled: true,
            roles: BTreeMap::from([("shop".to_owned(), BTreeSet::from([ROLE.to_owned()]))]),
            adoptable: BTreeMap::from([("shop".to_owned(), BTreeSet::from(["legacy-".to_owned()]))]),
            ..AwsPolicy::default()
        };
        let cluster = Cluster::default();
        let running = CancellationToken::new();
        let (controller, woken) = controller(&double, &cluster, &policy, tuning, &running).await;
        let bed = Self { double, cluster, policy, controller, running, tuning, woken, called: Vec::new() };
        let published = Published { namespace: "Tidewatch".to_owned(), region: None };
        let monitor = MonitorFact { publishes: Some(published) };
        bed.cluster.lock().monitors.insert("shop/net".to_owned(), monitor);
        bed
    }

    /// Another process takes over: what was only in memory is gone.
    pub(super) async fn restart(&mut self) {
        self.running.cancel();
        self.cluster.lock().hanging = false;
        self.running = CancellationToken::new();
        (self.controller, self.woken) =
            controller(&self.double, &self.cluster, &self.policy, self.tuning, &self.running).await;
    }

    /// As `kubectl apply` does: creates, or changes the spec.
    pub(super) fn apply(&self, name: &str, spec: &Value) {
        self.apply_annotated(name, spec, None);
    }

    pub(super) fn apply_annotated(&self, name: &str, spec: &Value, adopt: Option<&str>) {
        let mut inner = self.cluster.lock();
        inner.version += 1;
        let (version, key) = (inner.version, format!("shop/{name}"));
        let annotations = adopt.map(|alarm| json!({"tidewatch.dev/adopt-alarm": alarm}));
        let made: AnomalyAlarm = serde_json::from_value(json!({
            "apiVersion": "tidewatch.dev/v1alpha1",
            "kind": "AnomalyAlarm",
            "metadata": {
                "namespace": "shop", "name": name, "uid": format!("uid-{name}"), "generation": 1,
                "resourceVersion": version.to_string(), "annotations": annotations.unwrap_or(json!({})),
                "creationTimestamp": Timestamp::from_second(1_790_000_000 + i64::try_from(version).unwrap()).unwrap(),
            },
            "spec": spec,
        }))
        .unwrap();
        match inner.alarms.get_mut(&key) {
            Some(alarm) => {
                alarm.spec = made.spec;
                alarm.metadata.annotations = made.metadata.annotations;
                alarm.metadata.generation = alarm.metadata.generation.map(|generation| generation + 1);
                alarm.metadata.resource_version = Some(version.to_string());
            }
            None => drop(inner.alarms.insert(key, made)),
        }
    }

    /// As `kubectl delete` does.
    pub(super) fn delete(&self, name: &str) {
        let mut inner = self.cluster.lock();
        inner.version += 1;
        let (version, key) = (inner.version, format!("shop/{name}"));
        let alarm = inner.alarms.get_mut(&key).unwrap();
        if alarm.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
            inner.alarms.remove(&key);
            return;
        }
        alarm.metadata.deletion_timestamp = Some(Time(Timestamp::from_second(1_790_000_000).unwrap()));
        alarm.metadata.resource_version = Some(version.to_string());
    }

    pub(super) fn get(&self, name: &str) -> Option<AnomalyAlarm> {
        self.cluster.lock().alarms.get(&format!("shop/{name}")).cloned()
    }

    pub(super) fn status(&self, name: &str) -> AnomalyAlarmStatus {
        self.get(name).unwrap().status.unwrap_or_default()
    }

    /// Status and reason of condition Ready.
    pub(super) fn ready(&self, name: &str) -> (String, String, String) {
        let status = self.status(name);
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        ready.map(|c| (c.status.clone(), c.reason.clone(), c.message.clone())).unwrap_or_default()
    }

    pub(super) fn events(&self, name: &str) -> Vec<String> {
        let inner = self.cluster.lock();
        inner.events.iter().filter(|(of, _)| of == name).map(|(_, said)| said.clone()).collect()
    }

    pub(super) fn kube_writes(&self) -> usize {
        self.cluster.lock().writes
    }

    /// Decides what becomes of the write after so many others.
    pub(super) fn fate_of_kube_write(&self, skip: usize, effect: Effect, fate: Fate) {
        self.cluster.lock().fate = Some((skip, effect, fate));
    }

    /// Whether what was decided of a write came to pass.
    pub(super) fn fate_met(&self) -> bool {
        self.cluster.lock().fate.is_none()
    }

    /// Until a call to AWS is held, or a write of the cluster hangs.
    pub(super) async fn stands_still(&self) {
        tokio::select! {
            () = self.double.held() => {}
            () = self.cluster.hangs.notified() => {}
        }
    }

    /// A Canary with this status, as its own controller would leave it.
    pub(super) fn set_canary(&self, name: &str, spec: &Value, status: &Value) {
        let canary = json!({
            "apiVersion": "tidewatch.dev/v1alpha1", "kind": "Canary",
            "metadata": {"namespace": "shop", "name": name}, "spec": spec, "status": status,
        });
        self.cluster.lock().canaries.insert(format!("shop/{name}"), serde_json::from_value(canary).unwrap());
    }

    /// One pass over one object; whether it went through.
    pub(super) async fn pass(&self, name: &str) -> bool {
        match self.get(name) {
            Some(alarm) => self.controller.pass(&alarm).await.is_ok(),
            None => true,
        }
    }

    /// One pass over each object.
    pub(super) async fn sweep(&self) -> bool {
        let names: Vec<String> = self.cluster.lock().alarms.keys().cloned().collect();
        let mut all = true;
        for key in names {
            all &= self.pass(key.trim_start_matches("shop/")).await;
        }
        all
    }

    /// Every object is in place, or refused for good; none is being deleted.
    fn at_rest(&self) -> bool {
        let inner = self.cluster.lock();
        inner.alarms.values().all(|alarm| {
            let ready = alarm.status.iter().flat_map(|s| &s.conditions).find(|c| c.type_ == "Ready");
            alarm.metadata.deletion_timestamp.is_none()
                && ready.is_some_and(|ready| {
                    ready.status != "Unknown" && ready.observed_generation == alarm.metadata.generation
                })
        })
    }

    /// Passes until everything is at rest, and once more.
    pub(super) async fn settle(&self) {
        for _ in 0..40 {
            let went_through = self.sweep().await;
            if went_through && self.at_rest() {
                self.sweep().await;
                return;
            }
        }
        let inner = self.cluster.lock();
        let statuses: Vec<_> =
            inner.alarms.iter().map(|(key, alarm)| (key, &alarm.status, &alarm.metadata)).collect();
        panic!("not at rest after 40 passes: {statuses:#?}\n{:#?}", inner.events);
    }

    pub(super) fn region<R>(&self, look: impl FnOnce(&mut Region) -> R) -> R {
        self.double.with(ACCOUNT, REGION, look)
    }

    /// Everything there is in an account and Region, without times and ids.
    pub(super) fn there_in(&self, account: &str, region: &str) -> BTreeMap<String, String> {
        self.double.with(account, region, |region| {
            let alarms = region.alarms.iter().map(|(name, alarm)| {
                (format!("alarm {name}"), format!("{:#?} {:#?}", alarm.config, alarm.tags))
            });
            let detectors = region.detectors.values().map(|detector| {
                let learns = (&detector.configuration, &detector.metric_characteristics);
                (format!("detector {:?}", detector.subject), format!("{learns:#?}"))
            });
            let rules = region.mute_rules.values().map(|rule| {
                (format!("mute {}", rule.name), format!("{:?} {:?}", rule.schedule, rule.alarm_names))
            });
            alarms.chain(detectors).chain(rules).collect()
        })
    }

    pub(super) fn there(&self) -> BTreeMap<String, String> {
        self.there_in(ACCOUNT, REGION)
    }

    /// Writes to AWS since the log was cleared.
    pub(super) fn writes(&self) -> Vec<String> {
        self.double.calls().iter().filter(|call| call.is_write()).map(|call| call.operation.clone()).collect()
    }

    pub(super) fn set_tuning(&mut self, tuning: Tuning) {
        self.tuning = tuning;
    }

    /// Clears the log of calls, remembering what they were.
    pub(super) fn keep_calls(&mut self) {
        self.called.extend(self.double.calls().into_iter().map(|call| call.operation));
        self.double.clear_calls();
    }

    /// The operations of all calls, those that were cleared too.
    pub(super) fn all_calls(&self) -> Vec<String> {
        let now = self.double.calls().into_iter().map(|call| call.operation);
        self.called.iter().cloned().chain(now).collect()
    }

    /// How the SDK reaches the double.
    pub(super) async fn sdk_config(&self) -> SdkConfig {
        sdk_config(&self.double).await
    }

    /// Objects that were woken since this was last asked.
    pub(super) fn woken(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.woken.try_recv().ok()).collect()
    }

    /// The full name in AWS of an object's alarm.
    pub(super) fn name_of(&self, name: &str) -> String {
        super::super::names::Names::new(&self.policy, "shop", name).metric
    }
}

/// The SDK's clock is the double's, so that both agree on when credentials expire.
#[derive(Debug)]
struct DoublesClock(Double);

impl TimeSource for DoublesClock {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}

async fn sdk_config(double: &Double) -> SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(double.url())
        .region(aws_config::Region::new(REGION))
        .credentials_provider(Credentials::new(KEY, "secret", None, None, "test"))
        .time_source(DoublesClock(double.clone()))
        .retry_config(aws_sdk_cloudwatch::config::retry::RetryConfig::disabled())
        .load()
        .await
}

async fn controller(
    double: &Double,
    cluster: &Cluster,
    policy: &AwsPolicy,
    tuning: Tuning,
    running: &CancellationToken,
) -> (Alarms<Cluster, Cluster>, mpsc::UnboundedReceiver<String>) {
    let config = sdk_config(double).await;
    let (wake, woken) = mpsc::unbounded();
    let aws = Aws::new(config, CallMetrics::default(), tuning, wake.clone(), running.clone());
    let controller = Alarms {
        objects: cluster.clone(),
        world: cluster.clone(),
        aws,
        policy: policy.clone(),
        metrics: AlarmMetrics::default(),
        lost: running.clone(),
        wake,
        memories: Mutex::new(HashMap::new()),
    };
    (controller, woken)
}

pub(super) fn cpu() -> Value {
    json!({"cloudWatch": {"namespace": "AWS/EC2", "metricName": "CPUUtilization", "dimensions": {"InstanceId": "i-1"}, "statistic": "Average", "period": "60s"}})
}

/// A spec that uses every kind of resource.
pub(super) fn everything() -> Value {
    json!({
        "metric": cpu(),
        "condition": {"band": {"width": 2, "breach": "Above"}},
        "evaluation": {"periods": 3, "datapointsToAlarm": 2},
        "when": {"networkHealth": {"monitor": "net"}},
        "actions": {"alarm": ["arn:aws:sns:eu-west-1:123456789012:on-call"]},
        "mute": {"schedule": "0 2 * * SUN", "duration": "2h"},
        "tags": {"team": "a"},
    })
}
