//! From a canary's checks to what CloudWatch Synthetics runs. Pure: the same spec in, the same bytes out.
//!
//! [`blueprint`] makes the multi-checks document, and refuses what AWS's runtime has no words for: AWS itself would only
//! find out at the first run. [`archive`] packs files so that the same files give the same bytes, and names them by a
//! hash, by which a change is told.

mod archive;
mod authentication;
mod blueprint;
mod environment;
mod handler;
mod http;
mod package;
mod refusal;
mod runtime;

pub use archive::{Archive, ArchiveError, archive};
pub use blueprint::{FILE, blueprint};
pub use environment::environment;
pub use handler::handler;
pub use package::{Entry, Package, package};
pub use refusal::Refusal;
pub use runtime::{Family, Runtime, RuntimeChoice, RuntimeVersion, UnknownRuntime, Wanted, choose, runtime};
