//! The agents: which node has one, which should, and of which version.

use serde_json::json;

use super::cluster::{TestCluster, agent, node};
use crate::doctor::Severity;

#[tokio::test]
async fn a_missing_daemon_set_is_a_problem_where_there_are_monitors() {
    let mut cluster = TestCluster::new();
    cluster.remove("daemonsets", "tidewatch-agent");
    cluster.assert_finding("Agents", "DaemonSet tidewatch-system/tidewatch-agent is missing").await;
}

#[tokio::test]
async fn without_a_monitor_there_need_be_no_daemon_set() {
    let mut cluster = TestCluster::new();
    cluster.remove("daemonsets", "tidewatch-agent");
    cluster.remove("networkmonitors", "checkout");
    assert!(cluster.report().await.healthy);
}

#[tokio::test]
async fn an_agent_that_is_not_ready_says_why() {
    let mut cluster = TestCluster::new();
    cluster.get("pods", "tidewatch-agent-node-2")["status"] = json!({
        "phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{
            "name": "agent", "image": "", "imageID": "", "ready": false, "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "the kernel has no BTF"}},
        }],
    });
    let finding = cluster.finding("Agents").await;
    assert!(finding.message.contains("node node-2"), "{finding:?}");
    assert!(
        finding.message.contains("CrashLoopBackOff; it ended before with Error, the kernel has no BTF"),
        "{finding:?}"
    );
}

#[tokio::test]
async fn a_node_without_its_agent_is_a_problem() {
    let mut cluster = TestCluster::new();
    cluster.remove("pods", "tidewatch-agent-node-1");
    let finding = cluster.finding("Agents").await;
    assert_eq!(finding.message, "Node node-1 (Linux 6.1.0-18-cloud-amd64) has no agent, though it should.");
}

#[tokio::test]
async fn an_agent_two_minor_versions_behind_is_a_problem() {
    let mut cluster = TestCluster::new();
    *cluster.get("deployments", "tidewatch-operator") =
        super::cluster::deployment("tidewatch-system", "0.2.0");
    *cluster.get("pods", "tidewatch-agent-node-1") = agent("node-1", "0.0.9");
    *cluster.get("pods", "tidewatch-agent-node-2") = agent("node-2", "0.2.0");
    let finding = cluster.finding("Agents").await;
    assert!(
        finding.message.starts_with("1 agent is of version 0.0.9, more than one minor version behind"),
        "{finding:?}"
    );
    assert_eq!(finding.severity, Severity::Problem);
}

#[tokio::test]
async fn an_agent_one_minor_version_behind_is_a_warning() {
    let mut cluster = TestCluster::new();
    *cluster.get("pods", "tidewatch-agent-node-1") = agent("node-1", "0.0.9");
    assert_eq!(cluster.finding("Agents").await.severity, Severity::Warning);
}

#[tokio::test]
async fn an_agent_newer_than_the_operator_is_a_problem() {
    let mut cluster = TestCluster::new();
    *cluster.get("pods", "tidewatch-agent-node-1") = agent("node-1", "0.2.0");
    cluster.assert_finding("Agents", "ahead of the operator's 0.1.0").await;
}

#[tokio::test]
async fn a_patch_version_apart_is_fine() {
    let mut cluster = TestCluster::new();
    *cluster.get("pods", "tidewatch-agent-node-1") = agent("node-1", "0.1.7");
    assert!(cluster.report().await.healthy);
}

#[tokio::test]
async fn a_node_with_a_taint_that_is_not_tolerated_is_a_warning() {
    let mut cluster = TestCluster::new();
    cluster.get("daemonsets", "tidewatch-agent")["spec"]["template"]["spec"]["tolerations"] = json!([]);
    let mut tainted = node("node-3", &json!({"kubernetes.io/os": "linux"}), "6.1.0");
    tainted["spec"] = json!({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]});
    cluster.add("nodes", tainted);
    let finding = cluster.finding("Agents").await;
    assert!(finding.message.contains("its taint gpu=yes:NoSchedule isn't tolerated"), "{finding:?}");
    assert_eq!(finding.severity, Severity::Warning);
}

#[tokio::test]
async fn a_node_that_is_not_ready_is_tolerated_by_every_daemon_set() {
    let mut cluster = TestCluster::new();
    cluster.get("daemonsets", "tidewatch-agent")["spec"]["template"]["spec"]["tolerations"] = json!([]);
    cluster.get("nodes", "node-1")["spec"] =
        json!({"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]});
    assert!(cluster.report().await.healthy);
}

#[tokio::test]
async fn a_node_that_the_selector_leaves_out_is_a_warning() {
    let mut cluster = TestCluster::new();
    let spec = &mut cluster.get("daemonsets", "tidewatch-agent")["spec"]["template"]["spec"];
    spec["nodeSelector"] = json!({"kubernetes.io/os": "linux", "team": "shop"});
    cluster.get("nodes", "node-1")["metadata"]["labels"]["team"] = json!("shop");
    let finding = cluster.finding("Agents").await;
    assert_eq!(finding.message, "Node node-2 has no agent: the nodeSelector wants the label team=shop.");
}

#[tokio::test]
async fn fargate_and_windows_nodes_need_no_agent() {
    let mut cluster = TestCluster::new();
    let fargate = json!({"kubernetes.io/os": "linux", "eks.amazonaws.com/compute-type": "fargate"});
    cluster.add("nodes", node("fargate-1", &fargate, "5.10.0"));
    cluster.add("nodes", node("windows-1", &json!({"kubernetes.io/os": "windows"}), "10.0.20348"));
    let report = cluster.report().await;
    assert!(report.healthy, "{report:?}");
    let agents = report.checks.iter().find(|check| check.name == "Agents").unwrap();
    let sentence = "An agent is ready on 2 of 2 nodes; 2 without a Linux kernel of their own need none.";
    assert_eq!(agents.summary.as_deref(), Some(sentence));
}

#[tokio::test]
async fn a_kernel_that_is_too_old_is_a_problem() {
    let mut cluster = TestCluster::new();
    cluster.get("nodes", "node-1")["status"]["nodeInfo"]["kernelVersion"] = json!("5.10.0-28-amd64");
    cluster.assert_finding("Agents", "Linux 5.10.0-28-amd64, which is older than 5.15").await;
}
