//! When a mute rule is active: `cron(minute hour day-of-month month day-of-week)` or `at(yyyy-MM-ddThh:mm)`
//! (AWS: API_Schedule).

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, ToSpan};

use super::{MuteRule, MuteSchedule, MuteStatus};
use crate::validate::identity::time_zone;

const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(15 * 24);

pub(super) const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
pub(super) const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A schedule that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    when: When,
    duration: SignedDuration,
    zone: TimeZone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum When {
    At(DateTime),
    Cron(Cron),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cron {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
}

impl Schedule {
    pub(crate) fn parse(raw: &MuteSchedule) -> Result<Self, String> {
        let zone = raw.timezone.as_deref().unwrap_or("UTC");
        let zone = time_zone(zone).ok_or_else(|| format!("{zone} is not a time zone"))?;
        Ok(Self { when: when(&raw.expression)?, duration: duration(&raw.duration)?, zone })
    }

    pub(crate) fn recurs(&self) -> bool {
        matches!(self.when, When::Cron(_))
    }

    /// Whether a window is open at `now`.
    fn open(&self, now: Timestamp) -> bool {
        let began = match &self.when {
            When::At(at) => at.to_zoned(self.zone.clone()).ok().map(|at| at.timestamp()),
            When::Cron(cron) => self.last(cron, now),
        };
        began.is_some_and(|began| began <= now && now.duration_since(began) < self.duration)
    }

    /// A single window that is over.
    fn over(&self, now: Timestamp) -> bool {
        let When::At(at) = &self.when else { return false };
        let began = at.to_zoned(self.zone.clone()).ok().map(|at| at.timestamp());
        began.is_some_and(|began| now.duration_since(began) >= self.duration)
    }

    /// The latest occurrence up to `now`, as far back as a window can reach.
    fn last(&self, cron: &Cron, now: Timestamp) -> Option<Timestamp> {
        let local = now.to_zoned(self.zone.clone()).datetime();
        let mut day = local.date();
        for _ in 0..=16 {
            let latest = if day == local.date() { local.time() } else { Time::MAX };
            if let Some(time) = cron.last_on(day, latest) {
                return Some(day.to_datetime(time).to_zoned(self.zone.clone()).ok()?.timestamp());
            }
            day = day.checked_sub(1.day()).ok()?;
        }
        None
    }
}

impl Cron {
    fn last_on(&self, day: Date, latest: Time) -> Option<Time> {
        let matches = self.days.contains(&day.day())
            && self.months.contains(&day.month())
            && self.weekdays.contains(&day.weekday().to_sunday_zero_offset());
        let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(|minute| (*hour, *minute)));
        let times = times.filter_map(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
        if matches { times.filter(|time| *time <= latest).max() } else { None }
    }
}

impl MuteRule {
    pub fn status(&self, now: Timestamp) -> MuteStatus {
        let Ok(schedule) = Schedule::parse(&self.schedule) else { return MuteStatus::Expired };
        if self.expire_date.is_some_and(|expires| expires <= now) || schedule.over(now) {
            return MuteStatus::Expired;
        }
        let begun = self.start_date.is_none_or(|start| start <= now);
        if begun && schedule.open(now) { MuteStatus::Active } else { MuteStatus::Scheduled }
    }

    /// `ONE_TIME` or `RECURRING`.
    pub fn mute_type(&self) -> &'static str {
        match Schedule::parse(&self.schedule) {
            Ok(schedule) if schedule.recurs() => "RECURRING",
            _ => "ONE_TIME",
        }
    }
}

fn when(expression: &str) -> Result<When, String> {
    let wrong = || format!("{expression} is neither cron(five fields) nor at(yyyy-MM-ddThh:mm)");
    let inside = |name: &str| expression.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
    if let Some(at) = inside("at") {
        return DateTime::strptime("%Y-%m-%dT%H:%M", at).map(When::At).map_err(|_| wrong());
    }
    let fields: Vec<&str> = inside("cron").ok_or_else(wrong)?.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return Err(wrong()) };
    Ok(When::Cron(Cron {
        minutes: field(minute, 0, 59, &[])?,
        hours: field(hour, 0, 23, &[])?,
        days: field(day, 1, 31, &[])?,
        months: field(month, 1, 12, &MONTHS)?,
        weekdays: field(weekday, 0, 6, &DAYS)?,
    }))
}

/// `*`, numbers, names and ranges, with commas between. `names` begin at `least`.
pub(super) fn field(text: &str, least: i8, most: i8, names: &[&str]) -> Result<BTreeSet<i8>, String> {
    let value = |word: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(word));
        let value = match named.and_then(|index| i8::try_from(index).ok()) {
            Some(index) => Some(index + least),
            None => word.parse().ok(),
        };
        value
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| format!("{word} is not in {least}–{most}"))
    };
    let mut found = BTreeSet::new();
    for part in text.split(',') {
        match part.split_once('-') {
            _ if part == "*" => found.extend(least..=most),
            None => {
                found.insert(value(part)?);
            }
            Some((from, to)) => {
                let (from, to) = (value(from)?, value(to)?);
                if from > to {
                    return Err(format!("{part} goes backwards"));
                }
                found.extend(from..=to);
            }
        }
    }
    Ok(found)
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text} is not an ISO 8601 duration from PT1M to P15D");
    let span: Span = text.strip_prefix('P').and(text.parse().ok()).ok_or_else(wrong)?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if (SHORTEST..=LONGEST).contains(&duration) { Ok(duration) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(expression: &str, duration: &str, timezone: &str) -> Result<Schedule, String> {
        Schedule::parse(&MuteSchedule {
            expression: expression.into(),
            duration: duration.into(),
            timezone: Some(timezone.into()),
        })
    }

    #[test]
    fn a_window_is_open_from_its_beginning_for_its_duration_in_its_time_zone() {
        // 2026-11-22 is a Sunday; Tokyo is nine hours ahead.
        let sunday = schedule("cron(0 2 * * SUN)", "PT4H", "Asia/Tokyo").unwrap();
        let open = |at: &str| sunday.open(at.parse().unwrap());
        assert!(!open("2026-11-21T16:59:59Z"));
        assert!(open("2026-11-21T17:00:00Z"));
        assert!(open("2026-11-21T20:59:59Z"));
        assert!(!open("2026-11-21T21:00:00Z"));
    }

    #[test]
    fn a_long_window_stays_open_over_days_in_between() {
        let weekend = schedule("cron(0 18 * * FRI)", "P2DT12H", "UTC").unwrap();
        assert!(weekend.open("2026-11-23T05:59:00Z".parse().unwrap()));
        assert!(!weekend.open("2026-11-23T06:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for (expression, duration) in [
            ("cron(0 2 * *)", "PT4H"),
            ("cron(60 2 * * *)", "PT4H"),
            ("cron(0 2 * * SUNDAY)", "PT4H"),
            ("cron(0/5 2 * * *)", "PT4H"),
            ("cron(61 2 * * *)", "PT4H"),
            ("cron(0 24 * * *)", "PT4H"),
            ("cron(0 2 32 * *)", "PT4H"),
            ("cron(0 2 * 13 *)", "PT4H"),
            ("cron(0 2 ? * SUN)", "PT4H"),
            ("cron(0 2 * * SUN#1)", "PT4H"),
            ("cron(0 2 * * 5-1)", "PT4H"),
            ("at(2026-02-30T18:00)", "PT4H"),
            ("at(2026-12-24T24:00)", "PT4H"),
            ("rate(1 day)", "PT4H"),
            ("at(2026-12-24)", "PT4H"),
            ("at(2026-12-24T18:00)", "PT59S"),
            ("at(2026-12-24T18:00)", "P16D"),
            ("at(2026-12-24T18:00)", "4 hours"),
        ] {
            assert!(schedule(expression, duration, "UTC").is_err(), "{expression} {duration}");
        }
        for zone in ["Mars/Olympus", "asia/tokyo", "Local", "+09:00"] {
            assert!(schedule("cron(0 2 * * *)", "PT4H", zone).is_err(), "{zone}");
        }
    }
}
