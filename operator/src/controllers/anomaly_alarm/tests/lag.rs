//! Reads that are behind: what was written isn't written again, and the end is the same.

use jiff::SignedDuration;
use serde_json::json;
use tidewatch_aws_double::{Fault, FaultKind};

use super::bed::{Bed, cpu};
use super::scenario::{Faultless, Passes, Way, scenario};

/// Longer than anything in these tests takes: reads catch up when the double's clock is moved.
const LAG: SignedDuration = SignedDuration::from_secs(3600);

/// Passes while reads may be behind, and until all is at rest once they aren't.
struct CatchesUp;

impl Way for CatchesUp {
    async fn rest(&self, bed: &mut Bed) {
        for _ in 0..5 {
            bed.sweep().await;
        }
        bed.double.advance(LAG + SignedDuration::from_secs(1));
        bed.settle().await;
    }
}

#[tokio::test]
async fn each_write_may_be_seen_later_and_is_made_once_all_the_same() {
    let faultless = Faultless::run(&Passes).await;
    for (operation, skip) in Faultless::each(&faultless.writes) {
        let mut bed = Bed::start().await;
        let kind = FaultKind::Lag(LAG);
        bed.double.inject(Fault { operation: Some(operation.clone()), skip, times: 1, kind });
        let end = scenario(&mut bed, &CatchesUp).await;
        assert_eq!(end, faultless.end, "{operation} after {skip} is seen late");
        assert_eq!(bed.write_calls(), faultless.writes, "{operation} after {skip} is seen late");
    }
}

#[tokio::test]
async fn reads_that_lag_behind_lead_to_no_second_write() {
    let bed = Bed::start().await;
    bed.double.inject(Fault {
        operation: Some("PutMetricAlarm".to_owned()),
        skip: 0,
        times: 1,
        kind: FaultKind::Lag(LAG),
    });
    bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {}}}));
    for _ in 0..5 {
        bed.sweep().await;
    }
    assert_eq!(bed.ready("cpu").1, "Settling", "{:?}", bed.ready("cpu"));
    assert_eq!(bed.writes(), ["PutAnomalyDetector", "PutMetricAlarm"]);
    bed.double.advance(LAG + SignedDuration::from_secs(1));
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "InPlace");
    assert_eq!(bed.writes(), ["PutAnomalyDetector", "PutMetricAlarm"]);
}
