//! When a canary runs: `rate(5 minutes)`, `rate(0 minute)` for once, or `cron(minute hour day month weekday year)`
//! (AWS: CloudWatch_Synthetics_Canaries_cron, API_CanaryScheduleInput).

use std::collections::BTreeSet;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::state::mute_schedule::{DAYS, MONTHS, field};

const HOUR: i64 = 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frequency {
    Once,
    Every(SignedDuration),
    Cron(Cron),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    /// Sunday is 1.
    weekdays: BTreeSet<i8>,
}

impl Frequency {
    pub(crate) fn parse(expression: &str) -> Result<Self, String> {
        let inside = |name: &str| expression.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        match (inside("rate"), inside("cron")) {
            (Some(rate), _) => parse_rate(rate),
            (_, Some(cron)) => parse_cron(cron).map(Self::Cron),
            (None, None) => Err(format!("Schedule expression {expression} is neither rate() nor cron()")),
        }
    }

    /// The first run of a schedule that begins at `start`.
    pub(crate) fn first(&self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once | Self::Every(_) => Some(start),
            Self::Cron(cron) => cron.after(start),
        }
    }

    /// The run after the one at `last`.
    pub(crate) fn after(&self, last: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once => None,
            Self::Every(interval) => last.saturating_add(*interval).ok(),
            Self::Cron(cron) => cron.after(last),
        }
    }
}

fn parse_rate(text: &str) -> Result<Frequency, String> {
    let wrong = || {
        format!(
            "Schedule expression rate({text}) must be from rate(1 minute) to rate(1 hour), or rate(0 minute)"
        )
    };
    let (number, unit) = text.split_once(' ').ok_or_else(wrong)?;
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let minutes = match unit {
        "minute" | "minutes" => number,
        "hour" | "hours" => number.saturating_mul(HOUR),
        _ => return Err(wrong()),
    };
    match minutes {
        0 => Ok(Frequency::Once),
        1..=HOUR => Ok(Frequency::Every(SignedDuration::from_mins(minutes))),
        _ => Err(wrong()),
    }
}

fn parse_cron(text: &str) -> Result<Cron, String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday, year] = fields.as_slice() else {
        return Err(format!("Schedule expression cron({text}) must have six fields"));
    };
    if (*day == "?") == (*weekday == "?") {
        return Err(format!(
            "Schedule expression cron({text}) must have ? as one of day-of-month and day-of-week"
        ));
    }
    if *year != "*" {
        return Err(format!("Schedule expression cron({text}) must have * as its year"));
    }
    Ok(Cron {
        minutes: stepped(minute, 0, 59, &[])?,
        hours: stepped(hour, 0, 23, &[])?,
        days: stepped(day, 1, 31, &[])?,
        months: stepped(month, 1, 12, &MONTHS)?,
        weekdays: stepped(weekday, 1, 7, &DAYS)?,
    })
}

/// A field of any schedule, or `from/step`, or `?` for any.
fn stepped(text: &str, least: i8, most: i8, names: &[&str]) -> Result<BTreeSet<i8>, String> {
    let Some((from, step)) = text.split_once('/') else {
        return field(if text == "?" { "*" } else { text }, least, most, names);
    };
    let step = step.parse::<usize>().ok().filter(|step| *step > 0);
    let step = step.ok_or_else(|| format!("{text} has no step"))?;
    let from =
        if from == "*" { least } else { from.parse().map_err(|_| format!("{text} has no beginning"))? };
    if !(least..=most).contains(&from) {
        return Err(format!("{from} is not in {least}–{most}"));
    }
    Ok((from..=most).step_by(step).collect())
}

impl Cron {
    fn after(&self, last: Timestamp) -> Option<Timestamp> {
        let local = last.to_zoned(TimeZone::UTC).datetime();
        let mut day = local.date();
        // A leap day comes after eight years at the latest.
        for _ in 0..=8 * 366 {
            let earliest = if day == local.date() { Some(local.time()) } else { None };
            let weekday = day.weekday().to_sunday_zero_offset() + 1;
            let matches = self.days.contains(&day.day())
                && self.months.contains(&day.month())
                && self.weekdays.contains(&weekday);
            let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(|minute| (*hour, *minute)));
            let mut times = times.filter_map(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
            if matches && let Some(time) = times.find(|time| earliest.is_none_or(|earliest| *time > earliest))
            {
                return Some(day.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp());
            }
            day = day.checked_add(1.day()).ok()?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_crons_say_when_the_next_run_is() {
        // 2026-11-22 is a Sunday.
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let sunday = at("2026-11-22T10:07:30Z");
        for (expression, first, second) in [
            ("rate(1 minute)", "2026-11-22T10:07:30Z", "2026-11-22T10:08:30Z"),
            ("rate(1 hour)", "2026-11-22T10:07:30Z", "2026-11-22T11:07:30Z"),
            ("cron(0/15 * * * ? *)", "2026-11-22T10:15:00Z", "2026-11-22T10:30:00Z"),
            ("cron(0 8 ? * MON-FRI *)", "2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z"),
            ("cron(30 0 1 1,7 ? *)", "2027-01-01T00:30:00Z", "2027-07-01T00:30:00Z"),
            ("cron(5 4 ? * 1 *)", "2026-11-29T04:05:00Z", "2026-12-06T04:05:00Z"),
        ] {
            let frequency = Frequency::parse(expression).unwrap();
            assert_eq!(frequency.first(sunday), Some(at(first)), "{expression}");
            assert_eq!(frequency.after(at(first)), Some(at(second)), "{expression}");
        }
        let once = Frequency::parse("rate(0 minute)").unwrap();
        assert_eq!((once.first(sunday), once.after(sunday)), (Some(sunday), None));
    }

    #[test]
    fn what_aws_does_not_take_is_refused() {
        for expression in [
            "",
            "rate(61 minutes)",
            "rate(2 hours)",
            "rate(1 day)",
            "rate(-1 minute)",
            "rate(5)",
            "rate(1.5 minutes)",
            "at(2026-11-22T10:00)",
            "cron(0 8 * * *)",
            "cron(0 8 * * * *)",
            "cron(0 8 ? * ? *)",
            "cron(0 8 ? * MON 2027)",
            "cron(60 8 ? * MON *)",
            "cron(0/0 8 ? * MON *)",
            "cron(70/5 8 ? * MON *)",
        ] {
            assert!(Frequency::parse(expression).is_err(), "{expression}");
        }
    }
}
