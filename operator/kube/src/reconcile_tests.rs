use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::response::Status;

use super::*;

fn api_error(code: u16, retry_after_seconds: u32) -> kube::Error {
    let details = serde_json::from_value(serde_json::json!({"retryAfterSeconds": retry_after_seconds}));
    kube::Error::Api(Box::new(Status { code, details: details.unwrap(), ..Status::default() }))
}

#[test]
fn each_answer_of_the_apiserver_has_its_class() {
    for (code, after, class) in [
        (400, 0, ErrorClass::Terminal),
        (401, 0, ErrorClass::Denied),
        (403, 0, ErrorClass::Denied),
        (404, 0, ErrorClass::NotFound),
        (409, 0, ErrorClass::Conflict),
        (410, 0, ErrorClass::NotFound),
        (422, 0, ErrorClass::Terminal),
        (429, 0, ErrorClass::Throttled(None)),
        (429, 7, ErrorClass::Throttled(Some(Duration::from_secs(7)))),
        (500, 0, ErrorClass::Retry),
        (503, 0, ErrorClass::Retry),
        (503, 2, ErrorClass::Throttled(Some(Duration::from_secs(2)))),
        (504, 0, ErrorClass::Retry),
    ] {
        assert_eq!(api_error(code, after).class(), class, "{code} retry after {after}");
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no")]
struct Never;

impl Classify for Never {
    fn class(&self) -> ErrorClass {
        ErrorClass::Retry
    }
}

/// Reconciles ConfigMaps as their names say.
#[derive(Default)]
struct AsNamed {
    hidden: Mutex<Vec<String>>,
}

impl Reconciler for AsNamed {
    type Object = ConfigMap;
    type Error = Never;

    async fn reconcile(&self, object: &ConfigMap) -> Result<Option<Duration>, Never> {
        match object.metadata.name.as_deref() {
            Some("panics") => panic!("on purpose"),
            Some("hangs") => std::future::pending().await,
            Some("fails") => Err(Never),
            _ => Ok(None),
        }
    }

    fn hide(&self, namespace: &str, name: &str) {
        self.hidden.lock().unwrap().push(format!("{namespace}/{name}"));
    }

    /// The API server refuses the status.
    async fn reject(&self, _: &InvalidObject) -> Result<(), Never> {
        Err(Never)
    }
}

fn context() -> Arc<Context<AsNamed>> {
    Arc::new(Context {
        reconciler: Arc::new(AsNamed::default()),
        limits: Limits { concurrency: 1, reconcile: Duration::from_millis(50) },
        attempts: Attempts::default(),
        metrics: PassMetrics::default(),
    })
}

fn named(name: &str) -> Arc<DeserializeGuard<ConfigMap>> {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    Arc::new(DeserializeGuard(Ok(ConfigMap { metadata, ..ConfigMap::default() })))
}

#[tokio::test]
async fn a_panic_is_that_object_s_failure() {
    let error = pass(named("panics"), context()).await.unwrap_err();
    assert_eq!(error.to_string(), "panicked: on purpose");
    assert!(pass(named("fine"), context()).await.is_ok());
}

#[tokio::test]
async fn an_unreadable_object_is_hidden_though_its_status_is_refused() {
    let metadata = ObjectMeta {
        name: Some("a".to_owned()),
        namespace: Some("shop".to_owned()),
        ..ObjectMeta::default()
    };
    let invalid = InvalidObject { error: "missing field".to_owned(), metadata };
    let context = context();
    assert!(pass(Arc::new(DeserializeGuard(Err(invalid))), Arc::clone(&context)).await.is_err());
    assert_eq!(*context.reconciler.hidden.lock().unwrap(), ["shop/a"]);
}

#[tokio::test]
async fn a_reconcile_that_hangs_is_ended() {
    assert!(matches!(pass(named("hangs"), context()).await, Err(Failure::TimedOut(_))));
}

#[tokio::test]
async fn failures_in_a_row_are_counted_for_each_object_until_one_succeeds() {
    let context = context();
    assert_eq!(context.attempts.failed("/a"), 1);
    assert_eq!(context.attempts.failed("/a"), 2);
    assert_eq!(context.attempts.failed("/b"), 1);
    pass(named("a"), Arc::clone(&context)).await.unwrap();
    assert_eq!(context.attempts.failed("/a"), 1);
    assert_eq!(context.attempts.failed("/b"), 2);
}

#[tokio::test]
async fn an_object_that_is_gone_leaves_nothing_behind() {
    let context = context();
    context.attempts.failed("/a");
    gone(&context, "", "a");
    assert!(context.attempts.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_pass_is_counted_by_how_it_ended() {
    let context = context();
    for name in ["fine", "fine", "fails", "hangs", "panics"] {
        let _ = pass(named(name), Arc::clone(&context)).await;
    }
    let ended = ["done", "retry", "timed_out", "panicked", "terminal"];
    let counts = ended.map(|outcome| context.metrics.so_far("ConfigMap", outcome));
    assert_eq!(counts, [2, 1, 1, 1, 0]);
}
