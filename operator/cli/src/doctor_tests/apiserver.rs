//! `doctor` against what real API servers return.

use serde_json::json;
use tidewatch_testing::{ControlPlane, client, repository};

use super::cluster::{NAMESPACE, TestCluster, lease_time};
use super::*;
use crate::collect;
use crate::fixtures::recorded;

/// The schemas of the definitions and the rights of the roles are compared with those that the API server keeps.
#[tokio::test]
async fn of_the_chart_alone_only_what_runs_is_missing() {
    let server = ControlPlane::start();
    let bundle = std::fs::read_to_string(repository().join("charts/bundle/install.yaml")).unwrap();
    server.kubectl(&["apply", "--server-side", "-f", "-"], Some(&bundle)).unwrap();
    server.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], None).unwrap();
    let report = report(&collect::doctor(&client(&server).await, NAMESPACE).await.unwrap());
    let found: Vec<&str> =
        report.checks.iter().flat_map(|check| &check.findings).map(|it| it.message.as_str()).collect();
    assert_eq!(
        found,
        [
            "Deployment tidewatch-system/tidewatch-operator: 0 of 1 replicas are ready.",
            "Lease tidewatch-system/tidewatch-operator is missing: no replica has ever led, and nobody reconciles.",
            "Secret tidewatch-system/tidewatch-collector-tls has no certificates: the operator hasn't filled it, or somebody cut it.",
        ]
    );
}

/// The recording is of a lab where all was in order, whose images have a tag that names no version.
#[tokio::test]
async fn a_recorded_installation_has_no_findings() {
    let mut cluster = TestCluster::new();
    let installation = recorded("installation");
    for plural in ["deployments", "daemonsets", "leases", "pods", "nodes"] {
        cluster.replace_all(plural, installation[plural].as_array().unwrap());
    }
    let renewed = lease_time(cluster.now, 2);
    cluster.get("leases", "tidewatch-operator")["spec"]["renewTime"] = renewed;
    let report = cluster.report().await;
    let found: Vec<&Finding> = report.checks.iter().flat_map(|check| &check.findings).collect();
    assert!(report.healthy, "{found:?}");
    let summaries: Vec<&str> = report.checks.iter().filter_map(|check| check.summary.as_deref()).collect();
    assert!(summaries.contains(&"An agent is ready on 2 of 2 nodes."), "{summaries:?}");
}

#[tokio::test]
async fn no_missing_agents_are_claimed_where_objects_are_unread() {
    let mut cluster = TestCluster::new();
    cluster.remove("daemonsets", "tidewatch-agent");
    cluster.server.refuse("networkmonitors");
    let report = cluster.report().await;
    let agents = report.checks.iter().find(|check| check.name == "Agents").unwrap();
    let severities: Vec<Severity> = agents.findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Unchecked], "{:?}", agents.findings);
}

#[tokio::test]
async fn definitions_of_another_version_are_left_to_its_program() {
    let mut cluster = TestCluster::new();
    *cluster.get("deployments", "tidewatch-operator") = super::cluster::deployment(NAMESPACE, "0.1.9");
    let crd = cluster.get("customresourcedefinitions", "networkmonitors.tidewatch.dev");
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["tomorrow"] =
        json!({"type": "string"});
    let finding = cluster.finding("Definitions").await;
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(finding.mend, "Run doctor with the tidewatch of version 0.1.9.");
}

#[tokio::test]
async fn another_description_is_no_finding() {
    let mut cluster = TestCluster::new();
    let crd = cluster.get("customresourcedefinitions", "networkmonitors.tidewatch.dev");
    let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["description"] = json!("In other words");
    assert!(cluster.report().await.healthy);
}

#[tokio::test]
async fn another_default_is_a_warning() {
    let mut cluster = TestCluster::new();
    let crd = cluster.get("customresourcedefinitions", "anomalyalarms.tidewatch.dev");
    assert!(replace_default(crd, &json!(2), &json!(3)), "no default is 2");
    let finding = cluster.finding("Definitions").await;
    assert!(
        finding.message.ends_with("has the fields of this version, and other rules for them."),
        "{finding:?}"
    );
}

/// Replaces the first default of that value; whether there is one.
fn replace_default(schema: &mut serde_json::Value, from: &serde_json::Value, to: &serde_json::Value) -> bool {
    if schema.get("default") == Some(from) {
        schema["default"] = to.clone();
        return true;
    }
    match schema {
        serde_json::Value::Object(fields) => fields.values_mut().any(|it| replace_default(it, from, to)),
        serde_json::Value::Array(items) => items.iter_mut().any(|it| replace_default(it, from, to)),
        _ => false,
    }
}
