use aws_sdk_cloudwatch::types::{
    AnomalyDetectorConfiguration, AnomalyDetectorStateValue, AnomalyDetectorType, Range,
    SingleMetricAnomalyDetector,
};
use jiff::SignedDuration;

use crate::client::{ACCOUNT, REGION, band_alarm, code, cpu_alarm, dimension, start};

fn metric() -> SingleMetricAnomalyDetector {
    SingleMetricAnomalyDetector::builder()
        .namespace("NS")
        .metric_name("M")
        .dimensions(dimension("D", "V"))
        .stat("Average")
        .build()
}

#[tokio::test]
async fn a_band_alarm_makes_the_missing_detector_and_leaves_it_behind() {
    let (_double, client) = start().await;
    band_alarm(&client, "band").send().await.unwrap();
    client.delete_alarms().alarm_names("band").send().await.unwrap();
    let left = client.describe_anomaly_detectors().namespace("NS").send().await.unwrap();
    let [detector] = left.anomaly_detectors() else { panic!("{left:?}") };
    assert_eq!(detector.single_metric_anomaly_detector(), Some(&metric()));
    assert_eq!(detector.state_value(), Some(&AnomalyDetectorStateValue::PendingTraining));
}

#[tokio::test]
async fn a_detector_is_one_a_metric_and_statistic_and_put_replaces_its_configuration() {
    let (_double, client) = start().await;
    let range = Range::builder()
        .start_time(aws_sdk_cloudwatch::primitives::DateTime::from_secs(1_000))
        .end_time(aws_sdk_cloudwatch::primitives::DateTime::from_secs(2_000))
        .build();
    let configuration = AnomalyDetectorConfiguration::builder().metric_timezone("Europe/Berlin");
    let put = |configuration: AnomalyDetectorConfiguration| {
        client
            .put_anomaly_detector()
            .single_metric_anomaly_detector(metric())
            .configuration(configuration)
            .send()
    };
    let first = put(configuration.clone().build()).await.unwrap();
    let second = put(configuration.excluded_time_ranges(range.clone()).build()).await.unwrap();
    assert_eq!(first.anomaly_detector_id(), second.anomaly_detector_id());
    let described = client
        .describe_anomaly_detectors()
        .anomaly_detector_ids(first.anomaly_detector_id().unwrap())
        .send()
        .await
        .unwrap();
    let configuration = described.anomaly_detectors()[0].configuration().unwrap();
    assert_eq!(configuration.excluded_time_ranges(), [range]);
    assert_eq!(configuration.metric_timezone(), Some("Europe/Berlin"));
}

#[tokio::test]
async fn a_detector_is_trained_when_its_time_is_over_and_it_has_seen_enough() {
    let (double, client) = start().await;
    band_alarm(&client, "band").send().await.unwrap();
    let state = async || {
        let described = client.describe_anomaly_detectors().send().await.unwrap();
        described.anomaly_detectors()[0].state_value().unwrap().clone()
    };
    double.advance(SignedDuration::from_mins(179));
    assert_eq!(state().await, AnomalyDetectorStateValue::PendingTraining);
    double.advance(SignedDuration::from_mins(1));
    assert_eq!(state().await, AnomalyDetectorStateValue::TrainedInsufficientData);
    double.with(ACCOUNT, REGION, |region| {
        for minute in 0..10 {
            let at = "2026-11-23T04:00:00Z".parse::<jiff::Timestamp>().unwrap()
                + SignedDuration::from_mins(minute);
            region.put_metric("NS", "M", &[("D", "V")], at, 1.0);
        }
    });
    assert_eq!(state().await, AnomalyDetectorStateValue::Trained);
}

#[tokio::test]
async fn a_missing_detector_and_ambiguous_requests_have_their_own_errors() {
    let (_double, client) = start().await;
    let delete = client.delete_anomaly_detector().single_metric_anomaly_detector(metric());
    let missing = delete.clone().send().await.unwrap_err();
    assert_eq!(code(&missing), "ResourceNotFoundException");
    assert!(missing.into_service_error().is_resource_not_found_exception());
    let none = client.put_anomaly_detector().send().await.unwrap_err();
    assert_eq!(code(&none), "MissingParameter");
    let both =
        client.put_anomaly_detector().single_metric_anomaly_detector(metric()).metric_math_anomaly_detector(
            aws_sdk_cloudwatch::types::MetricMathAnomalyDetector::builder().build(),
        );
    assert_eq!(code(&both.send().await.unwrap_err()), "InvalidParameterCombination");
    client.put_anomaly_detector().single_metric_anomaly_detector(metric()).send().await.unwrap();
    delete.send().await.unwrap();
    let none = client.describe_anomaly_detectors().anomaly_detector_types(AnomalyDetectorType::SingleMetric);
    assert!(none.send().await.unwrap().anomaly_detectors().is_empty());
}

#[tokio::test]
async fn a_static_alarm_needs_no_detector() {
    let (double, client) = start().await;
    cpu_alarm(&client, "cpu").send().await.unwrap();
    double.with(ACCOUNT, REGION, |region| assert!(region.detectors.is_empty()));
}
