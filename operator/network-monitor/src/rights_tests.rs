//! A right is missing: what monitors say before anything could be listed, and that it heals by itself.

use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::TokenReview;
use kube::api::PostParams;
use prometheus_client::registry::Registry as MetricsRegistry;
use serde_json::json;
use tidewatch_cluster::WatchConfig;
use tidewatch_evaluation::Metrics as EvaluationMetrics;
use tidewatch_kube::readiness::Readiness;
use tidewatch_kube::watch_health::Timing;
use tidewatch_testing::list_server::ListServer;
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;

use super::*;
use tidewatch_kube::watch_health::Watch;

/// A condition's status, reason and message.
fn says(server: &ListServer, condition: &str) -> String {
    let status = server.status("networkmonitors", "checkout");
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|it| it["type"] == condition);
    let text = |member: &str| found.and_then(|it| it[member].as_str()).unwrap_or_default().to_owned();
    format!("{} {}: {}", text("status"), text("reason"), text("message"))
}

async fn until(server: &ListServer, what: &str, is_so: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    while !is_so(&says(server, "Ready")) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {}", says(server, "Ready"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_monitor_says_which_right_is_missing_and_goes_on_when_it_is_granted() {
    told_until_granted("nodes", "isn't allowed to list and watch nodes", |server| server.refuse("nodes"))
        .await;
}

#[tokio::test]
async fn a_monitor_says_that_only_the_watch_isnt_allowed_and_goes_on_when_it_is() {
    told_until_granted("nodes", "isn't allowed to list and watch nodes", |server| {
        server.refuse_watches("nodes")
    })
    .await;
}

#[tokio::test]
async fn a_monitor_says_that_agents_tokens_cant_be_reviewed_and_goes_on_when_they_can() {
    let missing = "isn't allowed to create tokenreviews.authentication.k8s.io";
    told_until_granted("tokenreviews", missing, |server| server.refuse("tokenreviews")).await;
}

/// Has the token of an agent that never gives up reviewed.
async fn review_tokens(client: Client, calls: Watch) {
    let api: Api<TokenReview> = Api::all(client);
    loop {
        calls.answered(&api.create(&PostParams::default(), &TokenReview::default()).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a monitor says while what it stands on is refused, and when it is granted.
async fn told_until_granted(plural: &str, missing: &str, refuse: impl Fn(&ListServer)) {
    let server = ListServer::default();
    let monitor = json!({
        "apiVersion": "tidewatch.dev/v1alpha1", "kind": "NetworkMonitor",
        "metadata": {"namespace": "default", "name": "checkout", "uid": "u", "generation": 1, "resourceVersion": "1"},
        "spec": {"local": [{"pods": {"selector": {"matchLabels": {"app": "checkout"}}}}]},
    });
    server.put("networkmonitors", monitor);
    refuse(&server);
    let timing = Timing {
        backoff: tidewatch_kube::backoff::Backoff {
            base: Duration::from_millis(20),
            cap: Duration::from_millis(500),
        },
        patience: Duration::from_millis(500),
        proof: Duration::from_secs(3),
        ..Timing::default()
    };
    let (health, cancel) = (WatchHealth::with(timing), CancellationToken::new());
    let (client, cluster) = (server.client(), Cluster::default());
    let watching = WatchConfig { namespace: "default".to_owned(), agent_service_account: "agent".to_owned() };
    let watches =
        tidewatch_cluster::watch(client.clone(), watching, cluster.clone(), health.clone(), cancel.clone());
    let watches = tokio::spawn(watches);
    let reviews = tokio::spawn(review_tokens(client.clone(), health.calls(Watched::TOKEN_REVIEWS)));
    let (_fleet, fleet) = channel::channel(Fleet::default());
    let dependencies = Dependencies {
        client,
        cluster: cluster.clone(),
        registry: Registry::new(EvaluationMetrics::default()),
        policy: Policy { agent_window_seconds: 15, ..Policy::default() },
        fleet,
        leadership: Leadership { lost: cancel.clone() },
        passes: PassMetrics::default(),
        instance: "test".to_owned(),
        metrics: register(&mut MetricsRegistry::default()),
        publisher: None,
        cluster_name: "test".to_owned(),
        watches: health.clone(),
    };
    let (known, stop) = (health.clone(), cancel.clone());
    let running = tokio::spawn(async move {
        until_known(&cluster, &known).await;
        run(dependencies, stop).await;
    });

    let missing = format!("Unknown WatchFailing: the operator {missing}");
    until(&server, "a new monitor says nothing", |said| said.starts_with(&missing)).await;
    assert!(says(&server, "Degraded").starts_with(&missing), "{}", says(&server, "Degraded"));
    let indicator = &server.status("networkmonitors", "checkout")["networkHealthIndicator"];
    assert_eq!(indicator, "InsufficientData");
    let readiness = Readiness::new(health.clone());
    readiness.set(true);
    assert!(readiness.problem().is_some_and(|problem| problem.contains(plural)), "readyz");
    let mut registry = MetricsRegistry::default();
    health.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let shown = text.lines().find(|line| line.starts_with(&format!("watch_failing{{resource=\"{plural}")));
    assert!(shown.is_some_and(|line| line.ends_with("} 1")), "{text}");
    assert!(text.contains("watch_failing{resource=\"pods\"} 0"), "{text}");

    server.grant(plural);
    until(&server, "it doesn't heal", |said| !said.contains("WatchFailing")).await;
    assert_eq!(readiness.problem(), None);
    reviews.abort();
    cancel.cancel();
    running.await.unwrap();
    watches.await.unwrap();
}
