//! UpdateCanary.

use serde::Deserialize;

use super::{conflict, with_canary};
use crate::error::ApiError;
use crate::state::Region;
use crate::state::synthetics::{Canary, CanaryState, Change, ReplicaLocation};
use crate::validate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateCanary {
    name: String,
    dry_run_id: Option<String>,
    #[serde(default)]
    add_replica_locations: Vec<ReplicaLocation>,
    #[serde(default)]
    remove_replica_locations: Vec<String>,
    #[serde(flatten)]
    change: Change,
}

pub(super) fn update_canary(region: &mut Region, input: UpdateCanary) -> Result<(), ApiError> {
    with_canary(region, &input.name.clone(), |region, canary| {
        match canary.state() {
            CanaryState::Ready | CanaryState::Stopped | CanaryState::Running | CanaryState::Error => {}
            _ => return Err(conflict("Canary is not in an updatable state")),
        }
        match &input.dry_run_id {
            Some(id) => from_dry_run(region, canary, id, &input),
            None => by_itself(region, canary, &input),
        }
    })
}

fn by_itself(region: &Region, canary: &mut Canary, input: &UpdateCanary) -> Result<(), ApiError> {
    validate::canary::vpc(input.change.vpc_config.as_ref())?;
    let config = input.change.applied_to(&canary.config);
    validate::canary::config(&config, region)?;
    // Reported by users, and not documented: a runtime alone is refused (hashicorp/terraform-provider-aws#46792).
    if input.change.runtime_version.is_some() && input.change.code.is_none() {
        return Err(ApiError::validation("RuntimeVersion can't be changed without Code"));
    }
    let (add, remove) = (&input.add_replica_locations, &input.remove_replica_locations);
    if !add.is_empty() && input.change.code.is_none() {
        return Err(ApiError::validation("AddReplicaLocations needs Code"));
    }
    let kept = canary.replicas.iter().map(|it| &it.wanted).filter(|it| !remove.contains(&it.location));
    validate::canary::replicas(&config, kept.chain(add), region)?;
    let unknown =
        remove.iter().find(|it| canary.replicas.iter().all(|replica| replica.wanted.location != **it));
    if let Some(location) = unknown {
        return Err(ApiError::validation(format!("There is no replica in {location}")));
    }
    region.begin_update(canary, &input.change, add.clone(), remove);
    Ok(())
}

/// "When you use the dryRunId field when updating a canary, the only other field you can provide is the Schedule."
fn from_dry_run(
    region: &Region,
    canary: &mut Canary,
    id: &str,
    input: &UpdateCanary,
) -> Result<(), ApiError> {
    let replicas = !input.add_replica_locations.is_empty() || !input.remove_replica_locations.is_empty();
    if input.change.beyond_schedule() || replicas {
        return Err(ApiError::validation("With DryRunId only Schedule can be given"));
    }
    let dry_run = canary.dry_run.as_ref().filter(|dry_run| dry_run.id == id);
    let dry_run = dry_run
        .ok_or_else(|| ApiError::new("ResourceNotFoundException", format!("Dry run {id} not found")))?;
    if dry_run.status == "RUNNING" {
        return Err(conflict("Dry run is still running"));
    }
    validate::canary::config(&input.change.applied_to(&dry_run.config), region)?;
    region.begin_update_from_dry_run(canary, &input.change);
    Ok(())
}
