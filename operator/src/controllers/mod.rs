//! The controllers, one directory a kind.

pub mod agents;
pub mod anomaly_alarm;
pub mod canary;
mod conditions;
mod events;
pub mod network_monitor;
mod object;
