use serde_json::{Value, json};
use tidewatch_cluster::{Fact, Kind, NamespaceFact, NodeFact, PodFact, PodPhase, ServiceFact, Uid};
use tidewatch_crds::NetworkMonitorSpec;

use super::super::spec::Policy;
use super::super::testing::{at, flow};
use super::*;

fn labels(of: &[(&str, &str)]) -> tidewatch_cluster::Labels {
    std::sync::Arc::new(of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
}

fn pod(number: u8, key: &str, app: &str) -> Fact {
    Fact::Pod(PodFact {
        uid: Uid::parse(&format!("{number:032x}")).unwrap(),
        static_uid: None,
        key: key.into(),
        node: Some("zone-1-a".into()),
        workload: key.into(),
        labels: labels(&[("app", app)]),
        ips: vec![format!("198.18.1.{number}").parse().unwrap()],
        host_network: false,
        phase: PodPhase::Running,
        ready: true,
        agent: false,
        started: None,
        ..PodFact::default()
    })
}

/// Namespaces shop (team=retail) and bank; zones zone-1 and zone-2; Service shop/payments over app=payments.
fn index() -> Index {
    let mut index = Index::default();
    let namespace = |name: &str, team: &str| {
        Fact::Namespace(NamespaceFact { name: name.into(), labels: labels(&[("team", team)]) })
    };
    let node = |name: &str, zone: &str| {
        Fact::Node(NodeFact {
            name: name.into(),
            zone: Some(zone.into()),
            region: None,
            labels: labels(&[("pool", zone)]),
            ips: vec![],
            pod_cidrs: vec![],
            unschedulable: false,
            ..NodeFact::default()
        })
    };
    let service = Fact::Service(ServiceFact {
        key: "shop/payments".into(),
        ips: vec![],
        ports: vec![8080],
        target_ports: vec!["8080".into()],
        selector: labels(&[("app", "payments")]),
        labels: labels(&[]),
        ..ServiceFact::default()
    });
    for kind in Kind::ALL {
        index.begin_list(kind);
    }
    for fact in [
        namespace("shop", "retail"),
        namespace("bank", "money"),
        node("zone-1-a", "zone-1"),
        node("zone-2-a", "zone-2"),
        pod(1, "shop/checkout-1", "checkout"),
        pod(2, "shop/payments-1", "payments"),
        pod(3, "bank/ledger-1", "ledger"),
        service,
    ] {
        index.apply(fact, at(0));
    }
    for kind in Kind::ALL {
        index.end_list(kind, at(0));
    }
    index
}

fn select(namespace: &str, spec: Value) -> (Selection, Vec<Unresolved>) {
    select_in(&index(), namespace, spec)
}

fn select_in(index: &Index, namespace: &str, spec: Value) -> (Selection, Vec<Unresolved>) {
    let spec: NetworkMonitorSpec = serde_json::from_value(spec).unwrap();
    let policy = Policy { cluster_wide_namespaces: ["platform".to_owned()].into(), agent_window_seconds: 30 };
    Selection::new(&ValidSpec::new(&spec, namespace, &policy).unwrap(), index)
}

/// From shop/checkout-1 (zone-1-a, zone-1) to shop/payments-1 (198.18.3.20, zone-2-a, zone-2).
fn usual() -> FlowWindow {
    flow().build()
}

#[test]
fn each_way_to_select_finds_its_local_end() {
    for (local, selects) in [
        (json!({"pods": {"selector": {"matchLabels": {"app": "checkout"}}}}), true),
        (json!({"pods": {"selector": {"matchLabels": {"app": "payments"}}}}), false),
        (
            json!({"pods": {"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["checkout", "x"]}]}}}),
            true,
        ),
        (
            json!({"pods": {"selector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["checkout"]}]}}}),
            false,
        ),
        (json!({"service": {"name": "checkout"}}), true),
        (json!({"service": {"name": "payments"}}), false),
        (json!({"namespace": "shop"}), true),
        (json!({"node": {"name": "zone-1-a"}}), true),
        (json!({"node": {"name": "zone-2-a"}}), false),
        (json!({"node": {"selector": {"matchLabels": {"pool": "zone-1"}}}}), true),
        (json!({"node": {"selector": {"matchLabels": {"pool": "zone-2"}}}}), false),
        (json!({"zone": "zone-1"}), true),
        (json!({"zone": "zone-2"}), false),
        (json!({"cidr": "198.18.1.0/24"}), true),
        (json!({"cidr": "198.18.2.0/24"}), false),
    ] {
        let (selection, _) = select("shop", json!({"local": [local]}));
        assert_eq!(selection.selects(&usual()), selects, "{local}");
    }
}

#[test]
fn each_way_to_select_finds_its_remote_end() {
    let to_dynamodb = flow().remote(|r| {
        r.pod = None;
        r.node = None;
        r.zone = None;
        r.service = Some("aws/dynamodb".into());
    });
    let to_dynamodb = to_dynamodb.build();
    for (remote, pod, aws) in [
        (json!({"service": {"name": "payments"}}), true, false),
        (json!({"service": {"name": "payments", "namespace": "bank"}}), false, false),
        (
            json!({"pods": {"selector": {"matchLabels": {"app": "payments"}}, "namespaceSelector": {"matchLabels": {"team": "retail"}}}}),
            true,
            false,
        ),
        (
            json!({"pods": {"selector": {"matchLabels": {"app": "payments"}}, "namespaceSelector": {"matchLabels": {"team": "money"}}}}),
            false,
            false,
        ),
        (json!({"namespaceSelector": {"matchLabels": {"team": "retail"}}}), true, false),
        (json!({"namespace": "bank"}), false, false),
        (json!({"awsService": "DynamoDB"}), false, true),
        (json!({"awsService": "S3"}), false, false),
        (json!({"zone": "zone-2"}), true, false),
        (json!({"cidr": "198.18.3.0/24"}), true, true),
    ] {
        let (selection, _) = select("shop", json!({"local": [{"namespace": "shop"}], "remote": [remote]}));
        assert_eq!((selection.selects(&usual()), selection.selects(&to_dynamodb)), (pod, aws), "{remote}");
    }
}

#[test]
fn any_item_of_a_list_is_enough() {
    let (selection, _) = select(
        "shop",
        json!({"local": [{"zone": "zone-2"}, {"zone": "zone-1"}], "remote": [{"awsService": "S3"}, {"service": {"name": "payments"}}]}),
    );
    assert!(selection.selects(&usual()));
}

#[test]
fn a_monitor_never_sees_another_namespace_s_local_ends_whatever_it_selects() {
    let of_bank = flow().local(|local| {
        local.pod = Some("bank/ledger-1".into());
        local.service = Some("bank/ledger".into());
    });
    let of_bank = of_bank.build();
    let of_node = flow().local(|local| {
        local.pod = None;
        local.service = None;
    });
    let of_node = of_node.build();
    for local in
        [json!({"zone": "zone-1"}), json!({"node": {"name": "zone-1-a"}}), json!({"cidr": "0.0.0.0/0"})]
    {
        let (tenant, _) = select("shop", json!({"local": [local]}));
        let (platform, _) = select("platform", json!({"local": [local]}));
        for flow in [&of_bank, &of_node] {
            assert!(!tenant.selects(flow) && platform.selects(flow), "{local}");
        }
    }
}

#[test]
fn an_ipv4_address_in_ipv6_form_is_in_its_ipv4_network() {
    let mapped = flow().remote_ip("::ffff:198.18.3.20").build();
    let (selection, _) =
        select("shop", json!({"local": [{"namespace": "shop"}], "remote": [{"cidr": "198.18.3.0/24"}]}));
    assert!(selection.selects(&mapped));
}

#[test]
fn what_nothing_answers_to_is_named_with_what_there_is() {
    use UnresolvedReason::{NoPods, UnknownNamespace, UnknownNode, UnknownService, UnknownZone};
    for (remote, reason, path, says) in [
        (json!({"zone": "zone-9"}), UnknownZone, "spec.remote[0].zone", "known zones: zone-1, zone-2"),
        (
            json!({"node": {"name": "n"}}),
            UnknownNode,
            "spec.remote[0].node.name",
            "known nodes: zone-1-a, zone-2-a",
        ),
        (
            json!({"node": {"selector": {"matchLabels": {"pool": "x"}}}}),
            UnknownNode,
            "spec.remote[0].node.selector",
            "pool=x",
        ),
        (
            json!({"service": {"name": "paymens"}}),
            UnknownService,
            "spec.remote[0].service",
            "known Services in shop: payments",
        ),
        (json!({"namespace": "n"}), UnknownNamespace, "spec.remote[0].namespace", "there is no namespace n"),
        (
            json!({"namespaceSelector": {"matchLabels": {"a": "b"}}}),
            UnknownNamespace,
            "spec.remote[0].namespaceSelector",
            "a=b",
        ),
        (
            json!({"pods": {"selector": {"matchLabels": {"app": "x"}}}}),
            NoPods,
            "spec.remote[0].pods.selector",
            "no pod of namespace shop",
        ),
    ] {
        let (_, unresolved) = select("shop", json!({"local": [{"namespace": "shop"}], "remote": [remote]}));
        assert_eq!(unresolved.len(), 1, "{remote}");
        assert_eq!((unresolved[0].reason, unresolved[0].path.as_str()), (reason, path));
        assert!(unresolved[0].message.contains(says), "{}", unresolved[0].message);
    }
}

#[test]
fn before_the_cluster_is_known_nothing_is_called_unknown() {
    let spec: NetworkMonitorSpec = serde_json::from_value(json!({"local": [{"zone": "zone-9"}]})).unwrap();
    let spec =
        ValidSpec::new(&spec, "shop", &Policy { agent_window_seconds: 30, ..Policy::default() }).unwrap();
    assert_eq!(Selection::new(&spec, &Index::default()).1, []);
}

#[test]
fn the_nodes_that_run_the_local_endpoints_are_known() {
    let mut index = index();
    let on = |number: u8, key: &str, app: &str, node: &str, phase: PodPhase| {
        let Fact::Pod(fact) = pod(number, key, app) else { unreachable!("it makes a pod") };
        Fact::Pod(PodFact { node: Some(node.into()), phase, ..fact })
    };
    for fact in [
        on(4, "shop/payments-2", "payments", "zone-2-a", PodPhase::Running),
        on(5, "shop/checkout-2", "checkout", "zone-2-a", PodPhase::Ended),
        on(6, "bank/ledger-2", "ledger", "zone-2-a", PodPhase::Pending),
    ] {
        index.apply(fact, at(0));
    }
    let both = ["zone-1-a", "zone-2-a"];
    for (namespace, local, expected) in [
        ("shop", json!({"pods": {"selector": {"matchLabels": {"app": "payments"}}}}), &both[..]),
        ("shop", json!({"pods": {"selector": {"matchLabels": {"app": "checkout"}}}}), &both[..1]),
        ("shop", json!({"service": {"name": "payments"}}), &both[..]),
        ("shop", json!({"namespace": "shop"}), &both[..]),
        ("bank", json!({"namespace": "bank"}), &both[..1]),
        ("bank", json!({"zone": "zone-2"}), &[]),
        ("shop", json!({"zone": "zone-2"}), &both[1..]),
        ("platform", json!({"zone": "zone-2"}), &both[1..]),
        ("platform", json!({"node": {"name": "zone-1-a"}}), &both[..1]),
        ("platform", json!({"cidr": "198.18.1.4/32"}), &both[1..]),
        ("platform", json!({"cidr": "203.0.113.0/24"}), &[]),
    ] {
        let (selection, _) = select_in(&index, namespace, json!({"local": [local]}));
        let nodes = selection.nodes(&index);
        assert_eq!(nodes.iter().map(|node| &**node).collect::<Vec<_>>(), expected, "{local} in {namespace}");
    }
}
