//! Looks up the pod and the backend of each event before it is added to its flow. Events of clients wait for the next
//! dump of connection tracking, which serves many of them.

use std::time::{Duration, Instant};

use crate::conntrack::{Dialled, Translations};
use crate::event::{Event, flag};
use crate::flows::Flows;
use crate::kernel::Kernel;
use crate::pods::Pods;

/// Number of waiting events, at 88 bytes each, at which connection tracking is read early.
const MAX_WAITING: usize = 16_384;
/// Longest time that an event waits. Connection tracking keeps the entry of a connection that was reset for 10 s
/// (nf_conntrack_tcp_timeout_close).
const MAX_AGE: Duration = Duration::from_secs(5);

/// Events that wait to be added to their flows.
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

    /// Takes an event. The event of a server is added to its flow at once.
    pub fn take(&mut self, event: Event, now: Instant, flows: &mut Flows, kernel: &Kernel<'_>) {
        if event.is(flag::CLIENT) {
            self.waiting.push(event);
            self.since.get_or_insert(now);
        } else {
            self.add(&event, &Translations::default(), flows, kernel);
        }
    }

    /// Returns true if connection tracking should be read now.
    pub fn is_due(&self, now: Instant) -> bool {
        let old = self.since.is_some_and(|since| now.saturating_duration_since(since) >= MAX_AGE);
        old || self.is_full()
    }

    /// Returns true if [`MAX_WAITING`] events wait, or more.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// Returns true if no event waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds all waiting events to their flows. Without an entry in `translations`, the dialled address is the remote's
    /// own.
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
