//! What the kinds that live in AWS share.

mod hash;
mod last_error;
mod policy;

pub(super) use hash::short_hash;
pub(super) use last_error::last_error;
pub use policy::AwsPolicy;
