//! The `tidewatch` binary's library: controllers, collector, and what they stand on.
//! Arrows point one way: run → controllers → {collector, cluster, evaluation, reconcile} → {health, records, crds}.

#![forbid(unsafe_code)]

pub mod analyze;
pub(crate) mod baselines;
pub mod collector;
pub mod config;
pub mod controllers;
pub mod recording;
pub mod run;
pub mod server;
pub mod telemetry;
