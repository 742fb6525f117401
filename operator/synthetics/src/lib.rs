//! From a canary's checks to what CloudWatch Synthetics runs. Pure: the same spec in, the same bytes out.
//!
//! [`blueprint`] makes the multi-checks document, and refuses what AWS's runtime has no words for: AWS itself would only
//! find out at the first run. [`archive`] packs files so that the same files give the same bytes, and names them by a
//! hash, by which a change is told.

mod archive;
mod authentication;
mod blueprint;
mod http;
mod refusal;

pub use archive::{Archive, ArchiveError, archive};
pub use blueprint::{FILE, blueprint};
pub use refusal::Refusal;
