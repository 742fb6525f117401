//! Doing what the plan says. Every write is made under leadership and given up when that ends.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource};
use serde_json::json;
use tidewatch_crds::{NetworkMonitor, NetworkMonitorStatus};

use super::plan::{Action, Transition};
use crate::leader::Leadership;
use crate::reconcile::{Classify, ErrorClass};

/// Field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "tidewatch";

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

    /// An event that can't be published is logged: the status says the same, and holds.
    async fn tell(&self, monitor: &Target<'_>, transition: &Transition) {
        // A recorder each time: it would fold transitions of the same kind into a series with the first one's note.
        let reporter = Reporter {
            controller: "tidewatch.dev/network-monitor".to_owned(),
            instance: Some(self.instance.clone()),
        };
        let event = Event {
            type_: if transition.reason.is_warning() { EventType::Warning } else { EventType::Normal },
            reason: transition.reason.as_str().to_owned(),
            note: Some(shortened(&transition.note)),
            action: "Evaluate".to_owned(),
            secondary: None,
        };
        let published =
            Recorder::new(self.client.clone(), reporter).publish(&event, &monitor.reference).await;
        if let Err(error) = published {
            tracing::warn!(namespace = monitor.namespace, name = monitor.name, reason = event.reason, %error, "couldn't publish an event");
        }
    }
}

/// The API server takes notes of up to 1 kB.
fn shortened(note: &str) -> String {
    const LIMIT: usize = 1000;
    if note.len() <= LIMIT {
        return note.to_owned();
    }
    let mut end = LIMIT;
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", note.get(..end).unwrap_or_default())
}

/// The monitor that is written to.
#[derive(Debug, Clone)]
pub(super) struct Target<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub resource_version: Option<&'a str>,
    pub reference: ObjectReference,
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let note = "é".repeat(800);
        let short = shortened(&note);
        assert!(short.len() <= 1024 && short.ends_with('…'), "{}", short.len());
        assert_eq!(shortened("short"), "short");
    }
}
