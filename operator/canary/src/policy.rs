//! What the chart sets and allows.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::Deserialize;
use tidewatch_crds::canary::Provider;
use tidewatch_prober::TargetPolicy;

/// The chart's `canary` values, as the operator reads them from a file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Policy {
    /// Provider of canaries that name none.
    pub default_provider: Provider,
    /// What canaries may reach.
    pub targets: Targets,
    /// Namespaces whose Secrets canaries may use; `*` is all of them.
    pub secret_namespaces: BTreeSet<String>,
    /// Namespaces whose ConfigMaps canaries may take scripts from; `*` is all of them.
    pub script_namespaces: BTreeSet<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            default_provider: Provider::Embedded,
            targets: Targets::default(),
            secret_namespaces: BTreeSet::new(),
            script_namespaces: BTreeSet::new(),
        }
    }
}

/// What canaries may reach.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Targets {
    /// The operator's own pod.
    pub loopback: bool,
    /// Link-local addresses, those of the cloud's metadata services among them.
    pub link_local: bool,
    /// Further addresses that are refused.
    pub deny: Vec<IpNet>,
    /// Addresses that are allowed whatever else says.
    pub allow: Vec<IpNet>,
}

impl Policy {
    /// What the prober refuses: what the chart says, and the API server at `api_server`.
    pub(super) fn targets(&self, api_server: Vec<IpNet>) -> TargetPolicy {
        let Targets { loopback, link_local, deny, allow } = self.targets.clone();
        let denied = deny.into_iter().chain(api_server).collect();
        TargetPolicy { loopback, link_local, denied, allowed: allow }
    }

    pub(super) fn allows_secrets(&self, namespace: &str) -> bool {
        self.secret_namespaces.contains("*") || self.secret_namespaces.contains(namespace)
    }

    pub(super) fn allows_scripts(&self, namespace: &str) -> bool {
        self.script_namespaces.contains("*") || self.script_namespaces.contains(namespace)
    }
}
