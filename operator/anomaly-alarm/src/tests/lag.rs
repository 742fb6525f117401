//! Reads that are behind what was written.

use jiff::SignedDuration;
use serde_json::json;
use tidewatch_aws_double::{Fault, FaultKind};
use tidewatch_testing::managed::sweeps::LAG;

use super::bed::{Bed, cpu, everything};

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

#[tokio::test]
async fn what_was_made_and_isnt_seen_yet_goes_with_its_object_all_the_same() {
    for operation in ["PutAnomalyDetector", "PutMetricAlarm", "PutCompositeAlarm", "PutAlarmMuteRule"] {
        let bed = Bed::start().await;
        let kind = FaultKind::Lag(LAG);
        bed.double.inject(Fault { operation: Some(operation.to_owned()), skip: 0, times: 9, kind });
        bed.apply("cpu", &everything());
        bed.sweep().await;
        bed.delete("cpu");
        for _ in 0..5 {
            bed.sweep().await;
        }
        bed.double.advance(LAG + SignedDuration::from_secs(1));
        bed.settle().await;
        assert!(bed.get("cpu").is_none(), "{operation}");
        assert!(bed.all().is_empty(), "{operation} was seen late: {:?}", bed.all());
    }
}
