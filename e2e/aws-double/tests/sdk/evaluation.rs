use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    AnomalyDetectorStateValue, MetricAlarm, MetricDataQuery, MetricDatum, MuteTargets, Rule, ScanBy,
    Schedule, StateValue,
};
use jiff::SignedDuration;
use tidewatch_aws_double::{Double, Options};

use crate::client::{ACCOUNT, REGION, band_alarm, cpu_alarm, dimension, start};

async fn alarm(client: &Client, name: &str) -> MetricAlarm {
    client.describe_alarms().alarm_names(name).send().await.unwrap().metric_alarms()[0].clone()
}

async fn state(client: &Client, name: &str) -> StateValue {
    alarm(client, name).await.state_value().unwrap().clone()
}

/// A datapoint of the band alarm's metric at the double's time, and five minutes later.
async fn put(double: &Double, client: &Client, value: f64) {
    let now = DateTime::from_secs(double.now().as_second());
    let datum =
        MetricDatum::builder().metric_name("M").dimensions(dimension("D", "V")).timestamp(now).value(value);
    client.put_metric_data().namespace("NS").metric_data(datum.build()).send().await.unwrap();
    double.advance(SignedDuration::from_mins(5));
}

fn threshold_alarm(
    client: &Client,
) -> aws_sdk_cloudwatch::operation::put_metric_alarm::builders::PutMetricAlarmFluentBuilder {
    cpu_alarm(client, "m")
        .namespace("NS")
        .metric_name("M")
        .set_dimensions(Some(vec![dimension("D", "V")]))
        .evaluation_periods(2)
}

#[tokio::test]
async fn an_alarm_follows_the_data_that_is_put() {
    let (double, client) = start().await;
    threshold_alarm(&client).send().await.unwrap();
    put(&double, &client, 81.0).await;
    put(&double, &client, 99.0).await;
    let firing = alarm(&client, "m").await;
    assert_eq!(firing.state_value(), Some(&StateValue::Alarm));
    let data: serde_json::Value = serde_json::from_str(firing.state_reason_data().unwrap()).unwrap();
    assert_eq!(data["recentDatapoints"], serde_json::json!([81.0, 99.0]));
    assert_eq!(data["threshold"], 80.0);
    put(&double, &client, 1.0).await;
    assert_eq!(state(&client, "m").await, StateValue::Ok);
    // Older data is looked at before it is called missing.
    double.advance(SignedDuration::from_mins(15));
    assert_eq!(state(&client, "m").await, StateValue::Ok);
    double.advance(SignedDuration::from_mins(5));
    assert_eq!(state(&client, "m").await, StateValue::InsufficientData);
}

#[tokio::test]
async fn a_state_set_through_the_api_lasts_until_the_next_evaluation_and_one_set_by_hand_stays() {
    let (double, client) = start().await;
    for name in ["api", "hand"] {
        cpu_alarm(&client, name).send().await.unwrap();
    }
    let by_api =
        client.set_alarm_state().alarm_name("api").state_value(StateValue::Alarm).state_reason("test");
    by_api.send().await.unwrap();
    let by_hand = |region: &mut tidewatch_aws_double::Region| {
        region.set_state("hand", tidewatch_aws_double::AlarmState::Alarm, "test", None).unwrap();
    };
    double.with(ACCOUNT, REGION, by_hand);
    assert_eq!(state(&client, "api").await, StateValue::Alarm);
    double.advance(SignedDuration::from_mins(1));
    assert_eq!(state(&client, "api").await, StateValue::InsufficientData);
    assert_eq!(state(&client, "hand").await, StateValue::Alarm);
    double.with(ACCOUNT, REGION, |region| region.release("hand")).unwrap();
    assert_eq!(state(&client, "hand").await, StateValue::InsufficientData);
}

#[tokio::test]
async fn a_band_alarm_fires_once_its_detector_is_trained() {
    let (double, client) = start().await;
    band_alarm(&client, "band").send().await.unwrap();
    for n in 0..40 {
        put(&double, &client, f64::from(100 + n % 3)).await;
    }
    let detectors = client.describe_anomaly_detectors().send().await.unwrap();
    let detector = &detectors.anomaly_detectors()[0];
    assert_eq!(detector.state_value(), Some(&AnomalyDetectorStateValue::Trained));
    assert_eq!(state(&client, "band").await, StateValue::Ok);
    put(&double, &client, 500.0).await;
    assert_eq!(state(&client, "band").await, StateValue::Ok);
    put(&double, &client, 500.0).await;
    let firing = alarm(&client, "band").await;
    assert_eq!(firing.state_value(), Some(&StateValue::Alarm));
    let data: serde_json::Value = serde_json::from_str(firing.state_reason_data().unwrap()).unwrap();
    let upper = data["recentUpperThresholds"][0].as_f64().unwrap();
    assert!((102.0..110.0).contains(&upper), "{data}");
}

#[tokio::test]
async fn a_band_is_drawn_only_by_a_trained_detector() {
    let (double, client) = start().await;
    band_alarm(&client, "band").send().await.unwrap();
    let queries: Vec<MetricDataQuery> = alarm(&client, "band").await.metrics().to_vec();
    let drawn = async || {
        let seconds = |ago: i64| DateTime::from_secs(double.now().as_second() - ago);
        let query = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(seconds(1_200))
            .end_time(seconds(0))
            .scan_by(ScanBy::TimestampAscending);
        let results = query.send().await.unwrap();
        let of = |id: &str| {
            let rows = results.metric_data_results().iter().filter(|row| row.id() == Some(id));
            rows.map(|row| row.values().to_vec()).collect::<Vec<_>>()
        };
        (of("m1"), of("t1"))
    };
    put(&double, &client, 3.0).await;
    assert_eq!(drawn().await, (vec![vec![3.0]], vec![vec![], vec![]]));
    for _ in 0..40 {
        put(&double, &client, 3.0).await;
    }
    let (values, band) = drawn().await;
    assert_eq!(values, [[3.0; 4]]);
    assert_eq!(band, [[3.0; 4], [3.0; 4]]);
}

#[tokio::test]
async fn a_muted_alarm_changes_state_but_runs_no_actions() {
    let (double, client) = start().await;
    threshold_alarm(&client).alarm_actions("arn:aws:sns:eu-west-1:123456789012:t").send().await.unwrap();
    let schedule = Schedule::builder().expression("at(2026-11-23T02:00)").duration("PT30M").build();
    let rule = client
        .put_alarm_mute_rule()
        .name("deployment")
        .rule(Rule::builder().schedule(schedule).build())
        .mute_targets(MuteTargets::builder().alarm_names("m").build());
    rule.send().await.unwrap();
    let set = |state| {
        double.with(ACCOUNT, REGION, |region| region.set_state("m", state, "by hand", None)).unwrap();
    };
    let actions = || {
        double.with(ACCOUNT, REGION, |region| {
            region.history.iter().filter(|item| item.history_item_type == "Action").count()
        })
    };
    set(tidewatch_aws_double::AlarmState::Alarm);
    assert_eq!(actions(), 0);
    set(tidewatch_aws_double::AlarmState::Ok);
    double.advance(SignedDuration::from_mins(30));
    set(tidewatch_aws_double::AlarmState::Alarm);
    assert_eq!(actions(), 1);
}

#[tokio::test]
async fn weeks_pass_in_a_moment() {
    let now = "2026-11-23T02:00:00Z".parse().unwrap();
    let double = Double::start(Options { now: Some(now), ..Options::default() }).await.unwrap();
    double.advance(SignedDuration::from_hours(14 * 24));
    assert_eq!(double.now().to_string(), "2026-12-07T02:00:00Z");
}
