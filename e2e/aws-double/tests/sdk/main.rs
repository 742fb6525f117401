//! The real SDK against the double: what the operator relies on.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod alarms;
mod canaries;
mod client;
mod composites;
mod detectors;
mod evaluation;
mod faults;
