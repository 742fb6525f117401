//! The Kubernetes side of a pass: finalizer, status and events of its object.

use std::fmt::Debug;
use std::marker::PhantomData;

use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewatch_kube::events::{self, Happened};
use tidewatch_kube::object::{self, Target};

/// Writes of an object of a kind with status `S`. Each is made from the version that was read: one from an old copy is
/// refused.
pub trait Objects<S>: Send + Sync + 'static {
    fn set_finalizer(
        &self,
        target: &mut Target,
        wanted: bool,
    ) -> impl Future<Output = Result<(), kube::Error>> + Send;

    fn write_status(
        &self,
        target: &mut Target,
        status: &S,
    ) -> impl Future<Output = Result<(), kube::Error>> + Send;

    fn tell(&self, target: &Target, happened: &Happened) -> impl Future<Output = ()> + Send;
}

/// The API server's objects of kind `K`.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube's Client has no Debug")]
pub struct KubeObjects<K> {
    pub client: Client,
    /// Name of the pod, as the events' reporting instance.
    instance: String,
    /// As the events' reporting controller.
    controller: &'static str,
    finalizer: &'static str,
    kind: PhantomData<fn() -> K>,
}

impl<K> KubeObjects<K> {
    pub fn new(client: Client, instance: String, controller: &'static str, finalizer: &'static str) -> Self {
        Self { client, instance, controller, finalizer, kind: PhantomData }
    }
}

impl<K, S> Objects<S> for KubeObjects<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + 'static,
    S: Serialize + Sync,
{
    async fn set_finalizer(&self, target: &mut Target, wanted: bool) -> Result<(), kube::Error> {
        object::set_finalizer::<K>(&self.client, target, self.finalizer, wanted).await
    }

    async fn write_status(&self, target: &mut Target, status: &S) -> Result<(), kube::Error> {
        object::apply_status::<K, _>(&self.client, target, status).await
    }

    async fn tell(&self, target: &Target, happened: &Happened) {
        events::publish(&self.client, self.controller, &self.instance, &target.reference, happened).await;
    }
}
