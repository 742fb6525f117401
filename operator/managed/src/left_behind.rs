//! What stays in AWS though its object lets go of it, as an Event.

use tidewatch_kube::events::Happened;

/// Tells what stays in AWS and why, so that nobody looks for it in vain or pays for it unknowingly.
pub fn left_behind(what_stays: &str) -> Happened {
    Happened { reason: "LeftBehind", is_warning: false, note: what_stays.to_owned(), action: "Reconcile" }
}
