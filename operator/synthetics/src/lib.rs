//! From a canary's spec to what CloudWatch Synthetics runs. Pure: the same spec in, the same bytes out.
//!
//! [`runtime`] tells which runtime a spec asks for and [`choose`] which version it gets; [`package`] makes the files of the
//! canary, its handler and its environment: the multi-checks document of `checks` ([`blueprint`]), our own script for a
//! `heartbeat`, or a `script` of the user's laid out as the runtime wants it. What AWS would only find out at the first run
//! is refused, with the field and what to write. [`archive`] packs files so that the same files give the same bytes, and
//! names them by a hash, by which a change is told.

mod archive;
mod authentication;
mod blueprint;
mod environment;
mod handler;
mod heartbeat;
mod http;
mod layout;
mod limits;
mod package;
mod places;
mod refusal;
mod runtime;
mod script;
mod timeouts;

pub use archive::{Archive, ArchiveError, archive};
pub use blueprint::{FILE, blueprint};
pub use environment::environment;
pub use handler::handler;
pub use package::{Entry, Package, package};
pub use refusal::Refusal;
pub use runtime::{Family, Runtime, RuntimeChoice, RuntimeVersion, UnknownRuntime, Wanted, choose, runtime};
pub use timeouts::run_timeout;
