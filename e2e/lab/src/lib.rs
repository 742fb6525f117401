//! A real multi-node Kubernetes on one machine, and real network faults in it.
//!
//! ```no_run
//! use std::time::Duration;
//! use tidewatch_lab::{Fault, ImageSpec, Lab, Options};
//!
//! # fn main() -> tidewatch_lab::Result<()> {
//! let lab = Lab::up(Options::named("demo").zones(3).nodes_per_zone(2))?.scoped(); // taken down on drop
//! lab.load_image(&ImageSpec::new("tidewatch.local/shop:dev", "target/debug/tidewatch-shop"))?;
//! lab.kubectl(&["apply", "-f", "shop.yaml"], Duration::from_secs(30))?;
//! let fault = lab.fault(Fault::zone_link("zone-1", "zone-2", 0.02))?;
//! // … watch what notices …
//! lab.heal(&fault)?;
//! # Ok(()) }
//! ```
//!
//! Every call blocks and has a time limit of its own; from async code call it in `tokio::task::spawn_blocking`.
//! Root is needed for everything but the pure parts ([`Plan`], [`Fault`]).

mod cgroup;
mod cluster;
pub mod command;
mod config;
mod control_plane;
mod daemon;
pub mod debian;
mod down;
mod error;
pub mod fault;
mod gate;
mod http;
mod image;
mod lab;
mod netns;
mod network;
mod node;
mod options;
mod pki;
pub mod plan;
mod process;
pub mod proxy;
pub mod relay;
mod requirements;
mod state;
mod sys;
pub mod tools;
mod up;

pub use error::{Error, Result};
pub use fault::{ActiveFault, Fault, FaultId, FaultParseError, Loss};
pub use http::Answer;
pub use image::ImageSpec;
pub use lab::{Component, Lab, ScopedLab, Status};
pub use options::{DEFAULT_NAME, LabName, Options, Progress};
pub use plan::{Node, Plan, Remote};
pub use relay::control::LinkStatus;
