//! The object that a pass writes to, and how its finalizer and status are written, for every kind.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "tidewatch";

/// The object that is written to, as it was last read or written.
#[derive(Debug, Clone)]
pub struct Target {
    pub namespace: String,
    pub name: String,
    pub resource_version: Option<String>,
    pub finalizers: Vec<String>,
    pub reference: ObjectReference,
}

impl Target {
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            reference: object.object_ref(&()),
        }
    }

    /// What can be written to of an object that doesn't parse.
    pub fn unread(meta: &kube::api::ObjectMeta) -> Self {
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            resource_version: None,
            finalizers: Vec::new(),
            reference: ObjectReference::default(),
        }
    }

    pub fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|one| one == finalizer)
    }
}

/// Puts `finalizer` on the object, or takes it away.
pub async fn set_finalizer<K>(
    client: &Client,
    target: &mut Target,
    finalizer: &str,
    wanted: bool,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let mut finalizers = target.finalizers.clone();
    finalizers.retain(|one| one != finalizer);
    if wanted {
        finalizers.push(finalizer.to_owned());
    }
    let patch = json!({
        "metadata": {"resourceVersion": target.resource_version, "finalizers": finalizers},
    });
    let api: Api<K> = Api::namespaced(client.clone(), &target.namespace);
    let written = api.patch(&target.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    target.resource_version = written.meta().resource_version.clone();
    target.finalizers = finalizers;
    Ok(())
}

/// Writes `status` by server-side apply. It is made from the version that was read: one from an old copy is refused.
pub async fn apply_status<K, S>(client: &Client, target: &mut Target, status: &S) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    S: Serialize,
{
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": target.name, "resourceVersion": target.resource_version},
        "status": status,
    });
    let api: Api<K> = Api::namespaced(client.clone(), &target.namespace);
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let written = api.patch_status(&target.name, &parameters, &Patch::Apply(&patch)).await?;
    target.resource_version = written.meta().resource_version.clone();
    Ok(())
}
