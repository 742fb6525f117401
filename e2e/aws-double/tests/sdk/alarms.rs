use aws_sdk_cloudwatch::types::{AlarmType, ComparisonOperator, MetricDataQuery, StateValue, Tag};
use tidewatch_aws_double::{AlarmState, Outcome};

use crate::client::{ACCOUNT, REGION, code, cpu_alarm, start};

#[tokio::test]
async fn a_new_alarm_is_described_as_it_was_put_and_has_no_state_yet() {
    let (double, client) = start().await;
    cpu_alarm(&client, "cpu").alarm_description("too hot").send().await.unwrap();
    let described = client.describe_alarms().alarm_names("cpu").alarm_names("unknown").send().await.unwrap();
    let [alarm] = described.metric_alarms() else { panic!("{described:?}") };
    assert_eq!(alarm.alarm_arn(), Some("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:cpu"));
    assert_eq!(alarm.alarm_description(), Some("too hot"));
    assert_eq!(alarm.threshold(), Some(80.0));
    assert_eq!(alarm.period(), Some(300));
    assert_eq!(alarm.dimensions()[0].value(), Some("i-1"));
    assert_eq!(alarm.actions_enabled(), Some(true));
    assert_eq!(alarm.state_value(), Some(&StateValue::InsufficientData));
    let put = &double.calls()[0];
    assert_eq!(
        (put.operation.as_str(), put.region.as_str(), &put.outcome),
        ("PutMetricAlarm", REGION, &Outcome::Ok)
    );
    assert_eq!(put.request["Threshold"], 80.0);
}

#[tokio::test]
async fn an_update_overwrites_everything_but_state_and_tags() {
    let (double, client) = start().await;
    let tag = |value: &str| Tag::builder().key("owner").value(value).build();
    cpu_alarm(&client, "cpu").alarm_description("first").tags(tag("me")).send().await.unwrap();
    double
        .with(ACCOUNT, REGION, |region| region.set_state("cpu", AlarmState::Alarm, "by hand", None))
        .unwrap();
    cpu_alarm(&client, "cpu").threshold(90.0).tags(tag("you")).send().await.unwrap();
    let described = client.describe_alarms().send().await.unwrap();
    let alarm = &described.metric_alarms()[0];
    assert_eq!(alarm.alarm_description(), None);
    assert_eq!(alarm.threshold(), Some(90.0));
    assert_eq!(alarm.state_value(), Some(&StateValue::Alarm));
    let tags = client.list_tags_for_resource().resource_arn(alarm.alarm_arn().unwrap()).send().await.unwrap();
    assert_eq!(tags.tags(), [tag("me")]);
}

#[tokio::test]
async fn pages_lead_through_all_alarms_of_a_prefix() {
    let (_double, client) = start().await;
    for index in 0..7 {
        cpu_alarm(&client, &format!("tw-{index}")).send().await.unwrap();
    }
    cpu_alarm(&client, "other").send().await.unwrap();
    let mut pages = client.describe_alarms().alarm_name_prefix("tw-").max_records(3).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().metric_alarms().len());
    }
    assert_eq!(sizes, [3, 3, 1]);
}

#[tokio::test]
async fn a_wrong_alarm_is_refused_with_the_code_that_aws_documents() {
    let (_double, client) = start().await;
    let long = cpu_alarm(&client, &"n".repeat(256)).send().await.unwrap_err();
    assert_eq!(code(&long), "ValidationError");
    let no_threshold = cpu_alarm(&client, "cpu").set_threshold(None).send().await.unwrap_err();
    assert_eq!(code(&no_threshold), "ValidationError");
    let nan = cpu_alarm(&client, "cpu").threshold(f64::NAN).send().await.unwrap_err();
    assert_eq!(code(&nan), "ValidationError");
    let unknown = client.set_alarm_state().alarm_name("cpu").state_value(StateValue::Ok).state_reason("r");
    let unknown = unknown.send().await.unwrap_err();
    assert_eq!(code(&unknown), "ResourceNotFound");
    assert!(unknown.into_service_error().is_resource_not_found());
}

#[tokio::test]
async fn actions_are_switched_and_history_tells_everything_also_of_deleted_alarms() {
    let (double, client) = start().await;
    cpu_alarm(&client, "cpu").alarm_actions("arn:aws:sns:eu-west-1:123456789012:topic").send().await.unwrap();
    double.with(ACCOUNT, REGION, |region| region.set_state("cpu", AlarmState::Alarm, "hot", None)).unwrap();
    client.disable_alarm_actions().alarm_names("cpu").send().await.unwrap();
    let described = client.describe_alarms().send().await.unwrap();
    assert_eq!(described.metric_alarms()[0].actions_enabled(), Some(false));
    client.delete_alarms().alarm_names("cpu").alarm_names("unknown").send().await.unwrap();
    assert!(client.describe_alarms().send().await.unwrap().metric_alarms().is_empty());
    let history = client
        .describe_alarm_history()
        .alarm_name("cpu")
        .alarm_types(AlarmType::MetricAlarm)
        .scan_by(aws_sdk_cloudwatch::types::ScanBy::TimestampAscending)
        .send()
        .await
        .unwrap();
    let told: Vec<_> =
        history.alarm_history_items().iter().map(|item| item.history_summary().unwrap()).collect();
    let action = "Successfully executed action arn:aws:sns:eu-west-1:123456789012:topic";
    assert_eq!(
        told,
        [
            "Alarm \"cpu\" created",
            "Alarm updated from INSUFFICIENT_DATA to ALARM",
            action,
            "Alarm \"cpu\" updated",
            "Alarm \"cpu\" deleted",
        ]
    );
}

#[tokio::test]
async fn pages_of_the_history_repeat_nothing_though_something_happens_in_between() {
    let (double, client) = start().await;
    cpu_alarm(&client, "cpu").send().await.unwrap();
    let set = |state| {
        double.with(ACCOUNT, REGION, |region| region.set_state("cpu", state, "by hand", None)).unwrap()
    };
    set(AlarmState::Alarm);
    set(AlarmState::Ok);
    let newest_first = || client.describe_alarm_history().alarm_name("cpu").max_records(2);
    let first = newest_first().send().await.unwrap();
    set(AlarmState::Alarm);
    let rest = newest_first().set_next_token(first.next_token().map(str::to_owned)).send().await.unwrap();
    let pages = [first, rest];
    let told: Vec<_> = pages
        .iter()
        .flat_map(|page| page.alarm_history_items())
        .map(|item| item.history_summary().unwrap())
        .collect();
    let expected = [
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        "Alarm \"cpu\" created",
    ];
    assert_eq!(told, expected);
}

/// An alarm on one query, which returns data; what else it needs is in it.
fn computed(
    client: &aws_sdk_cloudwatch::Client,
    expression: &str,
    period: Option<i32>,
) -> aws_sdk_cloudwatch::operation::put_metric_alarm::builders::PutMetricAlarmFluentBuilder {
    let query =
        MetricDataQuery::builder().id("q").expression(expression).set_period(period).return_data(true);
    client
        .put_metric_alarm()
        .alarm_name("computed")
        .metrics(query.build())
        .threshold(1.0)
        .comparison_operator(ComparisonOperator::GreaterThanThreshold)
        .evaluation_periods(1)
}

#[tokio::test]
async fn what_reads_its_data_itself_is_taken_with_a_period_and_told_again() {
    let (double, client) = start().await;
    for expression in [
        "SELECT AVG(CPUUtilization)\nFROM \"AWS/EC2\"\nGROUP BY InstanceId\nORDER BY AVG() DESC LIMIT 5",
        "SELECT SUM(Errors) FROM SCHEMA(\"Shop\", Service) WHERE Service != 'test'",
        "INSIGHT_RULE_METRIC('rule', 'MaxContributorValue')",
        "DB_PERF_INSIGHTS('RDS', 'db-1', 'os.cpuUtilization.user.avg')",
    ] {
        let without = computed(&client, expression, None).send().await.unwrap_err();
        assert_eq!(code(&without), "ValidationError", "{expression}");
        computed(&client, expression, Some(60)).send().await.unwrap();
        let described = client.describe_alarms().alarm_names("computed").send().await.unwrap();
        let query = &described.metric_alarms()[0].metrics()[0];
        assert_eq!((query.expression(), query.period()), (Some(expression), Some(60)));
    }
    // Nothing is computed of them, and an alarm without data says so.
    double.advance(jiff::SignedDuration::from_mins(10));
    let described = client.describe_alarms().alarm_names("computed").send().await.unwrap();
    assert_eq!(described.metric_alarms()[0].state_value(), Some(&StateValue::InsufficientData));
}

#[tokio::test]
async fn several_series_without_an_order_are_refused() {
    let (_double, client) = start().await;
    let query = "SELECT AVG(CPUUtilization) FROM \"AWS/EC2\" GROUP BY InstanceId";
    let refused = computed(&client, query, Some(60)).send().await.unwrap_err();
    assert_eq!(code(&refused), "ValidationError");
}
