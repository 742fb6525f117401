//! CreateCanary.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::describe::described;
use super::{conflict, not_found};
use crate::error::ApiError;
use crate::state::Region;
use crate::state::synthetics::{CanaryConfig, Proposal, ReplicaLocation};
use crate::validate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateCanary {
    name: String,
    #[serde(flatten)]
    config: CanaryConfig,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    add_replica_locations: Vec<ReplicaLocation>,
}

pub(super) fn create_canary(region: &mut Region, input: CreateCanary) -> Result<Value, ApiError> {
    let CreateCanary { name, config, tags, add_replica_locations: replicas } = input;
    validate::canary::config(&config, region)?;
    validate::canary::replicated_tags(&config, &tags)?;
    validate::canary::replicas(&config, &replicas, region)?;
    // The API reference doesn't say how a second canary of a name is refused.
    if region.synthetics.canaries.contains_key(&name) {
        return Err(conflict(format!("Canary {name} already exists")));
    }
    validate::canary::quota(region)?;
    region.begin_creation(Proposal { name: name.clone(), config, tags, replicas });
    let canary = region.synthetics.canaries.get(&name).ok_or_else(|| not_found(&name))?;
    Ok(json!({"Canary": described(canary, region)}))
}
