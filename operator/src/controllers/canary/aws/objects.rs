//! The Kubernetes side: finalizer, status and events of Canaries, and the ConfigMaps that hold scripts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tidewatch_crds::canary::CANARY_FINALIZER;
use tidewatch_crds::{Canary, CanaryStatus};

use crate::controllers::events::{self, Happened};
use crate::controllers::object::{self, Target};

/// The files of a script, by name.
pub(in crate::controllers::canary) type Files = BTreeMap<String, Vec<u8>>;

/// Reads and writes of an object. Each write is made from the version that was read: one from an old copy is refused.
pub(in crate::controllers::canary) trait Objects:
    Send + Sync + 'static
{
    fn set_finalizer(
        &self,
        target: &mut Target,
        wanted: bool,
    ) -> impl Future<Output = Result<(), kube::Error>> + Send;

    fn write_status(
        &self,
        target: &mut Target,
        status: &CanaryStatus,
    ) -> impl Future<Output = Result<(), kube::Error>> + Send;

    fn tell(&self, target: &Target, happened: &Happened) -> impl Future<Output = ()> + Send;

    /// What a ConfigMap holds; none if there is none.
    fn files(
        &self,
        namespace: &str,
        config_map: &str,
    ) -> impl Future<Output = Result<Option<Files>, kube::Error>> + Send;
}

/// The API server's.
#[derive(Clone)]
pub(in crate::controllers::canary) struct KubeObjects {
    pub client: Client,
    /// Name of the pod, as the events' reporting instance.
    pub instance: String,
}

impl Objects for KubeObjects {
    async fn set_finalizer(&self, target: &mut Target, wanted: bool) -> Result<(), kube::Error> {
        let mut finalizers = target.finalizers.clone();
        finalizers.retain(|finalizer| finalizer != CANARY_FINALIZER);
        if wanted {
            finalizers.push(CANARY_FINALIZER.to_owned());
        }
        let patch = json!({
            "metadata": {"resourceVersion": target.resource_version, "finalizers": finalizers},
        });
        let api: Api<Canary> = Api::namespaced(self.client.clone(), &target.namespace);
        let written = api.patch(&target.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        target.resource_version = written.metadata.resource_version;
        target.finalizers = finalizers;
        Ok(())
    }

    async fn write_status(&self, target: &mut Target, status: &CanaryStatus) -> Result<(), kube::Error> {
        object::apply_status::<Canary, _>(&self.client, target, status).await
    }

    async fn tell(&self, target: &Target, happened: &Happened) {
        let controller = "tidewatch.dev/canary";
        events::publish(&self.client, controller, &self.instance, &target.reference, happened).await;
    }

    async fn files(&self, namespace: &str, config_map: &str) -> Result<Option<Files>, kube::Error> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        Ok(api.get_opt(config_map).await?.map(|found| {
            let text = found.data.into_iter().flatten().map(|(name, text)| (name, text.into_bytes()));
            let bytes = found.binary_data.into_iter().flatten().map(|(name, bytes)| (name, bytes.0));
            text.chain(bytes).collect()
        }))
    }
}
