//! What is said of what fails.

use jiff::SignedDuration;
use serde_json::json;
use tidewatch_aws_double::{Fault, FaultKind};

use super::bed::{Bed, CanaryBed as _, checks, with};

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
async fn a_change_that_may_not_be_made_hides_no_run_of_what_is_there() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let operation = Some("UpdateCanary".to_owned());
    bed.double.inject(Fault { operation, skip: 0, times: 1000, kind: FaultKind::Denied });
    bed.apply("home", &with(checks(), "/timeout", json!("45s")));
    bed.pass("home").await;
    for _ in 0..2 {
        bed.double.advance(SignedDuration::from_mins(6));
        let runs = bed.status("home").hours.iter().map(|hour| hour.runs).sum::<u32>();
        bed.pass("home").await;
        let (_, reason, message) = bed.ready("home");
        assert_eq!(reason, "Denied", "{message}");
        let status = bed.status("home");
        assert_eq!(status.state.as_deref(), Some("RUNNING"));
        assert_eq!(bed.cluster.condition("home", "Passing").1, "Passed");
        assert!(status.hours.iter().map(|hour| hour.runs).sum::<u32>() > runs, "{:?}", status.hours);
        let last = status.aws.unwrap().last_error.unwrap();
        assert_eq!(last.operation, "UpdateCanary");
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
