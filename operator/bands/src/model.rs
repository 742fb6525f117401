//! Statistical model of one series: its forecast, the scale of its noise, and the distributions of its residuals. A counter
//! is modelled by its rate.

use serde::{Deserialize, Serialize};

use crate::calendar::LocalTime;
use crate::forecast::{Expected, Forecast};
use crate::recent::{Cause, Recent, Statistics};
use crate::scale::Scale;
use crate::tail::Tail;

/// Factor on the p-value of a single value: an anomaly that lasts deserves more attention, so a single value has to be this
/// many times rarer for the same score.
const SINGLE_VALUE_FACTOR: f64 = 8.0;
/// A p-value below this starts an anomaly. Only its first value is learnt by the tails with full weight.
const ANOMALY_P_VALUE: f64 = 1e-3;
/// A p-value of at least this ends the anomaly.
const ANOMALY_END_P_VALUE: f64 = 0.02;
/// Weight in the tails of the second and later values of an anomaly.
const CONTINUED_WEIGHT: f64 = 0.02;
/// Number of values after which an anomaly counts as the new normal, and the tails learn it with full weight again.
const LONGEST_ANOMALY: usize = 288;
/// A single value with a p-value below this holds the forecast: its offsets and seasons don't change until the series
/// returns, the level shifts, or SHIFT_AFTER values have passed.
const HOLD_P_VALUE: f64 = 3e-5;
/// Two values in a row release the forecast if their p-values are at least this, or if they lie on the other side.
const RELEASE_P_VALUE: f64 = 0.05;
/// Factor on the speed at which the scale of the noise is learnt while the forecast is held.
const HELD_SCALE_SPEED: f64 = 0.3;
/// Number of values in a row on one side of the forecast that count as a level shift.
const SHIFT_AFTER: usize = 24;
/// Number of values in which the remembered peak of the evidence halves.
const NOVELTY_HALF_LIFE: f64 = 288.0;

/// Statistical model of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    forecast: Forecast,
    scale: Scale,
    /// Distribution of the positive residuals, in units of the noise.
    above: Tail,
    /// Distribution of the negative residuals' absolute values, in units of the noise.
    below: Tail,
    recent: Recent,
    /// Lowest and highest value so far: a series that was never negative, or never above 1, has a band with that limit.
    lowest: f64,
    highest: f64,
    /// Number of values equal to 1: a series that reaches 1 and never exceeds it is taken as a ratio.
    ones: u32,
    /// Usual seconds between values.
    step: f64,
    /// Number of anomalous values in a row.
    anomalous: usize,
    /// Number of values for which the forecast has been held; 0 if it isn't.
    held: usize,
    /// Number of values in a row that speak for releasing the forecast.
    returned: usize,
    /// Whether the value that held the forecast was above it.
    held_above: bool,
    /// Largest negative decimal logarithm of a past p-value, decaying exponentially.
    recent_peak: f64,
}

/// Result of judging a value, with the intermediate results that learning the value needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    expected: Expected,
    /// The expected value, not below 0 in a series that was never negative, and not above 1 in a ratio.
    pub(crate) middle: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// Smallest p-value of all tests, corrected for their number.
    pub(crate) p_value: f64,
    pub(crate) cause: Cause,
    /// Decimal orders of magnitude by which the p-value is below the recent ones.
    pub(crate) novelty: f64,
    /// Difference from the expected value, in units of the noise.
    residual: f64,
    /// Two-sided p-value of the single value.
    point_p_value: f64,
    /// Standard deviation of the noise.
    scale: f64,
    statistics: Statistics,
}

impl Model {
    /// A model with the level and the noise of the first values. The values still have to be learnt one by one.
    pub(crate) fn new(first: &[f64], step: f64) -> Self {
        let level = median(first.to_vec());
        let deviations = first.iter().map(|value| (value - level).abs()).collect();
        let changes = first.iter().zip(first.iter().skip(1)).map(|(before, after)| (after - before).abs());
        let deviation = (1.48 * median(deviations)).min(1.5 * median(changes.collect()));
        Self {
            forecast: Forecast::new(level, deviation),
            scale: Scale::new(level, deviation),
            above: Tail::of_noise(),
            below: Tail::of_noise(),
            recent: Recent::new(),
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
            ones: 0,
            step: step.max(1.0),
            anomalous: 0,
            held: 0,
            returned: 0,
            held_above: false,
            recent_peak: 0.0,
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.forecast.is_valid() && self.above.is_valid() && self.below.is_valid() && self.recent.is_valid()
    }

    pub(crate) fn judge(&self, value: f64, local: LocalTime, seconds: f64, width: f64) -> Verdict {
        let smooth = self.forecast.smooth(local);
        let expected = self.forecast.with_spikes(smooth, local, self.scale.plain(smooth.value));
        let hour = self.scale.hour_factor(local.hour());
        // After a gap the offsets are stale, so the noise is taken as larger.
        let missed = (seconds / self.step - 3.0).clamp(0.0, 1000.0);
        let scale = (self.scale.plain(expected.value) * hour).hypot(0.15 * expected.steepness)
            * (1.0 + 0.25 * missed.ln_1p());
        let residual = ((value - expected.value) / scale).clamp(-1e9, 1e9);
        let outside = 0.5 * libm::erfc(width.clamp(0.1, 20.0) / std::f64::consts::SQRT_2);
        let lower = expected.value - scale * self.below.quantile(outside);
        let upper = expected.value + scale * self.above.quantile(outside);
        let point_p_value =
            if residual >= 0.0 { self.above.beyond(residual) } else { self.below.beyond(-residual) };
        let point_p_value = (2.0 * point_p_value).min(1.0);
        let statistics = self.recent.statistics(value, residual, (value - expected.slow) / scale);
        let (of_recent, cause) = self.recent.p_value(&statistics);
        let of_value = (SINGLE_VALUE_FACTOR * point_p_value).min(1.0);
        let (p_value, cause) =
            if of_value <= of_recent { (of_value, Cause::Value) } else { (of_recent, cause) };
        let lowest = if self.lowest >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let highest = if self.ones >= 3 && self.highest <= 1.0 { 1.0 } else { f64::INFINITY };
        Verdict {
            middle: expected.value.clamp(lowest, highest),
            lower: lower.clamp(lowest, highest),
            upper: upper.clamp(lowest, highest),
            expected,
            p_value,
            cause,
            novelty: (-p_value.log10() - self.recent_peak).max(0.0),
            residual,
            point_p_value,
            scale,
            statistics,
        }
    }

    pub(crate) fn learn(
        &mut self,
        value: f64,
        verdict: &Verdict,
        local: LocalTime,
        seconds: f64,
        speed: f64,
    ) {
        self.step += (seconds.clamp(0.5 * self.step, 2.0 * self.step) - self.step) * 0.02;
        let raw = value - verdict.expected.value;
        self.update_hold(verdict);
        let is_anomalous =
            verdict.p_value < if self.anomalous > 0 { ANOMALY_END_P_VALUE } else { ANOMALY_P_VALUE };
        self.anomalous = if is_anomalous { self.anomalous.saturating_add(1) } else { 0 };
        let weight = if (2..=LONGEST_ANOMALY).contains(&self.anomalous) { CONTINUED_WEIGHT } else { 1.0 };
        let size = verdict.residual.abs();
        let (up, down) = if verdict.residual >= 0.0 { (Some(size), None) } else { (None, Some(size)) };
        let point_weight = if verdict.point_p_value < ANOMALY_P_VALUE { weight } else { 1.0 };
        self.above.learn(up, point_weight, speed);
        self.below.learn(down, point_weight, speed);
        self.recent.learn(value, verdict.residual, raw, &verdict.statistics, weight, speed);
        // The value that holds the forecast may be a single outlier, which is learnt like any other value.
        let holding = (2..=SHIFT_AFTER).contains(&self.held);
        let scale_speed = if holding { HELD_SCALE_SPEED * speed } else { speed };
        self.scale.learn(value, raw, verdict.expected.value, local.hour(), scale_speed);
        if holding {
            self.forecast.compare(value, &verdict.expected, verdict.scale, speed);
        } else {
            let covered = seconds.min(2.0 * self.step);
            self.forecast.learn(value, &verdict.expected, local, covered, verdict.scale, speed);
        }
        if let Some(shift) = self.recent.level_shift(SHIFT_AFTER) {
            self.forecast.shift(shift);
            self.held = 0;
        }
        self.lowest = self.lowest.min(value);
        self.highest = self.highest.max(value);
        if value == 1.0 {
            self.ones = self.ones.saturating_add(1);
        }
        let kept = (-std::f64::consts::LN_2 / NOVELTY_HALF_LIFE).exp();
        self.recent_peak = (self.recent_peak * kept).max(-verdict.p_value.log10());
    }

    /// Holds the forecast from an extreme value on, and releases it when the series returns. The statistics of recent values
    /// then forget the values in between, so that the return isn't a second anomaly.
    fn update_hold(&mut self, verdict: &Verdict) {
        let above = verdict.residual > 0.0;
        if self.held == 0 {
            if verdict.point_p_value < HOLD_P_VALUE {
                (self.held, self.returned, self.held_above) = (1, 0, above);
                self.recent.save_deviation();
            }
            return;
        }
        let outside = verdict.point_p_value < RELEASE_P_VALUE && above == self.held_above;
        self.returned = if outside { 0 } else { self.returned + 1 };
        if self.returned < 2 {
            self.held = self.held.saturating_add(1);
            return;
        }
        if self.held <= SHIFT_AFTER {
            self.recent.forget(self.held);
        }
        self.held = 0;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
