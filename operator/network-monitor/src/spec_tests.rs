use serde_json::{Value, json};

use super::*;

fn policy() -> Policy {
    Policy { cluster_wide_namespaces: ["platform".to_owned()].into(), agent_window_seconds: 15 }
}

fn valid(namespace: &str, spec: Value) -> Result<ValidSpec, Vec<SpecError>> {
    let spec: NetworkMonitorSpec = serde_json::from_value(spec).unwrap();
    ValidSpec::new(&spec, namespace, &policy())
}

#[test]
fn good_specs_become_valid_ones() {
    let spec = valid(
        "shop",
        json!({
            "local": [
                {"pods": {"selector": {"matchLabels": {"app": "checkout"}}}},
                {"service": {"name": "cart"}},
                {"namespace": "shop"},
                {"zone": "zone-1"},
            ],
            "remote": [
                {"service": {"name": "payments", "namespace": "bank"}},
                {"awsService": "DynamoDB"},
                {"cidr": "10.20.0.0/16"},
                {"pods": {"selector": {"matchLabels": {"app": "db"}}, "namespaceSelector": {"matchLabels": {"team": "data"}}}},
            ],
        }),
    )
    .unwrap();
    assert_eq!(spec.boundary.as_deref(), Some("shop"));
    assert_eq!(spec.window_seconds, 15);
    assert_eq!(spec.sensitivity, Sensitivity::Standard);
    assert_eq!(spec.local[1].select, Select::Service("shop/cart".into()));
    let remote = spec.remote.unwrap();
    assert_eq!(remote[0].select, Select::Service("bank/payments".into()));
    assert_eq!(remote[1].select, Select::AwsService("aws/dynamodb".into()));
}

#[test]
fn each_mistake_has_its_reason_and_says_what_to_write() {
    use SpecReason::{InvalidSpec, NamespaceNotAllowed};
    for (local, evaluation, reason, path, says) in [
        (
            json!([{"pods": {"selector": {}}}]),
            json!({}),
            InvalidSpec,
            "spec.local[0].pods.selector",
            "write at least one label",
        ),
        (
            json!([{"cidr": "10.0.0.0/99"}]),
            json!({}),
            InvalidSpec,
            "spec.local[0].cidr",
            "such as 10.20.0.0/16",
        ),
        (json!([{}]), json!({}), InvalidSpec, "spec.local[0]", "write one of"),
        (json!([{"zone": "a", "namespace": "b"}]), json!({}), InvalidSpec, "spec.local[0]", "write one of"),
        (json!([{"node": {}}]), json!({}), InvalidSpec, "spec.local[0].node", "either name or selector"),
        (json!([]), json!({}), InvalidSpec, "spec.local", "at least one local endpoint"),
        (json!([{"awsService": "S3"}]), json!({}), InvalidSpec, "spec.local[0]", "move it to spec.remote"),
        (
            json!([{"namespace": "bank"}]),
            json!({}),
            NamespaceNotAllowed,
            "spec.local[0].namespace",
            "clusterWideNamespaces",
        ),
        (
            json!([{"service": {"name": "a", "namespace": "bank"}}]),
            json!({}),
            NamespaceNotAllowed,
            "spec.local[0].service",
            "bank/a",
        ),
        (
            json!([{"namespaceSelector": {"matchLabels": {"a": "b"}}}]),
            json!({}),
            NamespaceNotAllowed,
            "spec.local[0].namespaceSelector",
            "only pods of shop",
        ),
        (
            json!([{"pods": {"selector": {"matchLabels": {"a": "b"}}, "namespaceSelector": {"matchLabels": {"a": "b"}}}}]),
            json!({}),
            NamespaceNotAllowed,
            "spec.local[0].pods.namespaceSelector",
            "leave the namespace out",
        ),
        (
            json!([{"zone": "a"}]),
            json!({"window": "1h"}),
            InvalidSpec,
            "spec.evaluation.window",
            "10s to 10m",
        ),
        (
            json!([{"zone": "a"}]),
            json!({"window": "soon"}),
            InvalidSpec,
            "spec.evaluation.window",
            "such as 60s",
        ),
    ] {
        let errors = valid("shop", json!({"local": local, "evaluation": evaluation})).unwrap_err();
        let error = &errors[0];
        assert_eq!((error.reason, error.path.as_str()), (reason, path), "{errors:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let errors = valid(
        "shop",
        json!({"local": [{"cidr": "x"}, {"namespace": "bank"}], "evaluation": {"window": "1h"}}),
    )
    .unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:?}");
}

#[test]
fn a_monitor_in_a_cluster_wide_namespace_may_look_everywhere() {
    let spec = valid(
        "platform",
        json!({"local": [{"namespace": "bank"}, {"namespaceSelector": {"matchLabels": {"a": "b"}}}, {"service": {"name": "a", "namespace": "shop"}}]}),
    )
    .unwrap();
    assert_eq!(spec.boundary, None);
}

#[test]
fn a_window_that_does_not_fit_the_agents_becomes_the_nearest() {
    for (window, agent, expected) in [
        ("15s", 15, None),
        ("10m", 15, None),
        ("10s", 15, Some(15)),
        ("20s", 15, Some(15)),
        ("40s", 15, Some(45)),
        ("45s", 30, Some(60)),
        ("15s", 30, Some(30)),
        ("10s", 9, Some(18)),
        ("10m", 420, Some(420)),
        ("1m", 600, Some(600)),
    ] {
        let spec = serde_json::from_value(
            json!({"local": [{"namespace": "shop"}], "evaluation": {"window": window}}),
        )
        .unwrap();
        let policy = Policy { agent_window_seconds: agent, ..Policy::default() };
        let spec = ValidSpec::new(&spec, "shop", &policy).unwrap();
        assert_eq!(spec.other_window.is_some(), expected.is_some(), "{window} {agent}");
        if let Some(seconds) = expected {
            assert_eq!(spec.window_seconds, seconds, "{window} {agent}");
            let why = spec.other_window.unwrap();
            assert!(why.contains(&format!("write evaluation.window: {seconds}s")), "{why}");
        }
    }
}
