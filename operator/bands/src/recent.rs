//! Statistics of the last values: what a slow or small change shows that no single value does.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::tail::Tail;

const LENGTH: usize = 32;
/// Factor of the statistics that are mostly below 3, where a tail tells small steps less well apart.
const FINER: f64 = 4.0;
/// Pace at which the distance from the slow forecast is smoothed, and its largest value.
const GAP_PACE: f64 = 0.15;
const MOST_GAP: f64 = 100.0;
/// A single value counts no more than this in a mean.
const CLIP: f64 = 6.0;
/// Where more than this share of values repeats the one before, a flat line is no news.
const REPEATS: f64 = 0.3;

/// The last values, and the usual spread of their statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent {
    /// Surprises in units of the noise.
    surprises: VecDeque<f32>,
    /// Surprises in units of the series.
    raw: VecDeque<f64>,
    last: Option<f64>,
    equal: u32,
    repeats: f64,
    /// Smoothed distance from the slow forecast, and the one before an anomaly.
    gap: f64,
    usual_gap: f64,
    short_mean: Tail,
    long_mean: Tail,
    far: Tail,
    loud: Tail,
    quiet: Tail,
    flat: Tail,
}

/// What is most unusual about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The value itself.
    Value,
    /// The mean of the last values: they are all high, or all low.
    Mean,
    /// The last values are far from where the season alone would have them.
    Far,
    /// The last values vary more than usual.
    Loud,
    /// The last values vary less than usual.
    Quiet,
    /// The last values are equal.
    Flat,
}

/// Statistics at one value, each from 0 up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statistics {
    short_mean: f64,
    long_mean: f64,
    /// Distance from the slow forecast, and smoothed.
    distance: f64,
    gap: f64,
    loud: Option<f64>,
    quiet: Option<f64>,
    flat: Option<f64>,
}

fn smoothed(gap: f64, distance: f64) -> f64 {
    gap + GAP_PACE * (distance - gap)
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self {
            surprises: VecDeque::with_capacity(LENGTH),
            raw: VecDeque::with_capacity(LENGTH),
            last: None,
            equal: 0,
            repeats: 0.0,
            gap: 0.0,
            usual_gap: 0.0,
            short_mean: Tail::of_statistic(),
            long_mean: Tail::of_statistic(),
            far: Tail::of_statistic(),
            loud: Tail::of_statistic(),
            quiet: Tail::of_statistic(),
            flat: Tail::of_statistic(),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.surprises.len() <= LENGTH
            && self.raw.len() <= LENGTH
            && [&self.short_mean, &self.long_mean, &self.far, &self.loud, &self.quiet, &self.flat]
                .iter()
                .all(|tail| tail.is_valid())
    }

    /// The statistics with this value as the newest.
    pub(crate) fn statistics(&self, value: f64, surprise: f64, gap: f64) -> Statistics {
        let newest = surprise.clamp(-CLIP, CLIP);
        let distance = gap.clamp(-MOST_GAP, MOST_GAP);
        let (mut short, mut long, mut size) = (newest, newest, newest.abs());
        for (age, past) in self.surprises.iter().rev().take(LENGTH - 1).enumerate() {
            let past = f64::from(*past);
            if age < 7 {
                short += past;
            }
            long += past;
            size += past.abs();
        }
        let count = (self.surprises.len() + 1).min(LENGTH) as f64;
        let mean_size = size / count;
        let full = self.surprises.len() >= LENGTH - 1;
        let equal = if self.last == Some(value) { self.equal + 1 } else { 0 };
        Statistics {
            short_mean: short.abs() / count.min(8.0).sqrt(),
            long_mean: long.abs() / count.sqrt(),
            distance,
            gap: smoothed(self.gap, distance),
            loud: full.then_some(FINER * mean_size),
            quiet: full.then(|| FINER / (mean_size + 0.05)),
            flat: (self.repeats < REPEATS).then_some(f64::from(equal)),
        }
    }

    /// Smallest share of the past that was as unusual in one of the statistics, with allowance for there being several.
    pub(crate) fn rarity(&self, now: &Statistics) -> (f64, Cause) {
        let loud = now.loud.map_or(1.0, |loud| self.loud.beyond(loud));
        let quiet = now.quiet.map_or(1.0, |quiet| self.quiet.beyond(quiet));
        let flat = now.flat.filter(|flat| *flat >= 4.0).map_or(1.0, |flat| self.flat.beyond(flat));
        let mean = self.short_mean.beyond(now.short_mean).min(self.long_mean.beyond(now.long_mean));
        let far = self.far.beyond(FINER * now.gap.abs());
        [
            (4.0 * mean, Cause::Mean),
            (4.0 * far, Cause::Far),
            (4.0 * loud, Cause::Loud),
            (8.0 * quiet, Cause::Quiet),
            (8.0 * flat, Cause::Flat),
        ]
        .into_iter()
        .fold((1.0, Cause::Value), |least, one| if one.0 < least.0 { one } else { least })
    }

    /// Adds a value; `weight` is less where it only continues an anomaly.
    pub(crate) fn learn(
        &mut self,
        value: f64,
        surprise: f64,
        raw: f64,
        now: &Statistics,
        weight: f64,
        speed: f64,
    ) {
        for (tail, statistic) in [
            (&mut self.short_mean, now.short_mean),
            (&mut self.long_mean, now.long_mean),
            (&mut self.far, FINER * now.gap.abs()),
        ] {
            tail.learn(Some(statistic), weight, speed);
        }
        // Not the gap of the statistics: an anomaly that is over was forgotten since.
        self.gap = smoothed(self.gap, now.distance);
        for (tail, statistic) in
            [(&mut self.loud, now.loud), (&mut self.quiet, now.quiet), (&mut self.flat, now.flat)]
        {
            if statistic.is_some() {
                tail.learn(statistic, weight, speed);
            }
        }
        let repeated = self.last == Some(value);
        // A long flat line among lively values is an anomaly, and becomes the series' habit only slowly.
        let rate = if repeated && self.equal >= 8 { 0.004 } else { 0.02 };
        self.repeats += (f64::from(u8::from(repeated)) - self.repeats) * rate;
        self.equal = if repeated { self.equal.saturating_add(1) } else { 0 };
        self.last = Some(value);
        self.push(surprise, raw);
    }

    /// Forgets the newest values: an anomaly that is over says nothing of what comes after it.
    pub(crate) fn forget(&mut self, count: usize) {
        self.surprises.truncate(self.surprises.len().saturating_sub(count));
        self.raw.truncate(self.raw.len().saturating_sub(count));
        self.gap = self.usual_gap;
    }

    /// Remembers the distance from the slow forecast, to return to it after an anomaly.
    pub(crate) fn keep_gap(&mut self) {
        self.usual_gap = self.gap;
    }

    fn push(&mut self, surprise: f64, raw: f64) {
        if self.surprises.len() >= LENGTH {
            self.surprises.pop_front();
        }
        if self.raw.len() >= LENGTH {
            self.raw.pop_front();
        }
        self.surprises.push_back(surprise.clamp(-CLIP, CLIP) as f32);
        self.raw.push_back(raw);
    }

    /// The new level, relative to the forecast, once so many values in a row lie on one side of it and far off.
    pub(crate) fn level_shift(&mut self, run: usize) -> Option<f64> {
        if self.surprises.len() < run {
            return None;
        }
        let last = || self.surprises.iter().rev().take(run);
        let one_sided = last().all(|surprise| *surprise > 0.8) || last().all(|surprise| *surprise < -0.8);
        let far = last().map(|surprise| f64::from(surprise.abs())).sum::<f64>() / run as f64 > 2.0;
        if !one_sided || !far {
            return None;
        }
        let mut newest: Vec<f64> = self.raw.iter().rev().take(run / 2).copied().collect();
        newest.sort_by(f64::total_cmp);
        let middle = newest.get(newest.len() / 2).copied()?;
        self.surprises.clear();
        self.raw.clear();
        Some(middle)
    }
}
