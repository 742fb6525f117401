//! An alarm that others combine: what it calls by changes, moves, or goes.

use serde_json::{Value, json};
use tidewatch_testing::managed::with;

use super::bed::{AlarmBed as _, Bed, cpu};

const PARENT: &str = "AnomalyAlarm shop/par";

fn gated() -> Value {
    json!({
        "metric": cpu(),
        "condition": {"threshold": {"operator": "GreaterThan", "value": 80}},
        "when": {"networkHealth": {"monitor": "net"}},
    })
}

/// `par` combines `kid`.
async fn family(kid: &Value) -> Bed {
    let bed = Bed::start().await;
    bed.apply("kid", kid);
    bed.settle().await;
    bed.apply("par", &json!({"alarms": {"anyOf": ["kid"]}}));
    bed.settle().await;
    assert_eq!(bed.ready("par").1, "InPlace", "{:?}", bed.ready("par"));
    bed
}

fn rule(bed: &Bed) -> String {
    let name = format!("{}-composite", bed.name_of("par"));
    bed.region(|region| region.alarms[&name].composite().unwrap().alarm_rule.clone())
}

fn refused(bed: &Bed) -> Vec<String> {
    let calls = bed.double.calls().into_iter().filter(|call| !call.succeeded());
    calls.map(|call| call.operation).collect()
}

#[tokio::test]
async fn a_child_that_calls_by_another_alarm_wakes_its_parent_and_is_woken_by_it() {
    for (before, after) in [("when", "metric"), ("metric", "when")] {
        let kid = |shape: &str| if shape == "when" { gated() } else { with(gated(), "/when", Value::Null) };
        let mut bed = family(&kid(before)).await;
        let name = bed.name_of("kid");
        let calling = |shape: &str| if shape == "when" { format!("{name}-composite") } else { name.clone() };
        assert_eq!(rule(&bed), format!("ALARM(\"{}\")", calling(before)));
        bed.woken();
        bed.double.clear_calls();
        bed.apply("kid", &kid(after));
        // What is woken, and nothing else.
        let mut next = vec!["shop/kid".to_owned()];
        for _ in 0..6 {
            for key in std::mem::take(&mut next) {
                bed.pass(key.trim_start_matches("shop/")).await;
                // The watch shows it each write of its own.
                bed.pass(key.trim_start_matches("shop/")).await;
            }
            next.extend(bed.woken());
        }
        assert_eq!(rule(&bed), format!("ALARM(\"{}\")", calling(after)), "{before} to {after}");
        for object in ["kid", "par"] {
            assert_eq!(bed.ready(object).1, "InPlace", "{before} to {after}: {:?}", bed.ready(object));
        }
        let there = bed.region(|region| region.alarms.contains_key(&format!("{name}-composite")));
        assert_eq!(there, after == "when");
        assert_eq!(refused(&bed), [""; 0], "{before} to {after}");
    }
}

#[tokio::test]
async fn a_child_that_moves_says_who_keeps_what_it_left_and_goes_on_being_edited() {
    let bed = family(&gated()).await;
    let name = bed.name_of("kid");
    bed.double.clear_calls();
    let moved = with(with(gated(), "/when", Value::Null), "/region", json!("us-east-1"));
    bed.apply("kid", &moved);
    for _ in 0..5 {
        bed.sweep().await;
    }
    let (ready, reason, message) = bed.ready("kid");
    assert_eq!((ready.as_str(), reason.as_str()), ("Unknown", "InUse"), "{message}");
    assert!(
        message.contains(PARENT) && message.contains(&format!("{name}-composite in eu-west-1")),
        "{message}"
    );
    assert_eq!(bed.ready("par").1, "InvalidSpec", "{:?}", bed.ready("par"));
    assert!(bed.ready("par").2.contains("AnomalyAlarm kid is in us-east-1"), "{:?}", bed.ready("par"));
    assert_eq!(refused(&bed), [""; 0]);

    bed.apply("kid", &with(moved.clone(), "/condition/threshold/value", json!(95)));
    for _ in 0..3 {
        bed.sweep().await;
    }
    let threshold = bed
        .double
        .with(super::bed::ACCOUNT, "us-east-1", |region| region.alarms[&name].metric().unwrap().threshold);
    assert_eq!(threshold, Some(95.0));
    assert_eq!(bed.status("kid").observed_generation, Some(3));

    bed.apply("par", &json!({"alarms": {"anyOf": ["kid"]}, "region": "us-east-1"}));
    bed.settle().await;
    for object in ["kid", "par"] {
        assert_eq!(bed.ready(object).1, "InPlace", "{:?}", bed.ready(object));
    }
    assert!(bed.all().is_empty(), "{:?}", bed.all());
}

#[tokio::test]
async fn a_combined_child_that_is_deleted_waits_for_its_parent_by_name_and_asks_aws_for_nothing() {
    for kid in [gated(), with(gated(), "/when", Value::Null)] {
        let mut bed = family(&kid).await;
        bed.double.clear_calls();
        bed.delete("kid");
        for _ in 0..5 {
            bed.sweep().await;
        }
        let (ready, reason, message) = bed.ready("kid");
        assert_eq!((ready.as_str(), reason.as_str()), ("Unknown", "Deleting"), "{message}");
        assert!(message.contains(PARENT) && message.contains("alarms.anyOf"), "{message}");
        assert_eq!(bed.status("kid").state, None, "what it says isn't read any more");
        assert_eq!(bed.ready("par").1, "InPlace", "it goes on combining what is there");
        assert_eq!(bed.writes(), [""; 0]);

        bed.apply("new", &json!({"alarms": {"anyOf": ["kid"]}}));
        bed.pass("new").await;
        assert_eq!(bed.ready("new").1, "WaitingForAlarms");
        assert!(bed.ready("new").2.contains("is being deleted"), "{:?}", bed.ready("new"));
        bed.delete("new");
        bed.woken();

        // Its parent lets go, and wakes it.
        bed.apply("other", &with(gated(), "/when", Value::Null));
        bed.pass("other").await;
        bed.apply("par", &json!({"alarms": {"anyOf": ["other"]}}));
        bed.pass("par").await;
        assert!(bed.woken().contains(&"shop/kid".to_owned()));
        bed.settle().await;
        assert!(bed.get("kid").is_none());
        assert_eq!(refused(&bed), [""; 0]);
    }
}

#[tokio::test]
async fn an_alarm_that_someone_elses_composite_names_is_in_use_in_aws_s_words() {
    let bed = Bed::start().await;
    bed.apply("kid", &gated());
    bed.settle().await;
    let name = bed.name_of("kid");
    let by_hand = aws_sdk_cloudwatch::Client::new(&bed.sdk_config().await).put_composite_alarm();
    let by_hand = by_hand.alarm_name("by-hand").alarm_rule(format!("ALARM(\"{name}-composite\")"));
    by_hand.send().await.unwrap();
    bed.apply("kid", &with(gated(), "/when", Value::Null));
    bed.sweep().await;
    let (ready, reason, message) = bed.ready("kid");
    assert_eq!((ready.as_str(), reason.as_str()), ("Unknown", "InUse"), "{message}");
    assert!(message.contains("by-hand"), "{message}");
    assert_eq!(refused(&bed), ["DeleteAlarms"], "once a pass");
    assert!(bed.status("kid").state.is_some(), "what it calls by now is read");

    bed.delete("kid");
    bed.sweep().await;
    assert_eq!(bed.ready("kid").1, "Deleting", "{:?}", bed.ready("kid"));
    bed.region(|region| drop(region.alarms.remove("by-hand")));
    bed.settle().await;
    assert!(bed.get("kid").is_none() && bed.all().is_empty(), "{:?}", bed.all());
}

/// Passes over what is woken and nothing else, until nothing is.
async fn until_nobody_is_woken(bed: &mut Bed, first: &[&str]) {
    let mut next: Vec<String> = first.iter().map(|name| format!("shop/{name}")).collect();
    for _ in 0..20 {
        for key in std::mem::take(&mut next) {
            bed.pass(key.trim_start_matches("shop/")).await;
        }
        next = bed.woken();
        if next.is_empty() {
            return;
        }
    }
    panic!("{next:?} are woken for ever; refused: {:?}", refused(bed));
}

#[tokio::test]
async fn two_objects_whose_alarms_are_in_use_dont_wake_each_other() {
    let mut bed = Bed::start().await;
    for name in ["a", "b"] {
        bed.apply(name, &gated());
    }
    bed.settle().await;
    let rule = ["a", "b"].map(|name| format!("ALARM(\"{}-composite\")", bed.name_of(name))).join(" OR ");
    let by_hand = aws_sdk_cloudwatch::Client::new(&bed.sdk_config().await).put_composite_alarm();
    by_hand.alarm_name("by-hand").alarm_rule(rule).send().await.unwrap();
    bed.delete("a");
    bed.delete("b");
    bed.woken();
    until_nobody_is_woken(&mut bed, &["a", "b"]).await;
    for name in ["a", "b"] {
        assert_eq!(bed.ready(name).1, "Deleting", "{:?}", bed.ready(name));
        assert!(bed.ready(name).2.contains("by-hand"), "{:?}", bed.ready(name));
    }
}

#[tokio::test]
async fn a_child_waits_while_only_the_parents_spec_let_go_of_it() {
    let mut bed = Bed::start().await;
    for name in ["a", "b"] {
        bed.apply(name, &gated());
    }
    bed.settle().await;
    bed.apply("par", &json!({"alarms": {"anyOf": ["a", "b"]}}));
    bed.settle().await;
    bed.apply("par", &json!({"alarms": {"anyOf": ["c"]}}));
    bed.pass("par").await;
    assert_eq!(bed.ready("par").1, "WaitingForAlarms", "{:?}", bed.ready("par"));
    bed.delete("a");
    bed.delete("b");
    bed.woken();
    bed.double.clear_calls();
    until_nobody_is_woken(&mut bed, &["a", "b"]).await;
    for name in ["a", "b"] {
        assert!(bed.ready(name).2.contains(PARENT), "{:?}", bed.ready(name));
    }
    assert_eq!(refused(&bed), [""; 0], "nobody asks for what AWS would refuse");

    bed.apply("c", &gated());
    until_nobody_is_woken(&mut bed, &["c"]).await;
    bed.settle().await;
    assert!(bed.get("a").is_none() && bed.get("b").is_none());
    assert_eq!(bed.ready("par").1, "InPlace", "{:?}", bed.ready("par"));
    assert_eq!(refused(&bed), [""; 0]);
}
