//! Statistics of the data of one period (AWS: Statistics-definitions).

use super::Datum;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    /// `p99.9`
    Percentile(f64),
    /// `tm90`, `TC(10%:90%)`, `PR(:300)`
    Within(Measure, Bounds),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    TrimmedMean,
    TrimmedCount,
    TrimmedSum,
    WinsorizedMean,
    PercentileRank,
}

/// Above the lower and up to the upper bound; an absent one doesn't bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bounds {
    Percent(f64, f64),
    Values(Option<f64>, Option<f64>),
}

impl Statistic {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "SampleCount" => Self::SampleCount,
            "Average" => Self::Average,
            "Sum" => Self::Sum,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            "IQM" => Self::Within(Measure::TrimmedMean, Bounds::Percent(25.0, 75.0)),
            _ => return Self::percentile(text).or_else(|| Self::upper(text)).or_else(|| Self::bounded(text)),
        })
    }

    fn percentile(text: &str) -> Option<Self> {
        percent(text.strip_prefix('p')?).map(Self::Percentile)
    }

    /// `tm90` is short for `TM(:90%)`.
    fn upper(text: &str) -> Option<Self> {
        let measure = match text.get(..2)? {
            "tm" => Measure::TrimmedMean,
            "tc" => Measure::TrimmedCount,
            "ts" => Measure::TrimmedSum,
            "wm" => Measure::WinsorizedMean,
            _ => return None,
        };
        Some(Self::Within(measure, Bounds::Percent(0.0, percent(text.get(2..)?)?)))
    }

    fn bounded(text: &str) -> Option<Self> {
        let measure = match text.get(..2)? {
            "TM" => Measure::TrimmedMean,
            "TC" => Measure::TrimmedCount,
            "TS" => Measure::TrimmedSum,
            "WM" => Measure::WinsorizedMean,
            "PR" => Measure::PercentileRank,
            _ => return None,
        };
        let (from, to) = text.get(2..)?.strip_prefix('(')?.strip_suffix(')')?.split_once(':')?;
        if from.is_empty() && to.is_empty() {
            return None;
        }
        let bounds = if from.ends_with('%') || to.ends_with('%') {
            let side = |text: &str, open: f64| match text {
                "" => Some(open),
                text => percent(text.strip_suffix('%')?),
            };
            Bounds::Percent(side(from, 0.0)?, side(to, 100.0)?)
        } else {
            let side = |text: &str| match text {
                "" => Some(None),
                text => text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Some),
            };
            Bounds::Values(side(from)?, side(to)?)
        };
        let valid = match bounds {
            Bounds::Percent(from, to) => from < to && measure != Measure::PercentileRank,
            Bounds::Values(Some(from), Some(to)) => from < to,
            Bounds::Values(..) => true,
        };
        valid.then_some(Self::Within(measure, bounds))
    }

    /// None where there is no data, or where a statistic set hides the values that it would need.
    pub fn of<'a>(self, data: impl Iterator<Item = &'a Datum> + Clone) -> Option<f64> {
        let count: f64 = data.clone().map(|datum| datum.count).sum();
        if count <= 0.0 {
            return None;
        }
        let sum = || data.clone().map(|datum| datum.sum).sum::<f64>();
        match self {
            Self::SampleCount => Some(count),
            Self::Sum => Some(sum()),
            Self::Average => Some(sum() / count),
            Self::Minimum => data.map(|datum| datum.minimum).reduce(f64::min),
            Self::Maximum => data.map(|datum| datum.maximum).reduce(f64::max),
            Self::Percentile(percent) => rank(&samples(data)?, percent),
            Self::Within(measure, bounds) => within(&samples(data)?, measure, bounds),
        }
    }
}

fn percent(text: &str) -> Option<f64> {
    let digits = text.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    let percent: f64 = text.parse().ok().filter(|_| digits)?;
    (0.0..=100.0).contains(&percent).then_some(percent)
}

/// Values with their counts, in ascending order.
fn samples<'a>(data: impl Iterator<Item = &'a Datum>) -> Option<Vec<(f64, f64)>> {
    let mut samples = Vec::new();
    for datum in data {
        if datum.values.is_empty() {
            return None;
        }
        samples.extend(&datum.values);
    }
    samples.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    Some(samples)
}

/// The smallest value at or below which `percent` of the samples are.
fn rank(samples: &[(f64, f64)], percent: f64) -> Option<f64> {
    let wanted = samples.iter().map(|(_, count)| count).sum::<f64>() * percent / 100.0;
    let mut seen = 0.0;
    for (value, count) in samples {
        seen += count;
        if seen >= wanted {
            return Some(*value);
        }
    }
    samples.last().map(|(value, _)| *value)
}

fn within(samples: &[(f64, f64)], measure: Measure, bounds: Bounds) -> Option<f64> {
    let (low, high) = match bounds {
        Bounds::Percent(from, to) => {
            let low = if from > 0.0 { rank(samples, from)? } else { f64::NEG_INFINITY };
            (low, rank(samples, to)?)
        }
        Bounds::Values(from, to) => (from.unwrap_or(f64::NEG_INFINITY), to.unwrap_or(f64::INFINITY)),
    };
    let total: f64 = samples.iter().map(|(_, count)| count).sum();
    let kept = || samples.iter().filter(|(value, _)| low < *value && *value <= high);
    let count: f64 = kept().map(|(_, count)| count).sum();
    let sum: f64 = kept().map(|(value, count)| value * count).sum();
    match measure {
        Measure::TrimmedCount => Some(count),
        Measure::TrimmedSum => Some(sum),
        Measure::TrimmedMean => (count > 0.0).then(|| sum / count),
        Measure::PercentileRank => Some(100.0 * count / total),
        Measure::WinsorizedMean => {
            let clamped: f64 = samples.iter().map(|(value, count)| value.max(low).min(high) * count).sum();
            clamped.is_finite().then(|| clamped / total)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(statistic: &str) -> f64 {
        let data = [Datum::values(vec![(10.0, 2.0), (1.0, 1.0)]), Datum::value(100.0)];
        Statistic::parse(statistic).unwrap().of(data.iter()).unwrap()
    }

    #[test]
    fn statistics_are_of_all_values_by_their_counts() {
        assert_eq!(of("SampleCount"), 4.0);
        assert_eq!(of("Sum"), 121.0);
        assert_eq!(of("Average"), 30.25);
        assert_eq!(of("Minimum"), 1.0);
        assert_eq!(of("Maximum"), 100.0);
        assert_eq!(of("p50"), 10.0);
        assert_eq!(of("p99.9"), 100.0);
        assert_eq!(of("tm75"), 7.0);
        assert_eq!(of("TC(:10)"), 3.0);
        assert_eq!(of("TS(1:10)"), 20.0);
        assert_eq!(of("PR(:10)"), 75.0);
        assert_eq!(of("WM(:75%)"), 7.75);
    }

    #[test]
    fn a_statistic_set_hides_percentiles_unless_all_its_values_are_the_same() {
        let p50 = Statistic::parse("p50").unwrap();
        assert_eq!(p50.of([Datum::statistics(2.0, 3.0, 1.0, 2.0)].iter()), None);
        assert_eq!(p50.of([Datum::statistics(2.0, 4.0, 2.0, 2.0)].iter()), Some(2.0));
    }

    #[test]
    fn what_is_no_statistic_is_none() {
        for text in
            ["", "Mean", "p", "p101", "p-1", "pInf", "tm", "TM(10%)", "TM(:)", "PR(1%:2%)", "TM(9:1)", "é"]
        {
            assert_eq!(Statistic::parse(text), None, "{text}");
        }
    }
}
