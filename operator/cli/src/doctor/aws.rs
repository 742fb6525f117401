//! Checks by the objects' conditions that AWS lets the operator do its work.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Check, Collected, Finding};
use crate::guide::action;
use crate::objects::{Objects, TidewatchObject};

/// Reasons that AWS, or the chart's aws values, are behind.
pub(super) const REASONS: [&str; 9] = [
    "Denied",
    "NoCredentials",
    "QuotaReached",
    "AWSDisabled",
    "AWSRefused",
    "AWSUnreachable",
    "RegionUnknown",
    "RoleNotAllowed",
    "RoleNotAssumable",
];

pub(super) fn check(collected: &Collected) -> Check {
    let mut users = 0;
    let findings = match &collected.objects {
        Err(_) => vec![Finding::unchecked(
            "What AWS refuses",
            "it stands in the objects, which couldn't be read either",
        )],
        Ok(objects) => {
            users = objects.alarms.len() + objects.canaries.iter().filter(|it| is_in_aws(it)).count();
            refused(objects)
        }
    };
    Check::new("AWS", findings, || match users {
        0 => "No object uses AWS.".to_owned(),
        1 => "The one object that uses AWS reports no refusal.".to_owned(),
        _ => format!("None of {users} objects that use AWS reports a refusal."),
    })
}

fn is_in_aws(canary: &tidewatch_crds::Canary) -> bool {
    canary.status.as_ref().is_some_and(|status| status.aws.is_some())
}

/// One finding for each reason and message, with the objects that say so.
fn refused(objects: &Objects) -> Vec<Finding> {
    let mut found: Vec<(&Condition, Vec<String>)> = Vec::new();
    let monitors = objects.monitors.iter().map(conditions_of);
    for (object, conditions) in monitors
        .chain(objects.alarms.iter().map(conditions_of))
        .chain(objects.canaries.iter().map(conditions_of))
    {
        for condition in
            conditions.iter().filter(|it| REASONS.contains(&it.reason.as_str()) && it.status != "True")
        {
            let same = |(there, _): &&mut (&Condition, Vec<String>)| {
                there.reason == condition.reason && there.message == condition.message
            };
            match found.iter_mut().find(same) {
                Some((_, users)) => users.push(object.clone()),
                None => found.push((condition, vec![object.clone()])),
            }
        }
    }
    let finding = |(condition, users): (&Condition, Vec<String>)| {
        let more = users.len().saturating_sub(1);
        let first = users.first().cloned().unwrap_or_default();
        let of = if more > 0 { format!("{first} and {more} more") } else { first };
        Finding::problem(
            format!("{of}: {}: {}", condition.reason, condition.message),
            action(&condition.reason),
        )
    };
    found.into_iter().map(finding).collect()
}

/// An object's name, and its conditions.
fn conditions_of<K: TidewatchObject>(object: &K) -> (String, &[Condition]) {
    let (namespace, name) = object.namespace_and_name();
    (format!("{} {namespace}/{name}", K::KIND.as_str()), object.conditions())
}
