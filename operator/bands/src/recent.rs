//! Statistics of the most recent values, which show slow or small changes that no single value shows.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::tail::Tail;

/// Number of recent values that are kept.
const LENGTH: usize = 32;
/// Factor on statistics that are mostly below 3, so that they spread over more bins of a tail's histogram.
const BIN_FACTOR: f64 = 4.0;
/// Smoothing factor of the deviation from the slow forecast.
const DEVIATION_RATE: f64 = 0.15;
/// The deviation from the slow forecast is clipped to this many standard deviations of the noise.
const LARGEST_DEVIATION: f64 = 100.0;
/// Residuals are clipped to this many standard deviations of the noise before they are averaged.
const CLIP: f64 = 6.0;
/// In a series where more than this share of values equals the one before, flat lines are usual and not tested.
const MOST_REPEATS: f64 = 0.3;

/// The most recent residuals, and the distributions of their statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent {
    /// Residuals in standard deviations of the noise.
    residuals: VecDeque<f32>,
    /// Residuals in the unit of the series.
    raw: VecDeque<f64>,
    /// Newest value.
    last: Option<f64>,
    /// Number of newest values that equal the one before.
    equal: u32,
    /// Share of values that equal the one before, averaged exponentially.
    repeats: f64,
    /// Smoothed deviation from the slow forecast.
    smoothed_deviation: f64,
    /// Smoothed deviation before the forecast was held, to return to when it is released.
    saved_deviation: f64,
    short_mean: Tail,
    long_mean: Tail,
    seasonal: Tail,
    high_variance: Tail,
    low_variance: Tail,
    flat_line: Tail,
}

/// Test that gave the smallest p-value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The single value is unusual.
    Value,
    /// The mean of the last 8 or 32 residuals is unusual: the values are rather high, or rather low.
    Mean,
    /// The last values are far from the forecast by the season alone.
    SeasonalDeviation,
    /// The last 32 values vary more than usual.
    HighVariance,
    /// The last 32 values vary less than usual.
    LowVariance,
    /// The last values are equal, in a series where that is rare.
    FlatLine,
}

/// Statistics of the recent values, including the value to judge. None where too few values are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statistics {
    short_mean: f64,
    long_mean: f64,
    /// Deviation from the slow forecast, in standard deviations of the noise.
    deviation: f64,
    /// The deviation, smoothed over the recent values.
    smoothed_deviation: f64,
    /// Mean absolute residual.
    high_variance: Option<f64>,
    /// Reciprocal of the mean absolute residual.
    low_variance: Option<f64>,
    /// Number of newest values that equal the one before.
    flat_line: Option<f64>,
}

/// Exponentially smoothed deviation.
fn smoothed(before: f64, deviation: f64) -> f64 {
    before + DEVIATION_RATE * (deviation - before)
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self {
            residuals: VecDeque::with_capacity(LENGTH),
            raw: VecDeque::with_capacity(LENGTH),
            last: None,
            equal: 0,
            repeats: 0.0,
            smoothed_deviation: 0.0,
            saved_deviation: 0.0,
            short_mean: Tail::of_statistic(),
            long_mean: Tail::of_statistic(),
            seasonal: Tail::of_statistic(),
            high_variance: Tail::of_statistic(),
            low_variance: Tail::of_statistic(),
            flat_line: Tail::of_statistic(),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.residuals.len() <= LENGTH
            && self.raw.len() <= LENGTH
            && [
                &self.short_mean,
                &self.long_mean,
                &self.seasonal,
                &self.high_variance,
                &self.low_variance,
                &self.flat_line,
            ]
            .iter()
            .all(|tail| tail.is_valid())
    }

    /// Statistics of the recent values and of this one; `deviation` is its deviation from the slow forecast.
    pub(crate) fn statistics(&self, value: f64, residual: f64, deviation: f64) -> Statistics {
        let newest = residual.clamp(-CLIP, CLIP);
        let deviation = deviation.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION);
        let (mut short, mut long, mut size) = (newest, newest, newest.abs());
        for (age, past) in self.residuals.iter().rev().take(LENGTH - 1).enumerate() {
            let past = f64::from(*past);
            if age < 7 {
                short += past;
            }
            long += past;
            size += past.abs();
        }
        let count = (self.residuals.len() + 1).min(LENGTH) as f64;
        let mean_size = size / count;
        let full = self.residuals.len() >= LENGTH - 1;
        let equal = self.equal_with(value);
        Statistics {
            short_mean: short.abs() / count.min(8.0).sqrt(),
            long_mean: long.abs() / count.sqrt(),
            deviation,
            smoothed_deviation: smoothed(self.smoothed_deviation, deviation),
            high_variance: full.then_some(BIN_FACTOR * mean_size),
            low_variance: full.then(|| BIN_FACTOR / (mean_size + 0.05)),
            flat_line: (self.repeats < MOST_REPEATS).then_some(f64::from(equal)),
        }
    }

    /// Smallest p-value of the statistics, each multiplied by a factor because several tests are made (Bonferroni).
    pub(crate) fn p_value(&self, now: &Statistics) -> (f64, Cause) {
        let high_variance =
            now.high_variance.map_or(1.0, |high_variance| self.high_variance.beyond(high_variance));
        let low_variance =
            now.low_variance.map_or(1.0, |low_variance| self.low_variance.beyond(low_variance));
        let flat_line = now
            .flat_line
            .filter(|flat_line| *flat_line >= 4.0)
            .map_or(1.0, |flat_line| self.flat_line.beyond(flat_line));
        let mean = self.short_mean.beyond(now.short_mean).min(self.long_mean.beyond(now.long_mean));
        let seasonal = self.seasonal.beyond(BIN_FACTOR * now.smoothed_deviation.abs());
        [
            (4.0 * mean, Cause::Mean),
            (4.0 * seasonal, Cause::SeasonalDeviation),
            (4.0 * high_variance, Cause::HighVariance),
            (8.0 * low_variance, Cause::LowVariance),
            (8.0 * flat_line, Cause::FlatLine),
        ]
        .into_iter()
        .fold((1.0, Cause::Value), |least, one| if one.0 < least.0 { one } else { least })
    }

    /// Number of newest values that equal the one before, if this value is added.
    fn equal_with(&self, value: f64) -> u32 {
        if self.last == Some(value) { self.equal.saturating_add(1) } else { 0 }
    }

    /// Learns a value and its statistics. `raw` is the residual in the unit of the series, and `weight` the weight of the
    /// statistics, which is small while an anomaly continues.
    pub(crate) fn learn(
        &mut self,
        value: f64,
        residual: f64,
        raw: f64,
        now: &Statistics,
        weight: f64,
        speed: f64,
    ) {
        for (tail, statistic) in [
            (&mut self.short_mean, now.short_mean),
            (&mut self.long_mean, now.long_mean),
            (&mut self.seasonal, BIN_FACTOR * now.smoothed_deviation.abs()),
        ] {
            tail.learn(Some(statistic), weight, speed);
        }
        // Smoothed again instead of taken from the statistics, which were made before an anomaly was forgotten.
        self.smoothed_deviation = smoothed(self.smoothed_deviation, now.deviation);
        for (tail, statistic) in [
            (&mut self.high_variance, now.high_variance),
            (&mut self.low_variance, now.low_variance),
            (&mut self.flat_line, now.flat_line),
        ] {
            if statistic.is_some() {
                tail.learn(statistic, weight, speed);
            }
        }
        let repeated = self.last == Some(value);
        // A long flat line counts as usual only slowly, so that it remains an anomaly while it lasts.
        let rate = if repeated && self.equal >= 8 { 0.004 } else { 0.02 };
        self.repeats += (f64::from(u8::from(repeated)) - self.repeats) * rate;
        self.equal = self.equal_with(value);
        self.last = Some(value);
        self.push(residual, raw);
    }

    /// Forgets the newest values, after an anomaly, so that they don't affect the statistics of the values after it.
    pub(crate) fn forget(&mut self, count: usize) {
        self.residuals.truncate(self.residuals.len().saturating_sub(count));
        self.raw.truncate(self.raw.len().saturating_sub(count));
        self.smoothed_deviation = self.saved_deviation;
    }

    /// Saves the smoothed deviation from the slow forecast, to return to it after an anomaly.
    pub(crate) fn save_deviation(&mut self) {
        self.saved_deviation = self.smoothed_deviation;
    }

    fn push(&mut self, residual: f64, raw: f64) {
        if self.residuals.len() >= LENGTH {
            self.residuals.pop_front();
        }
        if self.raw.len() >= LENGTH {
            self.raw.pop_front();
        }
        self.residuals.push_back(residual.clamp(-CLIP, CLIP) as f32);
        self.raw.push_back(raw);
    }

    /// Detects a level shift: this many values in a row lie on one side of the forecast, on average more than 2 standard
    /// deviations of the noise away. Returns the shift in the unit of the series.
    pub(crate) fn level_shift(&mut self, run: usize) -> Option<f64> {
        if self.residuals.len() < run {
            return None;
        }
        let last = || self.residuals.iter().rev().take(run);
        let one_sided = last().all(|residual| *residual > 0.8) || last().all(|residual| *residual < -0.8);
        let far = last().map(|residual| f64::from(residual.abs())).sum::<f64>() / run as f64 > 2.0;
        if !one_sided || !far {
            return None;
        }
        let mut newest: Vec<f64> = self.raw.iter().rev().take(run / 2).copied().collect();
        newest.sort_by(f64::total_cmp);
        let middle = newest.get(newest.len() / 2).copied()?;
        self.residuals.clear();
        self.raw.clear();
        Some(middle)
    }
}
