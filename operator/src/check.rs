//! `tidewatch check` tests an installation, for `helm test`. It waits a while for what starts slowly, and then says what is
//! missing.

use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tidewatch_crds::{AnomalyAlarm, Canary, NetworkMonitor};
use tokio::net::TcpStream;

use crate::config;

/// Labels of the operator's pods, as the chart writes them.
const OPERATOR_PODS: &str = "app.kubernetes.io/name=tidewatch,app.kubernetes.io/component=operator";
/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// Time limit for one call of the API server, and for one connection.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Check that the definitions are served, the operator is ready and its collector can be reached; `helm test` runs this
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Namespace that the operator runs in
    #[arg(long, env = "TIDEWATCH_NAMESPACE", default_value = config::NAMESPACE)]
    pub namespace: String,
    /// Address of the collector; its Service in the operator's namespace if absent
    #[arg(long, value_name = "HOST:PORT")]
    pub collector: Option<String>,
    /// Time limit until all is well
    #[arg(long, default_value = "1m", value_parser = config::duration)]
    pub wait: Duration,
}

/// Prints a line for each thing that is well, and fails with all that isn't.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut config = kube::Config::infer().await.context("find the API server")?;
    config.connect_timeout = Some(CALL_LIMIT);
    config.read_timeout = Some(CALL_LIMIT);
    let client = Client::try_from(config).context("set up the API client")?;
    let collector =
        args.collector.unwrap_or_else(|| format!("tidewatch-collector.{}.svc:4317", args.namespace));
    let deadline = tokio::time::Instant::now() + args.wait;
    loop {
        let findings = look(&client, &args.namespace, &collector).await;
        let problems: Vec<&str> =
            findings.iter().filter_map(|f| f.as_ref().err()).map(String::as_str).collect();
        if problems.is_empty() {
            findings.iter().flatten().for_each(|well| println!("{well}"));
            return Ok(());
        }
        if tokio::time::Instant::now() + INTERVAL > deadline {
            bail!("{}", problems.join("\n"));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// A line about something that works, or else about what is wrong with it and how to mend that.
type Finding = Result<String, String>;

async fn look(client: &Client, namespace: &str, collector: &str) -> [Finding; 5] {
    // At once, so that all of it takes no longer than one time limit.
    let (monitors, alarms, canaries, operator, collector) = tokio::join!(
        served::<NetworkMonitor>(client),
        served::<AnomalyAlarm>(client),
        served::<Canary>(client),
        operator_ready(client, namespace),
        reachable(collector),
    );
    [monitors, alarms, canaries, operator, collector]
}

/// Tests that the API server serves a kind, and lets the operator's service account list it.
async fn served<K>(client: &Client) -> Finding
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let definition = format!("{}.{}", K::plural(&()), K::group(&()));
    let api: Api<K> = Api::all(client.clone());
    match api.list_metadata(&ListParams::default().limit(1)).await {
        Ok(_) => Ok(format!("{definition} is served")),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            Err(format!("{definition} isn't served: install the chart tidewatch-crds, of the same version"))
        }
        Err(error) => Err(format!("{definition} can't be listed: {error}")),
    }
}

async fn operator_ready(client: &Client, namespace: &str) -> Finding {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    match api.list(&ListParams::default().labels(OPERATOR_PODS)).await {
        Ok(pods) => one_ready(namespace, &pods.items),
        Err(error) => Err(format!("the pods of namespace {namespace} can't be listed: {error}")),
    }
}

/// Tests that a pod of these answers its readiness probe, `/readyz`.
fn one_ready(namespace: &str, pods: &[Pod]) -> Finding {
    if pods.is_empty() {
        return Err(format!(
            "no pod of the operator is in namespace {namespace}: see `kubectl -n {namespace} describe deployment \
             tidewatch-operator`"
        ));
    }
    if let Some(ready) = pods.iter().find(|pod| is_ready(pod)) {
        return Ok(format!("pod {} of the operator is ready", ready.name_any()));
    }
    let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
    Err(format!(
        "no pod of the operator is ready, of {}: see `kubectl -n {namespace} describe pod` and its logs",
        names.join(", ")
    ))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// Tests that a connection is accepted: then the replica that leads has pointed the Service at itself, and traffic gets there.
async fn reachable(collector: &str) -> Finding {
    let problem = match tokio::time::timeout(CALL_LIMIT, TcpStream::connect(collector)).await {
        Ok(Ok(_)) => return Ok(format!("the collector can be reached at {collector}")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {} s", CALL_LIMIT.as_secs()),
    };
    Err(format!(
        "the collector can't be reached at {collector}: {problem}: see whether a replica leads (`kubectl get lease \
         tidewatch-operator`), and whether a NetworkPolicy or a DNS fault is in the way"
    ))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
