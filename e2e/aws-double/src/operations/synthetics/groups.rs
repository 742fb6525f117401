//! Groups of canaries (CloudWatch_Synthetics_Groups): at most 20 in a Region, and ten canaries in each.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::conflict;
use super::describe::Paged;
use crate::error::ApiError;
use crate::operations::limit;
use crate::state::synthetics::Group;
use crate::state::{Region, page};

const MOST: usize = 20;
const MOST_CANARIES: usize = 10;
/// Groups that a canary may be in.
const MOST_MEMBERSHIPS: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateGroup {
    name: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

pub(super) fn create_group(region: &mut Region, input: CreateGroup) -> Result<Value, ApiError> {
    if region.synthetics.groups.values().any(|group| group.name == input.name) {
        return Err(conflict(format!("Group {} already exists", input.name)));
    }
    if region.synthetics.groups.len() >= MOST {
        return Err(quota(format!("The limit of {MOST} groups has been reached")));
    }
    // As AWS's pattern for the ARN has it: letters and digits.
    let id: String = region.uuid().replace('-', "").chars().take(16).collect();
    let group = Group {
        arn: region.arn_of("synthetics", "group", &id),
        name: input.name,
        tags: input.tags,
        created: region.now,
        modified: region.now,
        resources: Vec::new(),
        id: id.clone(),
    };
    let shown = described(&group);
    region.synthetics.groups.insert(id, group);
    Ok(json!({"Group": shown}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    group_identifier: String,
}

pub(super) fn get_group(region: &mut Region, input: Named) -> Result<Value, ApiError> {
    Ok(json!({"Group": described(find(region, &input.group_identifier)?)}))
}

pub(super) fn delete_group(region: &mut Region, input: Named) -> Result<(), ApiError> {
    let id = find(region, &input.group_identifier)?.id.clone();
    region.synthetics.groups.remove(&id);
    Ok(())
}

pub(super) fn list_groups(region: &mut Region, input: Paged) -> Result<Value, ApiError> {
    summaries(region.synthetics.groups.values(), &input)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Membership {
    group_identifier: String,
    resource_arn: String,
}

pub(super) fn associate_resource(region: &mut Region, input: Membership) -> Result<(), ApiError> {
    known(region, &input.resource_arn)?;
    let memberships =
        region.synthetics.groups.values().filter(|it| it.resources.contains(&input.resource_arn)).count();
    let now = region.now;
    let group = find(region, &input.group_identifier)?;
    if group.resources.contains(&input.resource_arn) {
        return Err(conflict("The resource is already associated with the group"));
    }
    if group.resources.len() >= MOST_CANARIES || memberships >= MOST_MEMBERSHIPS {
        return Err(quota(format!("The limit of {MOST_CANARIES} canaries in a group has been reached")));
    }
    group.resources.push(input.resource_arn);
    group.modified = now;
    Ok(())
}

pub(super) fn disassociate_resource(region: &mut Region, input: Membership) -> Result<(), ApiError> {
    let now = region.now;
    let group = find(region, &input.group_identifier)?;
    let before = group.resources.len();
    group.resources.retain(|arn| *arn != input.resource_arn);
    if group.resources.len() == before {
        return Err(missing(&input.resource_arn));
    }
    group.modified = now;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAssociatedGroups {
    resource_arn: String,
    #[serde(flatten)]
    paged: Paged,
}

pub(super) fn list_associated_groups(
    region: &mut Region,
    input: ListAssociatedGroups,
) -> Result<Value, ApiError> {
    known(region, &input.resource_arn)?;
    let groups =
        region.synthetics.groups.values().filter(|group| group.resources.contains(&input.resource_arn));
    summaries(groups, &input.paged)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListGroupResources {
    group_identifier: String,
    #[serde(flatten)]
    paged: Paged,
}

pub(super) fn list_group_resources(
    region: &mut Region,
    input: ListGroupResources,
) -> Result<Value, ApiError> {
    let group = find(region, &input.group_identifier)?;
    let mut resources = group.resources.clone();
    resources.sort();
    let keyed = resources.into_iter().map(|arn| (arn.clone(), arn));
    let (resources, next) =
        page(keyed, input.paged.next_token.as_deref(), limit(input.paged.max_results, MOST))?;
    Ok(json!({"Resources": resources, "NextToken": next}))
}

fn find<'r>(region: &'r mut Region, identifier: &str) -> Result<&'r mut Group, ApiError> {
    region
        .synthetics
        .groups
        .values_mut()
        .find(|group| group.is(identifier))
        .ok_or_else(|| missing(identifier))
}

/// Whether a canary of this ARN exists.
fn known(region: &Region, arn: &str) -> Result<(), ApiError> {
    let name = arn.strip_prefix(&region.canary_arn("")).unwrap_or_default();
    region.synthetics.canaries.contains_key(name).then_some(()).ok_or_else(|| missing(arn))
}

fn missing(what: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("{what} not found"))
}

fn quota(message: String) -> ApiError {
    ApiError::new("ServiceQuotaExceededException", message)
}

fn summaries<'g>(groups: impl Iterator<Item = &'g Group>, paged: &Paged) -> Result<Value, ApiError> {
    let keyed = groups.map(|group| (group.id.clone(), group));
    let (groups, next) = page(keyed, paged.next_token.as_deref(), limit(paged.max_results, MOST))?;
    let summary = |group: &Group| json!({"Id": group.id, "Name": group.name, "Arn": group.arn});
    Ok(json!({"Groups": groups.into_iter().map(summary).collect::<Vec<_>>(), "NextToken": next}))
}

fn described(group: &Group) -> Value {
    json!({
        "Id": group.id,
        "Name": group.name,
        "Arn": group.arn,
        "Tags": group.tags,
        "CreatedTime": group.created,
        "LastModifiedTime": group.modified,
    })
}
