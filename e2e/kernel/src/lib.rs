//! What tests of the agent need on a real kernel: network namespaces, cgroups, the agent itself, and processes that
//! make the traffic. Needs root; says so if it isn't.
//!
//! Test code, but a library: errors carry what was tried, so that a failure explains itself.

pub mod agent;
pub mod bpf_cost;
pub mod cgroup;
pub mod command;
pub mod network;
pub mod socket_truth;
pub mod traffic;
pub mod vm;

pub use agent::Agent;
pub use cgroup::Cgroup;
pub use network::Network;
pub use traffic::Traffic;
