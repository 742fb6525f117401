//! Bands of what is normal for a time series, learnt from the series alone. Streaming and causal: each value is judged
//! by what was learnt from those before it, and learnt afterwards. Pure: the clock is the timestamps of the values.
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
