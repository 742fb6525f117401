//! Cost of the BPF programs of a process, by the kernel's statistics.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Sub;

use anyhow::{Context, Result};

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Switches the kernel's statistics on until it is dropped.
#[derive(Debug)]
pub struct Statistics {
    before: String,
}

impl Statistics {
    pub fn enable() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).with_context(|| format!("could not read {SWITCH}"))?;
        fs::write(SWITCH, "1").with_context(|| format!("could not write {SWITCH}"))?;
        Ok(Self { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, self.before.trim());
    }
}

/// Cost of all programs that a process holds, and of the process itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub runs: u64,
    pub bpf_ns: u64,
    /// Processor time of the process, including the kernel's work on its behalf.
    pub process_ns: u64,
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            runs: self.runs - before.runs,
            bpf_ns: self.bpf_ns - before.bpf_ns,
            process_ns: self.process_ns - before.process_ns,
        }
    }
}

/// Reads the cost of a process so far.
pub fn cost_of(pid: u32) -> Result<Cost> {
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(info) = fs::read_to_string(entry?.path()) else { continue };
        let number = |key: &str| {
            let value = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            value.and_then(|text| text.trim().parse::<u64>().ok())
        };
        // A link's description names its program too, but has no counts.
        if let (Some(id), Some(runs), Some(ns)) =
            (number("prog_id"), number("run_cnt"), number("run_time_ns"))
        {
            programs.insert(id, (runs, ns));
        }
    }
    let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let process_ns =
        schedstat.split_ascii_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Cost {
        runs: programs.values().map(|(runs, _)| runs).sum(),
        bpf_ns: programs.values().map(|(_, ns)| ns).sum(),
        process_ns,
    })
}

/// Resident memory of a process in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmRSS")?.trim().parse::<f64>()? / 1024.0)
}
