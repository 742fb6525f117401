//! When a canary runs next. Pure: the same moment in, the same moment out, so that nothing drifts and a restart keeps
//! to the same times.

use std::time::Duration;

use cronexpr::Crontab;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
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
    #[error("spec.schedule.cron: {cron:?}: {message}; write five fields, such as 0 9 * * 1-5")]
    Cron { cron: String, message: String },
    #[error("spec.schedule.cron: {0:?} is a date that never comes: write one that does, such as 0 9 1 * *")]
    Never(String),
    #[error("spec.schedule: write either every or cron")]
    Missing,
}

/// When a canary runs.
#[derive(Debug, Clone)]
pub struct Schedule(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// At `offset` after each multiple of `interval` since 1970.
    Every { interval: Duration, offset: Duration },
    /// Whenever the zone's clock shows a time that matches.
    ByClock(Crontab),
    /// Once for each matching date and time, also if the zone's clock skips or repeats it.
    ByDate { dates: Crontab, zone: TimeZone },
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
                let parse = |zone: &str| {
                    cronexpr::parse_crontab(&format!("{cron} {zone}")).map_err(|error| ScheduleError::Cron {
                        cron: cron.clone(),
                        message: sentence(&error),
                    })
                };
                let kind = if by_clock(cron) {
                    Kind::ByClock(parse(zone)?)
                } else {
                    Kind::ByDate { dates: parse("UTC")?, zone: time_zone }
                };
                let schedule = Self(kind);
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
            Kind::ByClock(crontab) => crontab.find_next(after).ok().map(|zoned| zoned.timestamp()),
            Kind::ByDate { dates, zone } => next_date(dates, zone, after),
        }
    }

    /// Time between runs, where it is always the same.
    pub fn interval(&self) -> Option<Duration> {
        match &self.0 {
            Kind::Every { interval, .. } => Some(*interval),
            Kind::ByClock(_) | Kind::ByDate { .. } => None,
        }
    }
}

/// A schedule of every hour goes by the clock, so that the hour that occurs twice is checked twice.
fn by_clock(cron: &str) -> bool {
    cron.split_whitespace().nth(1).is_some_and(|hours| hours.starts_with('*'))
}

/// The dates are looked for as if the clock never changed, then each is placed in the zone: a skipped one moves by as
/// much as the clocks jump, of one that occurs twice the first counts.
fn next_date(dates: &Crontab, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let as_utc = |date: DateTime| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let local = as_utc(zone.to_datetime(after))?;
    let mut at = local.checked_sub(LONGEST_JUMP).ok()?;
    let mut best: Option<Timestamp> = None;
    loop {
        let date = dates.find_next(at).ok()?.datetime();
        at = as_utc(date)?;
        let placed = zone.to_ambiguous_timestamp(date).compatible().ok()?;
        if placed > after && best.is_none_or(|best| placed < best) {
            best = Some(placed);
        }
        // Only a date that was moved can come after later ones.
        if best.is_some() && at.duration_since(local) > LONGEST_JUMP {
            return best;
        }
        if let Some(best) = best
            && as_utc(zone.to_datetime(best)).is_some_and(|shown| at > shown)
        {
            return Some(best);
        }
    }
}

/// The parser's message as one line.
fn sentence(error: &cronexpr::Error) -> String {
    error.to_string().lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
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
        assert!(
            refused("0 25 * * *", "UTC").contains("such as 0 9 * * 1-5"),
            "{}",
            refused("0 25 * * *", "UTC")
        );
        assert!(refused("0 9 * * *", "Mars/Olympus").contains("such as Asia/Tokyo"));
        for zone in ["UTC", "Asia/Tokyo"] {
            assert!(refused("0 0 30 2 *", zone).contains("never comes"), "{}", refused("0 0 30 2 *", zone));
            assert!(refused("0 * 31 4,6 *", zone).contains("never comes"));
            assert!(cron("0 0 29 2 *", zone).is_ok());
        }
    }
}
