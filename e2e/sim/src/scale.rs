//! The engine's time and memory for windows of 1,000 to 100,000 records.

use std::time::{Duration, Instant};

use tidewatch_health::{Config, Engine, Window};

use crate::build::Shape;
use crate::fault::FaultKind;
use crate::mode::Mode;
use crate::trial::Trial;

pub const SIZES: [usize; 5] = [1_000, 3_000, 10_000, 30_000, 100_000];
/// Windows that are fed before the measuring, and those measured.
const WARM: usize = 4;
const MEASURED: usize = 5;

#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub records: usize,
    /// Median of a window.
    pub window: Duration,
    /// Memory that the engine keeps between windows, measured as growth of the process's resident memory.
    pub kept_kib: u64,
    /// Peak of the process's resident memory.
    pub peak_kib: u64,
}

/// A cluster of 600 nodes with at least `records` records a window.
fn large() -> Shape {
    Shape { nodes: 600, services: 420, replicas: (8, 18), servers_per_client: 5, ..Mode::Easy.shape(0) }
}

/// Measures each size with an engine of its own, on prefixes of the same windows.
pub fn measure(seed: u64) -> Vec<Cost> {
    SIZES.into_iter().map(|size| measure_size(seed, size)).collect()
}

fn measure_size(seed: u64, size: usize) -> Cost {
    let mut trial = Trial::with_shape(Mode::Easy, large(), seed, FaultKind::Healthy);
    let mut engine = Engine::new(Config::default());
    let mut records = Vec::new();
    let mut spent = Vec::new();
    let mut kept = 0;
    for index in 0..WARM + MEASURED {
        let Some(truth) = trial.step(&mut records) else { break };
        // Every n-th record, so that small windows are of the whole cluster too.
        let step = (records.len() / size).max(1);
        let mut turn = 0;
        records.retain(|_| {
            turn += 1;
            turn % step == 0
        });
        records.truncate(size);
        let before = memory_kib("VmRSS:");
        let began = Instant::now();
        let verdict = engine.evaluate(&Window {
            start: truth.window_start,
            seconds: truth.window_seconds,
            flows: &records,
            nodes: &[],
        });
        let took = began.elapsed();
        drop(verdict);
        kept += memory_kib("VmRSS:").saturating_sub(before);
        if index >= WARM {
            spent.push(took);
        }
    }
    spent.sort_unstable();
    Cost {
        records: records.len(),
        window: spent.get(spent.len() / 2).copied().unwrap_or_default(),
        kept_kib: kept,
        peak_kib: memory_kib("VmHWM:"),
    }
}

/// A field of /proc/self/status, in KiB (proc(5)).
fn memory_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
