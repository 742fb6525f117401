//! Runs the checks of a canary: requests of HTTP, DNS, TLS and TCP, and what must come back.
//!
//! [`Plan::new`] makes a spec ready (pure: durations, patterns, secrets), [`Prober::run`] carries it out and says in a
//! [`RunReport`] how each check went, how long its phases took, and, where one failed, why, in a sentence that a person
//! can act on.
//!
//! - A run makes its checks in order and ends at the first that fails; `retries` runs all of it again at once.
//! - Each run resolves, connects and shakes hands anew: nothing is pooled, resumed or cached, since a probe that reuses
//!   what once worked doesn't see what broke. What runs share is the TLS configuration, which is costly to build.
//! - What may be reached is decided by a [`TargetPolicy`] on the very address that is connected to, after resolution and
//!   at each redirect, so that a name can't be rebound to another address in between.
//! - Certificates are verified after the handshake and before the first byte of the check is sent. That way the chain is
//!   at hand when it isn't trusted, and the report says why and until when it is valid.
//! - What came from a Secret, or was extracted from an answer, is written as `***` in every report.

mod config;
mod connect;
mod deadline;
mod dns;
mod failure;
mod http;
mod metered;
mod plan;
mod policy;
mod prober;
mod redact;
mod report;
mod tcp;
mod tls;
mod trace;

pub use config::{ProberConfig, ProberError, ResolverSource, TrustSource};
pub use failure::readable;
pub use plan::{Plan, PlanError, Secrets, secrets_of};
pub use policy::TargetPolicy;
pub use prober::Prober;
pub use report::{CheckKind, CheckReport, FailureReport, HttpVersion, PhaseTimes, RunReport};
