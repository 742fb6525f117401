//! The embedded provider: canaries that the operator itself runs. `schedule` and `history` are pure; `engine` runs.

mod engine;
mod history;
mod metrics;
mod schedule;

pub use self::engine::{Engine, Job, TELL_EVERY};
pub use self::history::History;
pub use self::metrics::ProbeMetrics;
pub use self::schedule::{Schedule, ScheduleError};
