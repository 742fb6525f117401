//! Checks that each object is reconciled and Ready. Reasons that AWS is behind are left to the check of AWS.

use jiff::Timestamp;

use super::{Check, Collected, Finding};
use crate::guide::action;
use crate::objects::TidewatchObject;

/// Time that the operator has for a new object's first status.
const FIRST_STATUS_SECONDS: i64 = 60;

pub(super) fn check(collected: &Collected) -> Check {
    let objects = match &collected.objects {
        Ok(objects) => objects,
        Err(error) => {
            return Check::new("Objects", vec![Finding::unchecked("The objects", error)], String::new);
        }
    };
    let now = *collected.server_time.as_ref().unwrap_or(&collected.now);
    let mut findings: Vec<Finding> = objects
        .unreadable
        .iter()
        .map(|it| {
            Finding::problem(
                format!("{} {}/{} can't be read: {}", it.kind.as_str(), it.namespace, it.name, it.error),
                action("Unreadable"),
            )
        })
        .collect();
    findings.extend(objects.monitors.iter().filter_map(|it| of_object(it, now)));
    findings.extend(objects.alarms.iter().filter_map(|it| of_object(it, now)));
    findings.extend(objects.canaries.iter().filter_map(|it| of_object(it, now)));
    let ready = objects.monitors.iter().filter(|it| it.not_ready().is_none()).count()
        + objects.alarms.iter().filter(|it| it.not_ready().is_none()).count()
        + objects.canaries.iter().filter(|it| it.not_ready().is_none()).count();
    Check::new("Objects", findings, || match ready {
        0 => "No NetworkMonitor, AnomalyAlarm or Canary is in place.".to_owned(),
        1 => "1 object is in place.".to_owned(),
        _ => format!("{ready} objects are in place."),
    })
}

fn of_object<K: TidewatchObject>(object: &K, now: Timestamp) -> Option<Finding> {
    let (reason, message) = object.not_ready()?;
    let (namespace, name) = object.namespace_and_name();
    let object_name = format!("{} {namespace}/{name}", K::KIND.as_str());
    let Some(ready) = object.condition("Ready") else {
        let created = object.meta().creation_timestamp.as_ref().map(|time| time.0);
        let old = created.is_none_or(|at| now.as_second() - at.as_second() > FIRST_STATUS_SECONDS);
        return old.then(|| {
            Finding::problem(
                format!("{object_name} has no status: nobody reconciles it."),
                "Look at the operator's log: docs/troubleshooting.md#an-object-has-no-status.",
            )
        });
    };
    if super::aws::REASONS.contains(&reason) {
        return None;
    }
    let mend = action(reason);
    let sentence = format!("{object_name} isn't ready: {reason}: {message}");
    // Unknown is tried again by itself; False waits for somebody.
    Some(if ready.status == "False" {
        Finding::problem(sentence, mend)
    } else {
        Finding::warning(sentence, mend)
    })
}
