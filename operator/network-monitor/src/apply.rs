//! Doing what the plan says. Every write is made under leadership and given up when that ends.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde_json::json;
use tidewatch_crds::{NetworkMonitor, NetworkMonitorStatus};
use tidewatch_kube::events::{self, Happened};
use tidewatch_kube::leader::Leadership;
use tidewatch_kube::object::FIELD_MANAGER;
use tidewatch_kube::reconcile::{Classify, ErrorClass};

use super::plan::{Action, Transition};

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("write the status of NetworkMonitor {object}: {source}")]
    Status { object: String, source: kube::Error },
    #[error("this replica no longer leads: nothing was written")]
    NotLeading,
}

impl Classify for ApplyError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Status { source, .. } => match source.class() {
                // Deleted in between: there is nothing to write to, and its deletion is seen by the watch.
                ErrorClass::NotFound => ErrorClass::Terminal,
                class => class,
            },
            Self::NotLeading => ErrorClass::Terminal,
        }
    }
}

/// Executes actions on monitors.
#[derive(Clone)]
pub(super) struct Applier {
    client: Client,
    leadership: Leadership,
    /// Name of the pod, as the events' reporting instance.
    instance: String,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl Applier {
    pub(super) fn new(client: Client, leadership: Leadership, instance: String) -> Self {
        Self { client, leadership, instance }
    }

    /// Executes `actions` in order; the first failure ends it.
    pub(super) async fn apply(&self, monitor: &Target<'_>, actions: Vec<Action>) -> Result<(), ApplyError> {
        for action in actions {
            let work = async {
                match action {
                    Action::WriteStatus(status) => self.write_status(monitor, &status).await,
                    Action::Tell(transition) => {
                        self.tell(monitor, &transition).await;
                        Ok(())
                    }
                }
            };
            tokio::select! {
                biased;
                () = self.leadership.lost.cancelled() => return Err(ApplyError::NotLeading),
                done = work => done?,
            }
        }
        Ok(())
    }

    async fn write_status(
        &self,
        monitor: &Target<'_>,
        status: &NetworkMonitorStatus,
    ) -> Result<(), ApplyError> {
        let api: Api<NetworkMonitor> = Api::namespaced(self.client.clone(), monitor.namespace);
        // With the version that the status was folded from: a status made from an old copy is refused instead of undoing
        // a newer one.
        let patch = json!({
            "apiVersion": NetworkMonitor::api_version(&()),
            "kind": NetworkMonitor::kind(&()),
            "metadata": {"name": monitor.name, "resourceVersion": monitor.resource_version},
            "status": status,
        });
        api.patch_status(monitor.name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&patch))
            .await
            .map(drop)
            .map_err(|source| ApplyError::Status {
                object: format!("{}/{}", monitor.namespace, monitor.name),
                source,
            })
    }

    async fn tell(&self, monitor: &Target<'_>, transition: &Transition) {
        let happened = Happened {
            reason: transition.reason.as_str(),
            is_warning: transition.reason.is_warning(),
            note: transition.note.clone(),
            action: "Evaluate",
        };
        let controller = "tidewatch.dev/network-monitor";
        events::publish(&self.client, controller, &self.instance, &monitor.reference, &happened).await;
    }
}

/// The monitor that is written to.
#[derive(Debug, Clone)]
pub(super) struct Target<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub resource_version: Option<&'a str>,
    pub reference: ObjectReference,
}
