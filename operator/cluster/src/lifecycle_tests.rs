use super::*;
use crate::{Fact, ServiceFact, SliceFact, Uid};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn window(from: i64) -> Span {
    Span { from: at(from), to: at(from + 15) }
}

/// A pod that has been ready since long before the windows.
fn steady() -> PodFact {
    PodFact {
        phase: PodPhase::Running,
        ready: true,
        ready_changed: Some(at(-9_990)),
        created: Some(at(-10_000)),
        started: Some(at(-9_999)),
        ..PodFact::default()
    }
}

fn deleted(requested: i64, due: i64) -> Option<Deletion> {
    Some(Deletion { requested: at(requested), due: at(due) })
}

/// Starts of windows, and the stage in each.
type Stages<'a> = &'a [(i64, Option<Lifecycle>)];

#[test]
fn a_pod_s_stage_is_told_while_its_trouble_is_expected() {
    use Lifecycle::{Gone, Restarting, Starting, Terminating};
    let created = PodFact { ready: false, ready_changed: None, created: Some(at(0)), ..steady() };
    let ready = PodFact { ready: true, ready_changed: Some(at(20)), ..created.clone() };
    let flapping = PodFact { ready_changed: Some(at(500)), ..ready.clone() };
    let restarted = PodFact { ready: false, ready_changed: Some(at(0)), restarted: Some(at(0)), ..steady() };
    let back = PodFact { ready: true, ready_changed: Some(at(8)), ..restarted.clone() };
    let unnoticed = PodFact { restarted: Some(at(0)), ..steady() };
    let failing_its_probe = PodFact { ready: false, ready_changed: Some(at(0)), ..steady() };
    let going = PodFact { deletion: deleted(0, 30), ..steady() };
    let draining = PodFact { deletion: deleted(0, 600), ..steady() };
    let ended = PodFact { phase: PodPhase::Ended, ..steady() };
    let cases: [(&str, &PodFact, Stages<'_>); 11] = [
        ("steady", &steady(), &[(0, None)]),
        (
            "created, never ready",
            &created,
            &[(-15, None), (-14, Some(Starting)), (179, Some(Starting)), (180, None)],
        ),
        ("ready at 20", &ready, &[(0, Some(Starting)), (49, Some(Starting)), (50, None)]),
        ("ready again much later", &flapping, &[(179, Some(Starting)), (180, None), (500, None)]),
        (
            "restarted, not ready",
            &restarted,
            &[(-15, None), (0, Some(Restarting)), (179, Some(Restarting)), (180, None)],
        ),
        ("restarted, ready at 8", &back, &[(0, Some(Restarting)), (37, Some(Restarting)), (38, None)]),
        (
            "restarted before a probe told",
            &unnoticed,
            &[(0, Some(Restarting)), (29, Some(Restarting)), (30, None)],
        ),
        ("not ready since its probe fails", &failing_its_probe, &[(0, None), (60, None)]),
        ("going", &going, &[(-15, None), (0, Some(Terminating)), (179, Some(Terminating)), (180, None)]),
        (
            "going with ten minutes' grace",
            &draining,
            &[(0, Some(Terminating)), (599, Some(Terminating)), (600, None)],
        ),
        ("ended", &ended, &[(0, Some(Gone))]),
    ];
    for (what, pod, windows) in cases {
        for (from, expected) in windows {
            assert_eq!(lifecycle(pod, None, window(*from)), *expected, "{what}, window at {from}");
        }
    }
}

#[test]
fn a_pod_whose_object_is_deleted_is_gone_from_then_on() {
    for (departed, expected) in
        [(5, Some(Lifecycle::Gone)), (14, Some(Lifecycle::Gone)), (15, None), (60, None)]
    {
        assert_eq!(lifecycle(&steady(), Some(at(departed)), window(0)), expected, "{departed}");
    }
    let going = PodFact { deletion: deleted(2, 32), ..steady() };
    assert_eq!(lifecycle(&going, Some(at(20)), window(0)), Some(Lifecycle::Terminating));
}

#[test]
fn a_service_without_endpoints_starts_while_a_pod_of_it_does() {
    let pod = |n: u8, fact: PodFact| {
        Fact::Pod(PodFact {
            uid: Uid::parse(&format!("{n:032x}")).unwrap(),
            key: format!("shop/web-{n}").into(),
            labels: [("app".to_owned(), "web".to_owned())]
                .into_iter()
                .collect::<std::collections::BTreeMap<_, _>>()
                .into(),
            ..fact
        })
    };
    let slice = |ready: usize| {
        Fact::EndpointSlice(SliceFact {
            key: "shop/web-x".into(),
            service: "shop/web".into(),
            ports: [8080].into(),
            backends: vec![],
            ready,
        })
    };
    let service = Fact::Service(ServiceFact {
        key: "shop/web".into(),
        selector: [("app".to_owned(), "web".to_owned())]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
            .into(),
        ..ServiceFact::default()
    });
    let starting = PodFact { ready: false, ready_changed: None, created: Some(at(0)), ..steady() };
    let crashing = PodFact { ready: false, ready_changed: Some(at(-100)), ..steady() };
    let going = PodFact { ready: false, deletion: deleted(0, 30), ..steady() };
    for (what, facts, expected) in [
        ("scaled to zero", vec![slice(0)], None),
        ("its last pod ends", vec![slice(0), pod(1, going)], None),
        ("a new pod is on its way", vec![slice(0), pod(1, starting.clone())], Some(Lifecycle::Starting)),
        ("another pod is ready", vec![slice(1), pod(1, starting)], None),
        ("its pod crashes again and again", vec![slice(0), pod(1, crashing)], None),
    ] {
        let mut index = Index::default();
        for fact in [service.clone()].into_iter().chain(facts) {
            index.apply(fact, at(0));
        }
        assert_eq!(lifecycle_of_service(&index, "shop/web", window(0)), expected, "{what}");
    }
}
