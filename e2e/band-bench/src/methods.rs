//! The methods that are compared: each gives every value an anomaly statistic and its breaches at four widths.

use std::collections::VecDeque;

use jiff::Timestamp;
use tidewatch_bands::{Config, Engine};

use crate::series::Series;

/// A method of anomaly detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Tidewatch,
    Rolling,
    HoltWinters,
    SeasonalNaive,
    /// Like the adaptive strategy of grafana/promql-anomaly-detection: means of an hour and of 26 hours, and the standard
    /// deviation of 26 hours.
    GrafanaAdaptive,
    /// Like the robust strategy of grafana/promql-anomaly-detection: median and median absolute deviation of 26 hours.
    GrafanaRobust,
}

pub(crate) const ALL: [Method; 6] = [
    Method::Tidewatch,
    Method::Rolling,
    Method::HoltWinters,
    Method::SeasonalNaive,
    Method::GrafanaAdaptive,
    Method::GrafanaRobust,
];

/// Result of a method for one value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    /// Anomaly statistic in the method's own unit; larger is more unusual.
    pub(crate) statistic: f64,
    /// Whether the value is outside the band at widths 1, 2, 3 and 4.
    pub(crate) breaches: [bool; 4],
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tidewatch => "tidewatch",
            Self::Rolling => "rolling-sigma",
            Self::HoltWinters => "holt-winters",
            Self::SeasonalNaive => "seasonal-naive",
            Self::GrafanaAdaptive => "grafana-adaptive",
            Self::GrafanaRobust => "grafana-robust",
        }
    }

    pub(crate) fn judge(self, series: &Series) -> Vec<Point> {
        if self == Self::Tidewatch {
            return tidewatch(series);
        }
        // The other methods don't detect counters: they get the rate, as one would write it in a query.
        let values = as_gauge(series);
        let day = usize::try_from(86_400 / series.step).unwrap_or(288);
        let deviations = match self {
            Self::Tidewatch | Self::Rolling => rolling(&values, 288),
            Self::HoltWinters => holt_winters(&values, day),
            Self::SeasonalNaive => seasonal_naive(&values, day),
            Self::GrafanaAdaptive => grafana_adaptive(&values, day),
            Self::GrafanaRobust => grafana_robust(&values, day),
        };
        deviations
            .into_iter()
            .map(|size| Point { statistic: size, breaches: [1.0, 2.0, 3.0, 4.0].map(|width| size > width) })
            .collect()
    }
}

fn tidewatch(series: &Series) -> Vec<Point> {
    // Four engines learn the same, because learning doesn't depend on the width.
    let mut engines = [1.0, 2.0, 3.0, 4.0].map(|width| Engine::new(Config { width, ..Config::default() }));
    series
        .values
        .iter()
        .map(|(second, value)| {
            let at = Timestamp::from_second(*second).unwrap_or_default();
            let judgements = engines.each_mut().map(|engine| engine.observe(at, *value));
            let statistic = judgements.first().map_or(0.0, |judgement| judgement.score);
            Point { statistic, breaches: judgements.map(|judgement| judgement.breach) }
        })
        .collect()
}

/// The values of a gauge, or the increases of a counter.
fn as_gauge(series: &Series) -> Vec<f64> {
    let values: Vec<f64> = series.values.iter().map(|(_, value)| *value).collect();
    let falls = values.iter().zip(values.iter().skip(1)).filter(|(before, after)| after < before).count();
    let grows = values.iter().zip(values.iter().skip(1)).filter(|(before, after)| after > before).count();
    if falls > 20 || grows < values.len() / 2 {
        return values;
    }
    let mut last = 0.0;
    std::iter::once(f64::NAN)
        .chain(values.iter().zip(values.iter().skip(1)).map(|(before, after)| {
            if after >= before {
                last = after - before;
            }
            last
        }))
        .map(|value| if value.is_nan() { 0.0 } else { value })
        .collect()
}

/// Distance in units of the scale, limited to 1e9 where the scale is 0.
fn ratio(distance: f64, scale: f64) -> f64 {
    if scale > 0.0 {
        (distance.abs() / scale).min(1e9)
    } else if distance == 0.0 {
        0.0
    } else {
        1e9
    }
}

/// Distance from the mean of the last values, in standard deviations.
fn rolling(values: &[f64], window: usize) -> Vec<f64> {
    let mut past = VecDeque::new();
    values
        .iter()
        .map(|value| {
            let (mean, deviation) = moments(&past);
            let distance = if past.len() >= 12 { ratio(value - mean, deviation) } else { 0.0 };
            past.push_back(*value);
            if past.len() > window {
                past.pop_front();
            }
            distance
        })
        .collect()
}

/// Mean and standard deviation.
fn moments(values: &VecDeque<f64>) -> (f64, f64) {
    let count = (values.len() as f64).max(1.0);
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// Error of additive Holt-Winters with a daily season and smoothing factors 0.2 (level), 0.02 (trend) and 0.2 (season), in
/// standard deviations of the errors of the last day.
fn holt_winters(values: &[f64], day: usize) -> Vec<f64> {
    let first = values.get(..day).unwrap_or(values);
    let mut level = first.iter().sum::<f64>() / (first.len() as f64).max(1.0);
    let mut trend = 0.0;
    let mut season: Vec<f64> = first.iter().map(|value| value - level).collect();
    let mut errors = VecDeque::new();
    values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let Some(usual) = season.get_mut(index % day) else { return 0.0 };
            let error = value - (level + trend + *usual);
            let (_, deviation) = moments(&errors);
            let before = level;
            level = 0.2 * (value - *usual) + 0.8 * (level + trend);
            trend = 0.02 * (level - before) + 0.98 * trend;
            *usual = 0.2 * (value - level) + 0.8 * *usual;
            errors.push_back(error);
            if errors.len() > day {
                errors.pop_front();
            }
            if index < day { 0.0 } else { ratio(error, deviation) }
        })
        .collect()
}

/// Difference from the value of a week before (a day before, in the first week), in standard deviations of the differences
/// of the last two days.
fn seasonal_naive(values: &[f64], day: usize) -> Vec<f64> {
    let mut errors = VecDeque::new();
    values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let lag = if index >= 7 * day { 7 * day } else { day };
            let Some(before) = index.checked_sub(lag).and_then(|index| values.get(index)) else { return 0.0 };
            let error = value - before;
            let (_, deviation) = moments(&errors);
            errors.push_back(error);
            if errors.len() > 2 * day {
                errors.pop_front();
            }
            if errors.len() < 12 { 0.0 } else { ratio(error, deviation) }
        })
        .collect()
}

/// The values before the index, as many as the window holds.
fn window_of(values: &[f64], index: usize, window: usize) -> &[f64] {
    values.get(index.saturating_sub(window)..index).unwrap_or_default()
}

/// Difference from the middle between the means of the last hour and of the last 26 hours, in standard deviations of the
/// last 26 hours. This is a simplification of the adaptive strategy of grafana/promql-anomaly-detection.
fn grafana_adaptive(values: &[f64], day: usize) -> Vec<f64> {
    let (window, smooth) = (day * 26 / 24, (day / 24).max(1));
    (0..values.len())
        .map(|index| {
            let Some(value) = values.get(index) else { return 0.0 };
            let past: VecDeque<f64> = window_of(values, index + 1, window).iter().copied().collect();
            if past.len() < smooth {
                return 0.0;
            }
            let (_, deviation) = moments(&past);
            let mean = moments(&window_of(values, index + 1, smooth).iter().copied().collect()).0;
            let long = moments(&past).0;
            ratio(value - 0.5 * (mean + long), deviation)
        })
        .collect()
}

/// Distance from the median of the last 26 hours, in median absolute deviations scaled to the standard deviation of a normal
/// distribution.
fn grafana_robust(values: &[f64], day: usize) -> Vec<f64> {
    let window = day * 26 / 24;
    (0..values.len())
        .map(|index| {
            let Some(value) = values.get(index) else { return 0.0 };
            let mut past = window_of(values, index + 1, window).to_vec();
            if past.len() < 12 {
                return 0.0;
            }
            let center = median(&mut past);
            past.iter_mut().for_each(|value| *value = (*value - center).abs());
            ratio(value - center, 1.4826 * median(&mut past))
        })
        .collect()
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
