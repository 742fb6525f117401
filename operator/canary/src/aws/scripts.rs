//! The ConfigMaps that hold scripts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tidewatch_crds::Canary;
use tidewatch_managed::KubeObjects;

/// The files of a script, by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Where they are read.
pub(crate) trait Scripts: Send + Sync + 'static {
    /// What a ConfigMap holds; none if there is none.
    fn files(
        &self,
        namespace: &str,
        config_map: &str,
    ) -> impl Future<Output = Result<Option<Files>, kube::Error>> + Send;
}

impl Scripts for KubeObjects<Canary> {
    async fn files(&self, namespace: &str, config_map: &str) -> Result<Option<Files>, kube::Error> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        Ok(api.get_opt(config_map).await?.map(|found| {
            let text = found.data.into_iter().flatten().map(|(name, text)| (name, text.into_bytes()));
            let bytes = found.binary_data.into_iter().flatten().map(|(name, bytes)| (name, bytes.0));
            text.chain(bytes).collect()
        }))
    }
}
