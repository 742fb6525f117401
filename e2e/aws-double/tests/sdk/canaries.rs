use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_synthetics::Client;
use aws_sdk_synthetics::config::retry::RetryConfig;
use aws_sdk_synthetics::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_synthetics::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_synthetics::operation::create_canary::builders::CreateCanaryFluentBuilder;
use aws_sdk_synthetics::types::{
    CanaryCodeInput, CanaryRunConfigInput, CanaryRunState, CanaryScheduleInput, CanaryState,
    CanaryStateReasonCode,
};
use jiff::SignedDuration;
use tidewatch_aws_double::synthetics::{Outcome, RunPlan};
use tidewatch_aws_double::{Double, Fault, FaultKind};

use crate::client::{ACCOUNT, REGION, cpu_alarm, dimension, start};

const SOON: SignedDuration = SignedDuration::from_secs(30);

/// A client for Synthetics of a double, which tries once.
fn synthetics(double: &Double) -> Client {
    let config = aws_sdk_synthetics::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(double.url())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("AKTEST", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// A canary that AWS would accept. Nobody knows what is in its bucket.
fn heartbeat(client: &Client) -> CreateCanaryFluentBuilder {
    let code = CanaryCodeInput::builder().s3_bucket("code").s3_key("a.zip").handler("index.handler").build();
    client
        .create_canary()
        .name("heartbeat")
        .code(code)
        .artifact_s3_location("s3://artifacts")
        .execution_role_arn("arn:aws:iam::123456789012:role/canary")
        .schedule(CanaryScheduleInput::builder().expression("rate(1 minute)").build().unwrap())
        .run_config(CanaryRunConfigInput::builder().timeout_in_seconds(30).build())
        .runtime_version("syn-nodejs-puppeteer-11.0")
        .tags("tidewatch:hash", "1")
}

async fn canary(client: &Client) -> aws_sdk_synthetics::types::Canary {
    client.get_canary().name("heartbeat").send().await.unwrap().canary.unwrap()
}

async fn state(client: &Client) -> CanaryState {
    canary(client).await.status.unwrap().state.unwrap()
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    error.code().unwrap_or("no code").to_owned()
}

async fn running(double: &Double, client: &Client) {
    heartbeat(client).send().await.unwrap();
    double.advance(SOON);
    client.start_canary().name("heartbeat").send().await.unwrap();
    double.advance(SOON);
}

#[tokio::test]
async fn the_sdk_takes_a_canary_from_creation_to_deletion() {
    let (double, _) = start().await;
    let client = synthetics(&double);
    let created = heartbeat(&client).send().await.unwrap().canary.unwrap();
    let status = created.status().unwrap();
    assert_eq!(status.state(), Some(&CanaryState::Creating));
    assert_eq!(status.state_reason_code(), Some(&CanaryStateReasonCode::CreatePending));
    double.advance(SOON);
    assert_eq!(state(&client).await, CanaryState::Ready);
    assert_eq!(canary(&client).await.tags.unwrap()["tidewatch:hash"], "1");
    let early = client.stop_canary().name("heartbeat").send().await.unwrap_err();
    assert!(early.into_service_error().is_conflict_exception());
    client.start_canary().name("heartbeat").send().await.unwrap();
    double.advance(SignedDuration::from_mins(3));
    assert_eq!(state(&client).await, CanaryState::Running);
    let runs = client.get_canary_runs().name("heartbeat").send().await.unwrap();
    assert_eq!(runs.canary_runs().len(), 3);
    assert_eq!(runs.canary_runs()[0].status().unwrap().state(), Some(&CanaryRunState::Passed));
    client.stop_canary().name("heartbeat").send().await.unwrap();
    double.advance(SOON);
    client.delete_canary().name("heartbeat").delete_lambda(true).send().await.unwrap();
    assert_eq!(state(&client).await, CanaryState::Deleting);
    double.advance(SOON);
    let gone = client.get_canary().name("heartbeat").send().await.unwrap_err();
    assert_eq!(code(&gone), "ResourceNotFoundException");
    double.with(ACCOUNT, REGION, |region| {
        assert!(region.synthetics.surroundings.functions.is_empty());
        assert_eq!(region.synthetics.surroundings.log_groups.len(), 1);
    });
}

#[tokio::test]
async fn an_alarm_on_a_canary_fires_when_its_runs_fail_and_when_they_leave_nothing() {
    let (double, cloudwatch) = start().await;
    let client = synthetics(&double);
    running(&double, &client).await;
    cpu_alarm(&cloudwatch, "heartbeat")
        .namespace("CloudWatchSynthetics")
        .metric_name("SuccessPercent")
        .set_dimensions(Some(vec![dimension("CanaryName", "heartbeat")]))
        .period(60)
        .evaluation_periods(3)
        .threshold(90.0)
        .comparison_operator(aws_sdk_cloudwatch::types::ComparisonOperator::LessThanThreshold)
        .treat_missing_data("breaching")
        .send()
        .await
        .unwrap();
    let alarm = async || {
        let described = cloudwatch.describe_alarms().alarm_names("heartbeat").send().await.unwrap();
        described.metric_alarms()[0].state_value().unwrap().clone()
    };
    let plan = |outcome: Outcome| {
        let plan = RunPlan { outcome, duration: None, times: None };
        double.with(ACCOUNT, REGION, |region| region.plan_runs("heartbeat", plan)).unwrap();
        double.advance(SignedDuration::from_mins(10));
    };
    plan(Outcome::Pass);
    assert_eq!(alarm().await, StateValue::Ok);
    plan(Outcome::Fail { reason: "no answer".into(), step: None });
    assert_eq!(alarm().await, StateValue::Alarm);
    plan(Outcome::Pass);
    assert_eq!(alarm().await, StateValue::Ok);
    plan(Outcome::TimeOut);
    assert_eq!(alarm().await, StateValue::Alarm);
}

#[tokio::test]
async fn refusals_have_the_codes_by_which_the_sdk_s_users_know_them() {
    let (double, _) = start().await;
    let client = synthetics(&double);
    heartbeat(&client).send().await.unwrap();
    double.advance(SOON);
    for (kind, expected, status) in [
        (FaultKind::Throttle, "ThrottlingException", 429),
        (FaultKind::ServerError, "InternalServerException", 500),
        (FaultKind::Denied, "AccessDeniedException", 403),
        (FaultKind::ExpiredCredentials, "ExpiredTokenException", 403),
        (FaultKind::QuotaExceeded, "ServiceQuotaExceededException", 402),
        (FaultKind::Invalid, "ValidationException", 400),
    ] {
        double.inject(Fault::once("StartCanary", kind));
        let error = client.start_canary().name("heartbeat").send().await.unwrap_err();
        assert_eq!(code(&error), expected);
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status, "{kind:?}");
        assert_eq!(state(&client).await, CanaryState::Ready);
    }
    double.inject(Fault::once("StartCanary", FaultKind::DropAfter));
    let dropped = client.start_canary().name("heartbeat").send().await.unwrap_err();
    assert!(matches!(dropped, SdkError::DispatchFailure(_)), "{dropped:?}");
    assert_eq!(state(&client).await, CanaryState::Starting);
    let deprecated =
        heartbeat(&client).name("b").runtime_version("syn-nodejs-puppeteer-5.2").send().await.unwrap_err();
    assert!(deprecated.message().unwrap().contains("deprecated"), "{deprecated:?}");
    assert!(deprecated.into_service_error().is_validation_exception());
}

#[tokio::test]
async fn a_lagging_creation_is_seen_later_as_the_same_canary() {
    let (double, _) = start().await;
    let client = synthetics(&double);
    double.inject(Fault::once("CreateCanary", FaultKind::Lag(SignedDuration::from_secs(5))));
    let created = heartbeat(&client).send().await.unwrap().canary.unwrap();
    let unseen = client.get_canary().name("heartbeat").send().await.unwrap_err();
    assert_eq!(code(&unseen), "ResourceNotFoundException");
    let again = heartbeat(&client).send().await.unwrap_err();
    assert_eq!(code(&again), "ConflictException");
    let unseen = client.get_canary().name("heartbeat").send().await.unwrap_err();
    assert_eq!(code(&unseen), "ResourceNotFoundException");
    double.advance(SignedDuration::from_secs(5));
    assert_eq!(canary(&client).await.id, created.id);
}
