//! A simulator of clusters whose traffic is messy, with faults of known truth; the published localisation methods;
//! and the scoring that sets ours beside them. `docs/nhi-bench.md` says what is drawn and how it is scored.

pub mod build;
pub mod calibrate;
pub mod clock;
pub mod cluster;
pub mod endurance;
pub mod fault;
pub mod innocent;
pub mod kind;
mod mess;
pub mod methods;
pub mod mode;
pub mod onset;
pub mod plan;
pub mod random;
pub mod reality;
pub mod recorded;
pub mod report;
pub mod run;
pub mod scale;
pub mod score;
mod traffic;
mod trial;
mod truth;
pub mod verdicts;

pub use trial::Trial;
pub use truth::{Culprit, Phase, Truth};
