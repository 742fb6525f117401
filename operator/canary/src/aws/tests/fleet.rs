//! Many canaries, and what the operator asks of AWS for them.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use tidewatch_aws::Tuning;
use tidewatch_aws_double::Options;

use super::bed::{Bed, CanaryBed as _, SOON, checks, script, with};

const OBJECTS: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_and_twenty_canaries_at_rest_cost_eight_reads_a_resync_and_no_write() {
    let fast = Tuning { resync: Duration::from_secs(600), gather: Duration::from_millis(20), paced: false };
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let mut bed = Bed::with(Options { now: Some(now), ..Options::default() }, fast).await;
    for index in 0..OBJECTS {
        bed.apply(&format!("home-{index}"), &with(checks(), "/schedule", json!({"every": "1h"})));
    }
    let in_place = |bed: &Bed| (0..OBJECTS).all(|index| bed.ready(&format!("home-{index}")).1 == "Running");
    for _ in 0..20 {
        bed.sweep_together(names()).await;
        bed.double.advance(SOON);
    }
    assert!(in_place(&bed), "{:?}", bed.ready("home-0"));

    bed.tuning = Tuning { resync: Duration::from_secs(6), gather: Duration::from_millis(150), paced: true };
    bed.restart().await;
    bed.sweep_together(names()).await;
    let kube_writes = bed.cluster.writes();
    bed.woken();
    bed.double.clear_calls();
    let resyncs = 2;
    // A resync is over when the last runs, which come last, were read to their last page.
    let begun = tokio::time::Instant::now();
    while bed.double.calls_of("DescribeCanariesLastRun").len() < resyncs * 2 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", bed.double.calls().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let calls = bed.double.calls();
    println!("{OBJECTS} canaries at rest: {} calls in {resyncs} resyncs", calls.len());
    assert!(calls.len() <= (resyncs + 1) * 8, "{} calls in {resyncs} resyncs", calls.len());
    assert!(calls.iter().all(|call| call.operation.starts_with("Describe")), "{calls:?}");
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!(bed.cluster.writes(), kube_writes);
    assert!(bed.woken().is_empty(), "an object at rest is left alone");
}

/// The operations of docs/iam.md are those that the operator uses, and no others.
#[tokio::test]
async fn the_documented_policy_is_what_the_operator_calls() {
    let mut bed = Bed::start().await;
    bed.apply("home", &with(checks(), "/tags", json!({"team": "a"})));
    bed.config_map("script", "index.js", "exports.handler = async () => 1;");
    bed.apply("page", &script());
    bed.settle().await;
    bed.double.advance(SignedDuration::from_mins(4));
    bed.restart().await;
    bed.sweep().await;
    bed.apply("home", &with(checks(), "/timeout", json!("40s")));
    bed.settle().await;
    // One whose tags are gone is looked at once more by itself.
    let page = bed.name_of("page");
    bed.region(|region| region.synthetics.canaries.get_mut(&page).unwrap().tags.clear());
    bed.restart().await;
    bed.sweep().await;
    bed.delete("home");
    bed.settle().await;
    let called: BTreeSet<String> = bed
        .double
        .calls()
        .iter()
        .filter(|call| call.service != "sts")
        .map(|call| format!("{}:{}", call.service, call.operation))
        .collect();
    let page = include_str!("../../../../../docs/iam.md");
    let policy = page.split("<!-- canaries -->").nth(1).unwrap();
    let documented: BTreeSet<String> = policy
        .split('"')
        .filter(|word| word.starts_with("synthetics:") || word.starts_with("logs:"))
        .map(str::to_owned)
        .collect();
    assert_eq!(called, documented);
}

fn names() -> impl Iterator<Item = String> {
    (0..OBJECTS).map(|index| format!("home-{index}"))
}
