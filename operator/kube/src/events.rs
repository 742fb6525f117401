//! Publishing an Event on an object.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// What happened, as an Event says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    pub reason: &'static str,
    pub is_warning: bool,
    pub note: String,
    /// What the controller was doing.
    pub action: &'static str,
}

/// Publishes on `object`, and logs it. One that can't be published is logged as such: the status says the same, and holds.
pub async fn publish(
    client: &Client,
    controller: &str,
    instance: &str,
    object: &ObjectReference,
    happened: &Happened,
) {
    tracing::info!(
        kind = object.kind,
        namespace = object.namespace,
        name = object.name,
        reason = happened.reason,
        "{}",
        happened.note
    );
    // A recorder each time: it would fold events of the same kind into a series with the first one's note.
    let reporter = Reporter { controller: controller.to_owned(), instance: Some(instance.to_owned()) };
    let event = Event {
        type_: if happened.is_warning { EventType::Warning } else { EventType::Normal },
        reason: happened.reason.to_owned(),
        note: Some(shortened(&happened.note)),
        action: happened.action.to_owned(),
        secondary: None,
    };
    if let Err(error) = Recorder::new(client.clone(), reporter).publish(&event, object).await {
        tracing::warn!(namespace = object.namespace, name = object.name, reason = event.reason, %error, "couldn't publish an event");
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
