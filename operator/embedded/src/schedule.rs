//! When a canary runs next. Pure: the same moment in, the same moment out, so that nothing drifts and a restart keeps
//! to the same times.

use std::time::Duration;

use cronexpr::Crontab;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use sha2::{Digest, Sha256};
use tidewatch_crds::canary::ScheduleSpec;

/// No change of the clocks is longer.
const LONGEST_JUMP: jiff::SignedDuration = jiff::SignedDuration::from_hours(3);

/// Why a schedule can't be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("spec.schedule.every: {0}")]
    Every(#[from] tidewatch_crds::DurationError),
    #[error("spec.schedule.every: an interval of nothing: write such as 1m")]
    Nothing,
    #[error(
        "spec.schedule.timeZone: {0:?} isn't in the time zone database: write an IANA name, such as Asia/Tokyo"
    )]
    TimeZone(String),
    #[error("spec.schedule.cron: {cron:?}: {why}; write five fields, such as 0 9 * * 1-5")]
    Cron { cron: String, why: CronError },
    #[error("spec.schedule.cron: {0:?} is a date that never comes: write one that does, such as 0 9 1 * *")]
    Never(String),
    #[error("spec.schedule: write either every or cron")]
    Missing,
}

/// Why a text isn't a cron expression, in words of our own: the parser's are about its grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error("it has {} field{}", .0, if *.0 == 1 { "" } else { "s" })]
    Fields(usize),
    #[error("{text:?} isn't understood as {what}")]
    Field { text: String, what: &'static str },
    #[error("it isn't understood")]
    Whole,
}

/// The fields of a cron expression.
const FIELDS: [&str; 5] = [
    "minutes (0 to 59)",
    "hours (0 to 23)",
    "days of the month (1 to 31)",
    "months (1 to 12, or JAN to DEC)",
    "days of the week (0 to 7, or SUN to SAT)",
];

/// When a canary runs.
#[derive(Debug, Clone)]
pub struct Schedule(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// At `offset` after each multiple of `interval` since 1970.
    Every { interval: Duration, offset: Duration },
    /// At each matching date and time of the zone's clock, also if that skips or repeats it.
    Cron(Cron),
}

impl Schedule {
    /// The schedule of `spec`; `seed` (the object's UID) chooses the offset within the interval.
    pub fn new(spec: &ScheduleSpec, seed: &str) -> Result<Self, ScheduleError> {
        match (&spec.every, &spec.cron) {
            (Some(every), None) => {
                let interval = tidewatch_crds::parse_duration(every)?;
                let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
                if millis == 0 {
                    return Err(ScheduleError::Nothing);
                }
                let offset = Duration::from_millis(spread(seed) % millis);
                Ok(Self(Kind::Every { interval: Duration::from_millis(millis), offset }))
            }
            (None, Some(cron)) => {
                let zone = spec.time_zone.as_deref().unwrap_or("UTC");
                let time_zone = TimeZone::get(zone).map_err(|_| ScheduleError::TimeZone(zone.to_owned()))?;
                let dates = parse(cron).map_err(|why| ScheduleError::Cron { cron: cron.clone(), why })?;
                let schedule = Self(Kind::Cron(Cron { dates, zone: time_zone, twice: is_hourly(cron) }));
                // Any four years have all the dates there are.
                match schedule.next_after(Timestamp::UNIX_EPOCH) {
                    Some(_) => Ok(schedule),
                    None => Err(ScheduleError::Never(cron.clone())),
                }
            }
            _ => Err(ScheduleError::Missing),
        }
    }

    /// The first time after `after`; none if there is none within four years.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Every { interval, offset } => {
                let interval = i64::try_from(interval.as_millis()).ok()?;
                let offset = i64::try_from(offset.as_millis()).ok()?;
                let slot = (after.as_millisecond() - offset).div_euclid(interval) + 1;
                Timestamp::from_millisecond(slot.checked_mul(interval)?.checked_add(offset)?).ok()
            }
            Kind::Cron(cron) => cron.next_after(after),
        }
    }

    /// Time between runs, where it is always the same.
    pub fn interval(&self) -> Option<Duration> {
        match &self.0 {
            Kind::Every { interval, .. } => Some(*interval),
            Kind::Cron(_) => None,
        }
    }
}

/// The dates and times of a cron expression on a zone's clock.
#[derive(Debug, Clone)]
struct Cron {
    /// As if the clock never changed.
    dates: Crontab,
    zone: TimeZone,
    /// Whether a time that the clock shows twice counts twice.
    twice: bool,
}

/// A schedule of every hour means each hour that passes, so that the one that the clock shows twice is checked twice.
fn is_hourly(cron: &str) -> bool {
    cron.split_whitespace().nth(1) == Some("*")
}

impl Cron {
    /// Each date is looked for as if the clock never changed, then placed in the zone: one that the clock skips moves by as
    /// much as it jumps, whatever the pattern; of one that it shows twice the first counts, or both.
    fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let local = as_utc(self.zone.to_datetime(after))?;
        let mut at = if self.changes_around(after) { local.checked_sub(LONGEST_JUMP).ok()? } else { local };
        let mut best: Option<Timestamp> = None;
        loop {
            let date = self.dates.find_next(at).ok()?.datetime();
            at = as_utc(date)?;
            let (first, second) = self.placed(date)?;
            let is_second = first <= after;
            let placed = if is_second { second } else { Some(first) };
            if let Some(placed) = placed.filter(|placed| *placed > after)
                && best.is_none_or(|best| placed < best)
            {
                best = Some(placed);
            }
            let Some(best) = best else { continue };
            // Only a date that was moved, or is shown for the second time, can come after later ones.
            let is_past = as_utc(self.zone.to_datetime(best)).is_some_and(|shown| at > shown);
            if at.duration_since(local) > LONGEST_JUMP || (is_past && !is_second) {
                return Some(best);
            }
        }
    }

    /// The moment of a date, and the one at which the clock shows it again.
    fn placed(&self, date: DateTime) -> Option<(Timestamp, Option<Timestamp>)> {
        let ambiguous = self.zone.to_ambiguous_timestamp(date);
        let shown_twice = matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. });
        let second = if self.twice && shown_twice { ambiguous.later().ok() } else { None };
        Some((ambiguous.compatible().ok()?, second))
    }

    /// Whether the clock changes a little before or after a moment.
    fn changes_around(&self, moment: Timestamp) -> bool {
        let offset = |moment: Timestamp| self.zone.to_offset(moment);
        match (moment.checked_sub(LONGEST_JUMP), moment.checked_add(LONGEST_JUMP)) {
            (Ok(before), Ok(after)) => offset(before) != offset(after),
            _ => false,
        }
    }
}

fn as_utc(date: DateTime) -> Option<Timestamp> {
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// The expression, or which of its fields isn't understood.
fn parse(cron: &str) -> Result<Crontab, CronError> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(CronError::Fields(fields.len()));
    }
    let parse = |fields: &[&str]| cronexpr::parse_crontab(&format!("{} UTC", fields.join(" ")));
    if let Ok(dates) = parse(&fields) {
        return Ok(dates);
    }
    let alone = |place: usize, field| {
        let mut all = ["*"; FIELDS.len()];
        all.iter_mut().skip(place).take(1).for_each(|one| *one = field);
        parse(&all)
    };
    let bad = fields.iter().zip(FIELDS).enumerate().find(|(place, (field, _))| alone(*place, field).is_err());
    Err(bad
        .map_or(CronError::Whole, |(_, (field, what))| CronError::Field { text: (*field).to_owned(), what }))
}

/// A number that is the same for a seed wherever it is made.
fn spread(seed: &str) -> u64 {
    let digest = Sha256::digest(seed.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(text: &str, seed: &str) -> Schedule {
        let spec = ScheduleSpec { every: Some(text.to_owned()), cron: None, time_zone: None };
        Schedule::new(&spec, seed).unwrap()
    }

    fn cron(text: &str, zone: &str) -> Result<Schedule, ScheduleError> {
        let spec =
            ScheduleSpec { every: None, cron: Some(text.to_owned()), time_zone: Some(zone.to_owned()) };
        Schedule::new(&spec, "")
    }

    fn times(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let mut at: Timestamp = after.parse().unwrap();
        std::iter::repeat_with(|| {
            at = schedule.next_after(at).unwrap();
            at.to_string()
        })
        .take(count)
        .collect()
    }

    #[test]
    fn an_interval_neither_drifts_nor_depends_on_when_it_is_asked() {
        let schedule = every("1m", "a-uid");
        let first = schedule.next_after("2026-11-25T00:00:00Z".parse().unwrap()).unwrap();
        let mut at = first;
        for _ in 0..1000 {
            // A run that began late and lasted a while.
            let asked = at + Duration::from_millis(7_300);
            assert_eq!(schedule.next_after(asked), schedule.next_after(at));
            at = schedule.next_after(asked).unwrap();
        }
        assert_eq!(at, first + Duration::from_secs(60_000));
    }

    #[test]
    fn canaries_start_spread_over_the_interval() {
        let after: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
        let mut tenths = [0_u32; 10];
        for n in 0..1000 {
            let next = every("1m", &format!("uid-{n}")).next_after(after).unwrap();
            tenths[usize::try_from(next.duration_since(after).as_millis() / 6000).unwrap().min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (60..=140).contains(count)), "{tenths:?}");
    }

    #[test]
    fn cron_keeps_to_the_zone_s_clock() {
        let schedule = cron("0 9 * * 1-5", "Asia/Tokyo").unwrap();
        // A Friday.
        assert_eq!(
            times(&schedule, "2026-11-27T00:00:00Z", 2),
            ["2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"]
        );
    }

    #[test]
    fn a_time_that_the_clocks_skip_runs_as_much_later() {
        // On 2026-03-29 the clock of Berlin goes from 02:00 to 03:00.
        let schedule = cron("30 2 * * *", "Europe/Berlin").unwrap();
        assert_eq!(
            times(&schedule, "2026-03-27T12:00:00Z", 3),
            ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]
        );
        // 03:00 comes before the 02:45 that was moved to 03:45, and neither is lost or done twice.
        let schedule = cron("0,45 2,3 * * *", "Europe/Berlin").unwrap();
        assert_eq!(
            times(&schedule, "2026-03-29T00:30:00Z", 3),
            ["2026-03-29T01:00:00Z", "2026-03-29T01:45:00Z", "2026-03-30T00:00:00Z"]
        );
    }

    #[test]
    fn a_pattern_of_hours_doesn_t_lose_the_one_that_the_clocks_skip() {
        let schedule = cron("30 */2 * * *", "Europe/Berlin").unwrap();
        assert_eq!(
            times(&schedule, "2026-03-28T23:00:00Z", 3),
            ["2026-03-28T23:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]
        );
        for (text, zone, after, next) in [
            ("30 2-4 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"),
            ("0 */2 29 3 *", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T01:00:00Z"),
            // The clock of Lord Howe goes by half an hour, from 02:00 to 02:30, so that hours don't make up for it.
            ("15 * * * *", "Australia/Lord_Howe", "2026-10-03T15:00:00Z", "2026-10-03T15:45:00Z"),
            // A day that begins at 01:00.
            ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z"),
        ] {
            let schedule = cron(text, zone).unwrap();
            let after: Timestamp = after.parse().unwrap();
            assert_eq!(schedule.next_after(after).unwrap().to_string(), next, "{text} {zone}");
        }
    }

    #[test]
    fn no_moment_comes_before_one_that_is_due_around_a_change() {
        for (text, zone, day) in [
            ("5,30 * * * *", "Europe/Berlin", "2026-10-25"),
            ("5,30 * * * *", "Europe/Berlin", "2026-03-29"),
            ("*/20 * * * *", "Australia/Lord_Howe", "2026-04-05"),
            ("*/20 */3 * * *", "America/New_York", "2026-11-01"),
        ] {
            let schedule = cron(text, zone).unwrap();
            let begin: Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
            let begin = begin - Duration::from_secs(12 * 3600);
            // From each minute, the next is the first of all that there are.
            let mut all = Vec::new();
            let mut at = begin;
            while at < begin + Duration::from_secs(36 * 3600) {
                at = schedule.next_after(at).unwrap();
                all.push(at);
            }
            for minute in 0..36 * 60 {
                let after = begin + Duration::from_secs(60 * minute);
                let first = all.iter().find(|at| **at > after).copied();
                assert_eq!(schedule.next_after(after), first, "{text} {zone} after {after}");
            }
        }
    }

    #[test]
    fn a_time_that_occurs_twice_runs_once_unless_every_hour_is_meant() {
        // On 2026-10-25 the clock of Berlin goes from 03:00 back to 02:00.
        let once = cron("30 2 * * *", "Europe/Berlin").unwrap();
        assert_eq!(times(&once, "2026-10-24T12:00:00Z", 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let always = cron("30 * * * *", "Europe/Berlin").unwrap();
        assert_eq!(
            times(&always, "2026-10-25T00:00:00Z", 3),
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]
        );
    }

    #[test]
    fn the_time_zones_are_in_the_binary() {
        for zone in ["UTC", "Europe/Berlin", "Asia/Tokyo"] {
            let known = jiff::tz::TimeZoneDatabase::bundled().get(zone);
            assert_eq!(known.unwrap().iana_name(), Some(zone));
        }
    }

    #[test]
    fn every_date_of_a_year_comes_once_and_in_order() {
        for (text, zone) in [
            ("*/7 1,2,3 * * *", "America/New_York"),
            ("15 0-4 * * *", "Australia/Lord_Howe"),
            ("0 0 * * *", "America/Sao_Paulo"),
        ] {
            let schedule = cron(text, zone).unwrap();
            let (mut at, end): (Timestamp, Timestamp) =
                ("2026-01-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
            let mut count = 0;
            while at < end {
                let next = schedule.next_after(at).unwrap();
                assert!(next > at, "{text} {zone}: {next} after {at}");
                // Asked a second before it, it is the same.
                assert_eq!(schedule.next_after(next - Duration::from_secs(1)), Some(next), "{text} {zone}");
                at = next;
                count += 1;
            }
            assert!(count > 360, "{text} {zone}: {count}");
        }
    }

    #[test]
    fn what_can_t_be_kept_is_refused_with_what_to_write() {
        let refused = |text: &str, zone: &str| cron(text, zone).unwrap_err().to_string();
        for (text, why) in [
            ("0 25 * * *", "\"25\" isn't understood as hours (0 to 23)"),
            ("60 * * * *", "\"60\" isn't understood as minutes"),
            ("0 9 * * MOON", "\"MOON\" isn't understood as days of the week"),
            ("0 9 32 * *", "\"32\" isn't understood as days of the month"),
            ("0 9 * 13 *", "\"13\" isn't understood as months"),
            ("@daily", "it has 1 field;"),
            ("0 9 * * * Asia/Tokyo", "it has 6 fields"),
        ] {
            let expected = format!("spec.schedule.cron: {text:?}: {why}");
            let refused = refused(text, "UTC");
            assert!(refused.starts_with(&expected), "{refused}");
            assert!(refused.ends_with("write five fields, such as 0 9 * * 1-5"), "{refused}");
            assert!(!refused.contains("http"), "{refused}");
        }
        assert!(refused("0 9 * * *", "Mars/Olympus").contains("such as Asia/Tokyo"));
        for zone in ["UTC", "Asia/Tokyo"] {
            assert!(refused("0 0 30 2 *", zone).contains("never comes"), "{}", refused("0 0 30 2 *", zone));
            assert!(refused("0 * 31 4,6 *", zone).contains("never comes"));
            assert!(cron("0 0 29 2 *", zone).is_ok());
        }
    }
}
