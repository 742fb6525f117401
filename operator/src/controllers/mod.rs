//! The controllers, one directory a kind.

pub mod agents;
pub mod network_monitor;
