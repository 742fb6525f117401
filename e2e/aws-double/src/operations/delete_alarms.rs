//! DeleteAlarms: names that don't exist are passed over, but one refusal saves the whole batch.

use super::alarms::AlarmNames;
use crate::error::ApiError;
use crate::state::Region;

pub(super) fn delete_alarms(region: &mut Region, input: AlarmNames) -> Result<(), ApiError> {
    let known: Vec<&String> =
        input.alarm_names.iter().filter(|name| region.alarms.contains_key(*name)).collect();
    let composites =
        known.iter().filter(|name| region.alarms.get(**name).is_some_and(|a| a.composite().is_some()));
    if composites.count() > 1 {
        return Err(ApiError::validation("At most one composite alarm can be deleted in one request"));
    }
    for name in &known {
        // Whether AWS would count a parent that dies in the same batch isn't documented; refusing is the safe guess.
        let parents: Vec<&str> = region.parents(name).into_iter().filter(|parent| parent != *name).collect();
        if !parents.is_empty() {
            return Err(ApiError::validation(format!(
                "Cannot delete {name} as there are composite alarm(s) depending on it: {}",
                parents.join(", ")
            )));
        }
    }
    let known: Vec<String> = known.into_iter().cloned().collect();
    for name in known {
        region.record_deleted(&name);
        region.alarms.remove(&name);
        region.changed.insert(name);
    }
    region.settle();
    Ok(())
}
