use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidewatch_aws::{AwsError, ErrorKind};
use tidewatch_managed::{AwsPolicy, last_error};

use super::*;
use crate::facts::Facts;
use crate::observe::Owner;

const DATA: &str = r#"{"version":"1.0","queryDate":"2026-11-22T12:00:01.456+0000","recentDatapoints":[1.5,9.25],"recentLowerThresholds":[0.1,0.2],"recentUpperThresholds":[1.0,1.1]}"#;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn desired(condition: &Value) -> Desired {
    let alarm = serde_json::from_value(json!({
        "apiVersion": "tidewatch.dev/v1alpha1", "kind": "AnomalyAlarm",
        "metadata": {"namespace": "shop", "name": "cpu", "uid": "u1"},
        "spec": {"metric": {"cloudWatch": {"namespace": "A", "metricName": "B"}}, "condition": condition},
    }))
    .unwrap();
    let policy = AwsPolicy { enabled: true, ..AwsPolicy::default() };
    Desired::new(&alarm, &Facts::default(), &policy, Some("eu-west-1")).unwrap()
}

fn observed(desired: &Desired, state: State, since: &str) -> Observed {
    let alarms = desired.alarms().map(|(_, config)| {
        let name = config.name().to_owned();
        let alarm = Alarm {
            arn: format!("arn:{name}"),
            config,
            state,
            reason: "Thresholds Crossed".to_owned(),
            reason_data: Some(DATA.to_owned()),
            state_since: Some(time(since)),
            evaluation_state: None,
        };
        (name, Seen::There { alarm: Arc::new(alarm), owner: Owner::Assumed })
    });
    Observed { alarms: alarms.collect::<BTreeMap<_, _>>(), ..Observed::default() }
}

fn outcome<'a>(desired: &'a Desired, observed: Option<&'a Observed>) -> Outcome<'a> {
    Outcome {
        now: time("2026-11-22T12:05:00Z"),
        generation: Some(1),
        read_every: "60s".to_owned(),
        desired: Some(desired),
        observed,
        resources: desired.resources(true),
        problem: None,
        deleting: false,
        error: None,
    }
}

fn truth(status: &AnomalyAlarmStatus, kind: ConditionType) -> (String, String) {
    let condition = find(&status.conditions, kind).unwrap();
    (condition.status.clone(), condition.reason.clone())
}

#[test]
fn a_firing_alarm_says_since_when_and_by_what_value_and_stays_ready() {
    let desired = desired(&json!({"band": {}}));
    let quiet = observed(&desired, State::Ok, "2026-11-22T11:00:00Z");
    let before = fold(&AnomalyAlarmStatus::default(), &outcome(&desired, Some(&quiet)));
    let firing = observed(&desired, State::Alarm, "2026-11-22T12:00:00Z");
    let status = fold(&before, &outcome(&desired, Some(&firing)));
    assert_eq!(status.state, Some(AlarmState::Alarm));
    assert_eq!(status.since, Some(time("2026-11-22T12:00:00Z")));
    let overview = status.overview.clone().unwrap();
    assert_eq!((overview.value.as_deref(), overview.band.as_deref()), (Some("9.25"), Some("0.2–1.1")));
    assert_eq!(truth(&status, ConditionType::Ready), ("True".to_owned(), "InPlace".to_owned()));
    assert_eq!(truth(&status, ConditionType::Firing).0, "True");
    assert_eq!(status.training.as_ref().unwrap().state, TrainingState::PendingTraining);
    let changes: Vec<_> = status.transitions.iter().map(|t| (t.from, t.to)).collect();
    assert_eq!(changes, [(Some(AlarmState::Ok), AlarmState::Alarm), (None, AlarmState::Ok)]);
    let told = events(&before, &status);
    assert_eq!(told.iter().map(|e| e.reason).collect::<Vec<_>>(), ["Alarm"]);
    let over = observed(&desired, State::Ok, "2026-11-22T12:04:00Z");
    let after = fold(&status, &outcome(&desired, Some(&over)));
    assert_eq!(events(&status, &after)[0].reason, "Recovered");
}

#[test]
fn the_same_observation_twice_changes_nothing() {
    let desired = desired(&json!({"threshold": {"operator": "LessThan", "value": 0.25}}));
    let seen = observed(&desired, State::Alarm, "2026-11-22T12:00:00Z");
    let once = fold(&AnomalyAlarmStatus::default(), &outcome(&desired, Some(&seen)));
    let at = |now: &str| Outcome { now: time(now), ..outcome(&desired, Some(&seen)) };
    assert_eq!(fold(&once, &at("2026-11-22T12:34:00Z")), once);
    // A status that is older than half an hour shows that nobody reads the state.
    let read_at = Some(time("2026-11-22T12:35:00Z"));
    assert_eq!(fold(&once, &at("2026-11-22T12:35:00Z")), AnomalyAlarmStatus { read_at, ..once.clone() });
    assert_eq!(once.overview.unwrap().band.as_deref(), Some("< 0.25"));
}

#[test]
fn what_aws_refuses_is_unknown_and_what_the_spec_cant_be_is_false() {
    let desired = desired(&json!({"band": {}}));
    for (kind, truth_is, reason) in [
        (ErrorKind::Terminal, "False", "Rejected"),
        (ErrorKind::Throttled, "Unknown", "Throttled"),
        (ErrorKind::Denied, "Unknown", "Denied"),
        (ErrorKind::Credentials, "Unknown", "NoCredentials"),
        (ErrorKind::Quota, "Unknown", "QuotaReached"),
        (ErrorKind::Retry, "Unknown", "AWSUnreachable"),
    ] {
        let error = AwsError::local("PutMetricAlarm", "eu-west-1", kind, "what AWS said");
        let problem = Some(Problem::of(&error));
        let last = last_error(None, &error, time("2026-11-22T12:05:00Z"), Duration::from_secs(9));
        let outcome = Outcome { problem, error: Some(last), ..outcome(&desired, None) };
        let status = fold(&AnomalyAlarmStatus::default(), &outcome);
        assert_eq!(truth(&status, ConditionType::Ready), (truth_is.to_owned(), reason.to_owned()));
        let last = status.last_error.unwrap();
        assert!(last.message.contains("what AWS said"));
        assert_eq!(last.next_try, Some(time("2026-11-22T12:05:09Z")));
    }
}

#[test]
fn a_state_that_isnt_known_any_more_isnt_firing_and_keeps_what_was() {
    let desired = desired(&json!({"band": {}}));
    let firing = observed(&desired, State::Alarm, "2026-11-22T12:00:00Z");
    let before = fold(&AnomalyAlarmStatus::default(), &outcome(&desired, Some(&firing)));
    let status = fold(&before, &outcome(&desired, None));
    assert_eq!(truth(&status, ConditionType::Firing), ("Unknown".to_owned(), "NotRead".to_owned()));
    assert_eq!(status.transitions, before.transitions);
    assert!(events(&before, &status).is_empty());
}

#[test]
fn only_the_last_ten_transitions_are_kept() {
    let desired = desired(&json!({"band": {}}));
    let mut status = AnomalyAlarmStatus::default();
    for minute in 10..40 {
        let state = if minute % 2 == 0 { State::Alarm } else { State::Ok };
        let seen = observed(&desired, state, &format!("2026-11-22T12:{minute}:00Z"));
        status = fold(&status, &outcome(&desired, Some(&seen)));
    }
    assert_eq!(status.transitions.len(), 10);
    assert_eq!(status.transitions[0].at, time("2026-11-22T12:39:00Z"));
}
