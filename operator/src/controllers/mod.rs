//! The controllers, one directory a kind.

pub mod agents;
pub mod anomaly_alarm;
pub mod canary;
mod conditions;
mod events;
#[cfg(test)]
mod granted;
pub mod in_aws;
#[cfg(test)]
mod list_server;
pub mod network_monitor;
mod object;
pub mod retire;
#[cfg(test)]
mod testing;
