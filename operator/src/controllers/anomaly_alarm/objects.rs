//! The Kubernetes side: finalizer, status and events of AnomalyAlarms.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tidewatch_crds::anomaly_alarm::FINALIZER;
use tidewatch_crds::{AnomalyAlarm, AnomalyAlarmStatus};

use crate::controllers::events::{self, Happened};
use crate::controllers::object;

pub(super) use crate::controllers::object::Target;

/// Writes of an object. Each is made from the version that was read: one from an old copy is refused.
pub(super) trait Objects: Send + Sync + 'static {
    fn set_finalizer(
        &self,
        target: &mut Target,
        wanted: bool,
    ) -> impl Future<Output = Result<(), kube::Error>> + Send;

    fn write_status(
        &self,
        target: &mut Target,
        status: &AnomalyAlarmStatus,
    ) -> impl Future<Output = Result<(), kube::Error>> + Send;

    fn tell(&self, target: &Target, happened: &Happened) -> impl Future<Output = ()> + Send;
}

/// The API server's.
#[derive(Clone)]
pub(super) struct KubeObjects {
    pub client: Client,
    /// Name of the pod, as the events' reporting instance.
    pub instance: String,
}

impl KubeObjects {
    fn api(&self, target: &Target) -> Api<AnomalyAlarm> {
        Api::namespaced(self.client.clone(), &target.namespace)
    }
}

impl Objects for KubeObjects {
    async fn set_finalizer(&self, target: &mut Target, wanted: bool) -> Result<(), kube::Error> {
        let mut finalizers = target.finalizers.clone();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        if wanted {
            finalizers.push(FINALIZER.to_owned());
        }
        let patch = json!({
            "metadata": {"resourceVersion": target.resource_version, "finalizers": finalizers},
        });
        let written =
            self.api(target).patch(&target.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        target.resource_version = written.metadata.resource_version;
        target.finalizers = finalizers;
        Ok(())
    }

    async fn write_status(
        &self,
        target: &mut Target,
        status: &AnomalyAlarmStatus,
    ) -> Result<(), kube::Error> {
        object::apply_status::<AnomalyAlarm, _>(&self.client, target, status).await
    }

    async fn tell(&self, target: &Target, happened: &Happened) {
        let controller = "tidewatch.dev/anomaly-alarm";
        events::publish(&self.client, controller, &self.instance, &target.reference, happened).await;
    }
}
