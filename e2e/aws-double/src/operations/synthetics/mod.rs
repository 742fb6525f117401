//! CloudWatch Synthetics.

mod create;
pub(crate) mod describe;
mod dry_run;
mod groups;
mod lifecycle;
mod runs;
mod tags;
mod update;

use serde_json::Value;

use super::{get, put};
use crate::error::ApiError;
use crate::state::Region;
use crate::state::synthetics::Canary;

#[cfg(test)]
mod tests;

pub(super) fn run(operation: &str, region: &mut Region, input: Value) -> Result<Value, ApiError> {
    match operation {
        "CreateCanary" => get(region, input, create::create_canary),
        "UpdateCanary" => put(region, input, update::update_canary),
        "StartCanary" => put(region, input, lifecycle::start_canary),
        "StopCanary" => put(region, input, lifecycle::stop_canary),
        "DeleteCanary" => put(region, input, lifecycle::delete_canary),
        "StartCanaryDryRun" => get(region, input, dry_run::start_canary_dry_run),
        "GetCanary" => get(region, input, describe::get_canary),
        "DescribeCanaries" => get(region, input, describe::describe_canaries),
        "DescribeCanariesLastRun" => get(region, input, runs::describe_canaries_last_run),
        "GetCanaryRuns" => get(region, input, runs::get_canary_runs),
        "DescribeRuntimeVersions" => get(region, input, describe::describe_runtime_versions),
        "TagResource" => put(region, input, tags::tag_resource),
        "UntagResource" => put(region, input, tags::untag_resource),
        "ListTagsForResource" => get(region, input, tags::list_tags_for_resource),
        "CreateGroup" => get(region, input, groups::create_group),
        "GetGroup" => get(region, input, groups::get_group),
        "DeleteGroup" => put(region, input, groups::delete_group),
        "ListGroups" => get(region, input, groups::list_groups),
        "AssociateResource" => put(region, input, groups::associate_resource),
        "DisassociateResource" => put(region, input, groups::disassociate_resource),
        "ListAssociatedGroups" => get(region, input, groups::list_associated_groups),
        "ListGroupResources" => get(region, input, groups::list_group_resources),
        other => Err(ApiError::not_served(other)),
    }
}

fn conflict(message: impl Into<String>) -> ApiError {
    ApiError::new("ConflictException", message)
}

/// The shapes of Synthetics' errors have no members apart from the message.
fn not_found(name: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("Canary {name} not found"))
}

/// A canary, out of the Region while `act` changes it with a view of the Region.
fn with_canary<R>(
    region: &mut Region,
    name: &str,
    act: impl FnOnce(&mut Region, &mut Canary) -> Result<R, ApiError>,
) -> Result<R, ApiError> {
    let mut canary = region.synthetics.canaries.remove(name).ok_or_else(|| not_found(name))?;
    let result = act(region, &mut canary);
    region.synthetics.canaries.insert(name.to_owned(), canary);
    result
}

/// What a page goes by: a key that sorts as the names do, and whose token is neither shorter nor longer than
/// tokens may be (4 to 252).
fn page_key(name: &str) -> String {
    const LONGEST: usize = 80;
    if name.len() <= LONGEST {
        return format!("n:{name}");
    }
    // Rare, and still unambiguous unless forty such names share their beginning and end.
    let tail = name.len() - 40;
    format!("n:{}~{}", name.get(..LONGEST).unwrap_or(name), name.get(tail..).unwrap_or_default())
}
