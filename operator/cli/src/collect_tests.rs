//! Reads from an API server, and the errors where it refuses.

use serde_json::json;
use tidewatch_testing::list_server::ListServer;

use super::*;
use crate::fixtures::{healthy, zone_pair};

fn server() -> ListServer {
    let server = ListServer::for_administrator();
    server.put("networkmonitors", zone_pair().monitor());
    server.put("networkmonitors", healthy("platform", "dns"));
    let mut broken = healthy("shop", "broken");
    broken["spec"]["local"] = json!("everything");
    server.put("networkmonitors", broken);
    server
}

#[tokio::test]
async fn objects_of_all_namespaces_are_read_and_broken_ones_apart() {
    let objects = objects(&server().client(), None).await.unwrap();
    assert_eq!(objects.monitors.len(), 2);
    assert_eq!(objects.unreadable.len(), 1);
    assert_eq!(objects.unreadable[0].name, "broken");
}

#[tokio::test]
async fn one_namespace_is_read_alone() {
    let objects = objects(&server().client(), Some("platform")).await.unwrap();
    assert_eq!(objects.monitors.len(), 1);
}

#[tokio::test]
async fn who_may_not_read_all_namespaces_is_told_to_name_one() {
    let server = server();
    server.refuse("anomalyalarms");
    let error = objects(&server.client(), None).await.unwrap_err().to_string();
    assert!(
        error.starts_with("list AnomalyAlarms of all namespaces: anomalyalarms is forbidden: User "),
        "{error}"
    );
    assert!(error.ends_with("name a namespace that you may read with -n"), "{error}");
}

#[tokio::test]
async fn only_events_of_the_object_are_read() {
    let server = server();
    for (name, of) in [("a", "checkout"), ("b", "other")] {
        let object = json!({"kind": "NetworkMonitor", "name": of});
        server.put(
            "events",
            json!({"metadata": {"name": name, "namespace": "shop"}, "involvedObject": object}),
        );
    }
    let events = events(&server.client(), Kind::NetworkMonitor, "shop", "checkout").await.unwrap();
    assert_eq!(events.len(), 1);
}
