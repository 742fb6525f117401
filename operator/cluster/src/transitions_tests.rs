//! Changes that an index remembers from the events of the watches.

use std::net::IpAddr;

use kube::core::Selector;

use crate::{
    Backend, Change, Fact, Index, Kind, NodeEdit, NodeFact, PodFact, PodPhase, PolicyFact, ServiceEdit,
    ServiceFact, SliceFact, Uid, What,
};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn pod(number: u8, revision: &str) -> Fact {
    Fact::Pod(PodFact {
        uid: Uid::parse(&format!("{number:032x}")).unwrap(),
        static_uid: None,
        key: format!("shop/payments-{revision}-{number}").into(),
        node: None,
        workload: "shop/Deployment/payments".into(),
        labels: Arc::new([("pod-template-hash".to_owned(), revision.to_owned())].into()),
        ips: vec![],
        host_network: false,
        phase: PodPhase::Pending,
        ready: false,
        agent: false,
        started: None,
        ..PodFact::default()
    })
}

fn node(unschedulable: bool) -> Fact {
    Fact::Node(NodeFact {
        name: "node-a".into(),
        zone: None,
        region: None,
        labels: Arc::default(),
        ips: vec![],
        pod_cidrs: vec![],
        unschedulable,
        ..NodeFact::default()
    })
}

fn service(app: &str, port: u16, target: &str) -> Fact {
    Fact::Service(ServiceFact {
        key: "shop/payments".into(),
        ips: vec![],
        ports: vec![port],
        target_ports: vec![target.into()],
        selector: Arc::new([("app".to_owned(), app.to_owned())].into()),
        labels: Arc::default(),
        ..ServiceFact::default()
    })
}

fn slice(name: &str, ready: usize) -> Fact {
    let ip: IpAddr = "198.18.1.1".parse().unwrap();
    Fact::EndpointSlice(SliceFact {
        key: format!("shop/{name}").into(),
        service: "shop/payments".into(),
        ports: Arc::new([8080]),
        backends: vec![Backend { ip, pod: None }],
        ready,
    })
}

fn policy(generation: i64, created: Option<Timestamp>) -> PolicyFact {
    PolicyFact {
        key: "shop/deny-all".into(),
        selector: Selector::default(),
        ingress: true,
        egress: false,
        generation,
        created,
    }
}

fn listed(facts: Vec<Fact>) -> Index {
    let mut index = Index::default();
    for fact in facts {
        index.apply(fact, at(0));
    }
    Kind::ALL.into_iter().for_each(|kind| index.end_list(kind, at(0)));
    index
}

fn changes(index: &Index) -> Vec<Change> {
    index.changes().between(Timestamp::MIN, Timestamp::MAX).cloned().collect()
}

fn whats(index: &Index) -> Vec<What> {
    changes(index).into_iter().map(|change| change.what).collect()
}

fn rollout(revision: &str) -> What {
    What::Rollout { workload: "shop/Deployment/payments".into(), revision: revision.into() }
}

fn service_edit(edit: ServiceEdit) -> What {
    What::Service { service: "shop/payments".into(), edit }
}

#[test]
fn what_is_first_listed_is_no_change() {
    let policy = Fact::NetworkPolicy(policy(1, Some(at(-100_000))));
    let index = listed(vec![
        pod(1, "a"),
        pod(2, "b"),
        node(true),
        service("payments", 80, "8080"),
        slice("payments-x", 0),
        policy,
        // Told again and changed while the list goes on.
        node(false),
        node(true),
        service("payments", 81, "8080"),
        slice("payments-x", 1),
        slice("payments-x", 0),
    ]);
    assert_eq!(changes(&index), []);
}

#[test]
fn each_kind_of_change_is_noticed_with_its_time() {
    let no_endpoints = What::NoReadyEndpoints { service: "shop/payments".into() };
    let cordoned = What::Node { node: "node-a".into(), edit: NodeEdit::Cordoned };
    for (before, after, expected) in [
        (pod(1, "a"), pod(2, "b"), Some(rollout("b"))),
        (pod(1, "a"), pod(2, "a"), None),
        (node(false), node(true), Some(cordoned)),
        (node(true), node(false), None),
        (slice("x", 2), slice("x", 1), None),
        (slice("x", 2), slice("x", 0), Some(no_endpoints)),
        (slice("x", 0), slice("x", 2), None),
        (service("a", 80, "x"), service("b", 80, "x"), Some(service_edit(ServiceEdit::Selector))),
        (service("a", 80, "x"), service("a", 81, "x"), Some(service_edit(ServiceEdit::Ports))),
        (service("a", 80, "x"), service("a", 80, "y"), Some(service_edit(ServiceEdit::Ports))),
        (service("a", 80, "x"), service("b", 80, "y"), Some(service_edit(ServiceEdit::SelectorAndPorts))),
    ] {
        let mut index = listed(vec![before.clone()]);
        index.apply(after.clone(), at(10));
        let expected: Vec<_> = expected.map(|what| Change { at: at(10), what }).into_iter().collect();
        assert_eq!(changes(&index), expected, "{before:?} → {after:?}");
        index.apply(after, at(20));
        assert_eq!(changes(&index), expected, "the same again");
    }
}

#[test]
fn what_was_deleted_is_noticed_seen_or_unseen() {
    let facts = [node(false), service("a", 80, "x"), slice("x", 1), Fact::NetworkPolicy(policy(1, None))];
    let mut seen = listed(facts.to_vec());
    for fact in &facts {
        seen.depart(fact, at(10));
    }
    let mut unseen = listed(facts.to_vec());
    for kind in Kind::ALL {
        unseen.begin_list(kind);
        unseen.end_list(kind, at(10));
    }
    for index in [seen, unseen] {
        let whats = whats(&index);
        assert_eq!(whats.len(), 4, "{whats:?}");
        assert!(whats.contains(&What::Node { node: "node-a".into(), edit: NodeEdit::Removed }));
        assert!(whats.contains(&service_edit(ServiceEdit::Deleted)));
        assert!(whats.contains(&What::NoReadyEndpoints { service: "shop/payments".into() }));
        assert!(whats.iter().any(|what| matches!(what, What::Policy { before: Some(_), after: None })));
    }
}

#[test]
fn endpoints_in_another_slice_keep_a_service_up() {
    let mut index = listed(vec![slice("x", 1), slice("y", 1)]);
    index.apply(slice("x", 0), at(10));
    assert_eq!(changes(&index), []);
    index.depart(&slice("y", 1), at(20));
    assert_eq!(whats(&index), [What::NoReadyEndpoints { service: "shop/payments".into() }]);
}

#[test]
fn a_slice_that_comes_back_under_its_name_counts_once() {
    let mut index = listed(vec![slice("x", 2)]);
    index.depart(&slice("x", 2), at(10));
    index.apply(slice("x", 2), at(20));
    assert_eq!(changes(&index).len(), 1, "it was away in between");
    index.apply(slice("x", 1), at(30));
    assert_eq!(changes(&index).len(), 1);
    index.apply(slice("x", 0), at(40));
    assert_eq!(changes(&index).len(), 2);
}

#[test]
fn pods_that_replace_all_at_once_are_a_rollout_and_those_that_only_restart_are_not() {
    let mut index = listed(vec![pod(1, "a")]);
    index.depart(&pod(1, "a"), at(5));
    index.apply(pod(2, "a"), at(10));
    assert_eq!(whats(&index), []);
    index.depart(&pod(2, "a"), at(15));
    index.apply(pod(3, "b"), at(20));
    assert_eq!(whats(&index), [rollout("b")]);
}

#[test]
fn a_policy_is_created_changed_deleted_and_made_again() {
    let made = |generation, second| policy(generation, Some(at(second)));
    let mut index = listed(vec![]);
    for (n, policy) in (10..).zip([made(1, 8), made(1, 8), made(2, 8)]) {
        index.apply(Fact::NetworkPolicy(policy), at(n));
    }
    index.depart(&Fact::NetworkPolicy(made(2, 8)), at(20));
    index.apply(Fact::NetworkPolicy(made(1, 30)), at(31));
    let told: Vec<_> = changes(&index)
        .into_iter()
        .map(|change| match change.what {
            What::Policy { before, after } => {
                (change.at, before.map(|p| p.generation), after.map(|p| p.generation))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            (at(8), None, Some(1)),
            (at(12), Some(1), Some(2)),
            (at(20), Some(2), None),
            (at(30), None, Some(1)),
        ]
    );
}

#[test]
fn a_policy_that_the_api_server_created_shortly_before_the_first_list_is_known_to_be_new() {
    for (created, known) in [(-60, true), (-3 * 3600, false)] {
        let index = listed(vec![Fact::NetworkPolicy(policy(1, Some(at(created))))]);
        assert_eq!(!changes(&index).is_empty(), known, "{created}");
    }
}

#[test]
fn changes_are_forgotten_with_age() {
    let mut index = listed(vec![node(false)]);
    index.apply(node(true), at(10));
    index.forget(at(10 + 44 * 60));
    assert_eq!(changes(&index).len(), 1);
    index.forget(at(10 + 46 * 60));
    assert_eq!(changes(&index), []);
}

#[test]
fn policies_that_may_not_be_listed_hold_nothing_up() {
    let mut index = Index::default();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::NetworkPolicy) {
        assert!(!index.synced());
        index.end_list(kind, at(0));
    }
    assert!(index.synced());
}
