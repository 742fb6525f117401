//! CloudWatch, CloudWatch Synthetics and STS on loopback: the real SDK speaks to it over HTTP.
//!
//! It keeps state, refuses what AWS refuses (by AWS's own service models and the rules of its documentation), answers
//! no faster than AWS's published rates if asked, fails on demand, and remembers every call.
//!
//! `blueprint` knows which multi-checks documents a canary can run.
//!
//! A request comes in by `server`, is decoded by `wire` along the shapes of `model`, checked by `validate`, run by
//! `operations` on `state`, and goes out the same way.

mod auth;
mod blueprint;
mod calls;
mod clock;
mod double;
mod error;
mod faults;
mod hold;
mod math;
mod model;
mod operations;
mod server;
pub mod state;
mod throttle;
mod validate;
mod wire;

pub use calls::{Call, Outcome};
pub use double::{Double, Error, Options};
pub use faults::{Fault, FaultKind};
pub use model::ModelError;
pub use state::synthetics;
pub use state::{AlarmState, DetectorState, Region};

/// What is wrong with a multi-checks document, as the runtime would find at the first run.
pub fn blueprint_violations(document: &str) -> Vec<String> {
    blueprint::check(document).iter().map(ToString::to_string).collect()
}

/// Why a runtime can't run a package, as its first run would find: `handler` is absent for multi-checks.
pub fn package_defect(runtime: &str, handler: Option<&str>, package: &[u8]) -> Option<String> {
    let blueprint_types = if handler.is_none() { vec!["multi-checks".to_owned()] } else { Vec::new() };
    let code =
        synthetics::Code { handler: handler.map(str::to_owned), blueprint_types, ..Default::default() };
    synthetics::package::defect(runtime, &code, package)
}
