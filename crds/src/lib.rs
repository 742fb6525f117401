//! The API of Tidewatch, group `tidewatch.dev`: the types, their CRD schemas and the rules that the apiserver
//! enforces. Nothing here depends on the rest of the project.

mod actions;
mod address;
pub mod anomaly_alarm;
pub mod canary;
mod crd;
mod duration;
mod label_selector;
pub mod network_monitor;
mod provider;
mod rules;
mod schema;
mod words;

pub use address::{AddressError, host_to_ascii, join_address, parse_address};
pub use anomaly_alarm::{AnomalyAlarm, AnomalyAlarmSpec, AnomalyAlarmStatus};
pub use canary::{Canary, CanarySpec, CanaryStatus};
pub use crd::{CrdError, all_crds, to_yaml};
pub use duration::{DurationError, format_duration, parse_duration};
pub use network_monitor::{NetworkMonitor, NetworkMonitorSpec, NetworkMonitorStatus};
pub use provider::{DeletionPolicy, Provider};

/// The API group of every kind.
pub const GROUP: &str = "tidewatch.dev";
