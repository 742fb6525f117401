//! Fixtures for tests of the agent on a real kernel: network namespaces, cgroups, the agent itself, and processes that
//! make traffic. They need root, and an error says so.
//!
//! This is test code in a library: errors carry the step that failed, so that a failure explains itself.

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
