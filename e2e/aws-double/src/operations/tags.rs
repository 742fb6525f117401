//! Tags of alarms and mute rules. Detectors have none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::state::Region;

/// TagResource: "You can associate as many as 50 tags with a CloudWatch resource."
const MOST: usize = 50;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    value: String,
}

/// Tags to create something with.
pub(super) fn checked_tags(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, ApiError> {
    let count = tags.len();
    let tags: BTreeMap<String, String> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    if tags.len() < count {
        return Err(ApiError::validation("Duplicate tag keys found"));
    }
    allowed(&tags).map_err(ApiError::validation)?;
    Ok(tags)
}

fn allowed(tags: &BTreeMap<String, String>) -> Result<(), String> {
    if tags.len() > MOST {
        return Err(format!("{} tags are more than the {MOST} that a resource may have", tags.len()));
    }
    if let Some(key) = tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(format!("Tag key {key}: the prefix aws: is reserved"));
    }
    match tags.iter().flat_map(|(key, value)| [key, value]).find(|text| !text.chars().all(is_of_a_tag)) {
        Some(text) => Err(format!("Tag {text}: a tag has letters, digits, spaces and _ . : / = + - @")),
        None => Ok(()),
    }
}

/// "letters, spaces, and numbers representable in UTF-8, and the following characters: + - = . _ : / @" (tag-conventions).
fn is_of_a_tag(letter: char) -> bool {
    letter.is_alphanumeric() || letter.is_whitespace() || "_.:/=+-@".contains(letter)
}

#[derive(Deserialize)]
pub(super) struct TagResource {
    #[serde(rename = "ResourceARN")]
    arn: String,
    #[serde(rename = "Tags")]
    tags: Vec<Tag>,
}

pub(super) fn tag_resource(region: &mut Region, input: TagResource) -> Result<(), ApiError> {
    let tags = tags_of(region, &input.arn)?;
    let mut changed = tags.clone();
    changed.extend(input.tags.into_iter().map(|tag| (tag.key, tag.value)));
    allowed(&changed).map_err(ApiError::invalid_value)?;
    *tags = changed;
    Ok(())
}

#[derive(Deserialize)]
pub(super) struct UntagResource {
    #[serde(rename = "ResourceARN")]
    arn: String,
    #[serde(rename = "TagKeys")]
    keys: Vec<String>,
}

pub(super) fn untag_resource(region: &mut Region, input: UntagResource) -> Result<(), ApiError> {
    let tags = tags_of(region, &input.arn)?;
    tags.retain(|key, _| !input.keys.contains(key));
    Ok(())
}

#[derive(Deserialize)]
pub(super) struct ListTagsForResource {
    #[serde(rename = "ResourceARN")]
    arn: String,
}

pub(super) fn list_tags_for_resource(
    region: &mut Region,
    input: ListTagsForResource,
) -> Result<Value, ApiError> {
    let tags = tags_of(region, &input.arn)?;
    let tags: Vec<Tag> =
        tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect();
    Ok(json!({"Tags": tags}))
}

fn tags_of<'r>(region: &'r mut Region, arn: &str) -> Result<&'r mut BTreeMap<String, String>, ApiError> {
    if let Some(name) = arn.strip_prefix(&region.alarm_arn("")) {
        let alarm = region.alarms.get_mut(name).ok_or_else(|| ApiError::not_found("alarm", name))?;
        return Ok(&mut alarm.tags);
    }
    if let Some(name) = arn.strip_prefix(&region.arn("alarm-mute-rule", "")) {
        let rule =
            region.mute_rules.get_mut(name).ok_or_else(|| ApiError::not_found("alarm-mute-rule", name))?;
        return Ok(&mut rule.tags);
    }
    Err(ApiError::invalid_value(format!(
        "{arn} is not the ARN of a taggable resource in this account and Region"
    )))
}
