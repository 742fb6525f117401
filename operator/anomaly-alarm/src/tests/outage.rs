//! AWS can't be reached, or the cluster can't be watched: what the objects say, and how rarely they are written.

use serde_json::json;
use tidewatch_aws_double::{Fault, FaultKind};
use tidewatch_kube::watch_health::Watched;
use tidewatch_testing::watches::refused;

use super::bed::{Bed, cpu, everything};

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

#[tokio::test]
async fn an_alarm_that_stands_on_what_cant_be_watched_says_so_until_it_can() {
    let bed = Bed::start().await;
    bed.apply("plain", &json!({"metric": cpu(), "condition": {"band": {}}}));
    bed.apply("gated", &everything());
    bed.settle().await;
    for (resource, concerned) in
        [(Watched::NETWORK_MONITORS, &["gated"][..]), (Watched::ANOMALY_ALARMS, &["gated", "plain"])]
    {
        let refused = refused(&bed.extra.watches, resource);
        let writes = bed.cluster.writes();
        for _ in 0..3 {
            bed.sweep().await;
        }
        for name in ["gated", "plain"] {
            let (ready, reason, message) = bed.ready(name);
            let expected =
                if concerned.contains(&name) { ("Unknown", "WatchFailing") } else { ("True", "InPlace") };
            assert_eq!((ready.as_str(), reason.as_str()), expected, "{name}: {message}");
            assert_eq!(message.contains(resource.name), concerned.contains(&name), "{message}");
        }
        assert_eq!(bed.cluster.writes() - writes, concerned.len(), "each is told once");
        drop(refused);
        bed.settle().await;
        assert_eq!(
            (bed.ready("gated").1, bed.ready("plain").1),
            ("InPlace".to_owned(), "InPlace".to_owned())
        );
    }
}
