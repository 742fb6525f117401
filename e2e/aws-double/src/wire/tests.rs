use std::sync::LazyLock;

use serde_json::json;

use super::*;

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::cloudwatch().unwrap());

fn input(operation: &str) -> (&'static Model, &'static str) {
    (&MODEL, MODEL.operation(operation).unwrap().input.as_deref().unwrap())
}

fn detector() -> Value {
    json!({
        "SingleMetricAnomalyDetector": {
            "Namespace": "NS", "MetricName": "M & m", "Stat": "Average",
            "Dimensions": [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}],
        },
        "Configuration": {
            "ExcludedTimeRanges": [{"StartTime": "2026-01-01T00:00:00Z", "EndTime": "2026-01-01T00:00:00.5Z"}],
        },
        "MetricCharacteristics": {"PeriodicSpikes": true},
    })
}

#[test]
fn cbor_and_json_give_back_what_was_written() {
    let (model, shape) = input("PutAnomalyDetector");
    let bytes = cbor::encode(model, shape, &detector()).unwrap();
    assert_eq!(cbor::decode(model, shape, &bytes).unwrap(), detector());
    let bytes = json::encode(model, shape, &detector()).unwrap();
    assert_eq!(json::decode(model, shape, &bytes).unwrap(), detector());
}

#[test]
fn a_form_s_paths_become_lists_and_structures_in_the_order_of_their_numbers() {
    let (model, shape) = input("PutMetricAlarm");
    let form = "Action=PutMetricAlarm&Version=2010-08-01&AlarmName=a%20b&Threshold=1.5&Period=60&ActionsEnabled=false\
                &Dimensions.member.2.Name=second&Dimensions.member.2.Value=2\
                &Dimensions.member.10.Name=tenth&Dimensions.member.10.Value=10&AlarmActions=";
    let expected = json!({
        "AlarmName": "a b", "Threshold": 1.5, "Period": 60, "ActionsEnabled": false, "AlarmActions": [],
        "Dimensions": [{"Name": "second", "Value": "2"}, {"Name": "tenth", "Value": "10"}],
    });
    assert_eq!(query::decode(model, shape, form.as_bytes()).unwrap(), expected);
    assert!(query::decode(model, shape, b"AlarmName=a&Period=sixty").is_err());
}

#[test]
fn what_json_can_t_hold_survives_cbor() {
    let (model, shape) = input("PutMetricAlarm");
    let bytes = cbor::encode(model, shape, &json!({"AlarmName": "a", "Threshold": "NaN"})).unwrap();
    assert_eq!(cbor::decode(model, shape, &bytes).unwrap(), json!({"AlarmName": "a", "Threshold": "NaN"}));
}

#[test]
fn an_answer_that_aws_s_model_doesn_t_know_is_a_mistake_of_the_double() {
    let answer = |alarm: Value| answerable(&MODEL, "DescribeAlarmsOutput", &json!({"MetricAlarms": [alarm]}));
    assert_eq!(answer(json!({"AlarmName": "a", "StateValue": "OK", "Unit": null})), Ok(()));
    assert!(answer(json!({"AlarmNam": "a"})).is_err());
    assert!(answer(json!({"StateValue": "Fine"})).is_err());
    assert!(answer(json!({"StateUpdatedTimestamp": "yesterday"})).is_err());
}

#[test]
fn rubbish_and_wrong_types_are_refused_and_unknown_members_are_passed_over() {
    let (model, shape) = input("PutMetricAlarm");
    for bytes in [&b"\xff"[..], b"\xa1", b"\xa1\x69AlarmName\x01", b"\x83\x01\x02", b"\xbf\x69AlarmName"] {
        assert!(cbor::decode(model, shape, bytes).is_err(), "{bytes:?}");
    }
    for text in ["{", "[]", r#"{"AlarmName":1}"#, r#"{"Period":1.5}"#, r#"{"ActionsEnabled":"yes"}"#] {
        assert!(json::decode(model, shape, text.as_bytes()).is_err(), "{text}");
    }
    let known = json::decode(model, shape, br#"{"AlarmName":"a","Invented":{"x":[1]}}"#).unwrap();
    assert_eq!(known, json!({"AlarmName": "a"}));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes: Vec<u8>) {
        let (model, shape) = input("PutMetricAlarm");
        let _ = cbor::decode(model, shape, &bytes);
        let _ = json::decode(model, shape, &bytes);
        let _ = query::decode(model, shape, &bytes);
    }
}
