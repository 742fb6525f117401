//! CloudWatch Synthetics.

mod calls;
mod convert;
mod reader;
pub(super) mod sdk;
pub mod types;

pub use calls::{Pages, Synthetics};
pub use reader::{CanaryReader, CanaryReading};
