//! Whose something is: before it is written, before it is deleted, and when somebody took the tags away.

use serde_json::{Value, json};
use tidewatch_aws_double::{AlarmState, Fault, FaultKind};
use tidewatch_crds::anomaly_alarm::ResourceKind;
use tidewatch_testing::managed::with;

use super::bed::{AlarmBed as _, Bed, cpu, everything};

const UID: &str = "tidewatch.dev/owner-uid";

fn banded() -> Value {
    json!({"metric": cpu(), "condition": {"band": {}}})
}

/// A detector on `cpu` as somebody else makes it, trained otherwise.
async fn make_detector(bed: &Bed) {
    use aws_sdk_cloudwatch::types::{AnomalyDetectorConfiguration, Dimension, SingleMetricAnomalyDetector};
    let metric = SingleMetricAnomalyDetector::builder()
        .namespace("AWS/EC2")
        .metric_name("CPUUtilization")
        .dimensions(Dimension::builder().name("InstanceId").value("i-1").build())
        .stat("Average")
        .build();
    let config = AnomalyDetectorConfiguration::builder().metric_timezone("Asia/Tokyo").build();
    aws_sdk_cloudwatch::Client::new(&bed.sdk_config().await)
        .put_anomaly_detector()
        .single_metric_anomaly_detector(metric)
        .configuration(config)
        .send()
        .await
        .unwrap();
}

fn timezone(bed: &Bed) -> Vec<Option<String>> {
    bed.region(|region| {
        let detectors = region.detectors.values();
        detectors.map(|it| it.configuration.as_ref().and_then(|c| c.metric_timezone.clone())).collect()
    })
}

#[tokio::test]
async fn a_detector_that_someone_made_since_the_list_was_read_is_left_as_it_is() {
    let bed = Bed::start().await;
    // The list is read for another object, and stands until the next resync.
    bed.apply("other", &with(banded(), "/metric/cloudWatch/statistic", json!("Maximum")));
    bed.settle().await;
    make_detector(&bed).await;
    bed.apply("cpu", &banded());
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "InPlace", "{:?}", bed.ready("cpu"));
    assert!(timezone(&bed).contains(&Some("Asia/Tokyo".to_owned())), "{:?}", timezone(&bed));
    bed.delete("cpu");
    bed.settle().await;
    assert!(timezone(&bed).contains(&Some("Asia/Tokyo".to_owned())), "it went with the object");
}

#[tokio::test]
async fn an_alarm_that_someone_made_since_it_was_looked_for_is_left_as_it_is() {
    let bed = Bed::start().await;
    let spec = json!({"metric": cpu(), "condition": {"threshold": {"operator": "GreaterThan", "value": 80}}});
    bed.apply("model", &spec);
    bed.settle().await;
    // It is looked for, and can't be made.
    let denied =
        Fault { operation: Some("PutMetricAlarm".to_owned()), skip: 0, times: 1, kind: FaultKind::Denied };
    bed.double.inject(denied);
    bed.apply("cpu", &spec);
    bed.sweep().await;
    assert_eq!(bed.ready("cpu").1, "Denied");
    let (name, model) = (bed.name_of("cpu"), bed.name_of("model"));
    bed.region(|region| {
        let mut theirs = region.alarms[&model].clone();
        theirs.metric_mut().unwrap().alarm_name.clone_from(&name);
        theirs.metric_mut().unwrap().threshold = Some(7.0);
        theirs.arn = region.alarm_arn(&name);
        theirs.tags.clear();
        region.alarms.insert(name.clone(), theirs);
    });
    for _ in 0..3 {
        bed.sweep().await;
    }
    assert_eq!(bed.ready("cpu").1, "NotOurs", "{:?}", bed.ready("cpu"));
    assert_eq!(bed.region(|region| region.alarms[&name].metric().unwrap().threshold), Some(7.0));
}

#[tokio::test]
async fn a_detector_or_a_mute_rule_that_was_changed_by_hand_is_put_back_and_told() {
    let mut bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    let before = bed.all();
    make_detector(&bed).await;
    assert_ne!(bed.all(), before);
    bed.restart().await;
    bed.settle().await;
    assert_eq!(bed.all(), before);
    let told = bed.events("cpu").join("\n");
    assert!(told.contains("DriftRepaired: the anomaly detector for Average of AWS/EC2"), "{told}");
    let count = bed.events("cpu").len();
    // A change of the spec isn't told as one of somebody's.
    bed.apply("cpu", &with(everything(), "/condition/band/training", json!({"timezone": "Europe/Rome"})));
    bed.settle().await;
    assert_eq!(bed.events("cpu").len(), count, "{:?}", bed.events("cpu"));
}

#[tokio::test]
async fn an_alarm_whose_owner_tag_was_removed_is_still_the_objects_and_gets_it_back() {
    let mut bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    let (name, before) = (bed.name_of("cpu"), bed.all());
    let remove = |bed: &Bed, keys: &[&str]| {
        bed.region(|region| {
            for alarm in region.alarms.values_mut() {
                alarm.tags.retain(|key, _| !keys.contains(&key.as_str()));
            }
        });
    };
    remove(&bed, &[UID]);
    bed.restart().await;
    // An edit makes it look at the tags.
    bed.apply("cpu", &with(everything(), "/description", json!("other")));
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "InPlace", "{:?}", bed.ready("cpu"));
    assert_eq!(bed.region(|region| region.alarms[&name].tags[UID].clone()), "uid-cpu");
    bed.apply("cpu", &everything());
    bed.settle().await;
    assert_eq!(bed.all(), before);

    remove(&bed, &[UID]);
    bed.restart().await;
    bed.delete("cpu");
    bed.settle().await;
    assert!(bed.all().is_empty(), "{:?}", bed.all());
}

#[tokio::test]
async fn an_alarm_that_nothing_says_is_ours_stays_when_its_object_goes_and_that_is_told() {
    let mut bed = Bed::start().await;
    bed.apply("cpu", &json!({"metric": cpu(), "condition": {"band": {}}}));
    bed.settle().await;
    let name = bed.name_of("cpu");
    bed.region(|region| region.alarms.get_mut(&name).unwrap().tags.clear());
    bed.restart().await;
    bed.delete("cpu");
    bed.settle().await;
    assert!(bed.get("cpu").is_none());
    assert!(bed.region(|region| region.alarms.contains_key(&name)));
    assert_eq!(bed.region(|region| region.detectors.len()), 1, "that alarm's band");
    let told = bed.events("cpu").join("\n");
    let stays =
        format!("LeftBehind: alarm {name} in eu-west-1 stays in AWS: it isn't this object's any more");
    assert!(told.contains(&stays), "{told}");
}

#[tokio::test]
async fn what_is_adopted_is_marked_before_it_is_changed() {
    let bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    let name = bed.name_of("cpu");
    bed.region(|region| {
        for alarm in region.alarms.values_mut() {
            alarm.tags.clear();
        }
        region.alarms.get_mut(&name).unwrap().metric_mut().unwrap().evaluation_periods = Some(9);
    });
    bed.cluster.forget("cpu");
    let mut bed = bed;
    bed.restart().await;
    bed.double.clear_calls();
    bed.apply_annotated("cpu", &everything(), &name);
    // The change is refused for now: whose it is stands already.
    bed.double.inject(Fault {
        operation: Some("PutMetricAlarm".to_owned()),
        skip: 0,
        times: 1,
        kind: FaultKind::Denied,
    });
    bed.sweep().await;
    let (tags, periods) = bed.region(|region| {
        let alarm = &region.alarms[&name];
        (alarm.tags.clone(), alarm.metric().unwrap().evaluation_periods)
    });
    assert_eq!((tags[UID].as_str(), periods), ("uid-cpu", Some(9)));
    assert!(!tags.contains_key("tidewatch.dev/spec-hash"), "what isn't written isn't said to be: {tags:?}");
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "InPlace", "{:?}", bed.ready("cpu"));
    let told = bed.events("cpu").join("\n");
    assert!(!told.contains("by hand"), "{told}");
}

#[tokio::test]
async fn a_part_that_aws_refuses_for_good_holds_up_no_other() {
    let bed = Bed::start().await;
    bed.apply("cpu", &everything());
    bed.settle().await;
    let name = bed.name_of("cpu");
    let operation = Some("PutAnomalyDetector".to_owned());
    bed.double.inject(Fault { operation, skip: 0, times: 1, kind: FaultKind::Invalid });
    let spec = with(everything(), "/condition/band/training", json!({"timezone": "Asia/Tokyo"}));
    let spec = with(spec, "/evaluation", json!({"periods": 5}));
    bed.apply("cpu", &with(spec, "/mute/duration", json!("3h")));
    bed.pass("cpu").await;
    let (ready, reason, message) = bed.ready("cpu");
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "Rejected"), "{message}");
    assert!(message.contains("PutAnomalyDetector"), "{message}");
    bed.region(|region| {
        assert_eq!(region.alarms[&name].metric().unwrap().evaluation_periods, Some(5));
        assert_eq!(region.mute_rules[&format!("{name}-mute")].schedule.duration, "PT3H");
    });
}

/// This operation fails for so long that nobody waits for it.
fn refuse(bed: &Bed, operation: &str, kind: FaultKind) {
    bed.double.inject(Fault { operation: Some(operation.to_owned()), skip: 0, times: 1000, kind });
}

#[tokio::test]
async fn a_part_that_is_refused_hides_nothing_of_the_alarm_that_works() {
    for (kind, reason) in [
        (FaultKind::Invalid, "Rejected"),
        (FaultKind::Denied, "Denied"),
        (FaultKind::QuotaExceeded, "QuotaReached"),
    ] {
        let bed = Bed::start().await;
        let spec = with(banded(), "/mute", json!({"schedule": "0 2 * * SUN", "duration": "2h"}));
        bed.apply("cpu", &spec);
        bed.settle().await;
        let name = bed.name_of("cpu");
        bed.region(|region| region.set_state(&name, AlarmState::Ok, "quiet", None).unwrap());
        refuse(&bed, "PutAlarmMuteRule", kind);
        bed.apply("cpu", &with(spec, "/mute/duration", json!("3h")));
        bed.pass("cpu").await;
        assert_eq!(bed.ready("cpu").1, reason, "{:?}", bed.ready("cpu"));
        assert_eq!(bed.cluster.condition("cpu", "Firing").1, "OK");

        bed.region(|region| region.set_state(&name, AlarmState::Alarm, "too much", None).unwrap());
        bed.pass("cpu").await;
        let (ready, found, message) = bed.ready("cpu");
        assert_eq!(found, reason, "{ready}: {message}");
        assert!(message.contains("PutAlarmMuteRule"), "{message}");
        let status = bed.status("cpu");
        assert_eq!(status.last_error.map(|error| error.operation).as_deref(), Some("PutAlarmMuteRule"));
        assert_eq!(bed.cluster.condition("cpu", "Firing").0, "True", "{reason}");
        let told = bed.events("cpu");
        assert!(told.iter().any(|said| said == "Alarm: too much"), "{told:?}");
    }
}

#[tokio::test]
async fn an_alarm_that_was_made_beside_a_refused_part_can_be_combined() {
    for kind in [FaultKind::Invalid, FaultKind::Denied] {
        let bed = Bed::start().await;
        refuse(&bed, "PutAlarmMuteRule", kind);
        bed.apply("cpu", &with(banded(), "/mute", json!({"schedule": "0 2 * * SUN", "duration": "2h"})));
        bed.apply("par", &json!({"alarms": {"anyOf": ["cpu"]}}));
        for _ in 0..3 {
            bed.sweep().await;
        }
        assert_eq!(bed.ready("par").1, "InPlace", "{:?}", bed.ready("par"));
        let kinds: Vec<_> = bed.status("cpu").resources.iter().map(|resource| resource.kind).collect();
        assert!(kinds.contains(&ResourceKind::MuteRule), "it may be there all the same: {kinds:?}");
    }
}

#[tokio::test]
async fn a_change_of_an_alarm_that_is_refused_is_no_change_by_hand() {
    let bed = Bed::start().await;
    bed.apply("cpu", &banded());
    bed.settle().await;
    refuse(&bed, "PutMetricAlarm", FaultKind::Invalid);
    let spec = with(banded(), "/evaluation", json!({"periods": 5}));
    bed.apply("cpu", &with(spec, "/tags", json!({"team": "b"})));
    bed.pass("cpu").await;
    bed.double.clear_faults();
    bed.settle().await;
    let told = bed.events("cpu").join("\n");
    assert!(!told.contains("by hand"), "{told}");
    let name = bed.name_of("cpu");
    let tags = bed.region(|region| region.alarms[&name].tags.clone());
    assert_eq!(tags.get("team").map(String::as_str), Some("b"));
}

#[tokio::test]
async fn what_cant_be_deleted_stays_recorded_until_it_can() {
    for (kind, member, operation) in [
        (ResourceKind::MuteRule, "/mute", "DeleteAlarmMuteRule"),
        (ResourceKind::Detector, "/condition", "DeleteAnomalyDetector"),
    ] {
        let bed = Bed::start().await;
        let spec = with(banded(), "/mute", json!({"schedule": "0 2 * * SUN", "duration": "2h"}));
        bed.apply("cpu", &spec);
        bed.settle().await;
        bed.double.clear_calls();
        refuse(&bed, operation, FaultKind::Invalid);
        let without = if member == "/mute" {
            with(spec, member, serde_json::Value::Null)
        } else {
            with(spec, member, json!({"threshold": {"operator": "GreaterThan", "value": 80}}))
        };
        bed.apply("cpu", &without);
        for _ in 0..3 {
            bed.sweep().await;
            let recorded = bed.status("cpu").resources.iter().any(|resource| resource.kind == kind);
            assert!(recorded, "{operation}: {:?}", bed.status("cpu").resources);
        }
        assert_eq!(bed.ready("cpu").1, "InUse", "{:?}", bed.ready("cpu"));
        let asked = bed.writes().iter().filter(|write| *write == operation).count();
        assert_eq!(asked, 3, "once a pass: {:?}", bed.writes());
        bed.double.clear_faults();
        bed.settle().await;
        assert_eq!(bed.ready("cpu").1, "InPlace", "{:?}", bed.ready("cpu"));
        assert!(!bed.status("cpu").resources.iter().any(|resource| resource.kind == kind));
        assert!(!bed.writes().is_empty());
    }
}
