//! `tidewatch retire`: the last word before the operator is uninstalled, by the chart's hook. A status outlives whoever wrote
//! it, and nobody would take back that all is well.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewatch_agent_fleet::TEMPLATE_CONFIG_MAP;
use tidewatch_canary::STOPPED;
use tidewatch_crds::canary::Provider;
use tidewatch_crds::network_monitor::NetworkHealthIndicator;
use tidewatch_crds::{
    AnomalyAlarm, AnomalyAlarmStatus, Canary, CanaryStatus, NetworkMonitor, NetworkMonitorStatus,
};
use tidewatch_kube::conditions::whole_seconds;
use tidewatch_kube::leader::{Candidate, Timing};
use tidewatch_kube::object::{Target, apply_status};

use crate::config;
use crate::run;
use crate::telemetry::{self, LogFormat};

/// Time limit for all of it: an uninstall must not hang on it.
const LIMIT: Duration = Duration::from_secs(100);
/// For how long no replica leads again: until helm has deleted the Deployment.
const KEPT: Duration = Duration::from_secs(120);
/// Statuses written at one time.
const CONCURRENCY: usize = 16;
/// Objects listed at one time.
const PAGE: u32 = 500;
/// Reason of every condition.
const REASON: &str = "Uninstalled";

/// Say in every object's status that nobody watches it any more; the chart runs this before it is uninstalled
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Namespace that the operator runs in
    #[arg(long, env = "TIDEWATCH_NAMESPACE", default_value = config::NAMESPACE)]
    pub namespace: String,
    /// Log level or filter
    #[arg(long, env = "TIDEWATCH_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Stops the operator's replicas, then writes every status. What fails is logged and doesn't keep the chart from being
/// uninstalled.
pub async fn run(args: Args) -> anyhow::Result<()> {
    telemetry::install_logs(&args.log_level, LogFormat::Json)?;
    let config = kube::Config::infer().await.context("find the API server")?;
    let client = Client::try_from(config).context("set up the API client")?;
    let timing = Timing { lease: KEPT, ..Timing::default() };
    let work = async {
        stop_the_operator(&client, &args.namespace, timing).await;
        retire_all(&client, Timestamp::now()).await
    };
    match tokio::time::timeout(LIMIT, work).await {
        Ok(written) => tracing::info!(written, "the objects that are left say that nobody watches them"),
        Err(_) => tracing::warn!(limit = ?LIMIT, "not every object was written in time"),
    }
    Ok(())
}

/// Takes the lease away and waits until whoever led has stopped writing.
async fn stop_the_operator(client: &Client, namespace: &str, timing: Timing) {
    let candidate = Candidate {
        namespace: namespace.to_owned(),
        lease: run::LEASE.to_owned(),
        owner: TEMPLATE_CONFIG_MAP.to_owned(),
        identity: "uninstall".to_owned(),
        timing,
    };
    match candidate.take_away(client).await {
        Ok(true) => tokio::time::sleep(timing.renew_deadline).await,
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, "the lease can't be taken: the operator may write statuses again")
        }
    }
}

/// Writes the statuses of all kinds; returns how many.
async fn retire_all(client: &Client, now: Timestamp) -> usize {
    retire_kind::<NetworkMonitor>(client, now).await
        + retire_kind::<AnomalyAlarm>(client, now).await
        + retire_kind::<Canary>(client, now).await
}

async fn retire_kind<K: Retire>(client: &Client, now: Timestamp) -> usize {
    let api: Api<K> = Api::all(client.clone());
    let mut page = ListParams::default().limit(PAGE);
    let mut written = 0;
    loop {
        let listed = match api.list(&page).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "couldn't list");
                return written;
            }
        };
        let writes = futures::stream::iter(listed.items).map(|object| retire(client, object, now));
        written +=
            writes.buffer_unordered(CONCURRENCY).filter(|done| std::future::ready(*done)).count().await;
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return written,
        }
    }
}

/// Writes one status; whether there was one to write, and it could be.
async fn retire<K: Retire>(client: &Client, object: K, now: Timestamp) -> bool {
    let Some(status) = object.retired(now) else { return false };
    let mut target = Target::of(&object);
    match apply_status::<K, _>(client, &mut target, &status).await {
        Ok(()) => true,
        Err(error) => {
            let (kind, namespace, name) = (K::kind(&()), target.namespace, target.name);
            tracing::warn!(%kind, namespace, name, %error, "couldn't write the status");
            false
        }
    }
}

/// A kind whose objects are watched.
trait Retire:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + Sync
{
    type Status: Serialize + Send + Sync;

    /// The status once nobody watches the object; none where it never had one.
    fn retired(&self, now: Timestamp) -> Option<Self::Status>;
}

/// Nothing is known any more of what the conditions are about.
fn unknown(conditions: &[Condition], what: &str, now: Timestamp) -> Vec<Condition> {
    let now = whole_seconds(now);
    let of = |condition: &Condition| Condition {
        status: "Unknown".to_owned(),
        reason: REASON.to_owned(),
        message: format!("Tidewatch was uninstalled at {now}: {what}"),
        last_transition_time: if condition.status == "Unknown" {
            condition.last_transition_time.clone()
        } else {
            Time(now)
        },
        ..condition.clone()
    };
    conditions.iter().map(of).collect()
}

impl Retire for NetworkMonitor {
    type Status = NetworkMonitorStatus;

    fn retired(&self, now: Timestamp) -> Option<NetworkMonitorStatus> {
        let status = self.status.as_ref()?;
        Some(NetworkMonitorStatus {
            observed_generation: status.observed_generation,
            network_health_indicator: Some(NetworkHealthIndicator::InsufficientData),
            conditions: unknown(&status.conditions, "nobody watches this traffic", now),
            ..NetworkMonitorStatus::default()
        })
    }
}

impl Retire for AnomalyAlarm {
    type Status = AnomalyAlarmStatus;

    /// What is needed to find again what was made in AWS stays.
    fn retired(&self, now: Timestamp) -> Option<AnomalyAlarmStatus> {
        let status = self.status.as_ref()?;
        let what = "its state isn't read any more; what was made in CloudWatch for it is still there";
        Some(AnomalyAlarmStatus {
            state: None,
            since: None,
            reason: None,
            metric_state: None,
            network_state: None,
            reading: None,
            overview: None,
            conditions: unknown(&status.conditions, what, now),
            ..status.clone()
        })
    }
}

impl Retire for Canary {
    type Status = CanaryStatus;

    /// The runs so far stay: they say when they were.
    fn retired(&self, now: Timestamp) -> Option<CanaryStatus> {
        let status = self.status.as_ref()?;
        let in_aws = status.provider == Some(Provider::Aws);
        let what = if in_aws {
            "its runs in CloudWatch Synthetics go on and aren't read any more"
        } else {
            "it doesn't run any more"
        };
        Some(CanaryStatus {
            state: (!in_aws).then(|| STOPPED.to_owned()),
            result: None,
            conditions: unknown(&status.conditions, what, now),
            ..status.clone()
        })
    }
}

#[cfg(test)]
#[path = "retire_tests.rs"]
mod tests;
