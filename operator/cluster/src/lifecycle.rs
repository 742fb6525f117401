//! The stage of a pod that was coming or going in a window: its trouble, and the trouble of its clients, is expected
//! then. Pure.

use jiff::{SignedDuration, Timestamp};
use tidewatch_records::Lifecycle;

use super::facts::{Deletion, PodFact, PodPhase};
use super::index::Index;

/// Time after which a pod that isn't ready, or that doesn't end, is at fault and no longer expected to be in trouble.
const LIMIT: SignedDuration = SignedDuration::from_mins(3);

/// Time after a pod became ready in which trouble is expected: it has caches to fill and connections to open.
const SETTLING: SignedDuration = SignedDuration::from_secs(30);

/// A span of time, `[from, to)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// The stage that `pod`, whose object was deleted at `departed` if it was, was in during `window`; `None` for one that
/// simply ran, or that has been in trouble for too long for that to be expected.
pub(super) fn lifecycle(pod: &PodFact, departed: Option<Timestamp>, window: Span) -> Option<Lifecycle> {
    if pod.phase == PodPhase::Ended || departed.is_some_and(|at| at < window.to) {
        return Some(Lifecycle::Gone);
    }
    if let Some(Deletion { requested, due }) = pod.deletion.filter(|deletion| deletion.requested < window.to)
    {
        return (window.from < due.max(after(requested, LIMIT))).then_some(Lifecycle::Terminating);
    }
    let is_unsettled = |begun: Timestamp| {
        let mut until = after(begun, LIMIT);
        if pod.ready {
            until = until.min(after(pod.ready_changed.map_or(begun, |at| at.max(begun)), SETTLING));
        }
        begun < window.to && window.from < until
    };
    // Counted from the pod's creation: the wait for a node and for an image is part of its start.
    let created = pod.created.or(pod.started);
    if created.is_some_and(is_unsettled) {
        Some(Lifecycle::Starting)
    } else if pod.restarted.is_some_and(is_unsettled) {
        Some(Lifecycle::Restarting)
    } else {
        None
    }
}

/// The stage of a pod that is starting for a Service without a ready endpoint. `None` if pods of the Service only end,
/// as when it is scaled to zero: that is for its owner to see.
pub(super) fn lifecycle_of_service(index: &Index, service: &str, window: Span) -> Option<Lifecycle> {
    if index.has_ready_endpoint(service) {
        return None;
    }
    let service = index.service(service)?;
    index
        .unready_pods()
        .filter(|pod| service.selects(pod))
        .filter_map(|pod| lifecycle(pod, None, window))
        .find(|stage| matches!(stage, Lifecycle::Starting | Lifecycle::Restarting))
}

fn after(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
