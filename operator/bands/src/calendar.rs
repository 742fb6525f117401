//! Local time of day and week: the daily and the weekly season follow the wall clock.

use jiff::{Timestamp, tz::TimeZone};

/// Seconds in a day.
pub(crate) const DAY: i64 = 86_400;

/// A timestamp as local time of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalTime {
    /// Seconds since Monday 00:00, as the wall clock shows them.
    pub(crate) second_of_week: i64,
}

impl LocalTime {
    pub(crate) fn new(zone: &TimeZone, at: Timestamp) -> Self {
        let local = at.as_second().saturating_add(i64::from(zone.to_offset(at).seconds()));
        // The epoch was a Thursday.
        Self { second_of_week: local.saturating_add(3 * DAY).rem_euclid(7 * DAY) }
    }

    pub(crate) fn second_of_day(self) -> i64 {
        self.second_of_week.rem_euclid(DAY)
    }

    /// Index of the five-minute interval of the day, from 0 to 287.
    pub(crate) fn five_minutes(self) -> usize {
        index(self.second_of_day() / 300)
    }

    pub(crate) fn minute_of_hour(self) -> usize {
        index(self.second_of_day().rem_euclid(3600) / 60)
    }

    pub(crate) fn hour(self) -> usize {
        index(self.second_of_day() / 3600)
    }

    /// Half hours since midnight, with a fraction.
    pub(crate) fn half_hours_of_day(self) -> f64 {
        self.second_of_day() as f64 / 1800.0
    }

    /// Half hours since Monday, with a fraction.
    pub(crate) fn half_hours_of_week(self) -> f64 {
        self.second_of_week as f64 / 1800.0
    }
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_season_follows_the_wall_clock_across_dst() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let before: Timestamp = "2026-03-27T08:00:00Z".parse().unwrap();
        let after: Timestamp = "2026-03-30T07:00:00Z".parse().unwrap();
        assert_eq!(LocalTime::new(&zone, before).hour(), 9);
        assert_eq!(LocalTime::new(&zone, after).hour(), 9);
        assert_eq!(LocalTime::new(&zone, after).second_of_week, 9 * 3600);
    }

    #[test]
    fn times_before_the_epoch_have_a_place_too() {
        let at: Timestamp = "1969-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(LocalTime::new(&TimeZone::UTC, at).five_minutes(), 287);
    }
}
