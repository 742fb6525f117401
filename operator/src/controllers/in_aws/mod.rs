//! What the kinds that live in AWS share: whom the chart allows what, whose something is, why it isn't in place, when to
//! look again, what is remembered meanwhile, and the object's own finalizer, status and events.

pub(super) mod again;
pub(super) mod drift;
mod last_error;
mod left_behind;
mod memories;
mod names;
mod objects;
pub(super) mod owner;
mod policy;
mod reason;
#[cfg(test)]
pub(super) mod testing;
pub(super) mod written;

use std::sync::Arc;

use jiff::Timestamp;

pub(super) use last_error::last_error;
pub(super) use left_behind::left_behind;
pub(super) use memories::{Memories, Taken};
pub(super) use names::{identity, short_hash};
pub(super) use objects::{KubeObjects, Objects};
pub(super) use policy::Adoption;
pub use policy::AwsPolicy;
pub(super) use reason::{Problem, Shared};
pub(super) use written::Written;

/// What time it is.
pub(super) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
