use serde_json::json;
use tidewatch_testing::{ControlPlane, client, install, kubectl};
use tokio::net::TcpListener;

use super::*;

fn pod(name: &str, ready: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "status": {"conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]},
    }))
    .unwrap()
}

#[test]
fn one_ready_replica_of_two_is_enough() {
    let pods = [pod("a", "False"), pod("b", "True")];
    assert_eq!(one_ready("tw", &pods).unwrap(), "pod b of the operator is ready");
}

#[test]
fn pods_that_are_not_ready_are_named() {
    let problem = one_ready("tw", &[pod("a", "False"), pod("b", "Unknown")]).unwrap_err();
    assert!(problem.contains("a, b") && problem.contains("-n tw"), "{problem}");
    let problem = one_ready("tw", &[]).unwrap_err();
    assert!(problem.contains("no pod") && problem.contains("deployment tidewatch-operator"), "{problem}");
}

#[test]
fn a_pod_that_is_being_deleted_is_not_ready() {
    let mut pod = pod("a", "True");
    pod.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-11-22T12:00:00Z")).unwrap());
    assert!(one_ready("tw", &[pod]).is_err());
}

#[tokio::test]
async fn a_collector_that_listens_is_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert!(reachable(&address).await.unwrap().contains(&address));
    drop(listener);
    let problem = reachable(&address).await.unwrap_err();
    assert!(problem.contains(&address) && problem.contains("refused"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_is_missing_is_named() {
    let server = ControlPlane::start();
    install(&server, &["networkmonitors", "canaries"]);
    let client = client(&server).await;
    let [monitors, alarms, canaries, operator, collector] = look(&client, "default", "127.0.0.1:1").await;
    assert_eq!(monitors.unwrap(), "networkmonitors.tidewatch.dev is served");
    assert_eq!(canaries.unwrap(), "canaries.tidewatch.dev is served");
    let problem = alarms.unwrap_err();
    assert!(problem.starts_with("anomalyalarms.tidewatch.dev isn't served"), "{problem}");
    assert!(operator.unwrap_err().contains("no pod of the operator is in namespace default"));
    assert!(collector.is_err());

    let manifest = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "tidewatch-operator-1", "labels": {
            "app.kubernetes.io/name": "tidewatch", "app.kubernetes.io/component": "operator",
        }},
        "spec": {"containers": [{"name": "operator", "image": "x"}], "automountServiceAccountToken": false},
    });
    kubectl(&server, &["create", "--validate=false", "-f", "-"], Some(&manifest.to_string()));
    let problem = operator_ready(&client, "default").await.unwrap_err();
    assert!(problem.contains("tidewatch-operator-1"), "{problem}");
}
