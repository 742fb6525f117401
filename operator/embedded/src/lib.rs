//! The embedded provider: canaries that the operator itself runs. `schedule` and `history` are pure; `engine` runs.

#![forbid(unsafe_code)]

mod engine;
mod history;
mod metrics;
mod schedule;

pub use self::engine::{Engine, Job, is_due};
pub use self::history::{Change, History};
pub use self::metrics::ProbeMetrics;
pub use self::schedule::{CronError, Schedule, ScheduleError};
