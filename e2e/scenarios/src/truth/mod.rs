//! Counter truth: what agents report against what the kernel itself counted, over the same seconds.
//!
//! The agents measured here are the shipped binary, started beside the cluster's own on every node's cgroup, with
//! `--stdout`. The kernel's side is `/proc/net/snmp` and `/proc/net/netstat` of every shop pod, and `ss -ti` for
//! bytes.

mod agents;
mod compare;
mod kernel;
mod sockets;

use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use tidewatch_lab::Lab;

pub use compare::{Comparison, Counter};

use crate::bed::{Bed, SHOP};
use crate::pods::{Located, signal};
use agents::Agents;
use kernel::KernelCounters;
use sockets::Sockets;

/// Windows are aligned to the clock, so both sides can be read at the same edges.
const WINDOW_SECONDS: i64 = 5;
/// Time before an edge at which the shop pauses, so that everything under way is acknowledged or sent again.
const SETTLING: Duration = Duration::from_millis(1500);
/// Time before an edge by which the shop must stand still. On a busy machine pausing it may take longer than that leaves;
/// then the next edge is taken.
const STILL: Duration = Duration::from_millis(700);
/// Number of edges that are tried.
const EDGES: usize = 10;
/// Time after an edge at which the shop goes on, so that the agents have read theirs even on a busy machine.
const READING: Duration = Duration::from_millis(3000);

/// Time for the agents to start, and for a whole window of each.
const STARTING: Duration = Duration::from_secs(16);

/// A measurement that has begun.
#[derive(Debug)]
pub struct Measurement {
    agents: Agents,
    pods: Vec<Located>,
    begin: Edge,
}

/// The kernel's counters at the edge of a window.
#[derive(Debug)]
struct Edge {
    at: Timestamp,
    kernel: KernelCounters,
    sockets: Sockets,
}

impl Measurement {
    /// Starts an agent on each node, and reads the kernel's counters at the edge of a window after that.
    pub fn begin(bed: &Bed) -> anyhow::Result<Self> {
        let lab = bed.lab_ref()?;
        let pods: Vec<_> = bed
            .cluster
            .pods(SHOP, "")?
            .iter()
            .map(|pod| Located::find(lab, pod))
            .collect::<anyhow::Result<_>>()?;
        let agents = Agents::start(lab, WINDOW_SECONDS)?;
        // Two clusters on two cores take seconds to start an agent: by this edge all of them have a whole window.
        let begin = Edge::read(lab, &pods, STARTING)?;
        Ok(Self { agents, pods, begin })
    }

    /// Reads both sides again after at least `duration`, and compares.
    pub fn end_after(self, bed: &Bed, duration: Duration) -> anyhow::Result<Comparison> {
        let passed = Duration::try_from(Timestamp::now().duration_since(self.begin.at)).unwrap_or_default();
        let end = Edge::read(bed.lab_ref()?, &self.pods, duration.saturating_sub(passed))?;
        // The agents print the last window shortly after its edge.
        std::thread::sleep(Duration::from_secs(2));
        let records = self.agents.stop()?.between(self.begin.at, end.at);
        let kernel = end.kernel.since(&self.begin.kernel);
        Ok(Comparison::of(&records, &self.pods, &kernel, &end.sockets.since(&self.begin.sockets)))
    }
}

impl Edge {
    /// Reads the kernel at the first edge that is at least `after` away. Around it the shop pauses, so that agents
    /// and kernel are read at the same state, however late a busy machine lets them.
    fn read(lab: &Lab, pods: &[Located], after: Duration) -> anyhow::Result<Self> {
        let mut after = after.max(2 * SETTLING);
        for _ in 0..EDGES {
            let earliest = Timestamp::now().checked_add(after).context("a time")?;
            let at = Timestamp::from_second((earliest.as_second() / WINDOW_SECONDS + 1) * WINDOW_SECONDS)?;
            sleep_until(at.checked_sub(SETTLING)?);
            let _paused = Paused::of(pods)?;
            if Timestamp::now() > at.checked_sub(STILL)? {
                after = 2 * SETTLING;
                continue;
            }
            sleep_until(at);
            let edge = Self { at, kernel: KernelCounters::read(pods)?, sockets: Sockets::read(lab, pods)? };
            sleep_until(at.checked_add(READING)?);
            return Ok(edge);
        }
        bail!(
            "the machine is too busy: the shop wasn't paused {STILL:?} before any of {EDGES} edges of windows"
        )
    }
}

fn sleep_until(time: Timestamp) {
    std::thread::sleep(Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default());
}

/// Pods that stand still until this is dropped.
#[derive(Debug)]
struct Paused(Vec<u32>);

impl Paused {
    fn of(pods: &[Located]) -> anyhow::Result<Self> {
        let mut processes = Vec::new();
        for pod in pods {
            processes.extend(pod.processes()?);
        }
        let paused = Self(processes);
        signal(&paused.0, "STOP")?;
        Ok(paused)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if let Err(error) = signal(&self.0, "CONT") {
            eprintln!("{error:#}");
        }
    }
}
