//! Scoring of one method on one series: its breaches are compared with the known anomalies.

use crate::series::Series;

/// Number of values after a breach within which another breach belongs to the same alarm, and after an anomaly within which
/// a breach still finds it.
const GRACE: i64 = 12;

/// Counts of anomalies and alarms, summed over series.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) anomalies: u32,
    pub(crate) found: u32,
    pub(crate) false_alarms: u32,
    pub(crate) weeks: f64,
}

impl Counts {
    pub(crate) fn recall(&self) -> f64 {
        f64::from(self.found) / f64::from(self.anomalies.max(1))
    }

    pub(crate) fn precision(&self) -> f64 {
        f64::from(self.found) / f64::from((self.found + self.false_alarms).max(1))
    }

    pub(crate) fn false_alarms_per_week(&self) -> f64 {
        f64::from(self.false_alarms) / self.weeks.max(1e-9)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.anomalies += other.anomalies;
        self.found += other.found;
        self.false_alarms += other.false_alarms;
        self.weeks += other.weeks;
    }
}

/// Counts the anomalies that were found, and the false alarms. A breach within an anomaly, or in the hour after it, finds it.
/// Any other breach is a false alarm, unless another breach came at most an hour before or it lies in the aftermath.
pub(crate) fn count(series: &Series, breaches: impl Iterator<Item = bool>) -> Counts {
    let grace = GRACE * series.step;
    let end = series.values.last().map_or(series.judged_from, |(second, _)| *second);
    let mut counts = Counts {
        anomalies: u32::try_from(series.anomalies.len()).unwrap_or(u32::MAX),
        weeks: (end - series.judged_from) as f64 / 604_800.0,
        ..Counts::default()
    };
    let mut found = vec![false; series.anomalies.len()];
    let mut last = i64::MIN;
    for ((second, _), breach) in series.values.iter().zip(breaches) {
        if !breach || *second < series.judged_from {
            continue;
        }
        let new = second.saturating_sub(last) > grace;
        last = *second;
        let inside =
            series.anomalies.iter().position(|(from, until)| *from <= *second && *second < until + grace);
        if let Some(found) = inside.and_then(|index| found.get_mut(index)) {
            *found = true;
            continue;
        }
        if new && !in_aftermath(series, *second) {
            counts.false_alarms += 1;
        }
    }
    counts.found = u32::try_from(found.iter().filter(|found| **found).count()).unwrap_or(u32::MAX);
    counts
}

/// Whether the time is shortly after an anomaly, where a breach counts neither for nor against a method: within the hour in
/// which a breach still finds the anomaly, and the anomaly's duration after it, which is taken as an hour to a day.
pub(crate) fn in_aftermath(series: &Series, second: i64) -> bool {
    let grace = GRACE * series.step;
    series.anomalies.iter().any(|(from, until)| {
        let duration = (until - from).clamp(grace, 86_400);
        (*until..until + grace + duration).contains(&second)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        Series {
            values: (0..1000).map(|index| (index * 300, 0.0)).collect(),
            anomalies: vec![(150_000, 153_000)],
            judged_from: 30_000,
            step: 300,
        }
    }

    fn at(places: &[usize]) -> Counts {
        count(&series(), (0..1000).map(|index| places.contains(&index)))
    }

    #[test]
    fn an_alarm_inside_is_true_and_one_far_off_is_false() {
        let counts = at(&[505, 300, 301, 320]);
        assert_eq!((counts.found, counts.false_alarms), (1, 2));
    }

    #[test]
    fn breaches_before_the_judged_part_do_not_count() {
        assert_eq!(at(&[5, 50]).false_alarms, 0);
    }

    #[test]
    fn a_breach_in_the_aftermath_counts_neither_way() {
        // The anomaly ends before value 510, its hour of grace at 522, and the aftermath before 534.
        let counts = at(&[530]);
        assert_eq!((counts.found, counts.false_alarms), (0, 0));
        assert_eq!(at(&[534]).false_alarms, 1);
    }
}
