//! The way to the cluster, as kubectl finds it.

use std::time::Duration;

use anyhow::{anyhow, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::args::Common;
use crate::request_error::in_words;

/// Time limit for opening a connection to the API server, and for each pause in its answer. It is shorter than the default
/// of --timeout, so that the error names the request that wasn't answered.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// A client, and the namespace of its context. A credential plugin of the kubeconfig runs without a time limit, as it does
/// for kubectl: it may wait for somebody to log in.
pub(crate) async fn connect(common: &Common) -> anyhow::Result<(Client, String)> {
    let mut config = configuration(common).await?;
    config.connect_timeout = Some(REQUEST_LIMIT);
    config.read_timeout = Some(REQUEST_LIMIT);
    // The client's own retries take minutes: the time limit of the command would hide what the API server said.
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config);
    let client = client.map_err(|error| anyhow!("use the kubeconfig: {}", in_words(&error)))?;
    Ok((client, namespace))
}

async fn configuration(common: &Common) -> anyhow::Result<Config> {
    let kubeconfig = match &common.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        // $KUBECONFIG or ~/.kube/config.
        None => Kubeconfig::read(),
    };
    let kubeconfig = match kubeconfig {
        Ok(kubeconfig) => kubeconfig,
        Err(error) => {
            if common.kubeconfig.is_none()
                && common.context.is_none()
                && let Ok(config) = Config::incluster()
            {
                return Ok(config);
            }
            bail!("{error}; name a file with --kubeconfig");
        }
    };
    let options = KubeConfigOptions { context: common.context.clone(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.map_err(|error| {
        anyhow!("use the kubeconfig: {error}; kubectl config get-contexts lists its contexts")
    })
}
