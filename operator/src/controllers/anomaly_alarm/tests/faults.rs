//! Each call fails once in each way, and each write to the cluster: the end is the same.

use serde_json::json;
use tidewatch_aws_double::{Fault, FaultKind};

use super::bed::{Bed, cpu};
use super::cluster::{Effect, Fate};
use super::scenario::{Faultless, Passes, Way, scenario};

/// A process that fails is replaced by another, again and again.
struct Restarts;

impl Way for Restarts {
    async fn rest(&self, bed: &mut Bed) {
        for _ in 0..3 {
            bed.sweep().await;
            bed.restart().await;
        }
        bed.settle().await;
    }
}

#[tokio::test]
async fn every_call_may_fail_once_in_every_way() {
    let faultless = Faultless::run(&Passes).await;
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
    for (operation, skip) in Faultless::each(&faultless.calls) {
        for kind in kinds {
            let mut bed = Bed::start().await;
            bed.double.inject(Fault { operation: Some(operation.clone()), skip, times: 1, kind });
            let restarting = matches!(kind, FaultKind::DropBefore | FaultKind::DropAfter);
            let end = if restarting {
                scenario(&mut bed, &Restarts).await
            } else {
                scenario(&mut bed, &Passes).await
            };
            assert_eq!(end, faultless.end, "{operation} fails as {kind:?} after {skip}");
            plans += 1;
        }
    }
    assert!(plans >= 96, "{plans} plans over {:?}", faultless.calls);
}

#[tokio::test]
async fn every_write_to_the_cluster_may_fail_before_and_after_its_effect() {
    let faultless = Faultless::run(&Passes).await;
    for skip in 0..faultless.kube_writes {
        for effect in [Effect::Before, Effect::After] {
            let mut bed = Bed::start().await;
            bed.fate_of_kube_write(skip, effect, Fate::Fails);
            let end = scenario(&mut bed, &Passes).await;
            assert_eq!(end, faultless.end, "write {skip} fails {effect:?} its effect");
            assert!(bed.fate_met(), "write {skip} wasn't made");
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
        bed.double.inject(Fault { operation: Some("PutMetricAlarm".to_owned()), skip: 0, times: 1, kind });
        bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {}}}));
        bed.sweep().await;
        let (ready, found, message) = bed.ready("cpu");
        assert_eq!((ready.as_str(), found.as_str()), ("Unknown", reason));
        assert!(message.contains(says), "{message}");
        let last = bed.status("cpu").last_error.unwrap();
        assert_eq!(last.operation, "PutMetricAlarm");
        assert!(last.next_try.is_some());
        bed.settle().await;
        assert_eq!(bed.status("cpu").last_error, None);
    }
}
