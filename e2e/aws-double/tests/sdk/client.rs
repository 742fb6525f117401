//! A client of the real SDK for a double of its own.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::operation::put_metric_alarm::builders::PutMetricAlarmFluentBuilder;
use aws_sdk_cloudwatch::types::{
    ComparisonOperator, Dimension, Metric, MetricDataQuery, MetricStat, Statistic,
};
use jiff::Timestamp;
use tidewatch_aws_double::{Double, Options};

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "eu-west-1";

/// A double whose clock stands until it is moved, and a client that tries once.
pub(crate) async fn start() -> (Double, Client) {
    let now: Timestamp = "2026-11-23T02:00:00Z".parse().unwrap();
    start_with(Options { now: Some(now), ..Options::default() }).await
}

pub(crate) async fn start_with(options: Options) -> (Double, Client) {
    let double = Double::start(options).await.unwrap();
    let client = Client::from_conf(config(&double, "AKTEST").build());
    (double, client)
}

pub(crate) fn config(double: &Double, access_key: &str) -> Builder {
    aws_sdk_cloudwatch::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(double.url())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(access_key, "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
}

/// The code that an error is known by.
pub(crate) fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    error.code().unwrap_or("no code").to_owned()
}

/// A static alarm that AWS would accept.
pub(crate) fn cpu_alarm(client: &Client, name: &str) -> PutMetricAlarmFluentBuilder {
    client
        .put_metric_alarm()
        .alarm_name(name)
        .namespace("AWS/EC2")
        .metric_name("CPUUtilization")
        .dimensions(dimension("InstanceId", "i-1"))
        .statistic(Statistic::Average)
        .period(300)
        .evaluation_periods(3)
        .threshold(80.0)
        .comparison_operator(ComparisonOperator::GreaterThanThreshold)
}

/// A band alarm on `NS/M{D=V}`, as aws.md shows it.
pub(crate) fn band_alarm(client: &Client, name: &str) -> PutMetricAlarmFluentBuilder {
    let metric = Metric::builder().namespace("NS").metric_name("M").dimensions(dimension("D", "V")).build();
    let stat = MetricStat::builder().metric(metric).period(300).stat("Average").build();
    client
        .put_metric_alarm()
        .alarm_name(name)
        .evaluation_periods(3)
        .datapoints_to_alarm(2)
        .comparison_operator(ComparisonOperator::LessThanLowerOrGreaterThanUpperThreshold)
        .threshold_metric_id("t1")
        .metrics(MetricDataQuery::builder().id("m1").return_data(true).metric_stat(stat).build())
        .metrics(
            MetricDataQuery::builder()
                .id("t1")
                .return_data(true)
                .expression("ANOMALY_DETECTION_BAND(m1, 2)")
                .build(),
        )
}

pub(crate) fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}
