//! What is said of what fails, and what isn't.

use serde_json::json;
use tidewatch_aws_double::{Fault, FaultKind};
use tidewatch_testing::managed::{Effect, Fate};

use super::bed::{AlarmBed as _, Bed, cpu};

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

#[tokio::test]
async fn a_change_by_hand_that_was_undone_is_told_whatever_fails_next() {
    for kube_too in [false, true] {
        let mut bed = Bed::start().await;
        bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {}}}));
        bed.settle().await;
        let name = bed.name_of("cpu");
        bed.region(|region| {
            region.alarms.get_mut(&name).unwrap().metric_mut().unwrap().evaluation_periods = Some(9);
        });
        bed.restart().await;
        if kube_too {
            bed.cluster.decide(0, Effect::Before, Fate::Fails);
        }
        let operation = Some("DescribeAlarms".to_owned());
        bed.double.inject(Fault { operation, skip: 1, times: 1, kind: FaultKind::Throttle });
        bed.sweep().await;
        bed.settle().await;
        let told = bed.events("cpu").into_iter().filter(|said| said.starts_with("DriftRepaired")).count();
        assert_eq!(told, 1, "{:?}", bed.events("cpu"));
    }
}

/// As one does that took too long: what it remembered is gone, and its reader goes on.
#[tokio::test]
async fn a_pass_that_is_ended_after_a_write_leads_to_no_second_write_and_to_no_tale_of_a_change_by_hand() {
    let bed = Bed::start().await;
    bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {"width": 2}}}));
    bed.settle().await;
    bed.double.clear_calls();
    bed.double.inject(Fault::once("TagResource", FaultKind::HoldAfter));
    bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {"width": 4}}}));
    tokio::select! {
        biased;
        () = bed.double.held() => {}
        _ = bed.pass("cpu") => panic!("nothing was held"),
    }
    bed.double.forget_held();
    bed.settle().await;
    assert_eq!(bed.writes(), ["PutMetricAlarm", "TagResource"]);
    assert!(!bed.events("cpu").join("\n").contains("by hand"), "{:?}", bed.events("cpu"));
}
