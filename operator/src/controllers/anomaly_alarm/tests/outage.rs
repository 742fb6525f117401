//! AWS can't be reached: what the objects say, and how rarely they are written.

use serde_json::json;
use tidewatch_aws_double::{Fault, FaultKind};

use super::bed::{Bed, cpu};

#[tokio::test]
async fn an_object_says_once_that_aws_is_out_and_once_that_it_goes_on_and_is_then_left_alone() {
    let bed = Bed::start().await;
    bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {}}}));
    bed.settle().await;
    let (before, writes) = (bed.status("cpu"), bed.cluster.writes());
    bed.double.inject(Fault { operation: None, skip: 0, times: 1_000, kind: FaultKind::Unavailable });
    bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {"width": 4}}}));
    for _ in 0..20 {
        bed.sweep().await;
    }
    let (_, reason, message) = bed.ready("cpu");
    assert_eq!(reason, "AWSUnreachable", "{message}");
    let last = bed.status("cpu").last_error.unwrap();
    assert!(last.next_try.unwrap() > last.at, "{last:?}");
    assert_eq!(bed.status("cpu").resources, before.resources, "what is there isn't forgotten");
    assert!(bed.cluster.writes() - writes <= 2, "{} writes in 20 passes", bed.cluster.writes() - writes);
    bed.double.clear_faults();
    bed.settle().await;
    assert_eq!((bed.ready("cpu").1.as_str(), bed.status("cpu").last_error), ("InPlace", None));
}
