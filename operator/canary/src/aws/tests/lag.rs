//! Reads that are behind what was written.

use jiff::SignedDuration;
use serde_json::json;
use tidewatch_aws_double::{Fault, FaultKind};
use tidewatch_testing::managed::sweeps::LAG;

use super::bed::{ACCOUNT, Bed, CanaryBed as _, checks, with};

fn lags(bed: &Bed, operation: &str) {
    bed.double.inject(Fault::once(operation, FaultKind::Lag(LAG)));
}

/// Passes while reads may be behind, and until all is at rest once they aren't.
async fn catches_up(bed: &Bed) {
    for _ in 0..5 {
        bed.sweep().await;
    }
    bed.double.advance(LAG + SignedDuration::from_secs(1));
    bed.settle().await;
}

fn refused(bed: &Bed) -> Vec<String> {
    let calls = bed.double.calls().into_iter();
    let refused =
        calls.filter(|call| call.is_write() && !call.succeeded() && call.operation != "DeleteLogGroup");
    refused.map(|call| format!("{} {:?}", call.operation, call.outcome)).collect()
}

#[tokio::test]
async fn what_was_made_and_isnt_seen_yet_goes_with_its_object_all_the_same() {
    let bed = Bed::start().await;
    lags(&bed, "CreateCanary");
    bed.apply("home", &checks());
    bed.sweep().await;
    bed.delete("home");
    catches_up(&bed).await;
    assert!(bed.get("home").is_none() && bed.there("home").is_none());
    assert_eq!(bed.around(), (0, 0, 0));
}

#[tokio::test]
async fn one_that_moves_is_made_once_though_it_isnt_seen_while_the_old_one_goes() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    bed.double.clear_calls();
    lags(&bed, "CreateCanary");
    bed.apply("home", &with(checks(), "/aws/region", json!("us-east-1")));
    catches_up(&bed).await;
    assert_eq!(refused(&bed), [""; 0]);
    assert_eq!(bed.writes().iter().filter(|write| *write == "CreateCanary").count(), 1);
    assert!(bed.there("home").is_none());
    assert_eq!(bed.all_in(ACCOUNT, "us-east-1").len(), 2);
}
