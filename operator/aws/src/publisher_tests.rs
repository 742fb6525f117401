use std::collections::{BTreeMap, BTreeSet};

use futures::channel::mpsc::unbounded;
use tidewatch_aws_double::{Double, Fault, FaultKind, Options};
use tidewatch_crds::network_monitor::CloudWatchPublish;

use super::*;
use crate::{CallMetrics, Tuning};

fn data(count: usize, values: usize) -> Vec<Datum> {
    let at = jiff::Timestamp::now();
    (0..count)
        .map(|n| Datum {
            metric: "RoundTripTime".to_owned(),
            dimensions: BTreeMap::from([("MonitorName".to_owned(), format!("m{n}"))]),
            at,
            values: (0..values).map(|v| (v as f64, 2.0)).collect(),
            unit: "Microseconds",
        })
        .collect()
}

struct Bed {
    double: Double,
    publisher: Publisher,
    _cancel: tokio_util::sync::DropGuard,
}

async fn bed() -> Bed {
    let double = Double::start(Options::default()).await.unwrap();
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(double.url())
        .region(aws_config::Region::new("eu-west-1"))
        .credentials_provider(aws_credential_types::Credentials::new("AKID", "secret", None, None, "test"))
        .retry_config(aws_sdk_cloudwatch::config::retry::RetryConfig::disabled())
        .load()
        .await;
    let cancel = CancellationToken::new();
    let tuning = Tuning { paced: false, ..Tuning::every(Duration::from_secs(600)) };
    let aws = Aws::new(config, CallMetrics::default(), tuning, unbounded().0, cancel.clone());
    let publisher =
        Publisher::gathering(aws, PublishMetrics::default(), Duration::from_millis(20), cancel.clone());
    Bed { double, publisher, _cancel: cancel.drop_guard() }
}

fn to() -> Destination {
    (None, "Tidewatch".to_owned())
}

impl Bed {
    /// Waits until so many data were sent or lost.
    async fn done(&self, count: u64) -> (u64, u64) {
        let begun = Instant::now();
        loop {
            let now = (self.publisher.metrics.sent.get(), self.publisher.metrics.lost.get());
            if now.0 + now.1 >= count {
                return now;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{now:?} of {count}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn calls(&self) -> usize {
        self.double.calls_of("PutMetricData").len()
    }
}

#[tokio::test]
async fn data_of_many_share_calls_within_the_limits_and_none_is_sent_twice() {
    let bed = bed().await;
    for _ in 0..5 {
        bed.publisher.publish(to(), data(500, 1));
    }
    assert_eq!(bed.done(2500).await, (2500, 0));
    assert_eq!(bed.calls(), 3);
    assert_eq!(bed.publisher.outcome(&to()), Some(Published::Ok));
}

#[tokio::test]
async fn what_got_no_answer_isnt_sent_again() {
    let bed = bed().await;
    bed.double.inject(Fault::once("PutMetricData", FaultKind::DropAfter));
    bed.publisher.publish(to(), data(10, 1));
    assert_eq!(bed.done(10).await, (0, 10));
    assert_eq!(bed.calls(), 1);
    let points: f64 = bed.double.with("123456789012", "eu-west-1", |region| {
        region
            .metrics
            .series
            .values()
            .flat_map(|s| s.points.values())
            .flatten()
            .map(|datum| datum.count)
            .sum()
    });
    assert_eq!(points, 20.0);
}

/// The statement of docs/iam.md allows what publishing calls, to the namespace that a monitor publishes to unless told
/// otherwise, and nothing else.
#[tokio::test]
async fn the_documented_policy_is_what_publishing_calls() {
    let bed = bed().await;
    let namespace = serde_json::from_str::<CloudWatchPublish>("{}").unwrap().namespace;
    bed.publisher.publish((None, namespace), data(10, 3));
    assert_eq!(bed.done(10).await, (10, 0));
    let called: BTreeSet<(String, String)> = bed
        .double
        .calls()
        .iter()
        .map(|call| {
            let service = if call.service == "monitoring" { "cloudwatch" } else { &call.service };
            let namespace = call.request["Namespace"].as_str().unwrap_or_default();
            (format!("{service}:{}", call.operation), namespace.to_owned())
        })
        .collect();
    let page = include_str!("../../../docs/iam.md");
    let policy = page.split("<!-- publish -->").nth(1).unwrap().trim();
    let policy = policy.trim_start_matches("```json").trim_end_matches("```");
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
    let documented: BTreeSet<(String, String)> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .map(|allowed| {
            assert_eq!((&allowed["Effect"], &allowed["Resource"]), (&"Allow".into(), &"*".into()));
            let namespace = &allowed["Condition"]["StringEquals"]["cloudwatch:namespace"];
            (allowed["Action"].as_str().unwrap().to_owned(), namespace.as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(called, documented);
}

#[test]
fn only_what_was_refused_is_repeated() {
    let error = |kind, code: &str| AwsError {
        code: code.to_owned(),
        ..AwsError::local("PutMetricData", "eu-west-1", kind, "")
    };
    assert!(may_be_repeated(&error(ErrorKind::Throttled, "Throttling")));
    assert!(may_be_repeated(&error(ErrorKind::Retry, "InternalServiceFault")));
    assert!(!may_be_repeated(&error(ErrorKind::Retry, "")));
    assert!(!may_be_repeated(&error(ErrorKind::Terminal, "ValidationError")));
}

#[test]
fn a_batch_has_at_most_a_thousand_data_and_stays_below_a_megabyte() {
    let mut waiting: VecDeque<Datum> = data(2500, 1).into();
    let counts: Vec<usize> =
        std::iter::from_fn(|| next_batch(&mut waiting)).map(|batch| batch.len()).collect();
    assert_eq!(counts, [1000, 1000, 500]);
    let mut large: VecDeque<Datum> = data(1000, 150).into();
    while let Some(batch) = next_batch(&mut large) {
        assert!(batch.iter().map(size).sum::<usize>() <= BYTES);
    }
}
