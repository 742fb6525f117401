use kube::core::Selector;
use tidewatch_cluster::{Fact, Kind, NodeFact, PodPhase, ServiceFact, SliceFact, Uid};
use tidewatch_crds::network_monitor::{ComponentKind, FaultClass};

use super::super::testing::at;
use super::*;

/// The fault began at 1000 s.
pub(super) const ONSET: i64 = 1000;

fn labels(of: &[(&str, &str)]) -> Labels {
    Arc::new(of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
}

fn pod(number: u8, namespace: &str, app: &str, revision: &str, node: &str) -> Fact {
    Fact::Pod(PodFact {
        uid: Uid::parse(&format!("{number:032x}")).unwrap(),
        static_uid: None,
        key: format!("{namespace}/{app}-{number}").into(),
        node: Some(node.into()),
        workload: format!("{namespace}/Deployment/{app}").into(),
        labels: labels(&[("app", app), ("pod-template-hash", revision)]),
        ips: vec![],
        host_network: false,
        phase: PodPhase::Running,
        ready: true,
        agent: false,
        started: None,
        ..PodFact::default()
    })
}

fn node(name: &str, unschedulable: bool) -> Fact {
    Fact::Node(NodeFact {
        name: name.into(),
        zone: None,
        region: None,
        labels: Arc::default(),
        ips: vec![],
        pod_cidrs: vec![],
        unschedulable,
        ..NodeFact::default()
    })
}

pub(super) fn service(name: &str, port: u16) -> Fact {
    Fact::Service(ServiceFact {
        key: name.into(),
        ips: vec![],
        ports: vec![port],
        target_ports: vec!["http".into()],
        selector: labels(&[("app", name.split_once('/').unwrap().1)]),
        labels: Arc::default(),
        ..ServiceFact::default()
    })
}

pub(super) fn slice(service: &str, ready: usize) -> Fact {
    Fact::EndpointSlice(SliceFact {
        key: format!("{service}-x").into(),
        service: service.into(),
        ports: Arc::new([8080]),
        backends: vec![],
        ready,
    })
}

pub(super) fn policy(name: &str, app: Option<&str>, types: &str, generation: i64) -> Fact {
    Fact::NetworkPolicy(PolicyFact {
        key: name.into(),
        selector: app.map(|app| ("app".to_owned(), app.to_owned())).into_iter().collect::<Selector>(),
        ingress: types.contains("Ingress"),
        egress: types.contains("Egress"),
        generation,
        created: None,
    })
}

/// Services shop/payments (a pod on each node), shop/checkout and bank/payments; policy shop/old about payments.
pub(super) fn cluster() -> Index {
    let mut index = Index::default();
    for fact in [
        pod(1, "shop", "payments", "a", "node-a"),
        pod(2, "shop", "payments", "a", "node-b"),
        pod(3, "shop", "checkout", "a", "node-a"),
        pod(4, "bank", "payments", "a", "node-a"),
        node("node-a", false),
        node("node-b", false),
        service("shop/payments", 80),
        service("shop/checkout", 80),
        service("bank/payments", 80),
        slice("shop/payments", 2),
        slice("shop/checkout", 1),
        slice("bank/payments", 1),
        policy("shop/old", Some("payments"), "Ingress", 1),
    ] {
        index.apply(fact, at(0));
    }
    Kind::ALL.into_iter().for_each(|kind| index.end_list(kind, at(0)));
    index
}

fn payments() -> ComponentId {
    ComponentId::Service { namespace: "shop".to_owned(), name: "payments".to_owned() }
}

fn payments_1() -> ComponentId {
    ComponentId::Pod { namespace: "shop".to_owned(), name: "payments-1".to_owned() }
}

fn look(component: &ComponentId, index: &Index) -> Vec<Hint> {
    hints(component, Cause::Unreachable, Onset { since: at(ONSET), window_seconds: 10 }, None, index)
}

pub(super) fn messages(hints: &[Hint]) -> Vec<&str> {
    hints.iter().map(|hint| hint.message.as_str()).collect()
}

#[test]
fn each_kind_of_change_is_named_with_its_time() {
    let cases: [(Fact, ComponentId, [&str; 3]); 9] = [
        (
            policy("shop/deny", Some("payments"), "Ingress", 1),
            payments(),
            [
                "NetworkPolicy",
                "shop/deny",
                "NetworkPolicy shop/deny, which selects its pods, was created 12 s before",
            ],
        ),
        (
            policy("shop/deny-all", None, "Ingress", 1),
            payments(),
            [
                "NetworkPolicy",
                "shop/deny-all",
                "NetworkPolicy shop/deny-all, which selects its pods, was created 12 s before",
            ],
        ),
        (
            policy("shop/old", Some("payments"), "Ingress", 2),
            payments(),
            [
                "NetworkPolicy",
                "shop/old",
                "NetworkPolicy shop/old, which selects its pods, was changed 12 s before",
            ],
        ),
        (
            policy("shop/old", Some("checkout"), "Ingress", 2),
            payments(),
            [
                "NetworkPolicy",
                "shop/old",
                "NetworkPolicy shop/old, which selected its pods, was changed 12 s before",
            ],
        ),
        (
            policy("shop/deny", Some("payments"), "Egress", 1),
            payments_1(),
            [
                "NetworkPolicy",
                "shop/deny",
                "NetworkPolicy shop/deny, which selects its pods, was created 12 s before",
            ],
        ),
        (
            pod(9, "shop", "payments", "b", "node-a"),
            payments(),
            [
                "Deployment",
                "shop/payments",
                "a rollout of Deployment shop/payments to revision b started 12 s before",
            ],
        ),
        (
            slice("shop/payments", 0),
            payments(),
            ["Service", "shop/payments", "Service shop/payments lost its last ready endpoint 12 s before"],
        ),
        (
            service("shop/payments", 81),
            payments(),
            ["Service", "shop/payments", "Service shop/payments got other ports 12 s before"],
        ),
        (
            node("node-a", true),
            payments_1(),
            ["Node", "node-a", "Node node-a, on which it runs, was cordoned 12 s before"],
        ),
    ];
    for (change, component, [kind, name, message]) in cases {
        let mut index = cluster();
        index.apply(change.clone(), at(ONSET - 12));
        let hint = Hint {
            time: at(ONSET - 12),
            kind: kind.to_owned(),
            name: name.to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(look(&component, &index), [hint], "{change:?}");
    }
}

#[test]
fn what_was_deleted_or_removed_is_named() {
    for (gone, component, message) in [
        (
            policy("shop/old", None, "Ingress", 1),
            payments(),
            "NetworkPolicy shop/old, which selected its pods, was deleted 3 min before",
        ),
        (service("shop/payments", 80), payments(), "Service shop/payments was deleted 3 min before"),
        (node("node-a", false), payments_1(), "Node node-a, on which it runs, was removed 3 min before"),
    ] {
        let mut index = cluster();
        index.depart(&gone, at(ONSET - 200));
        assert_eq!(messages(&look(&component, &index)), [message]);
    }
}

#[test]
fn a_service_scaled_to_zero_is_still_known_by_the_pods_it_had() {
    let mut index = cluster();
    index.apply(pod(9, "shop", "payments", "b", "node-a"), at(ONSET - 60));
    for number in [1, 2] {
        index.depart(&pod(number, "shop", "payments", "a", "node-a"), at(ONSET - 30));
    }
    index.depart(&pod(9, "shop", "payments", "b", "node-a"), at(ONSET - 20));
    index.apply(slice("shop/payments", 0), at(ONSET - 10));
    assert_eq!(
        messages(&look(&payments(), &index)),
        [
            "Service shop/payments lost its last ready endpoint 10 s before",
            "a rollout of Deployment shop/payments to revision b started 60 s before",
        ]
    );
}

#[test]
fn what_does_not_concern_the_component_is_not_named() {
    for (change, component) in [
        (policy("shop/deny", Some("checkout"), "Ingress", 1), payments()),
        (policy("bank/deny", Some("payments"), "Ingress", 1), payments()),
        (policy("bank/deny-all", None, "Ingress", 1), payments_1()),
        // What a Service's pods may dial keeps nobody from dialling them.
        (policy("shop/deny", Some("payments"), "Egress", 1), payments()),
        (pod(9, "shop", "checkout", "b", "node-a"), payments()),
        (pod(9, "bank", "payments", "b", "node-a"), payments_1()),
        (pod(9, "shop", "payments", "a", "node-a"), payments()),
        (slice("shop/checkout", 0), payments()),
        (slice("bank/payments", 0), payments()),
        (service("bank/payments", 81), payments()),
        (node("node-b", true), payments_1()),
        (node("node-a", true), payments()),
        (policy("shop/deny-all", None, "Ingress", 1), ComponentId::Node("node-a".to_owned())),
        (
            policy("shop/deny-all", None, "Ingress", 1),
            ComponentId::Service { namespace: "shop".to_owned(), name: "unknown".to_owned() },
        ),
    ] {
        let mut index = cluster();
        index.apply(change.clone(), at(ONSET - 12));
        assert_eq!(look(&component, &index), [], "{component}: {change:?}");
    }
}

#[test]
fn only_changes_around_the_onset_are_named() {
    for (second, window_seconds, named) in [
        (ONSET - 15 * 60 - 1, 10, false),
        (ONSET - 15 * 60, 10, true),
        (ONSET, 10, true),
        (ONSET + 30, 10, true),
        (ONSET + 31, 10, false),
        // All that is known of the onset is that it was in the window.
        (ONSET + 60, 60, true),
        (ONSET + 61, 60, false),
    ] {
        let mut index = cluster();
        index.apply(policy("shop/deny", None, "Ingress", 1), at(second));
        let onset = Onset { since: at(ONSET), window_seconds };
        let found = hints(&payments(), Cause::Unreachable, onset, None, &index);
        assert_eq!(!found.is_empty(), named, "{second}, {window_seconds} s");
        if named && second >= ONSET {
            let message = "NetworkPolicy shop/deny, which selects its pods, was created as it began";
            assert_eq!(messages(&found), [message]);
        }
    }
}

#[test]
fn the_nearest_come_first_each_once_and_no_more_than_three() {
    let mut index = cluster();
    index.apply(pod(9, "shop", "payments", "b", "node-a"), at(ONSET - 500));
    index.apply(policy("shop/far", None, "Ingress", 1), at(ONSET - 300));
    index.apply(service("shop/payments", 81), at(ONSET - 100));
    for n in 0..5 {
        index.apply(slice("shop/payments", 0), at(ONSET - 50 + 2 * n));
        index.apply(slice("shop/payments", 1), at(ONSET - 49 + 2 * n));
    }
    index.apply(policy("shop/after", None, "Ingress", 1), at(ONSET + 5));
    assert_eq!(
        messages(&look(&payments(), &index)),
        [
            "NetworkPolicy shop/after, which selects its pods, was created as it began",
            "Service shop/payments lost its last ready endpoint 42 s before",
            "Service shop/payments got other ports 100 s before",
        ]
    );
}

#[test]
fn a_change_that_cannot_have_caused_the_fault_is_not_named() {
    let cases = [
        // Seen on redis: it was slow, which no lack of endpoints causes.
        (Cause::Latency, slice("shop/payments", 0), 34, false),
        // Seen at a client: slow from 7 minutes after a rollout on.
        (Cause::Latency, pod(9, "shop", "payments", "b", "node-a"), 7 * 60, false),
        (Cause::Latency, pod(9, "shop", "payments", "b", "node-a"), 3 * 60, true),
        (Cause::Latency, policy("shop/deny", None, "Ingress", 1), 12, false),
        (Cause::PacketLoss, slice("shop/payments", 0), 34, false),
        (Cause::PacketLoss, pod(9, "shop", "payments", "b", "node-a"), 12, false),
        (Cause::PacketLoss, policy("shop/deny", None, "Ingress", 1), 120, true),
        (Cause::PacketLoss, policy("shop/deny", None, "Ingress", 1), 121, false),
        (Cause::Refused, policy("shop/deny", None, "Ingress", 1), 12, false),
        (Cause::Refused, slice("shop/payments", 0), 34, true),
        (Cause::Refused, slice("shop/payments", 0), 301, false),
        (Cause::Refused, pod(9, "shop", "payments", "b", "node-a"), 7 * 60, true),
        (Cause::Overload, slice("shop/payments", 0), 34, false),
        (Cause::Overload, pod(9, "shop", "payments", "b", "node-a"), 5 * 60, true),
        (Cause::Overload, service("shop/payments", 81), 12, false),
        (Cause::ConntrackFull, pod(9, "shop", "payments", "b", "node-a"), 12, false),
        (Cause::ConnectionFailures, policy("shop/deny", None, "Ingress", 1), 12, false),
        (Cause::AllowanceExceeded, slice("shop/payments", 0), 12, false),
    ];
    for (cause, change, before, named) in cases {
        let mut index = cluster();
        index.apply(change.clone(), at(ONSET - before));
        let onset = Onset { since: at(ONSET), window_seconds: 10 };
        let found = hints(&payments(), cause, onset, None, &index);
        assert_eq!(!found.is_empty(), named, "{cause:?}, {before} s after {change:?}: {found:?}");
    }
}

#[test]
fn a_tenant_is_not_told_what_changed_in_another_s_namespace() {
    let mut index = cluster();
    index.apply(policy("shop/deny-all", None, "Ingress", 1), at(ONSET - 12));
    let onset = Onset { since: at(ONSET), window_seconds: 10 };
    for (boundary, told) in [(None, 1), (Some("shop"), 1), (Some("bank"), 0)] {
        assert_eq!(
            hints(&payments(), Cause::Unreachable, onset, boundary, &index).len(),
            told,
            "{boundary:?}"
        );
        assert_eq!(
            hints(&payments_1(), Cause::Unreachable, onset, boundary, &index).len(),
            told,
            "{boundary:?}"
        );
    }
}

fn hint(kind: &str, second: i64) -> Hint {
    Hint {
        time: at(second),
        kind: kind.to_owned(),
        name: format!("shop/{second}"),
        message: second.to_string(),
    }
}

#[test]
fn the_summary_tells_only_what_may_well_be_the_cause() {
    let component = |cause, hints: &[Hint]| FaultyComponent {
        kind: ComponentKind::Service,
        name: "shop/payments".to_owned(),
        class: FaultClass::Workload,
        cause,
        since: at(ONSET),
        confidence: 1.0,
        retransmission_ratio: None,
        baseline_ratio: None,
        rtt_min: None,
        baseline_rtt_min: None,
        rtt_p50: None,
        baseline_rtt_p50: None,
        failed_attempts: None,
        requests_sent_again: None,
        attempts: None,
        limit: None,
        affected_flows: None,
        total_flows: 1,
        hints: hints.to_vec(),
    };
    let near = ONSET - 12;
    for (cause, kind, second, is_strong) in [
        (FaultCause::Unreachable, "NetworkPolicy", near, true),
        (FaultCause::Unreachable, "NetworkPolicy", ONSET + 12, true),
        (FaultCause::Unreachable, "NetworkPolicy", ONSET - 400, false),
        (FaultCause::Unreachable, "Deployment", near, false),
        (FaultCause::Refused, "Deployment", near, true),
        (FaultCause::Refused, "StatefulSet", near, true),
        (FaultCause::Refused, "Service", near, true),
        (FaultCause::Refused, "NetworkPolicy", near, false),
        (FaultCause::Refused, "Node", near, false),
        (FaultCause::Overload, "Deployment", near, false),
    ] {
        let component = component(cause, &[hint("Node", near), hint(kind, second)]);
        assert_eq!(strong(&component).is_some(), is_strong, "{cause:?} {kind} {second}");
    }
}

/// The number of hints settled after each window of 10 s, from those found in each.
fn settled(found: &[&[Hint]]) -> Vec<usize> {
    let mut onsets = Onsets::default();
    let mut has: Option<Vec<Hint>> = None;
    let mut counts = Vec::new();
    for (n, found) in (0_i64..).zip(found) {
        let window = (at(ONSET + 10 * n), 10);
        let next = onsets.settle(&payments(), has.as_deref(), found, window);
        // The write of it was lost, or it is looked at twice.
        assert_eq!(onsets.settle(&payments(), has.as_deref(), found, window), next);
        assert_eq!(onsets.settle(&payments(), Some(&next), found, window), next);
        counts.push(next.len());
        has = Some(next);
    }
    counts
}

#[test]
fn hints_are_settled_at_the_onset_and_added_to_once_within_two_windows() {
    let all: Vec<Hint> = (0..5).map(|n| hint("Service", n)).collect();
    for (found, counts) in [
        (vec![0, 0, 0, 1, 2], vec![0, 0, 0, 0, 0]),
        (vec![1, 1, 1, 1, 1], vec![1, 1, 1, 1, 1]),
        (vec![1, 2, 3, 3, 3], vec![1, 2, 2, 2, 2]),
        (vec![0, 0, 2, 3, 3], vec![0, 0, 2, 2, 2]),
        (vec![2, 5, 5, 5, 5], vec![2, 3, 3, 3, 3]),
        (vec![2, 0, 0, 0, 0], vec![2, 2, 2, 2, 2]),
    ] {
        let found: Vec<&[Hint]> = found.into_iter().map(|count| &all[..count]).collect();
        assert_eq!(settled(&found), counts);
    }
}

#[test]
fn a_new_process_leaves_the_hints_as_they_are_and_a_new_fault_has_its_own() {
    let (old, new) = ([hint("Service", 1)], [hint("Service", 2)]);
    let mut onsets = Onsets::default();
    assert_eq!(onsets.settle(&payments(), Some(&old), &new, (at(0), 10)), old);
    onsets.settle(&payments(), None, &old, (at(10), 10));
    onsets.keep_only(&[]);
    assert_eq!(onsets, Onsets::default());
    assert_eq!(onsets.settle(&payments(), None, &new, (at(20), 10)), new);
}
