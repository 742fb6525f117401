//! An alarm on a canary of CloudWatch Synthetics: it waits for the canary, and fires when the canary's runs fail.

use aws_sdk_synthetics::types::{CanaryCodeInput, CanaryRunConfigInput, CanaryScheduleInput};
use jiff::SignedDuration;
use serde_json::json;
use tidewatch_aws_double::synthetics::{Outcome, RunPlan};
use tidewatch_crds::anomaly_alarm::AlarmState;

use super::bed::{ACCOUNT, AlarmBed as _, Bed, REGION};

const NAME: &str = "tidewatch-shop-home-12345678";

/// Makes the canary in the double, and starts it.
async fn make_canary(bed: &Bed) {
    let client = aws_sdk_synthetics::Client::new(&bed.sdk_config().await);
    let code = CanaryCodeInput::builder().s3_bucket("code").s3_key("a.zip").handler("index.handler").build();
    let made = client
        .create_canary()
        .name(NAME)
        .code(code)
        .artifact_s3_location("s3://artifacts")
        .execution_role_arn("arn:aws:iam::123456789012:role/canary")
        .schedule(CanaryScheduleInput::builder().expression("rate(1 minute)").build().unwrap())
        .run_config(CanaryRunConfigInput::builder().timeout_in_seconds(30).build())
        .runtime_version("syn-nodejs-puppeteer-11.0");
    made.send().await.unwrap();
    bed.double.advance(SignedDuration::from_secs(30));
    client.start_canary().name(NAME).send().await.unwrap();
    bed.double.advance(SignedDuration::from_secs(30));
}

#[tokio::test]
async fn an_alarm_on_a_canary_waits_for_it_and_fires_when_its_runs_fail_or_leave_nothing() {
    let mut bed = Bed::start().await;
    bed.apply(
        "home",
        &json!({
            "metric": {"canary": {"name": "home", "metric": "SuccessPercent", "period": "1m"}},
            "condition": {"threshold": {"operator": "LessThan", "value": 90}},
            "evaluation": {"periods": 3, "missingData": "Breaching"},
        }),
    );
    bed.sweep().await;
    assert_eq!(bed.ready("home").1, "WaitingForCanary");
    bed.set_canary("home", &json!({"provider": "AWS"}), &json!({"aws": {"name": NAME, "region": REGION}}));
    bed.sweep().await;
    assert_eq!(bed.ready("home").1, "WaitingForCanary", "it has a name, and isn't there yet");
    make_canary(&bed).await;
    let there = json!({"aws": {"name": NAME, "region": REGION, "id": "canary-id"}});
    bed.set_canary("home", &json!({"provider": "AWS"}), &there);
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "InPlace", "{:?}", bed.ready("home"));
    let fails = Outcome::Fail { reason: "no answer".to_owned(), step: None };
    for (outcome, state) in [
        (Outcome::Pass, AlarmState::Ok),
        (fails, AlarmState::Alarm),
        (Outcome::Pass, AlarmState::Ok),
        (Outcome::TimeOut, AlarmState::Alarm),
    ] {
        let plan = RunPlan { outcome: outcome.clone(), duration: None, times: None };
        bed.double.with(ACCOUNT, REGION, |region| region.plan_runs(NAME, plan)).unwrap();
        bed.double.advance(SignedDuration::from_mins(10));
        // A new process reads now; the running one would at its next resync.
        bed.restart().await;
        bed.sweep().await;
        assert_eq!(bed.status("home").state, Some(state), "{outcome:?}");
    }
}
