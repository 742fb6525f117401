//! The node agents: one DaemonSet, made from the template that the chart renders, while there is a monitor.

#![forbid(unsafe_code)]

mod desired;
mod plan;
mod watch;

use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use tidewatch_kube::backoff::{Backoff, jitter};
use tidewatch_kube::leader::Leadership;
use tidewatch_kube::object::FIELD_MANAGER;
use tidewatch_kube::reconcile::{Classify, ErrorClass};
use tidewatch_kube::watch_health::WatchHealth;
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;

use self::desired::{Problem, desired};
use self::plan::{Applied, FleetAction, plan};
use self::watch::{Seen, Watches};

/// Name of the ConfigMap with the template, and of the DaemonSet.
pub const TEMPLATE_CONFIG_MAP: &str = "tidewatch-agent-template";
pub const DAEMON_SET: &str = "tidewatch-agent";

/// What the monitors show of the agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Nodes that should run one.
    pub desired: i32,
    /// Nodes that run one that is ready.
    pub ready: i32,
    /// No node can run one, as far as the DaemonSet is up to date: there is nothing to wait for.
    pub nowhere: bool,
    /// Why they can't be deployed.
    pub problem: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{action} DaemonSet {DAEMON_SET}: {source}")]
    Write { action: &'static str, source: kube::Error },
    #[error("{action} DaemonSet {DAEMON_SET}: no answer within {} s", LIMIT.as_secs())]
    TimedOut { action: &'static str },
    #[error("this replica no longer leads")]
    NotLeading,
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Write { source, .. } => match source.class() {
                // A template can be mended without this process knowing why: look again, seldom.
                ErrorClass::Terminal => ErrorClass::Denied,
                class => class,
            },
            Self::TimedOut { .. } => ErrorClass::Retry,
            Self::NotLeading => ErrorClass::Terminal,
        }
    }
}

const LIMIT: Duration = Duration::from_secs(10);

/// Keeps the DaemonSet as it should be until `cancel`, and tells of it on `fleet`.
pub async fn run(
    client: Client,
    namespace: String,
    fleet: channel::Sender<Fleet>,
    leadership: Leadership,
    health: WatchHealth,
    cancel: CancellationToken,
) {
    let mut watches = Watches::start(&client, &namespace, &health);
    let api: Api<DaemonSet> = Api::namespaced(client, &namespace);
    let mut applied: Option<Applied> = None;
    let mut failures = 0_u32;
    loop {
        let seen = tokio::select! {
            () = cancel.cancelled() => return,
            seen = watches.next() => seen,
        };
        let Some(seen) = seen else { return };
        let outcome = reconcile(&api, &namespace, &seen, &mut applied, &leadership).await;
        let problem = match &outcome {
            Ok(problem) => problem.as_ref().map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        };
        let next = Fleet { problem, ..counts(seen.daemon_set.as_ref()) };
        fleet.send_if_modified(|current| {
            let changed = *current != next;
            *current = next;
            changed
        });
        match outcome {
            Ok(_) => failures = 0,
            Err(Error::NotLeading) => return,
            Err(error) => {
                failures = failures.saturating_add(1);
                let delay = Backoff::default().delay(error.class(), failures, jitter());
                tracing::warn!(%error, ?delay, "the agents: trying again");
                watches.again_after(delay.unwrap_or(Duration::from_secs(60)));
            }
        }
    }
}

async fn reconcile(
    api: &Api<DaemonSet>,
    namespace: &str,
    seen: &Seen,
    applied: &mut Option<Applied>,
    leadership: &Leadership,
) -> Result<Option<Problem>, Error> {
    let desired = match desired(seen.template.as_ref(), seen.monitors, namespace) {
        Ok(desired) => desired,
        Err(problem) => return Ok(Some(problem)),
    };
    let action = match plan(seen.daemon_set.as_ref(), desired, applied.as_ref()) {
        Ok(action) => action,
        Err(problem) => return Ok(Some(problem)),
    };
    let (name, work) = match action {
        FleetAction::Nothing => return Ok(None),
        FleetAction::Apply(wanted) => ("apply", Work::Apply(wanted)),
        FleetAction::Delete { uid } => ("delete", Work::Delete(uid)),
    };
    let done = async {
        match work {
            Work::Apply(wanted) => {
                let parameters = PatchParams::apply(FIELD_MANAGER).force();
                let stored = api.patch(DAEMON_SET, &parameters, &Patch::Apply(&wanted.object)).await?;
                *applied = Some(Applied { hash: wanted.hash, generation: stored.metadata.generation });
                tracing::info!(
                    monitors = seen.monitors,
                    generation = stored.metadata.generation,
                    "applied the agents' DaemonSet"
                );
            }
            Work::Delete(uid) => {
                let parameters = DeleteParams {
                    preconditions: Some(Preconditions { uid: Some(uid), resource_version: None }),
                    ..DeleteParams::background()
                };
                match api.delete(DAEMON_SET, &parameters).await {
                    Ok(_) => tracing::info!("removed the agents' DaemonSet: no monitor is left"),
                    // Gone already.
                    Err(error) if error.class() == ErrorClass::NotFound => {}
                    Err(error) => return Err(error),
                }
                *applied = None;
            }
        }
        Ok(())
    };
    tokio::select! {
        biased;
        () = leadership.lost.cancelled() => Err(Error::NotLeading),
        done = tokio::time::timeout(LIMIT, done) => match done {
            Ok(Ok(())) => Ok(None),
            Ok(Err(source)) => Err(Error::Write { action: name, source }),
            Err(_) => Err(Error::TimedOut { action: name }),
        },
    }
}

enum Work {
    Apply(Box<desired::Wanted>),
    Delete(String),
}

fn counts(daemon_set: Option<&DaemonSet>) -> Fleet {
    let status = daemon_set.and_then(|set| set.status.as_ref());
    let generation = daemon_set.and_then(|set| set.metadata.generation);
    let counted = status.filter(|status| generation.is_some() && status.observed_generation == generation);
    Fleet {
        desired: status.map_or(0, |status| status.desired_number_scheduled),
        ready: status.map_or(0, |status| status.number_ready),
        nowhere: counted.is_some_and(|status| status.desired_number_scheduled == 0),
        problem: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_node_can_run_an_agent_once_the_daemon_set_was_counted() {
        let nowhere = |generation: i64, observed: i64, desired: i32| {
            let status = json!({
                "observedGeneration": observed, "desiredNumberScheduled": desired,
                "currentNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0,
            });
            let set = json!({"metadata": {"generation": generation}, "status": status});
            counts(Some(&serde_json::from_value(set).unwrap())).nowhere
        };
        assert!(nowhere(2, 2, 0));
        assert!(!nowhere(2, 2, 1));
        assert!(!nowhere(2, 1, 0), "what was counted is of another template");
        assert!(!nowhere(1, 0, 0), "nothing was counted yet");
        assert!(!counts(Some(&DaemonSet::default())).nowhere);
        assert!(!counts(None).nowhere);
    }
}
