//! What is learnt of one series of values, after counters became rates.

use serde::{Deserialize, Serialize};

use crate::calendar::LocalTime;
use crate::forecast::{Expected, Forecast};
use crate::recent::{Cause, Recent, Statistics};
use crate::scale::Scale;
use crate::tail::Tail;

/// What lasts is worth more attention than a single value, which has to be so many times rarer.
const ALONE: f64 = 8.0;
/// A value rarer than this is an anomaly, of which only the start counts fully in the tails.
const EXTREME: f64 = 1e-3;
/// It is over at one that isn't as rare as this.
const USUAL: f64 = 0.02;
/// Weight in the tails of values that continue an anomaly, and how many do at most: then it is how the series is.
const CONTINUED: f64 = 0.02;
const LONGEST: usize = 288;
/// A value rarer than this begins an anomaly that the forecast doesn't follow, until two in a row that are less rare than
/// the second or on the other side end it, or the level is taken as new.
const BEGINS: f64 = 3e-5;
const ENDS: f64 = 0.05;
/// Speed at which the noise is learnt in an anomaly.
const WAITING: f64 = 0.3;
/// Values on one side, after which the level is taken as new.
const SHIFT_AFTER: usize = 24;
/// A memory of the last anomaly halves in so many values.
const NOVELTY_HALF: f64 = 288.0;

/// What is learnt of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    forecast: Forecast,
    scale: Scale,
    above: Tail,
    below: Tail,
    recent: Recent,
    least: f64,
    most: f64,
    /// Values equal to 1, where none is larger: the series is a share.
    ones: u32,
    /// Usual seconds between values.
    step: f64,
    /// Unusual values in a row.
    unusual: usize,
    /// Values of an anomaly so far: while it lasts, the forecast waits for the series to return.
    waited: usize,
    /// Values in a row that say that it is over.
    returned: usize,
    /// Side of the forecast on which it began.
    began_above: bool,
    /// Decaying peak of past evidence.
    remembered: f64,
}

/// A value's judgement, with what learning it needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    expected: Expected,
    /// The expected value within what the series was ever seen to reach: never negative, or no more than 1.
    pub(crate) middle: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// Share of normal values at least as unusual.
    pub(crate) rarity: f64,
    pub(crate) cause: Cause,
    /// Decimal orders of magnitude by which the value is rarer than those of the last anomaly.
    pub(crate) novelty: f64,
    surprise: f64,
    point: f64,
    scale: f64,
    statistics: Statistics,
}

impl Model {
    /// Starts from the first values of a series, which aren't learnt by this.
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
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
            ones: 0,
            step: step.max(1.0),
            unusual: 0,
            waited: 0,
            returned: 0,
            began_above: false,
            remembered: 0.0,
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.forecast.is_valid() && self.above.is_valid() && self.below.is_valid() && self.recent.is_valid()
    }

    pub(crate) fn judge(&self, value: f64, place: LocalTime, seconds: f64, width: f64) -> Verdict {
        let rough = self.scale.plain(self.forecast.expect(place, f64::INFINITY).value);
        let expected = self.forecast.expect(place, rough);
        let hour = self.scale.hour_factor(place.hour());
        // After a gap the offsets are stale.
        let missed = (seconds / self.step - 3.0).clamp(0.0, 1000.0);
        let scale = (self.scale.plain(expected.value) * hour).hypot(0.15 * expected.steepness)
            * (1.0 + 0.25 * missed.ln_1p());
        let surprise = ((value - expected.value) / scale).clamp(-1e9, 1e9);
        let outside = 0.5 * libm::erfc(width.clamp(0.1, 20.0) / std::f64::consts::SQRT_2);
        let lower = expected.value - scale * self.below.quantile(outside);
        let upper = expected.value + scale * self.above.quantile(outside);
        let point = if surprise >= 0.0 { self.above.beyond(surprise) } else { self.below.beyond(-surprise) };
        let point = (2.0 * point).min(1.0);
        let statistics = self.recent.statistics(value, surprise, (value - expected.slow) / scale);
        let (of_several, cause) = self.recent.rarity(&statistics);
        let of_point = (ALONE * point).min(1.0);
        let (rarity, cause) =
            if of_point <= of_several { (of_point, Cause::Value) } else { (of_several, cause) };
        let least = if self.least >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let most = if self.ones >= 3 && self.most <= 1.0 { 1.0 } else { f64::INFINITY };
        Verdict {
            middle: expected.value.clamp(least, most),
            lower: lower.clamp(least, most),
            upper: upper.clamp(least, most),
            expected,
            rarity,
            cause,
            novelty: (-rarity.log10() - self.remembered).max(0.0),
            surprise,
            point,
            scale,
            statistics,
        }
    }

    pub(crate) fn learn(
        &mut self,
        value: f64,
        verdict: &Verdict,
        place: LocalTime,
        seconds: f64,
        speed: f64,
    ) {
        self.step += (seconds.clamp(0.5 * self.step, 2.0 * self.step) - self.step) * 0.02;
        let raw = value - verdict.expected.value;
        self.wait(verdict);
        let goes_on = verdict.rarity < if self.unusual > 0 { USUAL } else { EXTREME };
        self.unusual = if goes_on { self.unusual.saturating_add(1) } else { 0 };
        let weight = if (2..=LONGEST).contains(&self.unusual) { CONTINUED } else { 1.0 };
        let sized = verdict.surprise.abs();
        let (up, down) = if verdict.surprise >= 0.0 { (Some(sized), None) } else { (None, Some(sized)) };
        let point_weight = if verdict.point < EXTREME { weight } else { 1.0 };
        self.above.learn(up, point_weight, speed);
        self.below.learn(down, point_weight, speed);
        self.recent.learn(value, verdict.surprise, raw, &verdict.statistics, weight, speed);
        // The first value of an anomaly may be an outlier that belongs to the series: it is learnt as those are.
        let waiting = (2..=SHIFT_AFTER).contains(&self.waited);
        let scale_speed = if waiting { WAITING * speed } else { speed };
        self.scale.learn(value, raw, verdict.expected.value, place.hour(), scale_speed);
        if waiting {
            self.forecast.compare(value, &verdict.expected, verdict.scale, speed);
        } else {
            let stands_for = seconds.min(2.0 * self.step);
            self.forecast.learn(value, &verdict.expected, place, stands_for, verdict.scale, speed);
        }
        if let Some(shift) = self.recent.level_shift(SHIFT_AFTER) {
            self.forecast.shift(shift);
            self.waited = 0;
        }
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        if value == 1.0 {
            self.ones = self.ones.saturating_add(1);
        }
        let kept = (-std::f64::consts::LN_2 / NOVELTY_HALF).exp();
        self.remembered = (self.remembered * kept).max(-verdict.rarity.log10());
    }
}

impl Model {
    /// Counts the values of an anomaly, and forgets them when the series is back.
    fn wait(&mut self, verdict: &Verdict) {
        let above = verdict.surprise > 0.0;
        if self.waited == 0 {
            if verdict.point < BEGINS {
                (self.waited, self.returned, self.began_above) = (1, 0, above);
                self.recent.keep_gap();
            }
            return;
        }
        let outside = verdict.point < ENDS && above == self.began_above;
        self.returned = if outside { 0 } else { self.returned + 1 };
        if self.returned < 2 {
            self.waited = self.waited.saturating_add(1);
            return;
        }
        if self.waited <= SHIFT_AFTER {
            self.recent.forget(self.waited);
        }
        self.waited = 0;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
