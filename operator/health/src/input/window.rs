//! An evaluation window, and the spans of time in which windows are counted together.

use jiff::{SignedDuration, Timestamp};
use tidewatch_records::{FlowWindow, NodeWindow};

/// The records of one evaluation window, whichever agents' windows they came in, in any order.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    pub start: Timestamp,
    pub seconds: u32,
    /// Resolved flow-window records of the whole cluster.
    pub flows: &'a [FlowWindow],
    /// Figures of the nodes in this window. A node has several where its agent's windows are shorter.
    pub nodes: &'a [NodeWindow],
}

/// Windows that begin this far apart each count on their own.
const SLOT_SECONDS: u32 = 30;

/// The length of a slot: half a minute, or one window where windows are longer.
pub(crate) fn slot(window_seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(window_seconds.max(SLOT_SECONDS)))
}

/// Time over which attempts are judged together, and windows where windows are long.
const HORIZON_SECONDS: i64 = 180;
const HORIZON_WINDOWS: i64 = 3;

/// Time over which attempts are judged together.
pub(crate) fn horizon(window_seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(HORIZON_SECONDS.max(HORIZON_WINDOWS * i64::from(window_seconds)))
}
