//! Create, change of each field, delete, suspend, adopt, retain, role, Region: the end state compared with what was
//! declared.

use serde_json::{Value, json};
use tidewatch_aws_double::AlarmState as DoubleState;
use tidewatch_crds::anomaly_alarm::{AlarmState, TrainingState};
use tidewatch_testing::managed::set;

use super::bed::{ACCOUNT, AlarmBed as _, Bed, REGION, ROLE, cpu, everything};

#[tokio::test]
async fn what_is_declared_is_in_cloudwatch_and_the_status_says_so() {
    let bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "InPlace", "{:?}", bed.ready("cpu"));
    let name = bed.name_of("cpu");
    bed.region(|region| {
        let names: Vec<&String> = region.alarms.keys().collect();
        assert_eq!(names, [&name, &format!("{name}-composite"), &format!("{name}-network")]);
        let metric = region.alarms[&name].metric().unwrap();
        assert_eq!(metric.comparison_operator.as_deref(), Some("GreaterThanUpperThreshold"));
        assert_eq!(metric.threshold_metric_id.as_deref(), Some("tidewatch_band"));
        assert_eq!((metric.evaluation_periods, metric.datapoints_to_alarm), (Some(3), Some(2)));
        assert!(!metric.actions_enabled, "the composite calls");
        let composite = region.alarms[&format!("{name}-composite")].composite().unwrap();
        assert_eq!(composite.alarm_rule, format!("ALARM(\"{name}\") AND OK(\"{name}-network\")"));
        assert_eq!(composite.alarm_actions, ["arn:aws:sns:eu-west-1:123456789012:on-call"]);
        let tags = &region.alarms[&name].tags;
        assert_eq!(tags["tidewatch.dev/owner-uid"], "uid-cpu");
        assert_eq!((tags["tidewatch.dev/namespace"].as_str(), tags["team"].as_str()), ("shop", "a"));
        assert_eq!(region.detectors.len(), 1);
        assert_eq!(region.mute_rules[&format!("{name}-mute")].schedule.duration, "PT2H");
    });
    let status = bed.status("cpu");
    assert_eq!(status.resources.len(), 5);
    assert!(status.resources.iter().filter(|resource| resource.arn.is_some()).count() >= 3);
    assert_eq!(status.training.unwrap().state, TrainingState::PendingTraining);
    assert_eq!(status.metric_state, Some(AlarmState::InsufficientData));
    assert_eq!(status.network_state, Some(AlarmState::InsufficientData));
}

#[tokio::test]
async fn nothing_is_written_once_it_is_in_place_nor_after_a_restart() {
    let mut bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    let (status, kube_writes) = (bed.status("cpu"), bed.cluster.writes());
    bed.double.clear_calls();
    for _ in 0..3 {
        bed.sweep().await;
    }
    assert!(bed.double.calls().is_empty(), "{:?}", bed.double.calls());
    bed.restart().await;
    for _ in 0..3 {
        bed.sweep().await;
    }
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!((bed.status("cpu"), bed.cluster.writes()), (status, kube_writes));
}

/// Each change, by hand-picked JSON pointers into the spec of everything; the result must be what a new object of the
/// changed spec would have.
#[tokio::test]
async fn a_change_of_each_field_leads_to_what_the_changed_spec_alone_would_make() {
    let changes: &[(&str, Value)] = &[
        (
            "/metric",
            json!({"cloudWatch": {"namespace": "AWS/EC2", "metricName": "NetworkIn", "dimensions": {"InstanceId": "i-1"}, "statistic": "Average", "period": "60s"}}),
        ),
        ("/metric/cloudWatch/dimensions", json!({"InstanceId": "i-2"})),
        ("/metric/cloudWatch/statistic", json!("p99")),
        ("/metric/cloudWatch/period", json!("5m")),
        (
            "/metric",
            json!({"expression": {"queries": [{"id": "a", "metric": {"namespace": "A", "metricName": "B", "statistic": "Sum"}}, {"id": "b", "expression": "a * 2"}], "returns": "b", "period": "60s"}}),
        ),
        ("/metric", json!({"networkMonitor": {"name": "net", "metric": "RoundTripTime"}})),
        ("/condition", json!({"threshold": {"operator": "GreaterThan", "value": 80}})),
        ("/condition/band/width", json!(3.5)),
        ("/condition/band/breach", json!("Outside")),
        (
            "/condition/band/training",
            json!({"timezone": "Asia/Tokyo", "periodicSpikes": true, "adaptationSpeed": "Fast", "outlierFiltering": "Strict", "excludedTimeRanges": [{"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}]}),
        ),
        ("/evaluation", json!({"periods": 5})),
        ("/evaluation", json!({"periods": 3, "datapointsToAlarm": 1, "missingData": "Breaching"})),
        ("/when", Value::Null),
        ("/when/networkHealth/is", json!("Degraded")),
        (
            "/actions",
            json!({"ok": ["arn:aws:sns:eu-west-1:123456789012:ok"], "insufficientData": ["arn:aws:sns:eu-west-1:123456789012:id"]}),
        ),
        ("/actions", json!({})),
        ("/description", json!("CPU is unusual")),
        ("/tags", json!({"cost": "1"})),
        ("/tags", json!({})),
        ("/suspend", json!(true)),
        ("/mute", Value::Null),
        ("/mute", json!({"schedule": "0 3 * * SAT", "duration": "90m", "timezone": "Asia/Tokyo"})),
    ];
    for (pointer, value) in changes {
        let mut spec = everything();
        set(&mut spec, pointer, value.clone());
        let fresh = Bed::start().await;
        fresh.apply("cpu", &spec);
        fresh.settle().await;
        let bed = Bed::start().await;
        bed.apply("cpu", &everything());
        bed.settle().await;
        bed.apply("cpu", &spec);
        bed.settle().await;
        assert_eq!(bed.ready("cpu").1, "InPlace", "{pointer}: {:?}", bed.ready("cpu"));
        assert_eq!(bed.all(), fresh.all(), "{pointer} {value}");
        assert_eq!(bed.status("cpu").resources, fresh.status("cpu").resources, "{pointer}");
        // And back.
        bed.apply("cpu", &everything());
        bed.settle().await;
        let back = Bed::start().await;
        back.apply("cpu", &everything());
        back.settle().await;
        assert_eq!(bed.all(), back.all(), "back from {pointer} {value}");
    }
}

#[tokio::test]
async fn everything_goes_with_the_object_and_stays_with_retain() {
    let bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    bed.delete("cpu");
    bed.settle().await;
    assert!(bed.get("cpu").is_none());
    assert!(bed.all().is_empty(), "{:?}", bed.all());

    let mut spec = everything();
    set(&mut spec, "/deletionPolicy", json!("Retain"));
    bed.apply("cpu", &spec);
    bed.settle().await;
    let there = bed.all();
    bed.delete("cpu");
    bed.settle().await;
    assert!(bed.get("cpu").is_none());
    assert_eq!(bed.all(), there);
}

#[tokio::test]
async fn a_detector_goes_with_the_last_object_that_uses_it() {
    let bed = Bed::start().await;
    let spec = json!({"metric": cpu(), "condition": {"band": {}}});
    for name in ["a", "b", "c"] {
        bed.apply(name, &spec);
    }
    bed.settle().await;
    assert_eq!(bed.region(|region| (region.alarms.len(), region.detectors.len())), (3, 1));
    bed.delete("a");
    bed.settle().await;
    assert_eq!(bed.region(|region| (region.alarms.len(), region.detectors.len())), (2, 1));
    // Both at once: neither may leave it to the other.
    bed.delete("b");
    bed.delete("c");
    bed.settle().await;
    assert_eq!(bed.region(|region| (region.alarms.len(), region.detectors.len())), (0, 0));
}

#[tokio::test]
async fn a_detector_that_another_alarm_of_the_account_uses_stays() {
    let bed = Bed::start().await;
    bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {}}}));
    bed.settle().await;
    let name = bed.name_of("cpu");
    bed.region(|region| {
        let mut other = region.alarms[&name].clone();
        other.metric_mut().unwrap().alarm_name = "by-hand".to_owned();
        other.arn = region.alarm_arn("by-hand");
        other.tags.clear();
        region.alarms.insert("by-hand".to_owned(), other);
    });
    bed.delete("cpu");
    bed.settle().await;
    assert_eq!(bed.region(|region| (region.alarms.len(), region.detectors.len())), (1, 1));
}

#[tokio::test]
async fn two_trainings_of_one_detector_are_a_conflict_that_the_elder_wins() {
    let bed = Bed::start().await;
    bed.apply("a", &json!({"metric": cpu(), "condition": {"band": {}}}));
    bed.settle().await;
    bed.apply(
        "b",
        &json!({"metric": cpu(), "condition": {"band": {"training": {"timezone": "Asia/Tokyo"}}}}),
    );
    bed.settle().await;
    let (ready, reason, message) = bed.ready("b");
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "TrainingConflict"));
    assert!(message.contains("shop/a"), "{message}");
    assert_eq!(bed.ready("a").0, "True");
    assert_eq!(bed.region(|region| region.alarms.len()), 1);
}

#[tokio::test]
async fn an_alarm_that_isnt_ours_is_neither_changed_nor_deleted_until_it_is_adopted() {
    let bed = Bed::start().await;
    let spec = json!({"metric": cpu(), "condition": {"threshold": {"operator": "GreaterThan", "value": 80}}});
    bed.apply("cpu", &spec);
    bed.settle().await;
    let name = bed.name_of("cpu");
    bed.region(|region| {
        let alarm = region.alarms.get_mut(&name).unwrap();
        alarm.tags.clear();
        alarm.metric_mut().unwrap().threshold = Some(70.0);
    });
    // Its tags were removed and it was changed: nothing says any more that it is ours.
    let mut changed = spec.clone();
    set(&mut changed, "/condition/threshold/value", json!(90));
    let foreign = bed.all();
    bed.apply("cpu", &changed);
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "NotOurs", "{:?}", bed.ready("cpu"));
    assert_eq!(bed.all(), foreign);
    bed.apply_annotated("cpu", &changed, &name);
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "InPlace");
    bed.region(|region| {
        assert_eq!(region.alarms[&name].metric().unwrap().threshold, Some(90.0));
        assert_eq!(region.alarms[&name].tags["tidewatch.dev/owner-uid"], "uid-cpu");
    });
}

#[tokio::test]
async fn an_alarm_of_another_name_is_adopted_where_the_chart_allows_it() {
    let bed = Bed::start().await;
    let spec = json!({"metric": cpu(), "condition": {"threshold": {"operator": "GreaterThan", "value": 80}}});
    bed.apply("old", &spec);
    bed.settle().await;
    let old = bed.name_of("old");
    bed.region(|region| {
        let mut alarm = region.alarms.remove(&old).unwrap();
        alarm.metric_mut().unwrap().alarm_name = "legacy-cpu".to_owned();
        alarm.arn = region.alarm_arn("legacy-cpu");
        alarm.tags.clear();
        region.alarms.insert("legacy-cpu".to_owned(), alarm);
    });
    bed.delete("old");
    bed.settle().await;
    bed.apply_annotated("cpu", &spec, "legacy-cpu");
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "InPlace", "{:?}", bed.ready("cpu"));
    let names = bed.region(|region| region.alarms.keys().cloned().collect::<Vec<_>>());
    assert_eq!(names, ["legacy-cpu"]);
    bed.delete("cpu");
    bed.settle().await;
    assert!(bed.all().is_empty());
}

#[tokio::test]
async fn another_region_or_role_leaves_nothing_behind() {
    let bed = Bed::start().await;
    let spec = json!({"metric": cpu(), "condition": {"band": {}}});
    bed.apply("cpu", &spec);
    bed.settle().await;
    let mut elsewhere = spec.clone();
    set(&mut elsewhere, "/region", json!("us-east-1"));
    bed.apply("cpu", &elsewhere);
    bed.settle().await;
    assert!(bed.all().is_empty(), "{:?}", bed.all());
    assert_eq!(bed.all_in(ACCOUNT, "us-east-1").len(), 2);
    let mut other_account = spec.clone();
    set(&mut other_account, "/roleArn", json!(ROLE));
    bed.apply("cpu", &other_account);
    bed.settle().await;
    assert!(bed.all_in(ACCOUNT, "us-east-1").is_empty());
    assert_eq!(bed.all_in("210987654321", REGION).len(), 2);
    assert!(bed.double.calls().iter().any(|call| call.role.as_deref() == Some(ROLE)));
    let told = bed.events("cpu").join("\n");
    assert!(!told.contains("DriftRepaired"), "it moved, and nobody changed it by hand: {told}");
    bed.delete("cpu");
    bed.settle().await;
    assert!(bed.all_in("210987654321", REGION).is_empty());
}

#[tokio::test]
async fn changes_made_by_hand_are_put_back_and_told() {
    let mut bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    let (name, before) = (bed.name_of("cpu"), bed.all());
    bed.region(|region| {
        region.alarms.get_mut(&name).unwrap().metric_mut().unwrap().evaluation_periods = Some(9);
        region.alarms.remove(&format!("{name}-composite"));
        region.detectors.clear();
    });
    // What was written a moment ago isn't written again, in case reads lag: a new process knows of no such write.
    bed.restart().await;
    bed.settle().await;
    assert_eq!(bed.all(), before);
    let told = bed.events("cpu").join("\n");
    assert!(told.contains("DriftRepaired") && told.contains("changed by hand"), "{told}");
    assert!(told.contains("deleted by hand"), "{told}");
}

#[tokio::test]
async fn a_transition_is_in_the_status_and_an_event() {
    let mut bed = Bed::start().await;
    bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {}}}));
    bed.settle().await;
    let name = bed.name_of("cpu");
    let data = r#"{"version":"1.0","queryDate":"2026-11-22T12:00:01.000+0000","recentDatapoints":[91.5],"recentLowerThresholds":[10.0],"recentUpperThresholds":[40.0]}"#;
    bed.region(|region| {
        region.set_state(&name, DoubleState::Alarm, "91.5 is above the band", Some(data)).unwrap()
    });
    bed.restart().await;
    bed.sweep().await;
    let status = bed.status("cpu");
    assert_eq!(status.state, Some(AlarmState::Alarm));
    let overview = status.overview.unwrap();
    assert_eq!((overview.value.as_deref(), overview.band.as_deref()), (Some("91.5"), Some("10–40")));
    assert_eq!(bed.ready("cpu").0, "True", "a firing alarm is in place");
    assert_eq!(status.transitions[0].to, AlarmState::Alarm);
    assert!(bed.events("cpu").iter().any(|said| said.starts_with("Alarm: 91.5")), "{:?}", bed.events("cpu"));
}

#[tokio::test]
async fn what_isnt_known_of_the_network_stays_visible() {
    let mut bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    let name = bed.name_of("cpu");
    for (network, firing, reason) in [
        (DoubleState::Ok, "True", "Alarm"),
        (DoubleState::Alarm, "False", "OK"),
        (DoubleState::InsufficientData, "Unknown", "NetworkUnknown"),
    ] {
        bed.region(|region| {
            region.set_state(&name, DoubleState::Alarm, "test", None).unwrap();
            region.set_state(&format!("{name}-network"), network, "test", None).unwrap();
        });
        bed.restart().await;
        bed.sweep().await;
        let status = bed.status("cpu");
        let says = status.conditions.iter().find(|condition| condition.type_ == "Firing").unwrap();
        assert_eq!((says.status.as_str(), says.reason.as_str()), (firing, reason), "network {network:?}");
    }
}

#[tokio::test]
async fn an_alarm_of_alarms_waits_for_them_and_goes_before_them() {
    let bed = Bed::start().await;
    bed.apply("both", &json!({"alarms": {"anyOf": ["a", "b"]}}));
    bed.sweep().await;
    assert_eq!(bed.ready("both").1, "WaitingForAlarms");
    for name in ["a", "b"] {
        bed.apply(name, &json!({"metric": cpu(), "condition": {"band": {}}}));
    }
    bed.settle().await;
    assert_eq!(bed.ready("both").1, "InPlace", "{:?}", bed.ready("both"));
    // AWS refuses to delete what a composite refers to; that passes when the composite is gone.
    bed.delete("a");
    bed.sweep().await;
    assert!(bed.get("a").is_some());
    for name in ["both", "b"] {
        bed.delete(name);
    }
    bed.settle().await;
    assert!(bed.all().is_empty(), "{:?}", bed.all());
}

#[tokio::test]
async fn what_cannot_be_is_never_sent_to_aws() {
    let bed = Bed::start().await;
    let band = json!({"band": {}});
    let specs = [
        json!({"provider": "Embedded", "metric": cpu(), "condition": band}),
        json!({"metric": {"canary": {"name": "a", "metric": "Duration"}}, "condition": band}),
        json!({"metric": cpu(), "condition": band, "roleArn": "arn:aws:iam::123456789012:role/other"}),
        json!({"metric": cpu(), "condition": band, "actions": {"ok": ["arn:aws:sns:us-east-1:1:t"]}}),
        json!({"metric": {"networkMonitor": {"name": "none", "metric": "Timeouts"}}, "condition": band}),
        json!({"alarms": {"anyOf": ["self"]}}),
    ];
    for spec in specs {
        bed.apply("self", &spec);
        bed.sweep().await;
        let (ready, reason, message) = bed.ready("self");
        assert!(ready != "True" && !reason.is_empty() && !message.is_empty(), "{spec}");
    }
    assert!(bed.double.calls().is_empty(), "{:?}", bed.double.calls());
}

/// Metrics Insights and functions that read data: CloudWatch asks for a period where no metric has one.
#[tokio::test]
async fn what_reads_its_data_itself_is_in_cloudwatch_with_its_period() {
    let bed = Bed::start().await;
    let expressions = [
        ("insights", "SELECT AVG(CPUUtilization) FROM \"AWS/EC2\""),
        ("lines", "select\n  MAX(mem)\nFROM CWAgent\nGROUP BY InstanceId\nORDER BY MAX() DESC"),
        ("contributors", "INSIGHT_RULE_METRIC('rule', 'UniqueContributors')"),
        ("database", "DB_PERF_INSIGHTS('RDS', 'db-1', 'os.cpuUtilization.user.avg')"),
        ("connector", "LAMBDA('connector', 'query')"),
    ];
    for (name, expression) in expressions {
        let queries = json!([{"id": "q", "expression": expression}, {"id": "r", "expression": "q * 2"}]);
        let metric = json!({"expression": {"queries": queries, "returns": "r", "period": "60s"}});
        let condition = json!({"threshold": {"operator": "GreaterThan", "value": 80}});
        bed.apply(name, &json!({"metric": metric, "condition": condition, "tags": {"部署": "決済"}}));
    }
    bed.settle().await;
    for (name, _) in expressions {
        assert_eq!(bed.ready(name).1, "InPlace", "{name}: {:?}", bed.ready(name));
        let alarm = bed.name_of(name);
        bed.region(|region| {
            let queries = &region.alarms[&alarm].metric().unwrap().metrics;
            let periods: Vec<_> = queries.iter().map(|query| (query.id.as_str(), query.period)).collect();
            assert_eq!(periods, [("q", Some(60)), ("r", None)], "{name}");
            assert_eq!(region.alarms[&alarm].tags["部署"], "決済");
        });
    }
    // What CloudWatch tells of them is what was written.
    bed.double.clear_calls();
    bed.sweep().await;
    assert_eq!(bed.writes(), [""; 0]);
}

#[tokio::test]
async fn all_that_cloudwatch_would_refuse_is_told_at_once() {
    let bed = Bed::start().await;
    let queries = json!([
        {"id": "a", "metric": {"namespace": "A", "metricName": "B"}},
        {"id": "b", "expression": "MAX([a, c)"},
        {"id": "c", "expression": "b + d"},
    ]);
    let spec = json!({
        "metric": {"expression": {"queries": queries, "returns": "b"}},
        "condition": {"band": {"training": {"timezone": "Mars/Olympus"}}},
        "actions": {"alarm": ["arn:aws:sns:us-east-1:123456789012:t"]},
        "mute": {"schedule": "0 2 31 4 *", "duration": "2h", "timezone": "Nowhere"},
    });
    bed.apply("self", &spec);
    bed.sweep().await;
    let (ready, reason, message) = bed.ready("self");
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "InvalidSpec"), "{message}");
    for told in [
        "spec.metric.expression.queries[b].expression: the ) at character 10 closes nothing",
        "spec.metric.expression.queries[b].expression: it goes in a circle (b → c → b)",
        "spec.metric.expression.queries[c].expression: it uses d, which no query is called",
        "spec.condition.band.training.timezone: \"Mars/Olympus\" isn't in the time zone database",
        "spec.actions.alarm: action arn:aws:sns:us-east-1:123456789012:t is in us-east-1",
        "spec.mute.schedule: \"0 2 31 4 *\" is a date that never comes",
        "spec.mute.timezone: \"Nowhere\" isn't in the time zone database",
    ] {
        assert!(message.contains(told), "{told} isn't in {message}");
    }
    assert!(bed.double.calls().is_empty(), "{:?}", bed.double.calls());
}

/// As after a restore from a backup: the same names, and another uid.
#[tokio::test]
async fn all_that_an_object_of_the_same_name_left_is_adopted_by_one_annotation() {
    let combined = json!({"alarms": {"anyOf": ["cpu"]}});
    for (name, spec) in [("cpu", everything()), ("all", combined)] {
        let mut bed = Bed::start().await;
        bed.apply("cpu", &everything());
        bed.apply(name, &spec);
        bed.settle().await;
        let before = bed.all();
        bed.region(|region| {
            let alarms = region.alarms.values_mut().map(|alarm| &mut alarm.tags);
            let rules = region.mute_rules.values_mut().map(|rule| &mut rule.tags);
            for tags in alarms.chain(rules) {
                if tags["tidewatch.dev/name"] == name {
                    tags.insert("tidewatch.dev/owner-uid".to_owned(), "before".to_owned());
                }
            }
        });
        bed.cluster.forget(name);
        bed.restart().await;
        bed.apply(name, &spec);
        bed.sweep().await;
        let (_, reason, message) = bed.ready(name);
        assert_eq!(reason, "NotOurs", "{message}");
        let adopt = message.rsplit(": ").next().unwrap();
        assert_eq!(adopt, bed.name_of(name), "what the message says to write: {message}");
        bed.apply_annotated(name, &spec, adopt);
        bed.settle().await;
        assert_eq!(bed.ready(name).1, "InPlace", "{name}: {:?}", bed.ready(name));
        assert_eq!(bed.all(), before);
        bed.delete(name);
        bed.settle().await;
        let left = bed.all().keys().filter(|key| key.contains(&bed.name_of(name))).count();
        assert_eq!(left, 0, "{:?}", bed.all());
    }
}
