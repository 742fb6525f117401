//! Composite alarms.

use serde::Deserialize;

use super::alarms::upsert;
use super::tags::{Tag, checked_tags};
use crate::error::ApiError;
use crate::state::{AlarmConfig, CompositeAlarm, Region};
use crate::validate;

#[derive(Deserialize)]
pub(super) struct PutCompositeAlarm {
    #[serde(flatten)]
    config: CompositeAlarm,
    #[serde(rename = "Tags", default)]
    tags: Vec<Tag>,
}

pub(super) fn put_composite_alarm(region: &mut Region, input: PutCompositeAlarm) -> Result<(), ApiError> {
    validate::composite_alarm::check(&input.config, region)?;
    let tags = checked_tags(input.tags)?;
    upsert(region, AlarmConfig::Composite(Box::new(input.config)), tags)
}
