//! What stays in AWS though its object lets go of it, as an Event.

use tidewatch_kube::events::Happened;

/// Tells that `what` stays in AWS, so that nobody looks for it in vain or pays for it unknowingly.
pub fn left_behind(what: &str) -> Happened {
    Happened {
        reason: "LeftBehind",
        is_warning: false,
        note: format!("stays in AWS: {what}"),
        action: "Reconcile",
    }
}
