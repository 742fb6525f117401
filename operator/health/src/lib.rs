//! Pure inference: flow-window records in, a verdict out. No I/O, no async, no clock.

mod attempts;
mod baseline;
mod blip;
mod breadth;
mod candidate;
mod channel;
mod common;
mod confidence;
mod config;
mod delays;
mod effect;
mod engine;
mod evidence;
mod finding;
mod gamma;
mod hypothesis;
mod lately;
mod limits;
mod localise;
mod memory;
mod names;
mod peers;
mod power;
mod project;
mod reason;
mod reduce;
mod share;
mod shortage;
mod slots;
mod space;
mod steady;
mod suspect;
mod track;
mod verdict;

pub use config::{Config, Sensitivity};
pub use engine::{Engine, Window};
pub use lately::Lately;
pub use memory::Memory;
pub use project::project;
pub use verdict::{
    Attribution, Cause, Class, ComponentFault, ComponentId, Coverage, Evidence, HealthIndicator, Limit,
    LimitReached, NodeShortage, Resource, Showing, Traffic, Verdict,
};
