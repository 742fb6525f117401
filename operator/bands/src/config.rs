//! Settings of a band. They aren't part of the saved state, so they may change while the engine runs.

use jiff::{Timestamp, tz::TimeZone};

/// Settings of a band.
#[derive(Debug, Clone)]
pub struct Config {
    /// Width of the band in standard deviations of a normal distribution: the edges are quantiles chosen so that a share of
    /// erfc(width / √2) of the usual values lies outside, whatever their distribution. `docs/bands.md` has the measured
    /// shares.
    pub width: f64,
    /// Time zone whose local time the daily and weekly seasons follow.
    pub time_zone: TimeZone,
    /// Time ranges whose values are judged but not learnt.
    pub exclude: Vec<TimeRange>,
    /// Kind of series.
    pub kind: Kind,
    /// Speed of adaptation: 1 is the default, 2 forgets twice as fast.
    pub adaptation: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            width: 3.0,
            time_zone: TimeZone::UTC,
            exclude: Vec::new(),
            kind: Kind::Detect,
            adaptation: 1.0,
        }
    }
}

impl Config {
    pub(crate) fn excludes(&self, at: Timestamp) -> bool {
        self.exclude.iter().any(|range| range.from <= at && at < range.until)
    }

    /// The speed within sensible limits.
    pub(crate) fn speed(&self) -> f64 {
        if self.adaptation.is_finite() { self.adaptation.clamp(0.1, 10.0) } else { 1.0 }
    }
}

/// A half-open range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// First instant inside the range.
    pub from: Timestamp,
    /// First instant after the range.
    pub until: Timestamp,
}

/// Kind of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Detected from the first twelve values: a series that only grows, or falls to less than half, is a counter.
    #[default]
    Detect,
    /// A value that goes up and down.
    Gauge,
    /// A running total, whose rate is judged.
    Counter,
}
