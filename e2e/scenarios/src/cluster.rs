//! The cluster as the scenarios look at it. Every call has a limit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, ObjectMeta};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tidewatch_crds::network_monitor::{NetworkMonitor, NetworkMonitorStatus};
use tidewatch_crds::{AnomalyAlarm, AnomalyAlarmStatus, Canary, CanaryStatus};
use tokio::runtime::Runtime;

const CALL_LIMIT: Duration = Duration::from_secs(15);

/// A connection to the cluster's API.
pub struct Cluster {
    runtime: Runtime,
    client: Client,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

impl Cluster {
    pub fn connect(kubeconfig: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("the async runtime could not be built")?;
        let client = runtime.block_on(async {
            let file = Kubeconfig::read_from(kubeconfig)
                .with_context(|| format!("kubeconfig {}", kubeconfig.display()))?;
            let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
            anyhow::Ok(Client::try_from(config)?)
        })?;
        Ok(Self { runtime, client })
    }

    /// Runs a call with the usual limit.
    pub fn call<T>(&self, what: &str, call: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
        self.runtime.block_on(async {
            tokio::time::timeout(CALL_LIMIT, call)
                .await
                .map_err(|_| anyhow!("{what}: no answer in {CALL_LIMIT:?}"))?
                .with_context(|| what.to_owned())
        })
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A monitor as it is now.
    pub fn monitor(&self, namespace: &str, name: &str) -> anyhow::Result<NetworkMonitor> {
        let api: Api<NetworkMonitor> = Api::namespaced(self.client(), namespace);
        self.call(&format!("monitor {namespace}/{name}"), api.get(name))
    }

    /// The present status of a monitor.
    pub fn status(&self, namespace: &str, name: &str) -> anyhow::Result<NetworkMonitorStatus> {
        Ok(self.monitor(namespace, name)?.status.unwrap_or_default())
    }

    /// The monitors of a namespace.
    pub fn monitors(&self, namespace: &str) -> anyhow::Result<Vec<NetworkMonitor>> {
        let api: Api<NetworkMonitor> = Api::namespaced(self.client(), namespace);
        Ok(self.call(&format!("monitors of {namespace}"), api.list(&ListParams::default()))?.items)
    }

    /// The present status of an alarm.
    pub fn alarm_status(&self, namespace: &str, name: &str) -> anyhow::Result<AnomalyAlarmStatus> {
        let api: Api<AnomalyAlarm> = Api::namespaced(self.client(), namespace);
        let alarm = self.call(&format!("alarm {namespace}/{name}"), api.get(name))?;
        Ok(alarm.status.unwrap_or_default())
    }

    /// The present status of a canary.
    pub fn canary_status(&self, namespace: &str, name: &str) -> anyhow::Result<CanaryStatus> {
        let api: Api<Canary> = Api::namespaced(self.client(), namespace);
        let canary = self.call(&format!("canary {namespace}/{name}"), api.get(name))?;
        Ok(canary.status.unwrap_or_default())
    }

    /// The pods of a namespace with `labels` (`app=checkout`; empty: all).
    pub fn pods(&self, namespace: &str, labels: &str) -> anyhow::Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.client(), namespace);
        let parameters = ListParams::default().labels(labels);
        Ok(self.call(&format!("pods of {namespace} with {labels:?}"), api.list(&parameters))?.items)
    }

    /// A text endpoint of the apiserver, such as `/metrics`.
    pub fn raw(&self, path: &str) -> anyhow::Result<String> {
        let request = http_get(path)?;
        self.call(path, self.client.request_text(request))
    }
}

fn http_get(path: &str) -> anyhow::Result<http::Request<Vec<u8>>> {
    http::Request::get(path).body(Vec::new()).with_context(|| path.to_owned())
}

/// A name that is there in everything the API returns.
pub fn name_of(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}
