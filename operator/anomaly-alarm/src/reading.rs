//! The numbers of a state reason: JSON that CloudWatch writes, and whose members may be missing.

use jiff::Timestamp;
use serde::Deserialize;
use tidewatch_crds::anomaly_alarm::Reading;

/// As CloudWatch writes it (user guide, "Alarm events and EventBridge"): recent datapoints, the newest last.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReasonData {
    query_date: Option<String>,
    recent_datapoints: Vec<Option<f64>>,
    threshold: Option<f64>,
    recent_lower_thresholds: Vec<Option<f64>>,
    recent_upper_thresholds: Vec<Option<f64>>,
}

/// The newest value and what it was compared with. What isn't JSON of this form has none.
pub(super) fn parse(reason_data: &str) -> Option<Reading> {
    let data: ReasonData = serde_json::from_str(reason_data).ok()?;
    let last = |values: &[Option<f64>]| values.last().copied().flatten().map(rounded);
    let reading = Reading {
        value: last(&data.recent_datapoints),
        lower: last(&data.recent_lower_thresholds),
        upper: last(&data.recent_upper_thresholds),
        threshold: data.threshold.map(rounded),
        at: data.query_date.as_deref().and_then(time),
    };
    (reading.value.is_some() || reading.lower.is_some() || reading.upper.is_some()).then_some(reading)
}

/// `2026-11-22T12:00:00.123+0000`
fn time(text: &str) -> Option<Timestamp> {
    let at: Timestamp = text
        .parse()
        .ok()
        .or_else(|| jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?.to_timestamp().ok())?;
    Timestamp::from_second(at.as_second()).ok()
}

/// To four significant digits: the rest says nothing, and would make each reading another one.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// `value` for people: four significant digits at most, and no exponent where it can be avoided.
pub(super) fn text(value: f64) -> String {
    let value = rounded(value);
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) { format!("{value:e}") } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_and_its_band_are_read() {
        let data = r#"{"version":"1.0","queryDate":"2026-11-22T12:00:01.456+0000","startDate":"2026-11-22T11:58:00.000+0000","statistic":"Average","period":60,"recentDatapoints":[1.5,2.123456],"recentLowerThresholds":[0.1,0.2],"recentUpperThresholds":[1.0,1.1]}"#;
        let reading = parse(data).unwrap();
        assert_eq!((reading.value, reading.lower, reading.upper), (Some(2.123), Some(0.2), Some(1.1)));
        assert_eq!(reading.at, Some("2026-11-22T12:00:01Z".parse().unwrap()));
    }

    #[test]
    fn a_threshold_and_missing_members_are_read() {
        let reading = parse(r#"{"recentDatapoints":[95.0],"threshold":80.0}"#).unwrap();
        assert_eq!((reading.value, reading.threshold, reading.at), (Some(95.0), Some(80.0), None));
        for nothing in ["", "{}", "[]", "null", r#"{"triggeringAlarms":[]}"#, "INSUFFICIENT_DATA"] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (value, says) in
            [(0.0, "0"), (80.0, "80"), (0.123_456, "0.1235"), (1.5e12, "1.5e12"), (-3.0, "-3")]
        {
            assert_eq!(text(value), says);
        }
    }
}
