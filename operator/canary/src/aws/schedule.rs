//! When a canary runs, in Synthetics' words. Pure.
//!
//! AWS's cron has six fields, of which the sixth is always `*`; days of the week count from 1 on Sunday and take no steps;
//! and one of both kinds of days must be `?` (CloudWatch_Synthetics_Canaries_cron).

use std::collections::BTreeSet;

use jiff::SignedDuration;
use tidewatch_crds::canary::ScheduleSpec;
use tidewatch_crds::parse_duration;
use tidewatch_embedded::Schedule;

const MINUTE: u64 = 60;
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// `spec` as AWS takes it, or what to write instead.
pub(super) fn expression(spec: &ScheduleSpec) -> Result<String, String> {
    if spec.time_zone.as_deref().is_some_and(|zone| zone != "UTC") {
        return Err(
            "spec.schedule.timeZone: AWS knows cron in UTC only: write the hours in UTC and leave timeZone out"
                .to_owned(),
        );
    }
    // Whatever isn't a schedule at all is told in the same words as elsewhere.
    Schedule::new(spec, "").map_err(|error| error.to_string())?;
    match (&spec.every, &spec.cron) {
        (Some(every), _) => rate(every),
        (None, Some(text)) => cron(text),
        (None, None) => Err("spec.schedule: write either every or cron".to_owned()),
    }
}

/// Time between two runs, where it is always the same.
pub(super) fn interval(spec: &ScheduleSpec) -> Option<SignedDuration> {
    parse_duration(spec.every.as_deref()?).ok()?.try_into().ok()
}

fn rate(every: &str) -> Result<String, String> {
    let seconds = parse_duration(every).map_err(|error| error.to_string())?.as_secs();
    let minutes = seconds / MINUTE;
    if seconds % MINUTE != 0 || !(1..=60).contains(&minutes) {
        return Err(format!(
            "spec.schedule.every: AWS takes intervals of whole minutes from 1m to 1h, not {every}: write such as every: 5m, or cron for longer ones"
        ));
    }
    // "rate(number unit): unit can be minute, minutes, or hour" (API_CanaryScheduleInput).
    Ok(match minutes {
        1 => "rate(1 minute)".to_owned(),
        60 => "rate(1 hour)".to_owned(),
        minutes => format!("rate({minutes} minutes)"),
    })
}

fn cron(text: &str) -> Result<String, String> {
    let fields: Vec<&str> = text.split(' ').collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(unspeakable(text));
    };
    let written = |field: &str, least, most, names: &[&str]| {
        as_written(field, least, most, names).ok_or_else(|| unspeakable(text))
    };
    let (minute, hour) = (written(minute, 0, 59, &[])?, written(hour, 0, 23, &[])?);
    let (day, month) = (written(day, 1, 31, &[])?, written(month, 1, 12, &MONTHS)?);
    let weekdays = weekdays(weekday).ok_or_else(|| unspeakable(text))?;
    let (day, weekday) = match (day.as_str(), weekdays) {
        (_, None) => (day, "?".to_owned()),
        ("*", Some(weekdays)) => ("?".to_owned(), weekdays),
        _ => {
            return Err(format!(
                "spec.schedule.cron: {text:?}: AWS takes days of the month or days of the week, not both: write * for one of them"
            ));
        }
    };
    Ok(format!("cron({minute} {hour} {day} {month} {weekday} *)"))
}

fn unspeakable(text: &str) -> String {
    format!(
        "spec.schedule.cron: {text:?}: AWS has no way to write it: write numbers and names, lists, ranges and steps, such as 0 9 * * 1-5"
    )
}

/// A field that is counted alike here and there; steps within lists and ranges are written out.
fn as_written(field: &str, least: u8, most: u8, names: &[&str]) -> Option<String> {
    if field == "*" {
        return Some("*".to_owned());
    }
    let items: Vec<&str> = field.split(',').collect();
    let stepped = items.iter().any(|item| item.contains('/'));
    match items.as_slice() {
        [only] if stepped && !only.contains('-') => {
            let (from, step) = only.split_once('/')?;
            let from = if from == "*" { least } else { number(from, least, names)? };
            Some(format!("{from}/{}", step.parse::<u8>().ok()?))
        }
        _ if stepped => {
            let values = values(field, least, most, names)?;
            Some(values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        }
        _ => {
            values(field, least, most, names)?;
            Some(field.to_ascii_uppercase())
        }
    }
}

/// Names of the days; none if it is all of them.
fn weekdays(field: &str) -> Option<Option<String>> {
    let days: BTreeSet<u8> = values(field, 0, 7, &WEEKDAYS)?.iter().map(|day| day % 7).collect();
    if days.len() == WEEKDAYS.len() {
        return Some(None);
    }
    let names: Vec<&str> = days.iter().filter_map(|day| WEEKDAYS.get(usize::from(*day)).copied()).collect();
    Some(Some(names.join(",")))
}

fn values(field: &str, least: u8, most: u8, names: &[&str]) -> Option<BTreeSet<u8>> {
    let mut values = BTreeSet::new();
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (item, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (number(from, least, names)?, number(to, least, names)?),
            None if item.contains('/') => (number(range, least, names)?, most),
            None => (number(range, least, names)?, number(range, least, names)?),
        };
        if from > to || from < least || to > most {
            return None;
        }
        values.extend((from..=to).step_by(step));
    }
    Some(values)
}

/// A number, or a name that stands for one.
fn number(text: &str, least: u8, names: &[&str]) -> Option<u8> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let index = names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
    u8::try_from(index).ok()?.checked_add(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(text: &str) -> Result<String, String> {
        expression(&ScheduleSpec { every: Some(text.to_owned()), cron: None, time_zone: None })
    }

    fn by_cron(text: &str) -> Result<String, String> {
        expression(&ScheduleSpec { every: None, cron: Some(text.to_owned()), time_zone: None })
    }

    #[test]
    fn intervals_are_whole_minutes_up_to_an_hour() {
        for (text, expression) in [
            ("1m", "rate(1 minute)"),
            ("60s", "rate(1 minute)"),
            ("5m", "rate(5 minutes)"),
            ("1h", "rate(1 hour)"),
        ] {
            assert_eq!(every(text).as_deref(), Ok(expression), "{text}");
        }
        for text in ["10s", "90s", "61m", "2h"] {
            assert!(every(text).unwrap_err().contains("write such as every: 5m"), "{text}");
        }
    }

    #[test]
    fn cron_has_six_fields_one_of_them_a_question_mark_and_days_by_name() {
        for (text, expression) in [
            ("* * * * *", "cron(* * * * ? *)"),
            ("*/15 * * * *", "cron(0/15 * * * ? *)"),
            ("5/15 * * * *", "cron(5/15 * * * ? *)"),
            ("0-30/10,45 8 * * *", "cron(0,10,20,30,45 8 * * ? *)"),
            ("0 9 * * 1-5", "cron(0 9 ? * MON,TUE,WED,THU,FRI *)"),
            ("0 9 * * mon-fri", "cron(0 9 ? * MON,TUE,WED,THU,FRI *)"),
            ("0 9 * * 0", "cron(0 9 ? * SUN *)"),
            ("0 9 * * 7", "cron(0 9 ? * SUN *)"),
            ("0 9 * * 5-7", "cron(0 9 ? * SUN,FRI,SAT *)"),
            ("0 9 * * */2", "cron(0 9 ? * SUN,TUE,THU,SAT *)"),
            ("0 9 * * 0-6", "cron(0 9 * * ? *)"),
            ("30 0 1 jan,7 *", "cron(30 0 1 JAN,7 ? *)"),
            ("30 0 1-7 * *", "cron(30 0 1-7 * ? *)"),
            ("30 0 */10 */6 *", "cron(30 0 1/10 1/6 ? *)"),
        ] {
            assert_eq!(by_cron(text).as_deref(), Ok(expression), "{text}");
        }
    }

    #[test]
    fn what_aws_can_t_say_is_refused_with_what_to_write() {
        for (text, says) in [
            ("0 9 1 * 1", "not both"),
            ("0 9 1 * 1-5", "not both"),
            ("0 9 L * *", "AWS has no way"),
            ("0 9 * * 1#2", "AWS has no way"),
            ("0 25 * * *", "spec.schedule.cron"),
        ] {
            let refused = by_cron(text).unwrap_err();
            assert!(refused.contains(says), "{text}: {refused}");
        }
        let zone = ScheduleSpec {
            every: None,
            cron: Some("0 9 * * *".to_owned()),
            time_zone: Some("Asia/Tokyo".to_owned()),
        };
        assert!(expression(&zone).unwrap_err().contains("UTC only"));
        assert!(expression(&ScheduleSpec { time_zone: Some("UTC".to_owned()), ..zone }).is_ok());
    }
}
