//! Each call fails once in each way, and the process ends around each write: the end is the same.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tidewatch_aws_double::{Fault, FaultKind};

use super::bed::{Bed, Effect, checks};

/// What a scenario leaves behind, at its two points of rest.
type End = (BTreeMap<String, String>, BTreeMap<String, String>);

fn changed() -> Value {
    let mut spec = checks();
    spec["timeout"] = json!("40s");
    spec["checks"][0]["http"]["url"] = json!("https://other.example.com/");
    spec["tags"] = json!({"cost": "1"});
    spec
}

fn first() -> Value {
    let mut spec = checks();
    spec["tags"] = json!({"team": "a"});
    spec
}

/// Creates, changes, suspends and deletes, beside another object that stays.
async fn scenario(bed: &mut Bed, restarting: bool) -> End {
    bed.apply("other", &checks());
    bed.apply("home", &first());
    rest(bed, restarting).await;
    bed.double.advance(SignedDuration::from_mins(2));
    bed.apply("home", &changed());
    rest(bed, restarting).await;
    let middle = bed.all();
    let mut suspended = changed();
    suspended["suspend"] = json!(true);
    bed.apply("home", &suspended);
    rest(bed, restarting).await;
    bed.delete("home");
    rest(bed, restarting).await;
    assert!(bed.get("home").is_none());
    // Whatever happened, nothing more is written once all is at rest.
    bed.keep_calls();
    let kube_writes = bed.kube_writes();
    for _ in 0..3 {
        bed.sweep().await;
    }
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!(bed.kube_writes(), kube_writes);
    (middle, bed.all())
}

/// Until all is at rest. A process that fails is replaced by another.
async fn rest(bed: &mut Bed, restarting: bool) {
    if restarting {
        for _ in 0..3 {
            bed.sweep().await;
            bed.restart().await;
        }
    }
    bed.settle().await;
}

async fn without_faults() -> (End, BTreeMap<String, usize>, usize) {
    let mut bed = Bed::start().await;
    let mut calls = BTreeMap::new();
    let end = scenario(&mut bed, false).await;
    for call in bed.all_calls() {
        *calls.entry(call.operation).or_insert(0) += 1;
    }
    (end, calls, bed.kube_writes())
}

#[tokio::test]
async fn every_call_may_fail_once_in_every_way() {
    let (end, calls, _) = without_faults().await;
    assert_eq!(end.1["around"], "(1, 1, 1)", "the other object's: {:?}", end.1);
    let kinds = [
        FaultKind::Throttle,
        FaultKind::ServerError,
        FaultKind::Unavailable,
        FaultKind::DropBefore,
        FaultKind::DropAfter,
        FaultKind::Denied,
        FaultKind::ExpiredCredentials,
        FaultKind::QuotaExceeded,
    ];
    let mut plans = 0;
    for (operation, count) in &calls {
        // The first calls of an operation and the last differ; those between are like one of them.
        let skips: Vec<usize> = if *count <= 3 { (0..*count).collect() } else { vec![0, 1, count - 1] };
        for skip in skips {
            for kind in kinds {
                // A right on log groups that is missing leaves them, and says so.
                if operation == "DeleteLogGroup" && kind == FaultKind::Denied {
                    continue;
                }
                let mut bed = Bed::start().await;
                let skip = u32::try_from(skip).unwrap();
                bed.double.inject(Fault { operation: Some(operation.clone()), skip, times: 1, kind });
                let restarting = matches!(kind, FaultKind::DropBefore | FaultKind::DropAfter);
                let found = scenario(&mut bed, restarting).await;
                assert_eq!(found, end, "{operation} fails as {kind:?} after {skip}");
                plans += 1;
            }
        }
    }
    println!("{plans} plans over {calls:?}");
    assert!(plans >= 96, "{plans} plans over {calls:?}");
}

#[tokio::test]
async fn the_process_may_end_before_and_after_each_write_to_the_cluster() {
    let (end, _, writes) = without_faults().await;
    for skip in 0..writes {
        for effect in [Effect::Before, Effect::After] {
            let mut bed = Bed::start().await;
            bed.fail_kube_write(skip, effect);
            let found = scenario(&mut bed, true).await;
            assert_eq!(found, end, "write {skip} of {writes} fails {effect:?} its effect");
            assert!(bed.kube_failed(), "write {skip} of {writes} wasn't made");
        }
    }
}

#[tokio::test]
async fn what_aws_refuses_is_in_the_status_in_words_with_the_next_try() {
    let cases = [
        (FaultKind::Denied, "Denied", "not authorized"),
        (FaultKind::ExpiredCredentials, "NoCredentials", "expired"),
        (FaultKind::QuotaExceeded, "QuotaReached", "quota"),
        (FaultKind::Throttle, "Throttled", "Rate exceeded"),
    ];
    for (kind, reason, says) in cases {
        let bed = Bed::start().await;
        bed.double.inject(Fault { operation: Some("CreateCanary".to_owned()), skip: 0, times: 1, kind });
        bed.apply("home", &checks());
        bed.sweep().await;
        let (ready, found, message) = bed.ready("home");
        assert_eq!((ready.as_str(), found.as_str()), ("Unknown", reason));
        assert!(message.contains(says), "{message}");
        let last = bed.status("home").aws.unwrap().last_error.unwrap();
        assert_eq!(last.operation, "CreateCanary");
        assert!(last.next_try.is_some());
        bed.settle().await;
        assert_eq!(bed.status("home").aws.unwrap().last_error, None);
    }
}

#[tokio::test]
async fn without_the_right_to_delete_logs_they_stay_and_that_is_told() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    bed.double.advance(SignedDuration::from_mins(2));
    bed.double.inject(Fault::once("DeleteLogGroup", FaultKind::Denied));
    bed.delete("home");
    bed.settle().await;
    assert!(bed.get("home").is_none());
    assert_eq!(bed.around(), (0, 0, 1));
    let told = bed.events("home").join("\n");
    assert!(told.contains("log group /aws/lambda/cwsyn-"), "{told}");
}
