//! Forecast of the next value: the mean of twelve simple forecasts ("experts"), weighted by their past errors. Each adds an
//! offset, which follows the series at one of four rates, to one of three seasons: none, daily or weekly.

use serde::{Deserialize, Serialize};

use crate::calendar::LocalTime;
use crate::overlay::Overlay;
use crate::profile::{Observation, Profile};

const DAY_BINS: usize = 48;
const WEEK_BINS: usize = 336;
const HOUR_OVERLAY_BINS: usize = 60;
const DAY_OVERLAY_BINS: usize = 288;
/// Seconds in a day.
const DAY: f64 = 86_400.0;
/// Number of days after which the daily season forgets older ones exponentially.
const DAY_MEMORY: f64 = 8.0;
/// Number of weeks after which the weekly season forgets older ones exponentially.
const WEEK_MEMORY: f64 = 4.0;
/// Number of values over which an expert's error is averaged exponentially.
const ERROR_MEMORY: f64 = 1000.0;
/// An expert's weight is its error to the power of -SHARPNESS: twice the error has 1/1024 of the weight.
const SHARPNESS: i32 = 10;
/// Residuals are clipped to this many standard deviations of the noise before an offset follows them.
const CLIP: f64 = 2.5;

const SEASONS: [Season; 3] = [Season::None, Season::Day, Season::Week];
const PACES: [Pace; 4] = [Pace::Short, Pace::Middle, Pace::Slow, Pace::Trend];

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Season {
    None,
    Day,
    Week,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Pace {
    Short,
    Middle,
    Slow,
    Trend,
}

impl Pace {
    /// Share of the residual by which the offset changes at each value.
    fn rate(self) -> f64 {
        match self {
            Self::Short => 0.3,
            Self::Middle => 0.04,
            Self::Slow => 0.004,
            Self::Trend => 0.1,
        }
    }
}

/// A simple forecast: a season plus an offset and a slope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Expert {
    season: Season,
    pace: Pace,
    offset: f64,
    slope: f64,
    /// Mean absolute residual.
    error: f64,
}

/// State of the forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forecast {
    day: Profile,
    week: Profile,
    /// Mean of the series without its daily season, over about a day. The seasons are differences from it, so that they stay
    /// valid when the level changes.
    anchor: f64,
    experts: Vec<Expert>,
    hour_overlay: Overlay,
    day_overlay: Overlay,
    learnt: f64,
}

/// Forecast of a value without the periodic spikes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Smooth {
    pub(crate) value: f64,
    /// Values of the seasons: none, daily, weekly.
    seasons: [f64; 3],
}

/// Forecast of a value with its parts, which learning the value needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) value: f64,
    /// Forecast by the slowest offsets alone: the season, and a level that hardly follows the series.
    pub(crate) slow: f64,
    /// Sum of the two periodic spikes, which is part of the value.
    overlay: f64,
    /// Spike that recurs at this minute of the hour.
    hour_spike: f64,
    /// Spike that recurs in these five minutes of the day.
    day_spike: f64,
    /// Largest difference from the spikes of the neighbouring minutes: the error if a spike comes early or late.
    pub(crate) steepness: f64,
    seasons: [f64; 3],
}

impl Forecast {
    /// A forecast of a constant level, with residuals of this size.
    pub(crate) fn new(level: f64, scale: f64) -> Self {
        let experts = SEASONS.iter().flat_map(|season| {
            PACES.iter().map(move |pace| Expert {
                season: *season,
                pace: *pace,
                offset: level,
                slope: 0.0,
                error: scale,
            })
        });
        Self {
            day: Profile::new(DAY_BINS),
            week: Profile::new(WEEK_BINS),
            anchor: level,
            experts: experts.collect(),
            hour_overlay: Overlay::new(HOUR_OVERLAY_BINS, 24.0, 3.9),
            day_overlay: Overlay::new(DAY_OVERLAY_BINS, 10.0, 1.9),
            learnt: 0.0,
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.day.len() == DAY_BINS
            && self.week.len() == WEEK_BINS
            && self.hour_overlay.len() == HOUR_OVERLAY_BINS
            && self.day_overlay.len() == DAY_OVERLAY_BINS
            && self.experts.len() == SEASONS.len() * PACES.len()
    }

    fn season_values(&self, local: LocalTime) -> [f64; 3] {
        let day = self.day.interpolated(local.half_hours_of_day()).unwrap_or(0.0);
        let week = self.week.interpolated(local.half_hours_of_week()).unwrap_or(day);
        [0.0, day, week]
    }

    /// Forecast without the periodic spikes.
    pub(crate) fn smooth(&self, local: LocalTime) -> Smooth {
        let seasons = self.season_values(local);
        Smooth { value: blend(self.experts.iter(), &seasons).unwrap_or(self.anchor), seasons }
    }

    /// Adds the periodic spikes that are significant for noise of this standard deviation.
    pub(crate) fn with_spikes(&self, smooth: Smooth, local: LocalTime, scale: f64) -> Expected {
        let Smooth { value: smooth, seasons } = smooth;
        let slow = blend(self.experts.iter().filter(|expert| expert.pace == Pace::Slow), &seasons);
        let hour_spike = self.hour_overlay.at(local.minute_of_hour(), scale);
        let day_spike = self.day_overlay.at(local.five_minutes(), scale);
        let overlay = hour_spike + day_spike;
        Expected {
            value: smooth + overlay,
            slow: slow.unwrap_or(smooth) + overlay,
            overlay,
            hour_spike,
            day_spike,
            steepness: self.hour_overlay.steepness(local.minute_of_hour(), scale)
                + self.day_overlay.steepness(local.five_minutes(), scale),
            seasons,
        }
    }

    /// Learns a value and its forecast; `seconds` is the duration that the value covers.
    pub(crate) fn learn(
        &mut self,
        value: f64,
        expected: &Expected,
        local: LocalTime,
        seconds: f64,
        scale: f64,
        speed: f64,
    ) {
        self.learnt += 1.0;
        let smooth = value - expected.overlay;
        let residual = value - expected.value;
        for expert in &mut self.experts {
            expert.learn(smooth, &expected.seasons, scale, self.learnt, speed);
        }
        let half_hour = (seconds / 1800.0).clamp(0.001, 1.0);
        // The residual is clipped, so that an outlier changes the season little.
        let target = smooth - residual + residual.clamp(-4.0 * scale, 4.0 * scale);
        let [_, day, _] = expected.seasons;
        self.anchor += (target - day - self.anchor) * rate(speed * seconds.min(DAY) / DAY, self.learnt);
        for (profile, index, memory) in [
            (&mut self.day, local.half_hours_of_day() as usize, DAY_MEMORY),
            (&mut self.week, local.half_hours_of_week() as usize, WEEK_MEMORY),
        ] {
            profile.learn(
                index,
                Observation {
                    value: target - self.anchor,
                    share: half_hour,
                    memory: memory / speed,
                    clip: f64::INFINITY,
                },
            );
        }
        let deviation = residual + expected.overlay;
        self.hour_overlay.learn(
            local.minute_of_hour(),
            deviation - expected.day_spike,
            (seconds / 60.0).clamp(0.01, 1.0),
            scale,
        );
        self.day_overlay.learn(
            local.five_minutes(),
            deviation - expected.hour_spike,
            (seconds / 300.0).clamp(0.01, 1.0),
            scale,
        );
    }

    /// Updates only the experts' errors, while the forecast is held: a season that predicts the change gains weight.
    pub(crate) fn compare(&mut self, value: f64, expected: &Expected, scale: f64, speed: f64) {
        for expert in &mut self.experts {
            expert.compare(value - expected.overlay, &expected.seasons, scale, self.learnt, speed);
        }
    }

    /// Moves every offset to a new level of the series.
    pub(crate) fn shift(&mut self, by: f64) {
        self.anchor += by;
        for expert in &mut self.experts {
            expert.offset += by;
            expert.slope = 0.0;
        }
    }
}

/// Mean of the experts' forecasts, weighted by their errors.
fn blend<'a>(experts: impl Iterator<Item = &'a Expert> + Clone, seasons: &[f64; 3]) -> Option<f64> {
    let least = experts.clone().map(|expert| expert.error).fold(f64::INFINITY, f64::min).max(1e-300);
    let (sum, weights) = experts.fold((0.0, 0.0), |(sum, weights), expert| {
        let weight = (least / expert.error.max(least)).powi(SHARPNESS);
        (sum + weight * expert.forecast(seasons), weights + weight)
    });
    (weights > 0.0).then_some(sum / weights)
}

/// Learning rate: that of a plain mean at first, and the usual one later.
fn rate(usual: f64, learnt: f64) -> f64 {
    usual.max(1.0 / (learnt + 4.0)).min(1.0)
}

impl Expert {
    fn base(&self, seasons: &[f64; 3]) -> f64 {
        let [none, day, week] = seasons;
        match self.season {
            Season::None => *none,
            Season::Day => *day,
            Season::Week => *week,
        }
    }

    fn forecast(&self, seasons: &[f64; 3]) -> f64 {
        self.base(seasons) + self.offset + self.slope
    }

    /// Updates the mean absolute residual, and returns the residual of this value.
    fn compare(&mut self, value: f64, seasons: &[f64; 3], scale: f64, learnt: f64, speed: f64) -> f64 {
        let residual = value - self.forecast(seasons);
        let error = residual.abs().min(8.0 * scale.max(self.error));
        self.error += (error - self.error) * rate(speed / ERROR_MEMORY, learnt);
        residual
    }

    fn learn(&mut self, value: f64, seasons: &[f64; 3], scale: f64, learnt: f64, speed: f64) {
        let residual = self.compare(value, seasons, scale, learnt, speed);
        let limit = (CLIP * scale).max(0.5 * self.error);
        let clipped = residual.clamp(-limit, limit);
        let pace = self.pace.rate();
        let pace = if self.pace == Pace::Short { pace } else { rate(pace * speed, learnt) };
        self.offset += self.slope + clipped * pace;
        if self.pace == Pace::Trend {
            self.slope = (self.slope + clipped * 0.006 * pace / 0.1) * 0.995;
        }
    }
}
