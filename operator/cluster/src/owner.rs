//! The workload that a pod is part of: its top owner.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// Longest time between the minute in the name of a CronJob's Job and the creation of its pod. The controller makes up
/// for missed times, those of yearly schedules included.
const DUE_WITHIN: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The clocks of the controller and of the API server differ by this much at most.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// `namespace/Kind/name` of the pod's top owner, from the pod alone: watching every ReplicaSet and Job for it would cost
/// more than all pods.
pub(super) fn workload(
    namespace: &str,
    name: &str,
    meta: &ObjectMeta,
    labels: &BTreeMap<String, String>,
    created: Option<Timestamp>,
) -> String {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let Some(owner) = owners.iter().find(|owner| owner.controller == Some(true)) else {
        return format!("{namespace}/Pod/{name}");
    };
    let (kind, name) = top_owner(owner, labels, created);
    format!("{namespace}/{kind}/{name}")
}

fn top_owner<'a>(
    owner: &'a OwnerReference,
    labels: &BTreeMap<String, String>,
    created: Option<Timestamp>,
) -> (&'a str, &'a str) {
    let owned_by = |hash_label: &str| {
        let hash = labels.get(hash_label)?;
        owner.name.strip_suffix(hash.as_str())?.strip_suffix('-')
    };
    // Other groups have kinds of the same name, which name their objects otherwise.
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, owner.kind.as_str()) {
        // The deployment controller names a ReplicaSet after its Deployment and the hash it labels the pods with
        // (getNewReplicaSet in pkg/controller/deployment/sync.go); Argo Rollouts does likewise with a label of its own.
        ("apps", "ReplicaSet") => owned_by("pod-template-hash")
            .map(|name| ("Deployment", name))
            .or_else(|| owned_by("rollouts-pod-template-hash").map(|name| ("Rollout", name)))
            .unwrap_or((&owner.kind, &owner.name)),
        // The CronJob controller names a Job after its CronJob and the minute it was due (getJobName in
        // pkg/controller/cronjob/utils.go). Eight digits may also be a date that somebody wrote, which as a minute since
        // the epoch lies many years back.
        ("batch", "Job") => match owner.name.rsplit_once('-') {
            Some((name, minute)) if was_due(minute, created) => ("CronJob", name),
            _ => (&owner.kind, &owner.name),
        },
        // A static pod's mirror is owned by its node; together they are what runs it everywhere, but each has a name
        // of its own, so there is no better one.
        _ => (&owner.kind, &owner.name),
    }
}

/// Returns true if `minute` can be the minute in which a CronJob's Job was due whose pod was created at `created`.
fn was_due(minute: &str, created: Option<Timestamp>) -> bool {
    if minute.len() != 8 || !minute.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let due = minute.parse::<i64>().ok().and_then(|minute| Timestamp::from_second(minute * 60).ok());
    due.zip(created).is_some_and(|(due, created)| (-SKEW..=DUE_WITHIN).contains(&created.duration_since(due)))
}
