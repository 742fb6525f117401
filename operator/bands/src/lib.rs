//! Streaming anomaly detection for one time series: a band of usual values, learnt from the series alone. Each value is
//! judged by the values before it and learnt afterwards. The engine does no I/O and has no clock but the values' timestamps.
//! `docs/bands.md` explains the method.

mod calendar;
mod config;
mod counter;
mod engine;
mod forecast;
mod model;
mod overlay;
mod profile;
mod recent;
mod scale;
mod state;
mod tail;

#[cfg(test)]
mod engine_tests;

pub use config::{Config, Kind, TimeRange};
pub use engine::{Band, Engine, Judgement, Training};
pub use recent::Cause;
pub use state::StateError;
