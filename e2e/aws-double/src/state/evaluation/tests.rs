use super::*;

/// `X` breaches, `0` doesn't, `-` is missing; the newest is last, as in AWS's own tables.
fn decided(points: &str, needed: i64, treatment: &str) -> Option<AlarmState> {
    let config: MetricAlarm = serde_json::from_value(json!({
        "AlarmName": "a", "MetricName": "M", "Namespace": "NS",
        "EvaluationPeriods": points.len(), "DatapointsToAlarm": needed, "TreatMissingData": treatment,
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

#[test]
fn missing_data_is_treated_as_the_alarm_says() {
    use AlarmState::{Alarm, InsufficientData, Ok};
    for (points, needed, missing, ignore, breaching, not_breaching) in [
        ("XXX", 3, Some(Alarm), Some(Alarm), Some(Alarm), Some(Alarm)),
        ("0XX", 3, Some(Ok), Some(Ok), Some(Ok), Some(Ok)),
        ("0XX", 2, Some(Alarm), Some(Alarm), Some(Alarm), Some(Alarm)),
        ("---", 3, Some(InsufficientData), None, Some(Alarm), Some(Ok)),
        ("0--", 3, Some(Ok), Some(Ok), Some(Ok), Some(Ok)),
        ("X--", 3, Some(Alarm), Some(Alarm), Some(Alarm), Some(Ok)),
        ("-X-", 3, Some(Ok), Some(Ok), Some(Alarm), Some(Ok)),
        ("-X-", 2, Some(Alarm), Some(Alarm), Some(Alarm), Some(Ok)),
        ("X0-", 2, Some(Ok), Some(Ok), Some(Alarm), Some(Ok)),
    ] {
        let all = ["missing", "ignore", "breaching", "notBreaching"].map(|how| decided(points, needed, how));
        assert_eq!(all, [missing, ignore, breaching, not_breaching], "{points} {needed}");
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
