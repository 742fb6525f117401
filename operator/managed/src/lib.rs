//! What the kinds that live in AWS share: whom the chart allows what, whose something is, why it isn't in place, when to
//! look again, what is remembered meanwhile, and the object's own finalizer, status and events.

#![forbid(unsafe_code)]

pub mod again;
pub mod drift;
mod last_error;
mod left_behind;
mod memories;
mod names;
mod objects;
pub mod owner;
mod policy;
mod reason;
pub mod written;

use std::sync::Arc;

use jiff::Timestamp;

pub use last_error::last_error;
pub use left_behind::left_behind;
pub use memories::{Memories, Taken};
pub use names::{identity, short_hash};
pub use objects::{KubeObjects, Objects};
pub use policy::{Adoption, AwsPolicy};
pub use reason::{Objection, Problem, Shared};
pub use written::Written;

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
