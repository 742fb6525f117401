//! The agent's metrics about itself. Labels are bounded: programs and outcomes, never an address.

use std::fs;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tidewatch_records::{Accounting, NodeFigures};

use crate::kernel::ProgramCost;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Program {
    program: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;
type Ratio = Gauge<f64, AtomicU64>;

/// All metrics, with the registry that renders them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    connections: Family<Outcome, Counter>,
    pub windows: Counter,
    pub flows: Gauge,
    pub windows_waiting: Gauge,
    pub windows_lost: Counter,
    pub records_sent: Counter,
    pub records_rejected: Counter,
    pub export_failures: Counter,
    pub conntrack_failures: Counter,
    pub conntrack_entries: Gauge,
    pub pass_seconds: Seconds,
    pub node_read_seconds: Seconds,
    cpu_pressure_ratio: Ratio,
    memory_pressure_ratio: Ratio,
    steal_ratio: Ratio,
    program_runs: Family<Program, Gauge>,
    program_seconds: Family<Program, Seconds>,
    cpu_seconds: Seconds,
    resident_bytes: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    #[rustfmt::skip]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tidewatch_agent");
        let mut counter = |name: &str, help: &str| {
            let counter: Counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let windows = counter("windows", "Windows closed");
        let windows_lost = counter("windows_lost", "Windows lost because the collector was away or refused them");
        let records_sent = counter("records_sent", "Records that the collector took");
        let records_rejected = counter("records_rejected", "Records that the collector took but did not accept");
        let export_failures = counter("export_failures", "Exports that failed and were tried again");
        let conntrack_failures = counter("conntrack_failures", "Looks at connection tracking that failed");
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let flows = gauge("flows", "Flows of the last window");
        let windows_waiting = gauge("windows_waiting", "Windows that wait for the collector");
        let conntrack_entries = gauge("conntrack_entries", "Connections with destination NAT at the last look");
        let connections: Family<Outcome, Counter> = Family::default();
        registry.register("connections", "Connections by what became of their report", connections.clone());
        let program_runs: Family<Program, Gauge> = Family::default();
        registry.register("bpf_runs", "Runs of a BPF program; 0 unless kernel.bpf_stats_enabled is set", program_runs.clone());
        let program_seconds: Family<Program, Seconds> = Family::default();
        registry.register_with_unit("bpf_run_time", "Time in a BPF program; 0 unless kernel.bpf_stats_enabled is set", Unit::Seconds, program_seconds.clone());
        let pass_seconds = Seconds::default();
        registry.register_with_unit("pass_duration", "Length of the last pass over the open sockets", Unit::Seconds, pass_seconds.clone());
        let node_read_seconds = Seconds::default();
        registry.register_with_unit("node_read_duration", "Time that the node's own figures took at the last edge", Unit::Seconds, node_read_seconds.clone());
        let mut ratio = |name: &str, help: &str| {
            let ratio = Ratio::default();
            ratio.set(f64::NAN);
            registry.register_with_unit(name, help, Unit::Other("ratio".to_owned()), ratio.clone());
            ratio
        };
        let cpu_pressure_ratio = ratio("node_cpu_pressure", "Share of the last window in which some task waited for a CPU; NaN if the kernel doesn't tell");
        let memory_pressure_ratio = ratio("node_memory_pressure", "Share of the last window in which some task waited for memory; NaN if the kernel doesn't tell");
        let steal_ratio = ratio("node_steal", "Share of the last window's CPU time that the hypervisor gave to others; NaN if the kernel doesn't tell");
        let cpu_seconds = Seconds::default();
        registry.register_with_unit("cpu", "Processor time of this process", Unit::Seconds, cpu_seconds.clone());
        let resident_bytes: Gauge = Gauge::default();
        registry.register_with_unit("resident_memory", "Resident memory of this process", Unit::Bytes, resident_bytes.clone());
        Self {
            registry, connections, windows, flows, windows_waiting, windows_lost, records_sent, records_rejected,
            export_failures, conntrack_failures, conntrack_entries, pass_seconds, node_read_seconds,
            cpu_pressure_ratio, memory_pressure_ratio, steal_ratio, program_runs, program_seconds,
            cpu_seconds, resident_bytes,
        }
    }

    /// Adds one window's accounting.
    pub fn add_accounting(&self, accounting: &Accounting) {
        for (outcome, n) in [
            ("reported", accounting.reported),
            ("sampled_out", accounting.sampled_out),
            ("buffer_full", accounting.buffer_full),
            ("dropped", accounting.dropped),
            ("invalid", accounting.invalid),
        ] {
            self.connections.get_or_create(&Outcome { outcome }).inc_by(n);
        }
    }

    /// Sets the gauges of the node's figures in the last window. NaN is Prometheus' way to say that a value isn't
    /// known.
    pub fn set_node(&self, figures: &NodeFigures) {
        self.cpu_pressure_ratio.set(figures.cpu_pressure_ratio.unwrap_or(f64::NAN));
        self.memory_pressure_ratio.set(figures.memory_pressure_ratio.unwrap_or(f64::NAN));
        self.steal_ratio.set(figures.steal_ratio.unwrap_or(f64::NAN));
    }

    /// Sets the gauges of the BPF programs' costs.
    pub fn set_costs(&self, costs: &[ProgramCost]) {
        for cost in costs {
            let program = Program { program: cost.name };
            self.program_runs.get_or_create(&program).set(i64::try_from(cost.runs).unwrap_or(i64::MAX));
            self.program_seconds.get_or_create(&program).set(cost.nanoseconds as f64 / 1e9);
        }
    }

    /// Renders all metrics in the OpenMetrics text format.
    pub fn render(&self) -> String {
        if let Some(own) = own_cost() {
            self.cpu_seconds.set(own.cpu_seconds);
            self.resident_bytes.set(own.resident_bytes);
        }
        let mut text = String::new();
        // Writing to a String doesn't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

struct OwnCost {
    cpu_seconds: f64,
    resident_bytes: i64,
}

/// From /proc/self: user and system time are fields 14 and 15 of stat in ticks of 10 ms. Resident memory from status, in
/// kB, since statm counts pages, which are not 4 KiB everywhere.
fn own_cost() -> Option<OwnCost> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))?;
    let kib: i64 = resident.trim().parse().ok()?;
    Some(OwnCost { cpu_seconds: ticks as f64 / 100.0, resident_bytes: kib * 1024 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_prefix_units_and_own_cost() {
        let metrics = Metrics::new();
        metrics.set_costs(&[ProgramCost { name: "p", runs: 3, nanoseconds: 1_500_000_000 }]);
        metrics.set_node(&NodeFigures { cpu_pressure_ratio: Some(0.25), ..Default::default() });
        let text = metrics.render();
        for line in [
            "tidewatch_agent_windows_total 0",
            "tidewatch_agent_bpf_run_time_seconds{program=\"p\"} 1.5",
            "tidewatch_agent_resident_memory_bytes ",
            "tidewatch_agent_node_cpu_pressure_ratio 0.25",
            "tidewatch_agent_node_steal_ratio NaN",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
    }
}
