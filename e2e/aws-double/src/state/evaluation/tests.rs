use super::*;

/// `X` breaches, `0` doesn't, `-` is missing; the newest is last, as in AWS's own tables. Three periods are evaluated.
fn decided(points: &str, needed: i64, treatment: &str) -> Option<AlarmState> {
    let config: MetricAlarm = serde_json::from_value(json!({
        "AlarmName": "a", "MetricName": "M", "Namespace": "NS",
        "EvaluationPeriods": 3, "DatapointsToAlarm": needed, "TreatMissingData": treatment,
    }))
    .unwrap();
    let point = |letter| match letter {
        'X' => Datapoint::Breaching(1.0),
        '0' => Datapoint::Within(0.0),
        _ => Datapoint::Missing,
    };
    let points: Vec<_> = points.chars().map(|letter| (Timestamp::UNIX_EPOCH, point(letter))).collect();
    decide(&config, &points)
}

/// The states for `missing`, `ignore`, `breaching` and `notBreaching`.
fn all(points: &str, needed: i64) -> [Option<AlarmState>; 4] {
    ["missing", "ignore", "breaching", "notBreaching"].map(|how| decided(points, needed, how))
}

/// Both tables of alarms-and-missing-data, and the examples of "Avoiding premature transitions" below them.
#[test]
fn missing_data_is_treated_as_in_aws_s_own_tables() {
    use AlarmState::{Alarm, InsufficientData, Ok};
    const KEPT: Option<AlarmState> = None;
    for (points, needed, states) in [
        ("0-X-X", 3, [Some(Ok); 4]),
        ("0----", 3, [Some(Ok); 4]),
        ("-----", 3, [Some(InsufficientData), KEPT, Some(Alarm), Some(Ok)]),
        ("0XX-X", 3, [Some(Alarm); 4]),
        ("--X--", 3, [Some(Alarm), KEPT, Some(Alarm), Some(Ok)]),
        ("0-X-X", 2, [Some(Alarm); 4]),
        ("00X0X", 2, [Some(Alarm); 4]),
        ("0-X--", 2, [Some(Ok), Some(Ok), Some(Alarm), Some(Ok)]),
        ("----0", 2, [Some(Ok), Some(Ok), Some(Alarm), Some(Ok)]),
        ("---X-", 2, [Some(Alarm), KEPT, Some(Alarm), Some(Ok)]),
        ("----X", 3, [Some(Ok), KEPT, Some(Alarm), Some(Ok)]),
        ("---X0", 3, [Some(Ok), Some(Ok), Some(Ok), Some(Ok)]),
        ("--X-0", 3, [Some(Ok), Some(Ok), Some(Ok), Some(Ok)]),
    ] {
        assert_eq!(all(points, needed), states, "{points} {needed}");
    }
}

#[test]
fn with_all_data_there_the_latest_datapoints_decide_alone() {
    use AlarmState::{Alarm, Ok};
    for (points, needed, state) in
        [("00XXX", 3, Alarm), ("XX0XX", 3, Ok), ("XX00X", 2, Ok), ("0XX0X", 2, Alarm), ("XXX00", 1, Alarm)]
    {
        assert_eq!(all(points, needed), [Some(state); 4], "{points} {needed}");
    }
}

#[test]
fn dynamodb_alarms_ignore_missing_data_whatever_they_say() {
    let config: MetricAlarm = serde_json::from_value(json!({
        "AlarmName": "a", "MetricName": "M", "Namespace": "AWS/DynamoDB", "EvaluationPeriods": 1,
        "TreatMissingData": "breaching",
    }))
    .unwrap();
    assert_eq!(decide(&config, &[(Timestamp::UNIX_EPOCH, Datapoint::Missing)]), None);
}
