//! Definitions, operator, lease, rights, certificates and clocks.

use serde_json::json;

use super::cluster::{KEY, NAMESPACE, TestCluster, certificates, deployment, lease_time};
use crate::doctor::Severity;

#[tokio::test]
async fn a_missing_definition_is_named() {
    let mut cluster = TestCluster::new();
    cluster.remove("customresourcedefinitions", "canaries.tidewatch.dev");
    let finding = cluster.finding("Definitions").await;
    assert_eq!(finding.message, "CustomResourceDefinition canaries.tidewatch.dev is missing.");
}

#[tokio::test]
async fn an_older_definition_is_named_with_the_field_it_lacks() {
    let mut cluster = TestCluster::new();
    let crd = cluster.get("customresourcedefinitions", "networkmonitors.tidewatch.dev");
    let status =
        &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"];
    status.as_object_mut().unwrap().remove("numbersAsOf").unwrap();
    cluster.assert_finding("Definitions", "older than this version: it lacks status.numbersAsOf").await;
}

#[tokio::test]
async fn a_newer_definition_is_a_warning() {
    let mut cluster = TestCluster::new();
    let crd = cluster.get("customresourcedefinitions", "networkmonitors.tidewatch.dev");
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["tomorrow"] =
        json!({"type": "string"});
    let finding = cluster.finding("Definitions").await;
    assert!(finding.message.contains("newer than this version: it has status.tomorrow"), "{finding:?}");
    assert_eq!(finding.severity, Severity::Warning);
}

#[tokio::test]
async fn a_definition_that_is_not_served_is_named() {
    let mut cluster = TestCluster::new();
    cluster.get("customresourcedefinitions", "canaries.tidewatch.dev")["status"]["conditions"][0]["status"] =
        json!("False");
    cluster.assert_finding("Definitions", "canaries.tidewatch.dev isn't served").await;
}

#[tokio::test]
async fn a_missing_operator_is_a_problem() {
    let mut cluster = TestCluster::new();
    cluster.remove("deployments", "tidewatch-operator");
    cluster.assert_finding("Operator", "No Deployment of the operator was found").await;
}

#[tokio::test]
async fn an_operator_that_is_not_ready_says_why() {
    let mut cluster = TestCluster::new();
    cluster.get("deployments", "tidewatch-operator")["status"] = json!({});
    cluster.add(
        "pods",
        json!({
            "metadata": {"name": "tidewatch-operator-7f", "namespace": NAMESPACE, "labels": {
                "app.kubernetes.io/name": "tidewatch", "app.kubernetes.io/component": "operator",
            }},
            "status": {"phase": "Pending", "containerStatuses": [{
                "name": "operator", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
            }]},
        }),
    );
    cluster.assert_finding("Operator", "0 of 1 replicas are ready: ImagePullBackOff, no such image").await;
}

#[tokio::test]
async fn two_operators_are_a_problem() {
    let mut cluster = TestCluster::new();
    let mut second = deployment("other", "0.1.0");
    second["metadata"]["name"] = json!("tidewatch-operator-2");
    cluster.add("deployments", second);
    let finding = cluster.finding("Operator").await;
    assert!(finding.message.starts_with("2 operators are installed"), "{finding:?}");
}

#[tokio::test]
async fn an_operator_that_is_scaled_down_is_a_problem() {
    let mut cluster = TestCluster::new();
    cluster.get("deployments", "tidewatch-operator")["spec"]["replicas"] = json!(0);
    cluster.assert_finding("Operator", "scaled to 0").await;
}

#[tokio::test]
async fn a_missing_lease_is_a_problem() {
    let mut cluster = TestCluster::new();
    cluster.remove("leases", "tidewatch-operator");
    cluster.assert_finding("Operator", "is missing: no replica has ever led").await;
}

#[tokio::test]
async fn a_lease_without_a_holder_is_a_problem() {
    let mut cluster = TestCluster::new();
    cluster.get("leases", "tidewatch-operator")["spec"]["holderIdentity"] = json!("");
    cluster.assert_finding("Operator", "has no holder").await;
}

#[tokio::test]
async fn a_stale_lease_is_a_problem() {
    let mut cluster = TestCluster::new();
    let renewed = lease_time(cluster.now, 600);
    cluster.get("leases", "tidewatch-operator")["spec"]["renewTime"] = renewed;
    cluster.assert_finding("Operator", "of tidewatch-operator-7f was renewed 10m ago").await;
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let cluster = TestCluster::new();
    cluster.server.deny("patch canaries/status");
    let finding = cluster.finding("Rights").await;
    assert!(finding.message.ends_with("may not patch canaries/status.tidewatch.dev."), "{finding:?}");
}

#[tokio::test]
async fn a_missing_binding_is_named_with_the_rights() {
    let mut cluster = TestCluster::new();
    cluster.remove("clusterrolebindings", "tidewatch-operator");
    cluster.server.deny("list pods");
    cluster.server.deny("watch pods");
    let findings = cluster.findings("Rights").await;
    assert!(findings[0].message.contains("ClusterRoleBinding tidewatch-operator is missing"), "{findings:?}");
    assert!(findings[1].message.ends_with("may not list and watch pods."), "{findings:?}");
}

#[tokio::test]
async fn an_expired_authority_is_a_problem() {
    let mut cluster = TestCluster::new();
    let (secret, bundle) = certificates(cluster.now, -3, 30);
    *cluster.get("secrets", "tidewatch-collector-tls") = secret;
    *cluster.get("configmaps", "tidewatch-collector-ca") = bundle;
    let finding = cluster.finding("Certificates").await;
    assert!(finding.message.starts_with("The authority (ca.crt) of Secret"), "{finding:?}");
    assert_eq!(finding.severity, Severity::Problem);
}

#[tokio::test]
async fn a_certificate_that_soon_ends_is_a_warning() {
    let mut cluster = TestCluster::new();
    let (secret, bundle) = certificates(cluster.now, 365, 3);
    *cluster.get("secrets", "tidewatch-collector-tls") = secret;
    *cluster.get("configmaps", "tidewatch-collector-ca") = bundle;
    let finding = cluster.finding("Certificates").await;
    assert!(
        finding.message.contains("certificate (tls.crt)") && finding.message.contains("wasn't renewed"),
        "{finding:?}"
    );
    assert_eq!(finding.severity, Severity::Warning);
}

#[tokio::test]
async fn a_bundle_of_another_authority_is_a_problem() {
    let mut cluster = TestCluster::new();
    let (_, bundle) = certificates(cluster.now, 365, 30);
    *cluster.get("configmaps", "tidewatch-collector-ca") = bundle;
    cluster.assert_finding("Certificates", "doesn't hold the authority").await;
}

#[tokio::test]
async fn an_empty_secret_is_a_problem() {
    let mut cluster = TestCluster::new();
    cluster.get("secrets", "tidewatch-collector-tls").as_object_mut().unwrap().remove("data");
    cluster.assert_finding("Certificates", "has no certificates").await;
}

#[tokio::test]
async fn a_missing_secret_is_a_problem() {
    let mut cluster = TestCluster::new();
    cluster.remove("secrets", "tidewatch-collector-tls");
    cluster
        .assert_finding("Certificates", "Secret tidewatch-system/tidewatch-collector-tls is missing")
        .await;
}

#[tokio::test]
async fn a_clock_that_is_five_minutes_off_is_a_warning() {
    let mut cluster = TestCluster::new();
    cluster.set_clock(300);
    let renewed = lease_time(cluster.now, -300);
    cluster.get("leases", "tidewatch-operator")["spec"]["renewTime"] = renewed;
    cluster.assert_finding("Clocks", "behind the API server's").await;
}

#[tokio::test]
async fn an_operator_whose_clock_is_ahead_is_a_problem() {
    let mut cluster = TestCluster::new();
    let renewed = lease_time(cluster.now, -300);
    cluster.get("leases", "tidewatch-operator")["spec"]["renewTime"] = renewed;
    cluster.assert_finding("Clocks", "ahead of the API server's").await;
}

#[tokio::test]
async fn no_key_is_kept_of_what_was_read() {
    let collected = format!("{:?}", TestCluster::new().collected().await);
    assert!(collected.contains("BEGIN CERTIFICATE"), "{collected}");
    assert!(!collected.contains(KEY), "{collected}");
}
