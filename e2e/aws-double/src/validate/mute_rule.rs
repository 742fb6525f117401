//! Rules of PutAlarmMuteRule that its model doesn't state (AWS: API_PutAlarmMuteRule, alarm-mute-rules).

use jiff::Timestamp;

use super::{Verdict, ensure};
use crate::error::ApiError;
use crate::state::{MuteSchedule, Region, Schedule};

/// CloudWatch service quotas: 2,000 mute rules.
const MOST: usize = 2_000;

pub(crate) fn schedule(schedule: &MuteSchedule) -> Verdict {
    Schedule::parse(schedule).map(drop).map_err(ApiError::validation)
}

/// "The alarm names must match existing alarms in your Amazon Web Services account and region."
pub(crate) fn targets_exist(names: &[String], region: &Region) -> Verdict {
    let unknown = names.iter().find(|name| !region.alarms.contains_key(*name));
    ensure(unknown.is_none(), || {
        format!(
            "MuteTargets name an alarm that does not exist: {}",
            unknown.map(String::as_str).unwrap_or_default()
        )
    })
}

pub(crate) fn dates(start: Option<Timestamp>, expire: Option<Timestamp>) -> Verdict {
    let ordered = start.zip(expire).is_none_or(|(start, expire)| start < expire);
    ensure(ordered, || "ExpireDate must be after StartDate".to_owned())
}

pub(crate) fn quota(name: &str, region: &Region) -> Verdict {
    if region.mute_rules.len() < MOST || region.mute_rules.contains_key(name) {
        return Ok(());
    }
    Err(ApiError::new("LimitExceededFault", format!("There are {MOST} alarm mute rules already")))
}
