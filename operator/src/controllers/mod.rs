//! The controllers, one directory a kind.

pub mod agents;
pub mod anomaly_alarm;
mod conditions;
mod events;
pub mod network_monitor;
