//! The shop: a test workload whose services talk real TCP to each other. One binary is every service; what it
//! serves and whom it calls is said on its command line, so that a manifest is a call graph.

pub mod admin;
pub mod client;
pub mod mode;
pub mod resolve;
pub mod server;
pub mod stats;
pub mod upstream;
pub mod wire;
