//! The commands for people: `tidewatch status`, `why`, `doctor` and `completion`, also as the plugin `kubectl tidewatch`.
//!
//! Pure functions turn what was read from the API server ([`collect`]) into a report, and a report into text; JSON and YAML
//! are its fields.

#![forbid(unsafe_code)]

mod age;
mod args;
pub mod collect;
mod connect;
mod count;
pub mod doctor;
#[cfg(test)]
mod documentation_tests;
#[cfg(test)]
mod fixtures;
mod guide;
mod invocation;
pub mod objects;
mod output;
mod request_error;
mod run;
mod screen;
pub mod status;
pub mod why;

pub use args::{CompletionArgs, DoctorArgs, StatusArgs, WhyArgs};
pub use guide::Advice;
pub use run::{complete, doctor, status, why};
pub use tidewatch_prober::readable;

/// Name of the plugin's executable; kubectl finds it by that.
pub const PLUGIN: &str = "kubectl-tidewatch";
/// Exit code of a command that ran and found something that needs attention.
pub const EXIT_PROBLEMS: u8 = 2;
