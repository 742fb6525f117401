//! The load on the machine: the clients' own pace, or floods that take all of its CPU.

use std::fmt;
use std::time::Duration;

use anyhow::Context;

use crate::bed::Bed;
use crate::wait::{Look, wait_for};

const KUBECTL_LIMIT: Duration = Duration::from_secs(120);
/// A rollout on a machine without a free CPU.
const SCALE_LIMIT: Duration = Duration::from_secs(240);
/// Over how long CPU use is measured.
const SAMPLE: Duration = Duration::from_secs(5);
/// Saturated: hardly any CPU time is idle.
const BUSY: f64 = 0.95;
const FLOODS: [(&str, u32); 3] = [("wrk-flood", 2), ("redis-flood", 2), ("pgbench-flood", 1)];

/// The load that the clients make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Even rates and bursts, with CPU to spare (as far as whatever else runs on the machine leaves it).
    Ease,
    /// Floods beside them: no CPU is idle.
    Saturation,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ease => "at ease",
            Self::Saturation => "at saturation",
        })
    }
}

impl Load {
    /// Starts or ends the floods, and waits until it is so.
    pub(super) fn set(self, bed: &Bed) -> anyhow::Result<()> {
        let namespace = bed.workload.namespace();
        for (flood, pods) in FLOODS {
            let pods = if self == Self::Saturation { pods } else { 0 };
            let replicas = format!("--replicas={pods}");
            let deployment = format!("deployment/{flood}");
            bed.lab_ref()?
                .kubectl(&["scale", "--namespace", namespace, &replicas, &deployment], KUBECTL_LIMIT)?;
        }
        bed.wait_for_deployments_within(namespace, SCALE_LIMIT)?;
        if self == Self::Saturation {
            let (busy, took) = wait_for(SCALE_LIMIT, "the floods take all of the CPU", || match busy() {
                Ok(busy) if busy >= BUSY => Look::Done(busy),
                Ok(busy) => Look::NotYet(format!("{:.0}% busy", busy * 100.0)),
                Err(error) => Look::NotYet(format!("{error:#}")),
            })?;
            bed.report.right(&format!("the floods run: CPU {:.0}% busy", busy * 100.0), took);
        }
        Ok(())
    }
}

/// The machine's CPU use, and the kernel's measure of the time that tasks wait for CPU.
pub(super) fn machine() -> anyhow::Result<String> {
    let pressure = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let some = pressure.lines().next().unwrap_or("no pressure information").to_owned();
    Ok(format!("CPU {:.0}% busy; {some}", busy()? * 100.0))
}

/// The share of CPU time that isn't idle, over a few seconds.
fn busy() -> anyhow::Result<f64> {
    let before = CpuTime::now()?;
    std::thread::sleep(SAMPLE);
    let after = CpuTime::now()?;
    let all = after.all.saturating_sub(before.all).max(1);
    Ok(1.0 - after.idle.saturating_sub(before.idle) as f64 / all as f64)
}

#[derive(Debug, PartialEq, Eq)]
struct CpuTime {
    all: u64,
    idle: u64,
}

impl CpuTime {
    fn now() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string("/proc/stat").context("/proc/stat")?;
        Self::parse(&text).context("/proc/stat has no line of all CPUs")
    }

    /// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guests are in user already.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        let of = |at: usize| fields.get(at).copied().unwrap_or(0);
        Some(Self { all: fields.iter().take(8).sum(), idle: of(3) + of(4) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_disk_is_idle_time() {
        let text = "cpu  10 0 20 60 10 0 0 0 5 0\ncpu0 1 1 1 1\n";
        assert_eq!(CpuTime::parse(text), Some(CpuTime { all: 100, idle: 70 }));
        assert_eq!(CpuTime::parse("cpu0 1 2 3"), None);
    }
}
