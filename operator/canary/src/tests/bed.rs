//! A canary, the controller, and an API server that knows this one object, its Secrets and the events on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use data_encoding::BASE64;
use futures::StreamExt;
use futures::channel::mpsc;
use kube::Client;
use serde_json::{Value, json};
use tidewatch_aws::{CallMetrics, SdkConfig};
use tidewatch_crds::canary::{RUN_NOW_ANNOTATION, SECRET_LABEL};
use tidewatch_crds::{Canary, CanaryStatus};
use tidewatch_embedded::{Engine, History, ProbeMetrics};
use tidewatch_kube::leader::Leadership;
use tidewatch_kube::passes::PassMetrics;
use tidewatch_kube::watch_health::WatchHealth;
use tidewatch_managed::AwsPolicy;
use tidewatch_prober::{Prober, ProberConfig, TargetPolicy};
use tokio_util::sync::CancellationToken;

use crate::{Canaries, Dependencies, Error, Policy, in_aws, shutdown};
use tidewatch_testing::granted::Granted;

const KEY: &str = "shop/db";

/// What the API server holds.
#[derive(Debug, Default)]
struct Held {
    canary: Value,
    version: u64,
    secrets: BTreeMap<String, Value>,
    /// What reads of Secrets are answered with.
    secrets_status: u16,
    events: Vec<(String, String)>,
    /// What the chart lets the operator do.
    granted: Granted,
}

impl Held {
    fn changed(&mut self) {
        self.version += 1;
        self.canary["metadata"]["resourceVersion"] = json!(self.version.to_string());
    }

    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let failure = |code: u16| {
            let reason = match code {
                403 => "Forbidden",
                404 => "NotFound",
                409 => "Conflict",
                _ => "Failure",
            };
            (
                code,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": reason}),
            )
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        if path.contains("/secrets/") {
            return match (self.secrets_status, self.secrets.get(name)) {
                (200, Some(secret)) => (200, secret.clone()),
                (200, None) => failure(404),
                (code, _) => failure(code),
            };
        }
        if !self.granted.allows(method, path, false) {
            return failure(403);
        }
        if path.contains("/events") {
            let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            self.events.push((text("reason"), text("note")));
            return (201, body.clone());
        }
        if *method == Method::GET && path.ends_with("/canaries/db") {
            return (200, self.canary.clone());
        }
        assert!(*method == Method::PATCH && path.ends_with("/canaries/db/status"), "{method} {path}");
        if body["metadata"]["resourceVersion"] != self.canary["metadata"]["resourceVersion"] {
            return failure(409);
        }
        self.canary["status"] = body["status"].clone();
        self.changed();
        (200, self.canary.clone())
    }
}

fn client(held: &Arc<Mutex<Held>>) -> Client {
    let held = Arc::clone(held);
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let held = Arc::clone(&held);
        async move {
            let (head, body) = request.into_parts();
            let bytes = to_bytes(Body::new(body), usize::MAX).await?;
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let (code, answer) = held.lock().unwrap().answer(&head.method, head.uri.path(), &body);
            let mut response = Response::new(Body::from(serde_json::to_vec(&answer).unwrap()));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            Ok::<_, tower::BoxError>(response)
        }
    });
    Client::new(service, "shop")
}

pub(super) struct Bed {
    held: Arc<Mutex<Held>>,
    canaries: Canaries,
    woken: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
}

impl Bed {
    pub(super) fn new(spec: &Value) -> Self {
        let canary = json!({
            "apiVersion": "tidewatch.dev/v1alpha1", "kind": "Canary", "spec": spec,
            "metadata": {"name": "db", "namespace": "shop", "uid": "uid", "generation": 1, "resourceVersion": "1"},
        });
        let held = Held { canary, version: 1, secrets_status: 200, ..Held::default() };
        let held = Arc::new(Mutex::new(held));
        let policy = Policy { secret_namespaces: ["shop".to_owned()].into(), ..Policy::default() };
        let dependencies = Dependencies {
            client: client(&held),
            policy,
            leadership: Leadership { lost: CancellationToken::new() },
            passes: PassMetrics::default(),
            instance: "test".to_owned(),
            metrics: ProbeMetrics::default(),
            aws_policy: AwsPolicy::default(),
            calls: CallMetrics::default(),
            config: SdkConfig::builder().build(),
            watches: WatchHealth::default(),
        };
        let (wake, woken) = mpsc::unbounded();
        let allow = TargetPolicy { loopback: true, ..TargetPolicy::default() };
        let prober = Prober::new(ProberConfig { allow, ..ProberConfig::default() }).unwrap();
        let engine = Engine::new(prober, dependencies.metrics.clone(), wake.clone());
        let in_aws = in_aws(&dependencies, wake, &CancellationToken::new());
        let canaries = Canaries { dependencies, engine, in_aws, known: Mutex::default() };
        Self { held, canaries, woken: tokio::sync::Mutex::new(woken) }
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut held = self.held.lock().unwrap();
        change(&mut held.canary);
        held.changed();
    }

    /// The status that stands when the operator begins.
    pub(super) fn stands(&self, status: Value) {
        self.change(|canary| canary["status"] = status);
    }

    /// A new value of the annotation by which it is to run now.
    pub(super) fn asks(&self, value: &str) {
        self.change(|canary| canary["metadata"]["annotations"][RUN_NOW_ANNOTATION] = json!(value));
    }

    pub(super) fn has_secret(&self, name: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<_, _> =
            data.iter().map(|(key, value)| (*key, BASE64.encode(value.as_bytes()))).collect();
        let metadata = json!({"name": name, "resourceVersion": "7", "labels": {SECRET_LABEL: "true"}});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data});
        self.held.lock().unwrap().secrets.insert(name.to_owned(), secret);
    }

    pub(super) fn secrets_answer(&self, code: u16) {
        self.held.lock().unwrap().secrets_status = code;
    }

    pub(super) fn canary(&self) -> Canary {
        serde_json::from_value(self.held.lock().unwrap().canary.clone()).unwrap()
    }

    pub(super) async fn pass(&self) -> Result<Option<Duration>, Error> {
        self.pass_over(&self.canary()).await
    }

    pub(super) async fn pass_over(&self, canary: &Canary) -> Result<Option<Duration>, Error> {
        self.canaries.pass(canary).await
    }

    /// What the operator does last, with the canary as its watch saw it.
    pub(super) async fn ends(&self, seen: Canary) {
        shutdown::write_figures(&self.canaries, [seen]).await;
    }

    pub(super) fn status(&self) -> CanaryStatus {
        self.canary().status.unwrap_or_default()
    }

    /// Status and reason.
    pub(super) fn condition(&self, kind: &str) -> (String, String) {
        let conditions = self.status().conditions;
        let found = conditions.into_iter().find(|condition| condition.type_ == kind).unwrap();
        (found.status, found.reason)
    }

    /// Reasons and notes of the events so far.
    pub(super) fn told(&self) -> Vec<(String, String)> {
        self.held.lock().unwrap().events.clone()
    }

    /// Waits until the engine has something to tell.
    pub(super) async fn woken(&self) {
        let mut woken = self.woken.lock().await;
        let key = tokio::time::timeout(Duration::from_secs(60), woken.next()).await;
        assert_eq!(key.expect("nothing was told within a minute").as_deref(), Some(KEY));
    }

    /// Of the runs that the engine knows of.
    pub(super) fn history(&self) -> History {
        self.canaries.engine.history(KEY).unwrap()
    }

    fn runs(&self) -> usize {
        let mut status = CanaryStatus::default();
        self.history().tell(&mut status, jiff::Timestamp::now());
        status.runs.len()
    }

    pub(super) async fn until_runs(&self, runs: usize) {
        let limit = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.runs() < runs {
            assert!(tokio::time::Instant::now() < limit, "{} runs, not {runs} within a minute", self.runs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
