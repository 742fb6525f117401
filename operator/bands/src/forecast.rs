//! The expected value: a blend of simple forecasts, each weighted by how well it did. A forecast is a season (none, the
//! half hour of the day, the half hour of the week) plus an offset that follows the series at one of four paces.

use serde::{Deserialize, Serialize};

use crate::calendar::LocalTime;
use crate::overlay::Overlay;
use crate::profile::{Lesson, Profile};

const DAY_BINS: usize = 48;
const WEEK_BINS: usize = 336;
const HOUR_OVERLAY_BINS: usize = 60;
const DAY_OVERLAY_BINS: usize = 288;
/// Seconds in a day.
const DAY: f64 = 86_400.0;
/// Days and weeks that the seasons remember.
const DAY_MEMORY: f64 = 8.0;
const WEEK_MEMORY: f64 = 4.0;
/// Values that a forecast's error remembers.
const ERROR_MEMORY: f64 = 1000.0;
/// A forecast with twice another's error has 2^-SHARPNESS of its weight.
const SHARPNESS: i32 = 10;
/// An offset follows a surprise no further than this many scales of noise.
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
    /// Share of a surprise that the offset follows.
    fn rate(self) -> f64 {
        match self {
            Self::Short => 0.3,
            Self::Middle => 0.04,
            Self::Slow => 0.004,
            Self::Trend => 0.1,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Expert {
    season: Season,
    pace: Pace,
    offset: f64,
    slope: f64,
    error: f64,
}

/// Everything that the forecast learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forecast {
    day: Profile,
    week: Profile,
    /// Mean of the series without its season, over about a day: seasons are relative to it, so that their shape outlasts a
    /// change of the level.
    anchor: f64,
    experts: Vec<Expert>,
    hour_overlay: Overlay,
    day_overlay: Overlay,
    learnt: f64,
}

/// A forecast for one instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) value: f64,
    /// The value by the season and a level that hardly follows the series.
    pub(crate) slow: f64,
    /// Part of the value that is a periodic spike.
    overlay: f64,
    hour_spike: f64,
    day_spike: f64,
    /// Size of the spike's edge nearby.
    pub(crate) steepness: f64,
    seasons: [f64; 3],
}

impl Forecast {
    /// Starts from the median of the first values.
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

    fn season_values(&self, place: LocalTime) -> [f64; 3] {
        let day = self.day.interpolated(place.half_hours_of_day()).unwrap_or(0.0);
        let week = self.week.interpolated(place.half_hours_of_week()).unwrap_or(day);
        [0.0, day, week]
    }

    pub(crate) fn expect(&self, place: LocalTime, scale: f64) -> Expected {
        let seasons = self.season_values(place);
        let all = blend(self.experts.iter(), &seasons);
        let slow = blend(self.experts.iter().filter(|expert| expert.pace == Pace::Slow), &seasons);
        let hour_spike = self.hour_overlay.at(place.minute_of_hour(), scale);
        let day_spike = self.day_overlay.at(place.five_minutes(), scale);
        let overlay = hour_spike + day_spike;
        let smooth = all.unwrap_or(self.anchor);
        Expected {
            value: smooth + overlay,
            slow: slow.unwrap_or(smooth) + overlay,
            overlay,
            hour_spike,
            day_spike,
            steepness: self.hour_overlay.steepness(place.minute_of_hour(), scale)
                + self.day_overlay.steepness(place.five_minutes(), scale),
            seasons,
        }
    }

    /// Learns a value that was expected so; `seconds` is the time that it stands for.
    pub(crate) fn learn(
        &mut self,
        value: f64,
        expected: &Expected,
        place: LocalTime,
        seconds: f64,
        scale: f64,
        speed: f64,
    ) {
        self.learnt += 1.0;
        let smooth = value - expected.overlay;
        let surprise = value - expected.value;
        for expert in &mut self.experts {
            expert.learn(smooth, &expected.seasons, scale, self.learnt, speed);
        }
        let half_hour = (seconds / 1800.0).clamp(0.001, 1.0);
        // Of a surprise beyond the clip, only the clip is taken for a part of the season.
        let target = smooth - surprise + surprise.clamp(-4.0 * scale, 4.0 * scale);
        let [_, day, _] = expected.seasons;
        self.anchor += (target - day - self.anchor) * rate(speed * seconds.min(DAY) / DAY, self.learnt);
        for (profile, index, memory) in [
            (&mut self.day, place.half_hours_of_day() as usize, DAY_MEMORY),
            (&mut self.week, place.half_hours_of_week() as usize, WEEK_MEMORY),
        ] {
            profile.learn(
                index,
                Lesson {
                    value: target - self.anchor,
                    share: half_hour,
                    memory: memory / speed,
                    clip: f64::INFINITY,
                    calm: 0.0,
                },
            );
        }
        let deviation = surprise + expected.overlay;
        self.hour_overlay.learn(
            place.minute_of_hour(),
            deviation - expected.day_spike,
            (seconds / 60.0).clamp(0.01, 1.0),
            scale,
        );
        self.day_overlay.learn(
            place.five_minutes(),
            deviation - expected.hour_spike,
            (seconds / 300.0).clamp(0.01, 1.0),
            scale,
        );
    }

    /// Learns in an anomaly only which forecast does better: a season that knew of it gains weight.
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

/// Mean of forecasts, weighted by how well they did.
fn blend<'a>(experts: impl Iterator<Item = &'a Expert> + Clone, seasons: &[f64; 3]) -> Option<f64> {
    let least = experts.clone().map(|expert| expert.error).fold(f64::INFINITY, f64::min).max(1e-300);
    let (sum, weights) = experts.fold((0.0, 0.0), |(sum, weights), expert| {
        let weight = (least / expert.error.max(least)).powi(SHARPNESS);
        (sum + weight * expert.forecast(seasons), weights + weight)
    });
    (weights > 0.0).then_some(sum / weights)
}

/// A rate of learning that is a plain mean at first.
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

    /// Learns its error alone, and returns the surprise.
    fn compare(&mut self, value: f64, seasons: &[f64; 3], scale: f64, learnt: f64, speed: f64) -> f64 {
        let surprise = value - self.forecast(seasons);
        let error = surprise.abs().min(8.0 * scale.max(self.error));
        self.error += (error - self.error) * rate(speed / ERROR_MEMORY, learnt);
        surprise
    }

    fn learn(&mut self, value: f64, seasons: &[f64; 3], scale: f64, learnt: f64, speed: f64) {
        let surprise = self.compare(value, seasons, scale, learnt, speed);
        let own = (CLIP * scale).max(0.5 * self.error);
        let clipped = surprise.clamp(-own, own);
        let pace = self.pace.rate();
        let pace = if self.pace == Pace::Short { pace } else { rate(pace * speed, learnt) };
        self.offset += self.slope + clipped * pace;
        if self.pace == Pace::Trend {
            self.slope = (self.slope + clipped * 0.006 * pace / 0.1) * 0.995;
        }
    }
}
