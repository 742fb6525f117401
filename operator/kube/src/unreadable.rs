//! What is said of an object that doesn't parse. It can only have been stored past its CRD: by an older or newer version.

use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::{Api, Client, Resource};
use serde_json::{Value, json};

use crate::object::FIELD_MANAGER;

/// The condition that stands until the object parses again.
pub fn condition(invalid: &InvalidObject) -> Condition {
    let meta = &invalid.metadata;
    let created = meta.creation_timestamp.clone();
    Condition {
        type_: "Ready".to_owned(),
        status: "False".to_owned(),
        reason: "Unreadable".to_owned(),
        message: format!(
            "the object can't be read: {}; upgrade the CRDs (chart tidewatch-crds) and the operator to the same version, then apply it again",
            invalid.error
        ),
        observed_generation: meta.generation,
        last_transition_time: created.unwrap_or(Time(Timestamp::UNIX_EPOCH)),
    }
}

/// The part of the status that is written: the condition alone, and `stale` (fields that can't be kept true, as null).
/// Everything else stays, since what was made for the object is recorded there and nowhere else.
pub fn patch(invalid: &InvalidObject, stale: &Value) -> Value {
    let mut status = stale.clone();
    if let Value::Object(fields) = &mut status {
        fields.insert("observedGeneration".to_owned(), json!(invalid.metadata.generation));
        fields.insert("conditions".to_owned(), json!([condition(invalid)]));
    }
    json!({"status": status})
}

/// Writes it. The answer is read for its metadata only, since the rest doesn't parse.
pub async fn write<K>(client: &Client, invalid: &InvalidObject, stale: &Value) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug,
{
    let meta = &invalid.metadata;
    let (Some(namespace), Some(name)) = (meta.namespace.as_deref(), meta.name.as_deref()) else {
        return Ok(());
    };
    tracing::warn!(kind = %K::kind(&()), namespace, name, error = invalid.error, "an object doesn't parse");
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(client.clone(), namespace);
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    api.patch_status(name, &parameters, &Patch::Merge(&patch(invalid, stale))).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_for_the_object_stays_recorded() {
        let metadata = serde_json::from_value(json!({
            "name": "a", "namespace": "shop", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let invalid = InvalidObject { error: "unknown variant".to_owned(), metadata };
        let patch = patch(&invalid, &json!({"state": null}));
        let fields: Vec<&String> = patch["status"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["conditions", "observedGeneration", "state"]);
        assert_eq!(patch["status"]["conditions"][0]["reason"], "Unreadable");
        assert_eq!(patch["status"]["conditions"][0]["lastTransitionTime"], "2026-01-01T00:00:00Z");
    }
}
