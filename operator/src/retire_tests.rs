use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use serde_json::{Value, json};
use tidewatch_testing::{ControlPlane, client, install, kubectl};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn condition(kind: &str, status: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": "Watching", "message": "all is well",
        "lastTransitionTime": "2026-11-22T12:00:00Z", "observedGeneration": 1,
    })
}

fn monitor() -> NetworkMonitor {
    serde_json::from_value(json!({
        "apiVersion": "tidewatch.dev/v1alpha1", "kind": "NetworkMonitor",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"local": [{"namespace": "default"}]},
        "status": {
            "observedGeneration": 1, "networkHealthIndicator": "Healthy",
            "overview": {"rttP99": "1ms", "retransmissions": "0%", "coverage": "6/6"},
            "traffic": [{"category": "InterAZ", "retransmissions": 0, "timeouts": 0, "bytes": 1, "flows": 1}],
            "conditions": [condition("Ready", "True"), condition("Degraded", "False")],
        },
    }))
    .unwrap()
}

fn canary(provider: &str) -> Canary {
    serde_json::from_value(json!({
        "apiVersion": "tidewatch.dev/v1alpha1", "kind": "Canary",
        "metadata": {"name": "home", "namespace": "default"},
        "spec": {"schedule": {"every": "1m"}, "checks": [{"name": "home", "http": {"url": "https://example.com"}}]},
        "status": {
            "provider": provider, "state": "Running", "result": "Passed", "success": {"day": "100"},
            "runs": [{"at": "2026-11-22T12:00:00Z", "result": "Passed", "durationMs": 5}],
            "conditions": [condition("Ready", "True"), condition("Passing", "True")],
        },
    }))
    .unwrap()
}

fn alarm() -> AnomalyAlarm {
    serde_json::from_value(json!({
        "apiVersion": "tidewatch.dev/v1alpha1", "kind": "AnomalyAlarm",
        "metadata": {"name": "cpu", "namespace": "default"},
        "spec": {
            "metric": {"cloudWatch": {"namespace": "AWS/EC2", "metricName": "CPUUtilization", "statistic": "Average"}},
            "condition": {"band": {"width": 2.0}},
        },
        "status": {
            "state": "OK", "overview": {"value": "12"},
            "resources": [{"kind": "MetricAlarm", "name": "tidewatch-default-cpu", "region": "eu-west-1"}],
            "conditions": [condition("Ready", "True"), condition("Firing", "False")],
        },
    }))
    .unwrap()
}

#[test]
fn nothing_that_was_well_is_well_any_more() {
    let monitor = monitor().retired(at(0)).unwrap();
    assert_eq!(monitor.network_health_indicator, Some(NetworkHealthIndicator::InsufficientData));
    assert_eq!((monitor.overview, monitor.traffic.len()), (None, 0));
    let alarm = alarm().retired(at(0)).unwrap();
    assert_eq!((alarm.state, alarm.resources.len()), (None, 1), "what is in AWS can still be found");
    let canary = canary("Embedded").retired(at(0)).unwrap();
    assert_eq!((canary.result, canary.state.as_deref(), canary.runs.len()), (None, Some("Stopped"), 1));
    for condition in monitor.conditions.iter().chain(&alarm.conditions).chain(&canary.conditions) {
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("Unknown", "Uninstalled"));
        assert_eq!(condition.last_transition_time.0, at(0));
    }
}

#[test]
fn a_canary_in_aws_goes_on_and_says_that_nobody_reads_it() {
    let canary = canary("AWS").retired(at(0)).unwrap();
    assert_eq!((canary.result, canary.state), (None, None));
    assert!(
        canary.conditions[0].message.ends_with("go on and aren't read any more"),
        "{:?}",
        canary.conditions
    );
}

#[test]
fn an_object_without_a_status_gets_none() {
    let new = NetworkMonitor { status: None, ..monitor() };
    assert!(new.retired(at(0)).is_none());
}

/// Stores the object with the status that the operator wrote.
async fn put<K: Retire + Serialize>(client: &Client, object: &K, status: &impl Serialize) {
    let api: Api<K> = Api::namespaced(client.clone(), "default");
    let created = api.create(&PostParams::default(), object).await.unwrap();
    apply_status::<K, _>(client, &mut Target::of(&created), status).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_deposed_and_the_columns_don_t_say_healthy() {
    let server = ControlPlane::start();
    install(&server, &["networkmonitors", "anomalyalarms", "canaries"]);
    let client = client(&server).await;
    put(&client, &monitor(), &monitor().status).await;
    put(&client, &alarm(), &alarm().status).await;
    put(&client, &canary("Embedded"), &canary("Embedded").status).await;
    let leader = Candidate {
        namespace: "default".to_owned(),
        lease: run::LEASE.to_owned(),
        owner: "none".to_owned(),
        identity: "leader".to_owned(),
        timing: Timing::default(),
    };
    leader.acquire(&client, &tokio_util::sync::CancellationToken::new()).await.unwrap();
    let short = Timing { lease: KEPT, renew_deadline: Duration::from_millis(1), ..Timing::default() };
    stop_the_operator(&client, "default", short).await;
    let leases: Api<Lease> = Api::namespaced(client.clone(), "default");
    let spec = leases.get(run::LEASE).await.unwrap().spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("uninstall"));
    assert_eq!(spec.lease_duration_seconds, Some(120), "no replica takes it before the Deployment is gone");

    assert_eq!(retire_all(&client, at(0)).await, 3);
    let rows = ["networkmonitors", "anomalyalarms", "canaries"]
        .map(|plural| kubectl(&server, &["get", plural, "--no-headers"], None));
    for (row, well) in rows.iter().zip(["Healthy", "OK", "Passed"]) {
        assert!(!row.contains(well), "{row}");
    }
    assert!(rows[0].contains("InsufficientData") && rows[2].contains("Stopped"), "{rows:?}");
}
