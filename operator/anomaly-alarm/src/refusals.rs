//! What CloudWatch would refuse of a spec and the API server can't see: told field by field, all at once. Pure.

use jiff::tz::TimeZone;
use tidewatch_crds::AnomalyAlarm;
use tidewatch_crds::anomaly_alarm::{ActionsSpec, AnomalyAlarmSpec, MuteSpec, NetworkMonitorMetricName};
use tidewatch_crds::canary::ScheduleSpec;
use tidewatch_embedded::Schedule;

use super::expression;

/// All that is wrong with the spec of `alarm`, an alarm in `region`.
pub(super) fn of(alarm: &AnomalyAlarm, region: &str) -> Vec<String> {
    let spec = &alarm.spec;
    let metric = spec.metric.as_ref();
    let mut refused: Vec<String> =
        metric.and_then(|metric| metric.expression.as_ref()).map(expression::refusals).unwrap_or_default();
    refused.extend(category(spec));
    refused.extend(training_zone(spec));
    refused.extend(actions(&spec.actions, region));
    refused.extend(spec.mute.iter().flat_map(mute));
    refused
}

fn category(spec: &AnomalyAlarmSpec) -> Option<String> {
    let network = spec.metric.as_ref()?.network_monitor.as_ref()?;
    let refused = network.metric == NetworkMonitorMetricName::HealthIndicator && network.category.is_some();
    refused.then(|| {
        "spec.metric.networkMonitor.category: HealthIndicator has no categories: remove category".to_owned()
    })
}

fn training_zone(spec: &AnomalyAlarmSpec) -> Option<String> {
    let zone = spec.condition.as_ref()?.band.as_ref()?.training.timezone.as_deref()?;
    unknown_zone("spec.condition.band.training.timezone", zone)
}

/// AWS takes the names as the database writes them.
fn unknown_zone(field: &str, zone: &str) -> Option<String> {
    match TimeZone::get(zone).ok().as_ref().map(|known| known.iana_name().unwrap_or(zone).to_owned()) {
        Some(known) if known == zone => None,
        Some(known) => {
            Some(format!("{field}: {zone:?} isn't how the time zone database writes it: write {known}"))
        }
        None => Some(format!(
            "{field}: {zone:?} isn't in the time zone database: write an IANA name, such as Asia/Tokyo"
        )),
    }
}

fn actions(actions: &ActionsSpec, region: &str) -> Vec<String> {
    let lists =
        [("alarm", &actions.alarm), ("ok", &actions.ok), ("insufficientData", &actions.insufficient_data)];
    let all = lists.iter().flat_map(|(list, arns)| arns.iter().map(move |arn| (list, arn)));
    let elsewhere = all.filter_map(|(list, arn)| {
        let there = arn.split(':').nth(3).filter(|there| !there.is_empty() && *there != region)?;
        Some(format!(
            "spec.actions.{list}: action {arn} is in {there} and the alarm in {region}: CloudWatch only starts actions of the alarm's own Region"
        ))
    });
    elsewhere.collect()
}

fn mute(mute: &MuteSpec) -> Vec<String> {
    let zone = unknown_zone("spec.mute.timezone", &mute.timezone);
    mute_schedule(&mute.schedule).into_iter().chain(zone).collect()
}

/// CloudWatch has a part of what cron has elsewhere (API_Schedule).
fn mute_schedule(schedule: &str) -> Option<String> {
    let field = "spec.mute.schedule";
    if schedule.starts_with("at(") {
        return None;
    }
    if let Some(unknown) = schedule.chars().find(|c| "/?#".contains(*c)) {
        return Some(format!(
            "{field}: CloudWatch knows no {unknown}: write numbers, names, *, - and , only, such as 0 2 * * 0"
        ));
    }
    let spec = ScheduleSpec { every: None, cron: Some(schedule.to_owned()), time_zone: None };
    // Told in the words of a canary's schedule, which is the same cron.
    let refused = Schedule::new(&spec, "").err()?;
    Some(refused.to_string().replacen("spec.schedule.cron", field, 1))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(spec: &Value) -> Vec<String> {
        let alarm: AnomalyAlarm = serde_json::from_value(json!({
            "apiVersion": "tidewatch.dev/v1alpha1", "kind": "AnomalyAlarm", "metadata": {"name": "a"}, "spec": spec,
        }))
        .unwrap();
        of(&alarm, "eu-west-1")
    }

    #[test]
    fn all_fields_are_told_at_once() {
        let told = refused(&json!({
            "metric": {"expression": {"queries": [{"id": "a", "expression": "b"}, {"id": "b", "expression": "MAX(a"}], "returns": "a"}},
            "condition": {"band": {"training": {"timezone": "Mars/Olympus"}}},
            "actions": {"ok": ["arn:aws:sns:us-east-1:123456789012:t"]},
            "mute": {"schedule": "0 2 30 2 *", "duration": "2h", "timezone": "asia/tokyo"},
        }));
        let fields: Vec<&str> = told.iter().filter_map(|sentence| sentence.split(": ").next()).collect();
        let wanted = [
            "spec.metric.expression.queries[a].expression",
            "spec.metric.expression.queries[b].expression",
            "spec.condition.band.training.timezone",
            "spec.actions.ok",
            "spec.mute.schedule",
            "spec.mute.timezone",
        ];
        assert_eq!(fields, wanted, "{told:#?}");
        assert!(told.iter().any(|sentence| sentence.ends_with("write Asia/Tokyo")), "{told:#?}");
    }

    #[test]
    fn a_mute_that_cloudwatch_has_no_words_for_is_told_with_what_to_write() {
        let mute = |schedule: &str| {
            let spec = json!({"alarms": {"anyOf": ["b"]}, "mute": {"schedule": schedule, "duration": "2h", "timezone": "UTC"}});
            refused(&spec).join("; ")
        };
        for good in ["0 2 * * 0", "0,30 1-5 * JAN-MAR mon", "at(2026-12-24T18:00)", "59 23 31 12 *"] {
            assert_eq!(mute(good), "", "{good}");
        }
        for (bad, says) in [
            ("*/5 2 * * *", "knows no /"),
            ("0 2 ? * SUN", "knows no ?"),
            ("0 2 * * MON#1", "knows no #"),
            ("61 2 * * *", "spec.mute.schedule"),
            ("0 2 * * FRI-MON", "spec.mute.schedule"),
            ("0 2 31 4 *", "never comes"),
        ] {
            assert!(mute(bad).contains(says), "{bad}: {}", mute(bad));
        }
    }
}
