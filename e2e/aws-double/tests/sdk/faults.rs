use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::error::SdkError;
use jiff::SignedDuration;
use tidewatch_aws_double::{Call, Double, Fault, FaultKind, Options, Outcome};

use crate::client::{ACCOUNT, REGION, band_alarm, code, config, cpu_alarm, start, start_with};

fn alarms(double: &Double) -> usize {
    double.with(ACCOUNT, REGION, |region| region.alarms.len())
}

#[tokio::test]
async fn every_refusal_has_aws_s_code_and_status_and_changes_nothing() {
    let (double, client) = start().await;
    for (kind, expected, status) in [
        (FaultKind::Throttle, "Throttling", 400),
        (FaultKind::ServerError, "InternalServiceError", 500),
        (FaultKind::Unavailable, "ServiceUnavailable", 503),
        (FaultKind::Denied, "AccessDenied", 403),
        (FaultKind::ExpiredCredentials, "ExpiredToken", 403),
        (FaultKind::NotFound, "ResourceNotFound", 404),
        (FaultKind::QuotaExceeded, "LimitExceeded", 400),
    ] {
        double.inject(Fault::once("PutMetricAlarm", kind));
        let error = cpu_alarm(&client, "cpu").send().await.unwrap_err();
        assert_eq!(code(&error), expected);
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status, "{kind:?}");
        let outcome = double.calls().last().unwrap().outcome.clone();
        assert_eq!(outcome, Outcome::Error { code: expected.into(), status });
        assert_eq!(alarms(&double), 0);
    }
    double.inject(Fault::once("PutAnomalyDetector", FaultKind::QuotaExceeded));
    let detector = client.put_anomaly_detector().send().await.unwrap_err();
    assert!(detector.into_service_error().is_limit_exceeded_exception());
}

#[tokio::test]
async fn a_dropped_connection_tells_nothing_about_what_was_applied() {
    let (double, client) = start().await;
    for (kind, applied) in [(FaultKind::DropBefore, false), (FaultKind::DropAfter, true)] {
        double.inject(Fault::once("PutMetricAlarm", kind));
        let error = cpu_alarm(&client, "cpu").send().await.unwrap_err();
        assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
        assert_eq!(double.calls().last().unwrap().outcome, Outcome::Dropped { applied });
        assert_eq!(alarms(&double), usize::from(applied));
    }
}

#[tokio::test]
async fn a_call_that_is_held_is_applied_when_it_is_let_go_though_its_caller_has_gone() {
    let (double, client) = start().await;
    for (kind, at_once) in [(FaultKind::HoldBefore, false), (FaultKind::HoldAfter, true)] {
        let name = format!("{kind:?}");
        let there = || double.with(ACCOUNT, REGION, |region| region.alarms.contains_key(&name));
        double.inject(Fault::once("PutMetricAlarm", kind));
        tokio::select! {
            answer = cpu_alarm(&client, &name).send() => panic!("it wasn't held: {answer:?}"),
            () = double.held() => {}
        }
        assert_eq!(there(), at_once, "{kind:?}");
        double.let_go().await;
        assert!(there(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_held_call_answers_when_it_is_let_go_and_comes_to_nothing_when_it_is_forgotten() {
    let (double, client) = start().await;
    double.inject(Fault::once("PutMetricAlarm", FaultKind::HoldBefore));
    let (answer, ()) = tokio::join!(cpu_alarm(&client, "cpu").send(), async {
        double.held().await;
        double.let_go().await;
    });
    answer.unwrap();
    double.inject(Fault::once("PutMetricAlarm", FaultKind::HoldBefore));
    let (answer, ()) = tokio::join!(cpu_alarm(&client, "other").send(), async {
        double.held().await;
        double.forget_held();
    });
    assert!(matches!(answer, Err(SdkError::DispatchFailure(_))), "{answer:?}");
    assert_eq!(alarms(&double), 1);
}

#[tokio::test]
async fn a_call_is_held_once_by_each_kind_of_hold_and_a_fault_of_two_times_holds_two_calls() {
    let (double, client) = start().await;
    double.inject(Fault { times: 2, ..Fault::once("PutMetricAlarm", FaultKind::HoldBefore) });
    double.inject(Fault::once("PutMetricAlarm", FaultKind::HoldAfter));
    for (name, holds) in [("first", 2), ("second", 1)] {
        let (answer, ()) = tokio::join!(cpu_alarm(&client, name).send(), async {
            for _ in 0..holds {
                double.held().await;
                double.let_go().await;
            }
        });
        answer.unwrap();
    }
    cpu_alarm(&client, "third").send().await.unwrap();
    assert_eq!(alarms(&double), 3);
}

#[tokio::test]
async fn the_sdk_s_own_retries_get_through_a_throttle() {
    let (double, _) = start().await;
    let retry = RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1));
    let client = Client::from_conf(config(&double, "AKTEST").retry_config(retry).build());
    let throttle = Fault { operation: None, skip: 0, times: 2, kind: FaultKind::Throttle };
    double.inject(throttle);
    cpu_alarm(&client, "cpu").send().await.unwrap();
    let succeeded: Vec<bool> = double.calls_of("PutMetricAlarm").iter().map(Call::succeeded).collect();
    assert_eq!(succeeded, [false, false, true]);
}

#[tokio::test]
async fn a_lagging_write_is_seen_by_reads_when_the_clock_says_so() {
    let (double, client) = start().await;
    let seen = async || client.describe_alarms().send().await.unwrap().metric_alarms().len();
    double.inject(Fault::once("PutMetricAlarm", FaultKind::Lag(SignedDuration::from_secs(30))));
    cpu_alarm(&client, "late").send().await.unwrap();
    cpu_alarm(&client, "prompt").send().await.unwrap();
    assert_eq!((seen().await, alarms(&double)), (1, 2));
    double.advance(SignedDuration::from_secs(30));
    assert_eq!(seen().await, 2);
}

#[tokio::test]
async fn published_rates_hold_for_each_operation_account_and_region() {
    let (double, client) = start_with(Options { throttled: true, ..Options::default() }).await;
    let mut refused = 0;
    for _ in 0..30 {
        if let Err(error) = cpu_alarm(&client, "cpu").send().await {
            assert_eq!(code(&error), "Throttling");
            refused += 1;
        }
    }
    assert!(refused >= 1, "thirty calls in a moment all passed at three a second");
    client.describe_alarms().send().await.unwrap();
    double.register_key("AKOTHER", "210987654321");
    let other = Client::from_conf(config(&double, "AKOTHER").build());
    cpu_alarm(&other, "cpu").send().await.unwrap();
    double.advance(SignedDuration::from_secs(1));
    cpu_alarm(&client, "cpu").send().await.unwrap();
}

#[tokio::test]
async fn accounts_and_regions_share_nothing() {
    let (double, client) = start().await;
    double.register_key("AKOTHER", "210987654321");
    let elsewhere = aws_sdk_cloudwatch::config::Region::new("us-east-1");
    let other = Client::from_conf(config(&double, "AKOTHER").region(elsewhere).build());
    cpu_alarm(&client, "cpu").send().await.unwrap();
    band_alarm(&other, "band").send().await.unwrap();
    let arn = double.with("210987654321", "us-east-1", |region| region.alarms["band"].arn.clone());
    assert_eq!(arn, "arn:aws:cloudwatch:us-east-1:210987654321:alarm:band");
    let mine = client.describe_alarms().send().await.unwrap();
    assert_eq!(mine.metric_alarms().len(), 1);
    let foreign = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap_err();
    assert_eq!(code(&foreign), "InvalidParameterValue");
}

#[tokio::test]
async fn the_double_stops_when_its_last_clone_is_dropped() {
    let (double, client) = start().await;
    let clone = double.clone();
    drop(double);
    cpu_alarm(&client, "cpu").send().await.unwrap();
    drop(clone);
    assert!(matches!(cpu_alarm(&client, "cpu").send().await, Err(SdkError::DispatchFailure(_))));
}
