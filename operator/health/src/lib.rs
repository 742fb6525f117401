//! Pure inference: flow-window records in, a verdict out. No I/O, no async, no clock.
//!
//! In reading order, and no module imports from one after it:
//!
//! 1. [`verdict`] and [`config`]: the result's types, and the settings.
//! 2. [`input`]: a window's records become cells, and each cell is told the components that it crosses.
//! 3. [`learned`]: the usual behaviour of services, paths and nodes.
//! 4. [`evidence`]: likelihood ratios of each cell for harm of a given size, by source.
//! 5. [`locate`]: the components that explain the evidence of one window best.
//! 6. [`decide`]: the components at fault over several windows, and the words for it.
//! 7. [`memory`], [`engine`] and [`projection`]: all of it run window by window, for the cluster and for one monitor.

mod config;
mod decide;
mod engine;
mod evidence;
mod input;
mod learned;
mod locate;
mod memory;
mod projection;
mod verdict;

pub use config::{Config, Sensitivity};
pub use decide::recent_traffic::RecentTraffic;
pub use engine::Engine;
pub use input::window::Window;
pub use memory::Memory;
pub use projection::project;
pub use verdict::{
    Attribution, Cause, Class, ComponentFault, ComponentId, Coverage, Evidence, HealthIndicator, Limit,
    LimitReached, NodeShortage, Resource, Showing, Traffic, Verdict,
};
