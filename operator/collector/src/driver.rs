//! Closes evaluation windows when they are due and hands them on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidewatch_cluster::{Cluster, Remotes, resolve};
use tidewatch_evaluation::{ClusterWindow, Registry};
use tidewatch_records::{Connections, Endpoint, EndpointKind, FlowWindow};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::ingest::CHUNK;
use super::metrics::Metrics;
use super::windows::Windows;

/// Interval between checks for windows to close, and so the longest time from the last report to the close.
const TICK: Duration = Duration::from_millis(250);

/// A tick that comes this much after the one before means that the process stood still.
const STALL: SignedDuration = SignedDuration::from_secs(1);

/// Number of ticks between two updates of the metrics of the index's size.
const SIZES_EVERY: u32 = 40;

#[derive(Debug)]
pub(super) struct Driver {
    pub(super) windows: Arc<Mutex<Windows>>,
    pub(super) cluster: Cluster,
    pub(super) remotes: Arc<Remotes>,
    pub(super) registry: Registry,
    pub(super) metrics: Metrics,
}

impl Driver {
    pub(super) async fn run(&self, clock: &dyn Clock, cancel: &CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut count = 0_u32;
        let mut before = clock.now();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let now = clock.now();
            if now.duration_since(before) > STALL {
                self.windows.lock().unwrap_or_else(PoisonError::into_inner).resume(now);
            }
            before = now;
            self.tick(now);
            if count.is_multiple_of(SIZES_EVERY) {
                self.metrics.index(&self.cluster);
            }
            count = count.wrapping_add(1);
        }
    }

    /// Closes what is due at `now`.
    pub(super) fn tick(&self, now: Timestamp) {
        let lengths = self.registry.lengths(now);
        let closing = {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.set_lengths(&lengths, now);
            let ready =
                if windows.is_due(now) { self.cluster.read().ready_agents() } else { Default::default() };
            let closing = windows.close(now, &ready);
            self.metrics.held(windows.flows(), windows.slots());
            closing
        };
        self.metrics.windows_skipped.inc_by(closing.skipped);
        for mut window in closing.windows {
            self.resolve_late(&mut window);
            self.metrics.windows_closed.inc();
            let missing =
                window.expected.iter().filter(|node| !window.accounting.contains_key(*node)).count();
            self.metrics.nodes_missing.inc_by(missing as u64);
            tracing::debug!(
                start = %window.start, seconds = window.seconds, flows = window.flows.len(),
                nodes = window.accounting.len(), missing, "closed an evaluation window"
            );
            self.registry.publish(Arc::new(window));
        }
    }

    /// Resolves flows with an unknown end, and failing ones, once more. A pod's first records may have come before the
    /// watch reported the pod, and its last failing ones before the watch reported its deletion.
    fn resolve_late(&self, window: &mut ClusterWindow) {
        let unclear = window.flows.iter_mut().filter(|flow| is_unclear(flow));
        let mut unclear = unclear.peekable();
        while unclear.peek().is_some() {
            let index = self.cluster.read();
            for flow in unclear.by_ref().take(CHUNK) {
                resolve(&index, &self.remotes, flow);
            }
        }
    }
}

fn is_unclear(flow: &FlowWindow) -> bool {
    let unknown = |end: &Endpoint| matches!(end.kind, None | Some(EndpointKind::Unknown));
    let steady = flow.local.lifecycle.is_none() && flow.remote.lifecycle.is_none();
    let Connections { refused, timed_out, waiting, reset, aborted, .. } = flow.connections;
    let failed = [refused, timed_out, waiting, reset, aborted, flow.retransmissions].iter().any(|n| *n > 0);
    unknown(&flow.local) || unknown(&flow.remote) || (steady && failed)
}
