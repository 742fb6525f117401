//! The way to the cluster, as kubectl finds it.

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::args::Common;

/// A client, and the namespace of its context.
pub(crate) async fn connect(common: &Common) -> anyhow::Result<(Client, String)> {
    let config = configuration(common).await?;
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).context("set up the API client")?;
    Ok((client, namespace))
}

async fn configuration(common: &Common) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context: common.context.clone(), ..KubeConfigOptions::default() };
    if let Some(path) = &common.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).with_context(|| format!("read {}", path.display()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        return config.with_context(|| format!("use {}", path.display()));
    }
    if common.context.is_some() {
        return Config::from_kubeconfig(&options).await.context("use the kubeconfig");
    }
    Config::infer().await.context("find the API server; name a file with --kubeconfig")
}
