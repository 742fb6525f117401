use serde_json::{Value, json};

use super::*;

fn agent() -> AgentIdentity {
    AgentIdentity { namespace: "tidewatch-system".to_owned(), service_account: "tidewatch-agent".to_owned() }
}

fn reduced(object: Value) -> Option<PodFact> {
    pod(serde_json::from_value(object).unwrap(), &agent(), &mut Interner::new())
}

fn owned(kind: &str, owner: &str, labels: &Value) -> Value {
    let group = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": "shop", "name": "p", "uid": "00000000-0000-0000-0000-000000000001", "labels": labels,
            "creationTimestamp": "2026-11-22T12:00:00Z",
            "ownerReferences": [{"apiVersion": group, "kind": kind, "name": owner, "uid": "u", "controller": true}]
        },
        "spec": {"nodeName": "node-a", "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "startTime": "2026-11-22T12:00:00Z", "conditions": [{"type": "Ready", "status": "True"}]}
    })
}

#[test]
fn the_workload_is_the_top_owner() {
    for (kind, owner, labels, expected) in [
        ("ReplicaSet", "web-7d9f", json!({"pod-template-hash": "7d9f"}), "shop/Deployment/web"),
        ("ReplicaSet", "web-7d9f", json!({"rollouts-pod-template-hash": "7d9f"}), "shop/Rollout/web"),
        ("ReplicaSet", "alone", json!({}), "shop/ReplicaSet/alone"),
        ("ReplicaSet", "web-7d9f", json!({}), "shop/ReplicaSet/web-7d9f"),
        ("ReplicaSet", "7d9f", json!({"pod-template-hash": "7d9f"}), "shop/ReplicaSet/7d9f"),
        ("ReplicaSet", "web7d9f", json!({"pod-template-hash": "7d9f"}), "shop/ReplicaSet/web7d9f"),
        ("ReplicaSet", "other-1", json!({"pod-template-hash": "7d9f"}), "shop/ReplicaSet/other-1"),
        ("StatefulSet", "db", json!({"controller-revision-hash": "db-6bd5f9c"}), "shop/StatefulSet/db"),
        ("StatefulSet", "db-6bd5f9c", json!({"pod-template-hash": "6bd5f9c"}), "shop/StatefulSet/db-6bd5f9c"),
        ("DaemonSet", "agent", json!({"controller-revision-hash": "7d9f"}), "shop/DaemonSet/agent"),
        ("Rollout", "web-29405520", json!({}), "shop/Rollout/web-29405520"),
    ] {
        assert_eq!(&*reduced(owned(kind, owner, &labels)).unwrap().workload, expected);
    }
    let mut alone = owned("x", "y", &json!({}));
    alone["metadata"]["ownerReferences"] = json!([]);
    assert_eq!(&*reduced(alone).unwrap().workload, "shop/Pod/p");
}

#[test]
fn a_job_is_a_cronjob_s_only_if_its_name_is_a_minute_it_was_due() {
    // The pod was created on 2026-11-22 at 12:00, which is minute 29922480.
    for (job, expected) in [
        ("backup-29922480", "shop/CronJob/backup"),
        ("backup-29922479", "shop/CronJob/backup"),
        ("nightly-backup-29912345", "shop/CronJob/nightly-backup"),
        ("backup-29922483", "shop/CronJob/backup"),
        ("backup-29922500", "shop/Job/backup-29922500"),
        ("backup-20261127", "shop/Job/backup-20261127"),
        ("backup-20261122", "shop/Job/backup-20261122"),
        ("backup-11222026", "shop/Job/backup-11222026"),
        ("backup-00000001", "shop/Job/backup-00000001"),
        ("backup-99999999", "shop/Job/backup-99999999"),
        ("migrate-12", "shop/Job/migrate-12"),
        ("29922480", "shop/Job/29922480"),
        ("backup29922480", "shop/Job/backup29922480"),
        ("backup-2992248x", "shop/Job/backup-2992248x"),
    ] {
        assert_eq!(&*reduced(owned("Job", job, &json!({}))).unwrap().workload, expected);
    }
    let mut undated = owned("Job", "backup-29922480", &json!({}));
    undated["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
    assert_eq!(&*reduced(undated).unwrap().workload, "shop/Job/backup-29922480");
}

#[test]
fn a_kind_of_another_group_is_named_as_it_is() {
    for (kind, owner, group) in [
        ("Job", "train-29922480", "batch.volcano.sh/v1alpha1"),
        ("ReplicaSet", "web-7d9f", "apps.example.com/v1"),
        ("Job", "train-29922480", "v1"),
    ] {
        let mut object = owned(kind, owner, &json!({"pod-template-hash": "7d9f"}));
        object["metadata"]["ownerReferences"][0]["apiVersion"] = json!(group);
        assert_eq!(&*reduced(object).unwrap().workload, format!("shop/{kind}/{owner}"), "{group}");
    }
}

#[test]
fn a_pod_is_reduced_to_its_facts() {
    let fact = reduced(owned("DaemonSet", "d", &json!({"app": "x"}))).unwrap();
    assert_eq!(&*fact.key, "shop/p");
    assert_eq!(fact.namespace(), "shop");
    assert_eq!(fact.node.as_deref(), Some("node-a"));
    assert_eq!(fact.ips.len(), 2);
    assert!(fact.ready && !fact.host_network && !fact.agent);
    assert_eq!(fact.phase, PodPhase::Running);
    assert_eq!(fact.started.unwrap().to_string(), "2026-11-22T12:00:00Z");
    assert_eq!(fact.labels.get("app").map(String::as_str), Some("x"));
}

#[test]
fn only_the_service_account_in_the_operator_s_namespace_makes_an_agent() {
    for (namespace, account, expected) in [
        ("tidewatch-system", "tidewatch-agent", true),
        ("tidewatch-system", "default", false),
        ("shop", "tidewatch-agent", false),
    ] {
        let mut object = owned("DaemonSet", "d", &json!({}));
        object["metadata"]["namespace"] = json!(namespace);
        object["spec"]["serviceAccountName"] = json!(account);
        assert_eq!(reduced(object).unwrap().agent, expected, "{namespace}/{account}");
    }
}

#[test]
fn a_static_pod_is_known_by_its_cgroup_s_uid_too() {
    let mut object = owned("Node", "node-a", &json!({}));
    object["metadata"]["annotations"] =
        json!({"kubernetes.io/config.hash": "0f5fdb642a3c4f0e9f1b6f1de3a6a001"});
    assert_eq!(reduced(object).unwrap().static_uid, Uid::parse("0f5fdb642a3c4f0e9f1b6f1de3a6a001"));
}

#[test]
fn a_pod_just_created_has_few_facts() {
    let fact = reduced(json!({
        "metadata": {"namespace": "a", "name": "b", "uid": "00000000-0000-0000-0000-000000000001"}, "spec": {}
    }))
    .unwrap();
    assert_eq!((fact.node, fact.ips.len(), fact.phase), (None, 0, PodPhase::Pending));
}

#[test]
fn a_node_s_images_and_pods_are_left_out_and_its_addresses_kept() {
    let object: SlimNode = serde_json::from_value(json!({
        "metadata": {"name": "node-a", "labels": {"topology.kubernetes.io/zone": "zone-1", "topology.kubernetes.io/region": "lab"}},
        "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00:1::/64"]},
        "status": {"images": [{"names": ["x"]}], "addresses": [
            {"type": "InternalIP", "address": "192.168.0.1"}, {"type": "Hostname", "address": "node-a"}]}
    }))
    .unwrap();
    let fact = node(object, &mut Interner::new()).unwrap();
    assert_eq!((fact.zone.as_deref(), fact.region.as_deref()), (Some("zone-1"), Some("lab")));
    assert_eq!(fact.ips, ["192.168.0.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(fact.pod_cidrs.len(), 2);
    assert!(!fact.unschedulable);
    let cordoned: SlimNode = serde_json::from_value(json!({
        "metadata": {"name": "node-a"}, "spec": {"unschedulable": true}
    }))
    .unwrap();
    assert!(node(cordoned, &mut Interner::new()).unwrap().unschedulable);
}

#[test]
fn a_revision_is_what_the_workload_s_controller_labels_its_pods_with() {
    for (label, revision) in [
        ("pod-template-hash", Some("7d9f")),
        ("rollouts-pod-template-hash", Some("7d9f")),
        ("controller-revision-hash", Some("7d9f")),
        ("app", None),
    ] {
        let mut labels = serde_json::Map::new();
        labels.insert(label.to_owned(), json!("7d9f"));
        let fact = reduced(owned("ReplicaSet", "web-7d9f", &Value::Object(labels))).unwrap();
        assert_eq!(fact.revision(), revision, "{label}");
    }
}

fn reduced_policy(spec: &Value) -> PolicyFact {
    let object: SlimPolicy = serde_json::from_value(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": "p", "generation": 3, "creationTimestamp": "2026-11-22T12:00:00Z"},
        "spec": spec
    }))
    .unwrap();
    policy(object).unwrap()
}

#[test]
fn a_policy_is_reduced_to_whom_it_is_about() {
    let fact = reduced_policy(&json!({
        "podSelector": {"matchLabels": {"app": "payments"}, "matchExpressions": [{"key": "canary", "operator": "DoesNotExist"}]},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "checkout"}}}]}]
    }));
    let labels = |of: &[(&str, &str)]| -> crate::Labels {
        std::sync::Arc::new(of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    };
    assert!(fact.selects("shop", &labels(&[("app", "payments")])));
    for (namespace, of) in [
        ("bank", &[("app", "payments")][..]),
        ("shop", &[("app", "checkout")][..]),
        ("shop", &[("app", "payments"), ("canary", "1")][..]),
    ] {
        assert!(!fact.selects(namespace, &labels(of)), "{namespace} {of:?}");
    }
    assert_eq!((&*fact.key, fact.ingress, fact.egress, fact.generation), ("shop/p", true, true, 3));
    assert_eq!(fact.created.unwrap().to_string(), "2026-11-22T12:00:00Z");
}

#[test]
fn a_policy_with_an_empty_selector_is_about_every_pod_of_its_namespace() {
    for spec in
        [json!({"podSelector": {}, "policyTypes": ["Ingress"]}), json!({"podSelector": {}}), json!({})]
    {
        let fact = reduced_policy(&spec);
        assert!(fact.selects("shop", &crate::Labels::default()), "{spec}");
        assert!(!fact.selects("bank", &crate::Labels::default()), "{spec}");
        assert!(fact.ingress && !fact.egress, "{spec}");
    }
}

#[test]
fn services_and_slices_are_reduced_to_tcp() {
    let object: Service = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "dns"},
        "spec": {"clusterIP": "10.0.0.10", "clusterIPs": ["10.0.0.10"], "externalIPs": ["203.0.113.1"],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP", "targetPort": "dns-tcp"}, {"port": 9153}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.2"}, {"hostname": "lb"}]}}
    }))
    .unwrap();
    let fact = service(object, &mut Interner::new()).unwrap();
    assert_eq!(fact.ips.len(), 3);
    assert_eq!(fact.ports, [53, 9153]);
    assert_eq!(fact.target_ports.iter().map(|name| &**name).collect::<Vec<_>>(), ["dns-tcp", "9153"]);

    let object: EndpointSlice = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "dns-x", "labels": {"kubernetes.io/service-name": "dns"}},
        "addressType": "IPv4",
        "ports": [{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 5353, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": false},
            "targetRef": {"kind": "Pod", "uid": "00000000-0000-0000-0000-000000000001"}},
            {"addresses": ["10.1.0.2"], "conditions": {"ready": true}}, {"addresses": ["10.1.0.3"]}]
    }))
    .unwrap();
    let fact = slice(object, &mut Interner::new()).unwrap();
    assert_eq!((&*fact.service, &*fact.ports), ("shop/dns", &[5353][..]));
    assert!(fact.backends[0].pod.is_some());
    assert_eq!((fact.backends.len(), fact.ready), (3, 2));
    let headless: Service = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "h"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}
    }))
    .unwrap();
    assert!(service(headless, &mut Interner::new()).unwrap().ips.is_empty());
}

#[test]
fn what_a_pod_s_containers_have_at_their_node_is_kept() {
    let ports = |host_network: bool, containers: Value, init: Value| {
        let mut object = owned("DaemonSet", "d", &json!({}));
        object["spec"]["hostNetwork"] = json!(host_network);
        object["spec"]["containers"] = containers;
        object["spec"]["initContainers"] = init;
        reduced(object).unwrap().host_ports
    };
    let two = json!([{"ports": [{"containerPort": 9100}, {"containerPort": 53, "protocol": "UDP"}]}, {"name": "x"}]);
    let mapped = json!([{"ports": [{"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}, {"containerPort": 81}]}]);
    assert_eq!(ports(true, two.clone(), json!([{"ports": [{"containerPort": 15090}]}])), [9100, 15090]);
    assert_eq!(ports(false, two, json!([])), [0_u16; 0]);
    assert_eq!(ports(false, mapped, json!([])), [8080]);
}

#[test]
fn a_pod_s_deletion_was_asked_for_its_grace_before_it_is_due() {
    for (grace, requested) in [(Some(30), "2026-11-22T13:00:00Z"), (None, "2026-11-22T13:00:30Z")] {
        let mut object = owned("ReplicaSet", "web-7d9f", &json!({}));
        object["metadata"]["deletionTimestamp"] = json!("2026-11-22T13:00:30Z");
        object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        let deletion = reduced(object).unwrap().deletion.unwrap();
        assert_eq!(deletion.requested.to_string(), requested);
        assert_eq!(deletion.due.to_string(), "2026-11-22T13:00:30Z");
    }
    assert_eq!(reduced(owned("ReplicaSet", "web-7d9f", &json!({}))).unwrap().deletion, None);
}

#[test]
fn a_long_run_that_ends_is_a_restart_and_a_crash_loop_is_none() {
    let run = |from: &str, to: &str| json!({"startedAt": format!("2026-11-22T{from}:00Z"), "finishedAt": format!("2026-11-22T{to}:00Z")});
    let ended = |run: Value| json!({"state": {"terminated": run}});
    let again = |run: Value| json!({"state": {"running": {}}, "lastState": {"terminated": run}});
    for (statuses, expected) in [
        (json!([{"state": {"running": {}}, "lastState": {}}]), None),
        (json!([again(run("12:00", "12:10"))]), Some("2026-11-22T12:10:00Z")),
        (json!([again(run("12:00", "12:09"))]), None),
        (json!([ended(run("12:00", "13:00"))]), Some("2026-11-22T13:00:00Z")),
        // Its sidecar goes on crashing.
        (json!([again(run("12:00", "13:00")), again(run("13:01", "13:02"))]), None),
        (json!([again(run("12:00", "13:00")), again(run("12:01", "12:02"))]), Some("2026-11-22T13:00:00Z")),
    ] {
        let mut object = owned("ReplicaSet", "web-7d9f", &json!({}));
        object["status"]["containerStatuses"] = statuses.clone();
        let restarted = reduced(object).unwrap().restarted.map(|at| at.to_string());
        assert_eq!(restarted.as_deref(), expected, "{statuses}");
    }
}

#[test]
fn a_pod_s_readiness_has_the_time_of_its_last_change() {
    let mut object = owned("ReplicaSet", "web-7d9f", &json!({}));
    object["status"]["conditions"] =
        json!([{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-22T12:05:00Z"}]);
    let fact = reduced(object).unwrap();
    assert_eq!(
        (fact.ready, fact.ready_changed.unwrap().to_string().as_str()),
        (false, "2026-11-22T12:05:00Z")
    );
    assert_eq!(fact.created.unwrap().to_string(), "2026-11-22T12:00:00Z");
}

#[test]
fn node_ports_and_the_health_check_s_are_ports_at_every_node() {
    let object: Service = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"],
            "externalIPs": ["203.0.113.9"], "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000,
            "ports": [{"port": 80, "nodePort": 30080}, {"port": 443}, {"port": 53, "protocol": "UDP", "nodePort": 30053}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"hostname": "lb.example.com"}]}}
    }))
    .unwrap();
    let fact = service(object, &mut Interner::new()).unwrap();
    assert_eq!(fact.node_ports, [30080, 32000]);
    assert_eq!(fact.ports, [80, 443]);
    let ips: Vec<String> = fact.ips.iter().map(ToString::to_string).collect();
    assert_eq!(ips, ["10.96.0.1", "203.0.113.7", "203.0.113.9", "fd00::1"]);
}
