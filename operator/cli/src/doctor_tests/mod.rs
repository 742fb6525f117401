//! `doctor` against an API server: one object is broken on purpose, and one finding says so.

mod agents;
mod apiserver;
mod cluster;
mod control;

use serde_json::json;
use tidewatch_testing::repository;

use self::cluster::TestCluster;
use super::*;
use crate::doctor::rights::needed;
use crate::fixtures::{assert_fits, assert_screen, condition, denied_alarm};

#[tokio::test]
async fn a_cluster_in_order_has_no_findings() {
    let report = TestCluster::new().report().await;
    let found: Vec<&Finding> = report.checks.iter().flat_map(|check| &check.findings).collect();
    assert!(report.healthy && found.is_empty(), "{found:?}");
    assert_eq!(report.summary, "Tidewatch is in order.");
    let text = render(&report, 120);
    assert_fits(&text, 120);
    assert_screen("doctor-well-120", &text);
}

#[tokio::test]
async fn findings_come_first_and_fit_the_screen() {
    let mut cluster = TestCluster::new();
    cluster.add("nodes", cluster::node("node-3", &json!({"kubernetes.io/os": "linux"}), "5.10.0-28-amd64"));
    cluster.get("pods", "tidewatch-agent-node-2")["status"] = json!({
        "phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{
            "name": "agent", "image": "", "imageID": "", "ready": false, "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
        }],
    });
    cluster.add("anomalyalarms", denied_alarm());
    cluster.server.deny("list networkpolicies");
    cluster.server.deny("watch networkpolicies");
    let report = cluster.report().await;
    for width in [80, 120] {
        let text = render(&report, width);
        assert_fits(&text, width);
        assert_screen(&format!("doctor-findings-{width}"), &text);
    }
}

#[tokio::test]
async fn what_may_not_be_read_is_a_finding() {
    let cluster = TestCluster::new();
    cluster.server.refuse("secrets");
    cluster.server.refuse("subjectaccessreviews");
    let report = cluster.report().await;
    let unchecked: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| check.findings.iter().any(|finding| finding.severity == Severity::Unchecked))
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(unchecked, ["Rights", "Certificates"]);
    assert!(!report.healthy);
    assert_eq!(report.summary, "2 things that couldn't be checked.");
}

#[test]
fn the_needed_rights_are_those_that_the_chart_grants() {
    use k8s_openapi::api::rbac::v1::PolicyRule;
    #[derive(serde::Deserialize)]
    struct Rules {
        rules: Option<Vec<PolicyRule>>,
    }
    let chart = std::fs::read_to_string(repository().join("charts/tidewatch/templates/rbac.yaml")).unwrap();
    let mut granted = Vec::new();
    for (at, document) in chart.split("\n---\n").enumerate() {
        let plain: Vec<&str> = document.lines().filter(|line| !line.contains("{{")).collect();
        let role: Rules = serde_saphyr::from_str(&plain.join("\n")).unwrap();
        for rule in role.rules.unwrap_or_default() {
            let names = rule.resource_names.unwrap_or_default();
            let names: Vec<Option<&str>> = if names.is_empty() {
                vec![None]
            } else {
                names.iter().map(|name| Some(name.as_str())).collect()
            };
            for group in rule.api_groups.as_deref().unwrap_or_default() {
                for resource in rule.resources.as_deref().unwrap_or_default() {
                    for verb in &rule.verbs {
                        let right =
                            |name: &Option<&str>| format!("{group} {resource} {verb} {name:?} {}", at > 0);
                        granted.extend(names.iter().map(right));
                    }
                }
            }
        }
    }
    let mut needed: Vec<String> = needed()
        .iter()
        .map(|it| format!("{} {} {} {:?} {}", it.group, it.resource, it.verb, it.name, it.own_namespace))
        .collect();
    needed.sort();
    granted.sort();
    assert_eq!(needed, granted);
}

#[test]
fn the_page_explains_every_reason_that_aws_is_behind() {
    for reason in crate::doctor::aws::REASONS {
        assert!(crate::guide::advice(reason).is_some(), "{reason}");
    }
}

#[tokio::test]
async fn an_action_that_aws_denies_is_named() {
    let mut cluster = TestCluster::new();
    cluster.add("anomalyalarms", denied_alarm());
    let finding = cluster.finding("AWS").await;
    assert!(finding.message.contains("AnomalyAlarm shop/checkout-loss: Denied"), "{finding:?}");
    assert!(finding.message.contains("cloudwatch:PutMetricAlarm"));
    assert!(!finding.mend.is_empty());
}

#[tokio::test]
async fn an_invalid_spec_is_named_with_its_message() {
    let mut cluster = TestCluster::new();
    let message = "spec.local[0].zone: zone-9 and no node";
    cluster.get("networkmonitors", "checkout")["status"]["conditions"] =
        json!([condition("Ready", "False", "InvalidSpec", message)]);
    let finding = cluster.finding("Objects").await;
    assert!(
        finding.message.contains("NetworkMonitor shop/checkout isn't ready: InvalidSpec: spec.local[0].zone"),
        "{finding:?}"
    );
    assert_eq!(finding.severity, Severity::Problem);
}

#[tokio::test]
async fn an_object_that_nobody_reconciles_is_named() {
    let mut cluster = TestCluster::new();
    cluster.get("networkmonitors", "checkout").as_object_mut().unwrap().remove("status");
    let finding = cluster.finding("Objects").await;
    assert!(finding.message.contains("shop/checkout has no status"), "{finding:?}");
}

#[tokio::test]
async fn an_object_of_another_version_is_named() {
    let mut cluster = TestCluster::new();
    cluster.get("networkmonitors", "checkout")["spec"]["local"] = json!("everything");
    let finding = cluster.finding("Objects").await;
    assert!(finding.message.contains("NetworkMonitor shop/checkout can't be read"), "{finding:?}");
}

#[tokio::test]
async fn a_new_object_may_be_without_a_status_for_a_minute() {
    let mut cluster = TestCluster::new();
    let created = json!(cluster.now.to_string());
    let monitor = cluster.get("networkmonitors", "checkout");
    monitor.as_object_mut().unwrap().remove("status");
    monitor["metadata"]["creationTimestamp"] = created;
    assert!(cluster.report().await.healthy);
}
