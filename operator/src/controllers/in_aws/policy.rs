//! What the chart sets and allows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use tidewatch_crds::anomaly_alarm::Provider;

/// The chart's `aws` values, as the operator reads them from a file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AwsPolicy {
    /// Whether AWS is used at all.
    pub enabled: bool,
    /// Region where an object names none. Absent: the environment's.
    pub region: Option<String>,
    /// What the names of everything in AWS begin with; IAM policies limit the operator to it.
    pub prefix: String,
    /// Tells this cluster's alarms and metrics from another's in the same account.
    pub cluster_name: String,
    /// How often states are read.
    pub resync: String,
    /// Provider of objects that name none.
    pub default_provider: Provider,
    /// Roles that the objects of a namespace may name.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Beginnings of the names of alarms that the objects of a namespace may adopt.
    pub adoptable: BTreeMap<String, BTreeSet<String>>,
}

impl Default for AwsPolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            region: None,
            prefix: "tidewatch".to_owned(),
            cluster_name: "kubernetes".to_owned(),
            resync: "60s".to_owned(),
            default_provider: Provider::Aws,
            roles: BTreeMap::new(),
            adoptable: BTreeMap::new(),
        }
    }
}

impl AwsPolicy {
    /// Time between two reads of the same alarm.
    pub fn resync(&self) -> Duration {
        tidewatch_crds::parse_duration(&self.resync)
            .unwrap_or(Duration::from_secs(60))
            .max(Duration::from_secs(1))
    }

    pub(in crate::controllers) fn allows_role(&self, namespace: &str, role: &str) -> bool {
        self.roles.get(namespace).is_some_and(|roles| roles.contains(role))
    }

    pub(in crate::controllers) fn allows_adoption(&self, namespace: &str, name: &str) -> bool {
        let beginnings = self.adoptable.get(namespace);
        beginnings.is_some_and(|all| all.iter().any(|b| !b.is_empty() && name.starts_with(b.as_str())))
    }
}
