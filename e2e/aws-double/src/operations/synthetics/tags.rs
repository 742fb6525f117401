//! Tags of canaries and groups.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::state::Region;

/// "You can associate as many as 50 tags with a canary."
const MOST: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagResource {
    resource_arn: String,
    tags: BTreeMap<String, String>,
}

pub(super) fn tag_resource(region: &mut Region, input: TagResource) -> Result<(), ApiError> {
    let tags = tags_of(region, &input.resource_arn)?;
    let mut changed = tags.clone();
    changed.extend(input.tags);
    if changed.len() > MOST {
        let message = format!("{} tags are more than the {MOST} that a resource may have", changed.len());
        return Err(ApiError::new("BadRequestException", message));
    }
    *tags = changed;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag_resource(region: &mut Region, input: UntagResource) -> Result<(), ApiError> {
    tags_of(region, &input.resource_arn)?.retain(|key, _| !input.tag_keys.contains(key));
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTagsForResource {
    resource_arn: String,
}

pub(super) fn list_tags_for_resource(
    region: &mut Region,
    input: ListTagsForResource,
) -> Result<Value, ApiError> {
    Ok(json!({"Tags": tags_of(region, &input.resource_arn)?}))
}

fn tags_of<'r>(region: &'r mut Region, arn: &str) -> Result<&'r mut BTreeMap<String, String>, ApiError> {
    let prefix = region.canary_arn("");
    let canary = arn.strip_prefix(&prefix).and_then(|name| region.synthetics.canaries.get_mut(name));
    let tags = match canary {
        Some(canary) => Some(&mut canary.tags),
        None => {
            region.synthetics.groups.values_mut().find(|group| group.arn == arn).map(|group| &mut group.tags)
        }
    };
    tags.ok_or_else(|| ApiError::new("NotFoundException", format!("{arn} not found")))
}
