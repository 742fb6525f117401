//! Changes made by hand in AWS that were undone, as Events.

use tidewatch_kube::events::Happened;
use tidewatch_kube::object::Target;

use super::Objects;

/// Told as soon as they are undone: whatever fails next, nobody would know of them any more.
pub async fn tell<S>(objects: &impl Objects<S>, target: &Target, undone: Vec<String>) {
    for note in undone {
        let happened = Happened { reason: "DriftRepaired", is_warning: true, note, action: "Reconcile" };
        objects.tell(target, &happened).await;
    }
}
