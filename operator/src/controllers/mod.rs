//! The controllers, one directory a kind.

pub mod agents;
pub mod anomaly_alarm;
pub mod canary;
pub mod in_aws;
#[cfg(test)]
mod list_server;
pub mod network_monitor;
pub mod retire;
#[cfg(test)]
mod testing;
