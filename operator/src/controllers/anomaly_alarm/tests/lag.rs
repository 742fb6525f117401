//! Reads that are behind what was written.

use jiff::SignedDuration;
use serde_json::json;
use tidewatch_aws_double::{Fault, FaultKind};

use super::bed::{Bed, cpu};
use crate::controllers::in_aws::testing::sweeps::LAG;

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
