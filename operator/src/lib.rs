//! The `tidewatch` binary's library: how the operator is configured, started, served, checked and retired, and `analyze`.
//!
//! The crates beside it hold the rest, and depend on each other one way only:
//! - `kube` is what all controllers share towards the API server; `aws` is the way to AWS, and `managed` what the kinds
//!   that live there share.
//! - `cluster` watches pods, nodes and services; `collector` receives the agents' records and resolves them against it;
//!   `evaluation` has windows of them judged by `health`.
//! - `embedded` runs canaries by `prober`; `synthetics` makes packages that CloudWatch Synthetics runs.
//! - `network-monitor`, `anomaly-alarm`, `canary` and `agent-fleet` are the controllers, one a kind. None knows another but
//!   that monitors ask for the fleet of agents.
//! - `testing` is what tests share.

#![forbid(unsafe_code)]

pub mod analyze;
pub(crate) mod baselines;
pub mod check;
pub mod config;
pub mod recording;
pub mod retire;
pub mod run;
pub mod server;
pub mod telemetry;
