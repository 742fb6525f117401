//! A thousand alarms, and what the operator asks of AWS for them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tidewatch_aws::Tuning;
use tidewatch_aws_double::Options;

use super::bed::{Bed, everything};

const OBJECTS: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_alarms_at_rest_cost_twelve_reads_a_resync_and_no_write() {
    // Made without rates, since that alone would take six minutes; then read at AWS's.
    let fast = Tuning { resync: Duration::from_secs(600), gather: Duration::from_millis(20), paced: false };
    let mut bed = Bed::with(Options::default(), fast).await;
    for index in 0..OBJECTS {
        let instance = format!("i-{index}");
        let metric = json!({"cloudWatch": {"namespace": "AWS/EC2", "metricName": "CPUUtilization", "dimensions": {"InstanceId": instance}}});
        bed.apply(&format!("cpu-{index}"), &json!({"metric": metric, "condition": {"band": {}}}));
    }
    bed.sweep_together(names(OBJECTS)).await;
    bed.sweep_together(names(OBJECTS)).await;
    assert_eq!(bed.region(|region| (region.alarms.len(), region.detectors.len())), (OBJECTS, OBJECTS));

    bed.tuning = Tuning { resync: Duration::from_secs(3), gather: Duration::from_millis(150), paced: true };
    bed.restart().await;
    bed.sweep_together(names(OBJECTS)).await;
    let kube_writes = bed.cluster.writes();
    // A resync that fell into the sweep wakes those that it read first.
    bed.woken();
    bed.double.clear_calls();
    let resyncs = 2;
    // A resync is over when the detectors, which come last, were read to their last page.
    let pages = OBJECTS / 100;
    let begun = tokio::time::Instant::now();
    while bed.double.calls_of("DescribeAnomalyDetectors").len() < resyncs * pages {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", bed.double.calls().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let reads = bed.double.calls_of("DescribeAlarms").len();
    assert!(reads <= 12 * (resyncs + 1), "{reads} DescribeAlarms in {resyncs} resyncs");
    assert!(reads <= resyncs * 10 + 10, "{reads}");
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!(bed.cluster.writes(), kube_writes);
    assert!(bed.woken().is_empty(), "an object at rest is left alone");
}

/// The share of a thousand that fits a test: the rate is the same, and nothing else grows with the number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_made_from_nothing_under_the_published_quota_are_made_once_each_and_hardly_throttled() {
    const MADE: usize = 60;
    let tuning = Tuning::every(Duration::from_secs(600));
    let bed = Bed::with(Options { throttled: true, ..Options::default() }, tuning).await;
    for index in 0..MADE {
        let metric = json!({"cloudWatch": {"namespace": "A", "metricName": "B", "dimensions": {"C": format!("{index}")}}});
        bed.apply(&format!("cpu-{index}"), &json!({"metric": metric, "condition": {"band": {}}}));
    }
    let begun = tokio::time::Instant::now();
    // A busy machine bunches calls now and then, and the double throttles one: it is tried again, as the loop would.
    let in_place = |bed: &Bed| (0..MADE).all(|index| bed.ready(&format!("cpu-{index}")).1 == "InPlace");
    while !in_place(&bed) {
        bed.sweep_together(names(MADE)).await;
        assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", bed.ready("cpu-0"));
    }
    // 20 s by the quota; how long it took is printed, not judged: the machine may be busy.
    println!("{MADE} alarms in place after {:?}", begun.elapsed());
    let calls = bed.double.calls();
    let refused = calls.iter().filter(|call| !call.succeeded()).count();
    assert!(refused <= MADE / 4, "{refused} of {} calls were throttled", calls.len());
    assert!(bed.double.calls_of("PutMetricAlarm").len() <= MADE + refused);
    assert_eq!(bed.region(|region| region.alarms.len()), MADE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_that_go_together_share_their_reads() {
    const GONE: usize = 200;
    let fast = Tuning { resync: Duration::from_secs(600), gather: Duration::from_millis(20), paced: false };
    let bed = Bed::with(Options::default(), fast).await;
    for index in 0..GONE {
        let metric = json!({"cloudWatch": {"namespace": "A", "metricName": "B", "dimensions": {"C": format!("{index}")}}});
        bed.apply(&format!("cpu-{index}"), &json!({"metric": metric, "condition": {"band": {}}}));
    }
    bed.sweep_together(names(GONE)).await;
    bed.sweep_together(names(GONE)).await;
    bed.double.clear_calls();
    for name in names(GONE) {
        bed.delete(&name);
    }
    for _ in 0..3 {
        bed.sweep_together(names(GONE)).await;
    }
    assert!(bed.all().is_empty(), "{} are left", bed.all().len());
    let calls = |operation: &str| bed.double.calls_of(operation).len();
    assert_eq!((calls("DeleteAlarms"), calls("DeleteAnomalyDetector")), (GONE, GONE));
    // Whose they are was looked at less than an hour ago, when they were made.
    assert_eq!(calls("ListTagsForResource"), 0);
    assert!(calls("DescribeAnomalyDetectors") <= 20, "{}", calls("DescribeAnomalyDetectors"));
    assert!(calls("DescribeAlarms") <= GONE / 4, "{}", calls("DescribeAlarms"));
}

/// The operations of docs/iam.md are those that the operator uses, and no others.
#[tokio::test]
async fn the_documented_policy_is_what_the_operator_calls() {
    let mut bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    let mut changed = everything();
    changed["tags"] = json!({"other": "1"});
    changed["condition"] = json!({"threshold": {"operator": "GreaterThan", "value": 1}});
    bed.apply("cpu", &changed);
    bed.settle().await;
    bed.restart().await;
    bed.delete("cpu");
    bed.settle().await;
    let called: BTreeSet<String> = bed
        .double
        .calls()
        .iter()
        .filter(|call| call.service == "monitoring")
        .map(|call| format!("cloudwatch:{}", call.operation))
        .collect();
    let page = include_str!("../../../../docs/iam.md");
    let policy = page.split("<!-- alarms -->").nth(1).unwrap();
    let documented: BTreeSet<String> = policy
        .split('"')
        .filter(|word| word.starts_with("cloudwatch:") && *word != "cloudwatch:AlarmActions")
        .map(str::to_owned)
        .collect();
    assert_eq!(called, documented);
}

/// Names of the first so many objects.
fn names(objects: usize) -> impl Iterator<Item = String> {
    (0..objects).map(|index| format!("cpu-{index}"))
}
