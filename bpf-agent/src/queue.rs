//! Windows that wait for the collector. Their number and memory are bounded: the oldest are dropped first, and the next
//! accounting has the counts of what was dropped. Pure.

use std::collections::VecDeque;

use jiff::Timestamp;
use tidewatch_records::{Accounting, FlowWindow, NodeWindow};

use crate::flows::{ClosedWindow, Row};

/// Approximate limit on the memory of waiting windows, in bytes.
pub const MAX_BYTES: usize = 6 << 20;
/// Most windows that may wait.
pub const MAX_WINDOWS: usize = 240;

/// The queue. A window stays in it until it is delivered, or dropped to make room.
#[derive(Debug)]
pub struct Queue {
    windows: VecDeque<Waiting>,
    max_bytes: usize,
    /// Counts of dropped windows, for the next accounting.
    lost: Lost,
    /// Number of windows dropped so far.
    pub lost_windows: u64,
}

#[derive(Debug)]
struct Waiting {
    window: ClosedWindow,
    bytes: usize,
    /// Number of rows already delivered.
    sent: usize,
}

#[derive(Debug, Default)]
struct Lost {
    seen: u64,
    reported: u64,
    sampled_out: u64,
    buffer_full: u64,
    dropped: u64,
    invalid: u64,
}

/// The next rows to send. The last batch of a window also has the node's figures and the accounting.
#[derive(Debug)]
pub struct Batch {
    /// Start of the window that the rows belong to.
    pub at: Timestamp,
    pub flows: Vec<FlowWindow>,
    pub node: Option<NodeWindow>,
    pub accounting: Option<Accounting>,
}

impl Default for Queue {
    fn default() -> Self {
        Self::with_limit(MAX_BYTES)
    }
}

impl Queue {
    /// A queue with another limit on memory.
    pub fn with_limit(max_bytes: usize) -> Self {
        Self { windows: VecDeque::new(), max_bytes, lost: Lost::default(), lost_windows: 0 }
    }

    /// Number of waiting windows.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Adds a window. The oldest windows are dropped to make room, and their counts are added to this window's
    /// accounting.
    pub fn push(&mut self, mut window: ClosedWindow) {
        let bytes = window.bytes();
        while self.is_full(bytes) {
            self.lose_oldest();
        }
        self.settle(&mut window.accounting);
        self.windows.push_back(Waiting { window, bytes, sent: 0 });
    }

    /// Returns true if a window of `incoming` bytes has no room. The newest window is kept, however large it is.
    fn is_full(&self, incoming: usize) -> bool {
        let held: usize = self.windows.iter().map(|waiting| waiting.bytes).sum();
        !self.windows.is_empty() && (held + incoming > self.max_bytes || self.windows.len() >= MAX_WINDOWS)
    }

    fn lose_oldest(&mut self) {
        let Some(waiting) = self.windows.pop_front() else { return };
        let undelivered: u64 = waiting.window.rows.iter().skip(waiting.sent).map(Row::sockets).sum();
        let accounting = &waiting.window.accounting;
        self.lost_windows += 1;
        self.lost.seen += accounting.seen;
        self.lost.reported += accounting.reported.saturating_sub(undelivered);
        self.lost.dropped += accounting.dropped + undelivered.min(accounting.reported);
        self.lost.sampled_out += accounting.sampled_out;
        self.lost.buffer_full += accounting.buffer_full;
        self.lost.invalid += accounting.invalid;
    }

    fn settle(&mut self, accounting: &mut Accounting) {
        let lost = std::mem::take(&mut self.lost);
        accounting.seen += lost.seen;
        accounting.reported += lost.reported;
        accounting.dropped += lost.dropped;
        accounting.sampled_out += lost.sampled_out;
        accounting.buffer_full += lost.buffer_full;
        accounting.invalid += lost.invalid;
    }

    /// The next batch of at most `rows` rows. It is the same batch until [`Queue::delivered`] is called.
    pub fn front(&self, rows: usize) -> Option<Batch> {
        let Waiting { window, sent, .. } = self.windows.front()?;
        let flows: Vec<FlowWindow> =
            window.rows.iter().skip(*sent).take(rows).map(|row| window.record(row)).collect();
        let last = sent + flows.len() >= window.rows.len();
        let at = window.accounting.window_start;
        let node = window.node_record().filter(|_| last);
        Some(Batch { at, flows, node, accounting: last.then(|| window.accounting.clone()) })
    }

    /// Removes a batch that was delivered. Its window may have been dropped meanwhile.
    pub fn delivered(&mut self, batch: &Batch) {
        let Some(front) = self.windows.front_mut().filter(|front| front.is_of(batch)) else { return };
        front.sent += batch.flows.len();
        if batch.accounting.is_some() {
            self.windows.pop_front();
        }
    }

    /// Drops the window of a batch that the collector refuses for good, if it wasn't dropped meanwhile.
    pub fn refused(&mut self, batch: &Batch) {
        if self.windows.front().is_some_and(|front| front.is_of(batch)) {
            self.lose_oldest();
        }
    }
}

impl Waiting {
    fn is_of(&self, batch: &Batch) -> bool {
        self.window.accounting.window_start == batch.at
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;
    use tidewatch_records::{Name, NodeFigures};

    use super::*;
    use crate::event::{Event, flag};
    use crate::flows::Flows;

    fn window(start: i64, sockets: u16) -> ClosedWindow {
        let mut flows = Flows::new();
        for n in 0..sockets {
            flows.add(&event(n), None, None);
        }
        flows.add_buffer_full(2);
        flows.close(Timestamp::from_second(start).unwrap(), 5, &Name::from("node-a"))
    }

    fn event(n: u16) -> Event {
        Event {
            cgroup: 1,
            bytes_out: 10,
            bytes_in: 10,
            local: Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc612, n + 1),
            remote: Ipv6Addr::LOCALHOST,
            data_segments_out: 1,
            retransmissions: 0,
            spurious: 0,
            syn_retransmissions: 0,
            srtt_us: 100,
            quickest_rtt_us: 90,
            timeouts: 0,
            local_port: 40_000,
            remote_port: 80,
            flags: flag::CLIENT | flag::FIRST | flag::ESTABLISHED | flag::CLOSED,
        }
    }

    fn is_exact(a: &Accounting) -> bool {
        a.seen == a.reported + a.sampled_out + a.buffer_full + a.dropped + a.invalid
    }

    fn drain(queue: &mut Queue, rows: usize) -> Vec<Accounting> {
        let mut done = Vec::new();
        while let Some(batch) = queue.front(rows) {
            done.extend(batch.accounting.clone());
            queue.delivered(&batch);
        }
        done
    }

    proptest! {
        #[test]
        fn accounting_stays_exact_whatever_is_lost(sizes in prop::collection::vec(0u16..40, 1..30), limit in 1_000usize..60_000, taken in 0usize..30) {
            let mut queue = Queue::with_limit(limit);
            for (start, &size) in (0..).step_by(5).zip(&sizes) {
                queue.push(window(start, size));
            }
            if let Some(batch) = queue.front(taken.max(1)) {
                queue.delivered(&batch);
            }
            queue.push(window(10_000, 1));
            let all = drain(&mut queue, 7);
            prop_assert!(all.iter().all(is_exact), "{all:?}");
        }
    }

    #[test]
    fn what_is_lost_is_said_in_the_next_accounting() {
        let mut queue = Queue::with_limit(1);
        queue.push(window(0, 10));
        queue.push(window(5, 1));
        let accountings = drain(&mut queue, 100);
        assert_eq!(queue.lost_windows, 1);
        assert_eq!(accountings.len(), 1);
        let a = &accountings[0];
        assert_eq!((a.seen, a.reported, a.dropped, a.buffer_full), (15, 1, 10, 4));
    }

    #[test]
    fn what_becomes_of_a_batch_of_a_window_that_was_lost_meanwhile_is_not_the_next_ones() {
        let mut queue = Queue::with_limit(1);
        queue.push(window(0, 10));
        let batch = queue.front(4).unwrap();
        queue.push(window(5, 10));
        queue.refused(&batch);
        queue.delivered(&batch);
        assert_eq!((queue.len(), queue.lost_windows), (1, 1));
        assert_eq!(queue.front(100).unwrap().flows.len(), 10);
    }

    #[test]
    fn a_batch_is_the_same_until_it_is_delivered() {
        let mut queue = Queue::default();
        queue.push(window(0, 10));
        let rows = |queue: &Queue| queue.front(4).unwrap().flows;
        assert_eq!(rows(&queue), rows(&queue));
        queue.delivered(&queue.front(4).unwrap());
        assert_eq!(queue.front(100).unwrap().flows.len(), 6);
        assert!(queue.front(100).unwrap().accounting.is_some());
    }

    #[test]
    fn a_nodes_figures_go_with_the_last_batch_of_their_window() {
        let mut queue = Queue::default();
        let figures = NodeFigures { listen_drops: Some(3), ..Default::default() };
        queue.push(ClosedWindow { node: Some(figures), ..window(30, 10) });
        assert_eq!(queue.front(4).unwrap().node, None);
        queue.delivered(&queue.front(4).unwrap());
        let node = queue.front(100).unwrap().node.unwrap();
        assert_eq!((node.window_start.as_second(), &*node.reporter, node.node), (30, "node-a", figures));
    }
}
