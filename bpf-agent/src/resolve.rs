//! Between a socket's report and its flow: pod and backend. A client's report waits for the next look at connection
//! tracking, which is taken for many at once.

use std::time::{Duration, Instant};

use crate::conntrack::{Dialled, Translations};
use crate::event::{Event, flag};
use crate::flows::Flows;
use crate::kernel::Kernel;
use crate::pods::Pods;

/// Reports that wait at most; then connection tracking is looked at early. At 80 bytes each.
const MAX_WAITING: usize = 16_384;
/// An entry of a connection that was reset stays for 10 s (nf_conntrack_tcp_timeout_close).
const MAX_AGE: Duration = Duration::from_secs(5);

/// Reports on their way into the flows.
#[derive(Debug, Default)]
pub struct Resolver {
    waiting: Vec<Event>,
    since: Option<Instant>,
    pods: Pods,
}

impl Resolver {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a report: a server's goes to its flow at once.
    pub fn take(&mut self, event: Event, now: Instant, flows: &mut Flows, kernel: &Kernel<'_>) {
        if event.is(flag::CLIENT) {
            self.waiting.push(event);
            self.since.get_or_insert(now);
        } else {
            self.add(&event, &Translations::default(), flows, kernel);
        }
    }

    /// Whether it is time to look at connection tracking.
    pub fn is_due(&self, now: Instant) -> bool {
        let old = self.since.is_some_and(|since| now.saturating_duration_since(since) >= MAX_AGE);
        old || self.is_full()
    }

    /// Whether no more should be taken before.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Passes on all that waits. Without an entry, the address that was dialled is the remote's.
    pub fn settle(&mut self, translations: &Translations, flows: &mut Flows, kernel: &Kernel<'_>) {
        for event in std::mem::take(&mut self.waiting) {
            self.add(&event, translations, flows, kernel);
        }
        self.since = None;
    }

    fn add(&mut self, event: &Event, translations: &Translations, flows: &mut Flows, kernel: &Kernel<'_>) {
        let pod = self.pods.pod(event.cgroup, |id| kernel.pod_cgroup_name(id));
        let dialled = Dialled {
            source: event.local,
            source_port: event.local_port,
            destination: event.remote,
            destination_port: event.remote_port,
        };
        flows.add(event, pod, translations.backend(&dialled));
    }
}
