use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{ActionsSuppressedBy, AlarmType, StateValue};
use jiff::SignedDuration;
use tidewatch_aws_double::AlarmState;

use crate::client::{ACCOUNT, REGION, code, cpu_alarm, start};

async fn state(client: &Client, name: &str) -> StateValue {
    let described = client
        .describe_alarms()
        .alarm_names(name)
        .alarm_types(AlarmType::CompositeAlarm)
        .send()
        .await
        .unwrap();
    described.composite_alarms()[0].state_value().unwrap().clone()
}

#[tokio::test]
async fn a_composite_follows_its_children_through_every_level() {
    let (double, client) = start().await;
    for child in ["hot", "lossy"] {
        cpu_alarm(&client, child).send().await.unwrap();
    }
    let rule = "ALARM(hot) AND NOT ALARM(\"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:lossy\")";
    client.put_composite_alarm().alarm_name("ours").alarm_rule(rule).send().await.unwrap();
    client.put_composite_alarm().alarm_name("page").alarm_rule("ALARM(ours)").send().await.unwrap();
    let set = |name: &'static str, state| {
        double.with(ACCOUNT, REGION, |region| region.set_state(name, state, "by hand", None)).unwrap();
    };
    assert_eq!(state(&client, "page").await, StateValue::Ok);
    set("hot", AlarmState::Alarm);
    assert_eq!(state(&client, "page").await, StateValue::Alarm);
    set("lossy", AlarmState::Alarm);
    assert_eq!(state(&client, "page").await, StateValue::Ok);
}

#[tokio::test]
async fn what_a_composite_names_must_exist_and_can_t_be_deleted_before_it() {
    let (double, client) = start().await;
    let put = client.put_composite_alarm().alarm_name("both").alarm_rule("ALARM(a) OR ALARM(b)");
    assert_eq!(code(&put.clone().send().await.unwrap_err()), "ValidationError");
    for child in ["a", "b", "c"] {
        cpu_alarm(&client, child).send().await.unwrap();
    }
    put.send().await.unwrap();
    let batch = client.delete_alarms().alarm_names("c").alarm_names("a");
    assert_eq!(code(&batch.clone().send().await.unwrap_err()), "ValidationError");
    double.with(ACCOUNT, REGION, |region| assert_eq!(region.alarms.len(), 4));
    client.delete_alarms().alarm_names("both").send().await.unwrap();
    batch.send().await.unwrap();
    double.with(ACCOUNT, REGION, |region| assert_eq!(Vec::from_iter(region.alarms.keys()), ["b"]));
}

#[tokio::test]
async fn only_one_composite_is_deleted_at_a_time() {
    let (_double, client) = start().await;
    for name in ["x", "y"] {
        client.put_composite_alarm().alarm_name(name).alarm_rule("FALSE").send().await.unwrap();
    }
    let both = client.delete_alarms().alarm_names("x").alarm_names("y").send().await.unwrap_err();
    assert_eq!(code(&both), "ValidationError");
}

#[tokio::test]
async fn composites_are_shown_only_when_asked_for_and_know_their_family() {
    let (_double, client) = start().await;
    cpu_alarm(&client, "child").send().await.unwrap();
    client.put_composite_alarm().alarm_name("parent").alarm_rule("ALARM(child)").send().await.unwrap();
    let default = client.describe_alarms().send().await.unwrap();
    assert_eq!((default.metric_alarms().len(), default.composite_alarms().len()), (1, 0));
    let children = client.describe_alarms().children_of_alarm_name("parent").send().await.unwrap();
    assert_eq!(children.metric_alarms()[0].alarm_name(), Some("child"));
    let parents = client.describe_alarms().parents_of_alarm_name("child").send().await.unwrap();
    assert_eq!(parents.composite_alarms()[0].alarm_name(), Some("parent"));
    assert_eq!(parents.composite_alarms()[0].alarm_rule(), None);
}

#[tokio::test]
async fn a_suppressor_holds_actions_back_while_it_fires_and_a_while_longer() {
    let (double, client) = start().await;
    for child in ["hot", "deploying"] {
        cpu_alarm(&client, child).send().await.unwrap();
    }
    let put = client.put_composite_alarm().alarm_name("page").alarm_rule("ALARM(hot)");
    let put = put.alarm_actions("arn:aws:sns:eu-west-1:123456789012:t").actions_suppressor("deploying");
    put.actions_suppressor_wait_period(0).actions_suppressor_extension_period(120).send().await.unwrap();
    let set = |name: &'static str, state| {
        double.with(ACCOUNT, REGION, |region| region.set_state(name, state, "by hand", None)).unwrap();
    };
    let suppressed = async || {
        let page = client.describe_alarms().alarm_types(AlarmType::CompositeAlarm).send().await.unwrap();
        page.composite_alarms()[0].actions_suppressed_by().cloned()
    };
    let actions = || {
        let action = |item: &&tidewatch_aws_double::state::HistoryItem| item.history_item_type == "Action";
        double.with(ACCOUNT, REGION, |region| region.history.iter().filter(action).count())
    };
    set("deploying", AlarmState::Alarm);
    set("hot", AlarmState::Alarm);
    assert_eq!((suppressed().await, actions()), (Some(ActionsSuppressedBy::Alarm), 0));
    set("deploying", AlarmState::Ok);
    assert_eq!(suppressed().await, Some(ActionsSuppressedBy::ExtensionPeriod));
    double.advance(SignedDuration::from_mins(2));
    assert_eq!(suppressed().await, None);
    set("hot", AlarmState::Ok);
    set("hot", AlarmState::Alarm);
    assert_eq!(actions(), 1);
}

#[tokio::test]
async fn a_composite_set_through_the_api_follows_again_once_a_child_changes_or_it_is_put_again() {
    let (double, client) = start().await;
    cpu_alarm(&client, "child").send().await.unwrap();
    let put = client.put_composite_alarm().alarm_name("parent").alarm_rule("OK(child)");
    put.clone().send().await.unwrap();
    client.put_composite_alarm().alarm_name("above").alarm_rule("ALARM(parent)").send().await.unwrap();
    let set =
        client.set_alarm_state().alarm_name("parent").state_value(StateValue::Alarm).state_reason("test");
    set.clone().send().await.unwrap();
    double.advance(SignedDuration::from_hours(1));
    assert_eq!(state(&client, "parent").await, StateValue::Alarm);
    assert_eq!(state(&client, "above").await, StateValue::Alarm);
    let child = |state| {
        double.with(ACCOUNT, REGION, |region| region.set_state("child", state, "by hand", None)).unwrap();
    };
    child(AlarmState::Alarm);
    assert_eq!(state(&client, "parent").await, StateValue::Ok);
    assert_eq!(state(&client, "above").await, StateValue::Ok);
    set.send().await.unwrap();
    put.send().await.unwrap();
    assert_eq!(state(&client, "parent").await, StateValue::Ok);
}

#[tokio::test]
async fn a_circle_of_composites_ends_and_is_broken_by_a_new_rule() {
    let (_double, client) = start().await;
    let put = |name: &str, rule: &str| client.put_composite_alarm().alarm_name(name).alarm_rule(rule).send();
    put("a", "FALSE").await.unwrap();
    put("b", "NOT ALARM(a)").await.unwrap();
    put("a", "ALARM(b)").await.unwrap();
    let delete = |name: &str| client.delete_alarms().alarm_names(name).send();
    assert_eq!(code(&delete("a").await.unwrap_err()), "ValidationError");
    put("b", "FALSE").await.unwrap();
    delete("a").await.unwrap();
}
