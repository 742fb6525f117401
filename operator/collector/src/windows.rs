//! Flow records by agent window, until the evaluation windows that they belong to close. Pure: time is passed in.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use jiff::{SignedDuration, Timestamp};
use tidewatch_cluster::HISTORY;
use tidewatch_evaluation::ClusterWindow;
use tidewatch_records::{Accounting, FlowWindow, Name, NodeWindow};

use super::limits::Limits;
use super::patience::{LEAST, MOST, Patience};
use super::reject::Reject;

/// Clocks of nodes differ by this much at most.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// Closed windows are remembered for this long, so that a batch that is sent again is known for a duplicate.
const REMEMBER_CLOSED: SignedDuration = SignedDuration::from_mins(2);

/// An evaluation that fell behind by more windows than this (the machine slept) starts afresh.
const BEHIND: i64 = 10;

/// Records of one node for one agent window.
#[derive(Debug, Default)]
struct Report {
    /// Hashes of the flows' keys. Keyed at random (SipHash), so that nobody can make two keys collide.
    keys: HashSet<u64>,
    flows: Vec<FlowWindow>,
    accounting: Option<Accounting>,
    /// Figures of the node itself.
    figures: Option<NodeWindow>,
    /// Number of connections in records that were refused for want of room.
    lost: u64,
}

#[derive(Debug, Default)]
struct Slot {
    nodes: HashMap<Name, Report>,
    /// True once every evaluation length has taken its records.
    closed: bool,
}

#[derive(Debug)]
pub(super) struct Windows {
    limits: Limits,
    patience: Patience,
    /// The last time that the collector went on after it had stood still: reports sent meanwhile are still to be read.
    resumed: Timestamp,
    hasher: RandomState,
    /// By start, in seconds since the epoch.
    slots: BTreeMap<i64, Slot>,
    /// The end of the last closed window of each evaluation length, by length in seconds.
    lengths: BTreeMap<u32, i64>,
    flows: usize,
}

/// The windows that [`Windows::close`] has closed, and the number of those that it skipped since they lay too far back.
#[derive(Debug, Default)]
pub(super) struct Closing {
    pub(super) windows: Vec<ClusterWindow>,
    pub(super) skipped: u64,
}

impl Windows {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            patience: Patience::default(),
            resumed: Timestamp::MIN,
            hasher: RandomState::new(),
            slots: BTreeMap::new(),
            lengths: BTreeMap::new(),
            flows: 0,
        }
    }

    /// Sets the evaluation lengths that are wanted from now on. A new one begins with the current window.
    pub(super) fn set_lengths(&mut self, wanted: &BTreeSet<u32>, now: Timestamp) {
        self.lengths.retain(|seconds, _| wanted.contains(seconds));
        for seconds in wanted.iter().copied().filter(|seconds| *seconds > 0) {
            let length = i64::from(seconds);
            self.lengths.entry(seconds).or_insert_with(|| now.as_second().div_euclid(length) * length);
        }
    }

    /// Number of flow records held.
    pub(super) fn flows(&self) -> usize {
        self.flows
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Refuses a record whose window lies too far in the past or in the future.
    pub(super) fn timely(start: Timestamp, seconds: u32, now: Timestamp) -> Result<(), Reject> {
        let length = SignedDuration::from_secs(i64::from(seconds));
        let end = start.checked_add(length).map_err(|_| Reject::Future)?;
        if start.duration_since(now) > SKEW.saturating_add(length) {
            return Err(Reject::Future);
        }
        if now.duration_since(end) > HISTORY {
            return Err(Reject::Past);
        }
        Ok(())
    }

    /// Key of a flow among all flows of its node in its window.
    pub(super) fn key(&self, flow: &FlowWindow) -> u64 {
        let (local, remote) = (&flow.local, &flow.remote);
        self.hasher.hash_one((
            flow.window_seconds,
            flow.role,
            (local.ip, local.port, local.pod_uid.as_deref()),
            (remote.ip, remote.port, remote.cluster_ip, remote.cluster_port),
        ))
    }

    /// Keeps `flow`, whose [`Windows::key`] is `key`.
    pub(super) fn offer(&mut self, flow: FlowWindow, key: u64, now: Timestamp) -> Result<(), Reject> {
        Self::timely(flow.window_start, flow.window_seconds, now)?;
        let limits = self.limits;
        let full = self.flows >= limits.flows;
        let closed = self.is_closed(flow.window_start.as_second());
        let node = self.node(flow.window_start.as_second(), &flow.reporter)?;
        if node.keys.contains(&key) {
            return Err(Reject::Duplicate);
        }
        if closed {
            return Err(Reject::Late);
        }
        if full || node.flows.len() >= limits.flows_per_node_window {
            let connections = flow.connections.open.saturating_add(flow.connections.closed);
            node.lost = node.lost.saturating_add(connections);
            return Err(if full { Reject::Full } else { Reject::NodeFull });
        }
        node.keys.insert(key);
        node.flows.push(flow);
        self.flows += 1;
        Ok(())
    }

    /// Keeps the figures of a node in an agent window.
    pub(super) fn offer_figures(&mut self, figures: NodeWindow, now: Timestamp) -> Result<(), Reject> {
        Self::timely(figures.window_start, figures.window_seconds, now)?;
        let start = figures.window_start.as_second();
        let closed = self.is_closed(start);
        let node = self.node(start, &figures.reporter)?;
        if node.figures.is_some() {
            return Err(Reject::Duplicate);
        }
        if closed {
            return Err(Reject::Late);
        }
        node.figures = Some(figures);
        Ok(())
    }

    /// Keeps `accounting`, the last record that a node sends for an agent window.
    pub(super) fn account(&mut self, accounting: Accounting, now: Timestamp) -> Result<(), Reject> {
        Self::timely(accounting.window_start, accounting.window_seconds, now)?;
        let start = accounting.window_start.as_second();
        let closed = self.is_closed(start);
        let node = self.node(start, &accounting.reporter)?;
        if node.accounting.is_some() {
            return Err(Reject::Duplicate);
        }
        let length = SignedDuration::from_secs(i64::from(accounting.window_seconds));
        let delay = now.duration_since(accounting.window_start).saturating_sub(length);
        self.patience.reported(&accounting.reporter, delay);
        let node = self.node(start, &accounting.reporter)?;
        if closed {
            return Err(Reject::Late);
        }
        node.accounting = Some(accounting);
        Ok(())
    }

    fn node(&mut self, start: i64, reporter: &Name) -> Result<&mut Report, Reject> {
        if !self.slots.contains_key(&start) && self.slots.len() >= self.limits.windows {
            return Err(Reject::Full);
        }
        let slot = self.slots.entry(start).or_default();
        if !slot.nodes.contains_key(reporter) && slot.nodes.len() >= self.limits.nodes {
            return Err(Reject::Full);
        }
        Ok(slot.nodes.entry(reporter.clone()).or_default())
    }

    /// Returns true if every evaluation length has closed its window that contains `start`. While no length is wanted
    /// no window is closed, since one may be wanted soon.
    fn is_closed(&self, start: i64) -> bool {
        !self.lengths.is_empty() && self.lengths.values().all(|closed_to| start < *closed_to)
    }

    /// Returns true if an evaluation window has ended that isn't closed.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.lengths.iter().any(|(seconds, closed_to)| closed_to + i64::from(*seconds) <= now.as_second())
    }

    /// Notes that the collector stood still until `now`, so that reports which were sent meanwhile are waited for.
    pub(super) fn resume(&mut self, now: Timestamp) {
        self.resumed = now;
    }

    /// Closes the evaluation windows that are due: those that all nodes of `ready` have reported to their end, and
    /// those that have waited long enough for the others.
    pub(super) fn close(&mut self, now: Timestamp, ready: &BTreeSet<Name>) -> Closing {
        let mut closing = Closing::default();
        let lengths: Vec<u32> = self.lengths.keys().copied().collect();
        for seconds in lengths {
            self.close_length(seconds, now, ready, &mut closing);
        }
        if !closing.windows.is_empty() {
            self.patience.keep_only(ready);
        }
        self.expire(now);
        closing
    }

    fn close_length(&mut self, seconds: u32, now: Timestamp, ready: &BTreeSet<Name>, closing: &mut Closing) {
        let length = i64::from(seconds);
        let Some(mut start) = self.lengths.get(&seconds).copied() else { return };
        let behind = (now.as_second() - start).div_euclid(length) - BEHIND;
        if behind > 0 {
            closing.skipped += behind.unsigned_abs();
            start += behind * length;
            self.lengths.insert(seconds, start);
        }
        while let Ok(end) = Timestamp::from_second(start + length) {
            if now < end {
                return;
            }
            let missing = self.missing(start, start + length, ready);
            if self.waits(end, now, &missing, ready) {
                return;
            }
            // Each of its windows is missed once, in the shortest that are wanted.
            if self.lengths.keys().next() == Some(&seconds) {
                missing.iter().for_each(|node| self.patience.missed(node));
            }
            self.lengths.insert(seconds, start + length);
            closing.windows.extend(self.take(start, seconds, ready));
            start += length;
        }
    }

    /// The nodes of `ready` whose accounting for the last agent window in `[start, end)` hasn't come.
    fn missing(&self, start: i64, end: i64, ready: &BTreeSet<Name>) -> Vec<Name> {
        let reported = |node: &Name| {
            self.slots.range(start..end).rev().any(|(_, slot)| {
                let accounting = slot.nodes.get(node).and_then(|node| node.accounting.as_ref());
                accounting.is_some_and(|a| a.window_start.as_second() + i64::from(a.window_seconds) >= end)
            })
        };
        ready.iter().filter(|node| !reported(node)).cloned().collect()
    }

    /// Returns true if the window that ended at `end` still waits for the nodes that are `missing`.
    fn waits(&self, end: Timestamp, now: Timestamp, missing: &[Name], ready: &BTreeSet<Name>) -> bool {
        // Nobody is known whose report would be the last.
        let least = if ready.is_empty() { LEAST } else { SignedDuration::ZERO };
        let most = missing.iter().map(|node| self.patience.with(node)).max().unwrap_or(least);
        let over = now.duration_since(end.max(self.resumed));
        over < most && now.duration_since(end) < MOST.saturating_add(LEAST)
    }

    /// Takes the records of an evaluation window. They are moved out if no other length needs them, else copied.
    fn take(&mut self, start: i64, seconds: u32, ready: &BTreeSet<Name>) -> Option<ClusterWindow> {
        let starts: Vec<i64> =
            self.slots.range(start..start + i64::from(seconds)).map(|(start, _)| *start).collect();
        let window_start = Timestamp::from_second(start).ok()?;
        let mut window = ClusterWindow {
            start: window_start,
            seconds,
            flows: Vec::new(),
            nodes: Vec::new(),
            accounting: BTreeMap::new(),
            expected: ready.clone(),
        };
        for start in starts {
            let last = self.is_closed(start);
            // A closed one's flows are gone: it was closed before this length was wanted. Without its accounting, the
            // coverage says so.
            let Some(slot) = self.slots.get_mut(&start).filter(|slot| !slot.closed) else { continue };
            slot.closed = last;
            for (name, node) in &mut slot.nodes {
                window.nodes.extend(node.figures.clone());
                if let Some(accounting) = &node.accounting {
                    let sum =
                        window.accounting.entry(name.clone()).or_insert_with(|| nothing(name, window_start));
                    add(sum, accounting, node.lost);
                }
                if last {
                    self.flows -= node.flows.len();
                    window.flows.append(&mut std::mem::take(&mut node.flows));
                } else {
                    window.flows.extend(node.flows.iter().cloned());
                }
            }
        }
        Some(window)
    }

    /// Drops windows some time after they were closed, and those that are too old for any evaluation.
    fn expire(&mut self, now: Timestamp) {
        let (closed, unwanted) = (now.checked_sub(REMEMBER_CLOSED), now.checked_sub(HISTORY));
        let (Ok(closed), Ok(unwanted)) = (closed, unwanted) else { return };
        let gone: Vec<i64> = self
            .slots
            .range(..closed.as_second())
            .filter(|(start, slot)| slot.closed || self.is_closed(**start) || **start < unwanted.as_second())
            .map(|(start, _)| *start)
            .collect();
        for start in gone {
            if let Some(slot) = self.slots.remove(&start) {
                self.flows -= slot.nodes.values().map(|node| node.flows.len()).sum::<usize>();
            }
        }
    }
}

fn nothing(reporter: &Name, window_start: Timestamp) -> Accounting {
    Accounting {
        window_start,
        window_seconds: 0,
        reporter: reporter.clone(),
        seen: 0,
        reported: 0,
        sampled_out: 0,
        buffer_full: 0,
        dropped: 0,
        invalid: 0,
    }
}

/// Adds the accounting of one agent window. Connections whose records the collector refused for want of room count as
/// dropped.
fn add(sum: &mut Accounting, one: &Accounting, lost: u64) {
    let lost = lost.min(one.reported);
    sum.window_seconds = sum.window_seconds.saturating_add(one.window_seconds);
    sum.seen = sum.seen.saturating_add(one.seen);
    sum.reported = sum.reported.saturating_add(one.reported - lost);
    sum.sampled_out = sum.sampled_out.saturating_add(one.sampled_out);
    sum.buffer_full = sum.buffer_full.saturating_add(one.buffer_full);
    sum.dropped = sum.dropped.saturating_add(one.dropped).saturating_add(lost);
    sum.invalid = sum.invalid.saturating_add(one.invalid);
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
