//! Nodes that are short of CPU, or stand still: what that does to packets there, and what the nodes' kernels say of it.

use tidewatch_records::{AllowanceExceeded, NodeFigures};

use crate::fault::Limit;
use crate::random::Dice;

/// The effects of a shortage of CPU. They show on every flow with an end on the node, also on flows within the node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shortage {
    /// Share of time in which some task waits for a CPU.
    pub pressure: f64,
    /// CPU time that the hypervisor gives to others.
    pub steal: f64,
    /// Chance that a round trip finds its softirq or its process waiting, and the median of that wait.
    pub delayed: f64,
    pub delay_us: f64,
    /// Segments that are sent again since a timer fired too early.
    pub spurious: f64,
    /// Connections whose first SYN is answered only after a second.
    pub late: f64,
    /// Factor on the volume of flows there: above 1 for a load that uses the CPU, below 1 for flows that starve.
    pub load: f64,
}

impl Shortage {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let hardness = dice.uniform(0.3, 1.0);
        Self {
            pressure: (0.2 + 0.75 * hardness).min(0.95),
            steal: if dice.chance(0.3) { dice.uniform(0.02, 0.4) } else { 0.0 },
            delayed: (0.15 + 0.65 * hardness).min(0.8),
            delay_us: dice.log_uniform(300.0, 3_000.0) * (1.0 + 2.0 * hardness),
            spurious: dice.log_uniform(3e-5, 1e-2) * hardness,
            // On real software at a load of ten times the CPUs no SYN was sent again in minutes.
            late: dice.log_uniform(1e-5, 1e-3) * hardness,
            load: dice.log_uniform(0.5, 3.0),
        }
    }

    /// So short that timers fire for segments that weren't lost.
    pub(crate) fn saturation(dice: &mut Dice) -> Self {
        let shortage = Self::draw(dice);
        Self {
            pressure: dice.uniform(0.7, 0.98),
            delayed: dice.uniform(0.5, 0.85),
            delay_us: dice.log_uniform(1_000.0, 8_000.0),
            spurious: dice.log_uniform(2e-3, 2.5e-2),
            late: dice.log_uniform(1e-4, 3e-3),
            ..shortage
        }
    }

    /// The shortage as it is in one window, for `share` of it.
    pub(crate) fn in_window(self, share: f64, dice: &mut Dice) -> Self {
        let wave = dice.uniform(0.7, 1.2);
        Self {
            pressure: (self.pressure * wave * share).min(0.99),
            steal: self.steal * share,
            delayed: (self.delayed * wave * share).min(0.9),
            delay_us: self.delay_us * dice.log_normal(1.0, 0.25),
            spurious: self.spurious * share * dice.log_normal(1.0, 0.5),
            late: self.late * share,
            load: 1.0 + (self.load - 1.0) * share,
        }
    }

    /// Two at once.
    fn beside(self, other: Self) -> Self {
        Self {
            pressure: self.pressure.max(other.pressure),
            steal: self.steal.max(other.steal),
            delayed: self.delayed.max(other.delayed),
            delay_us: self.delay_us.max(other.delay_us),
            spurious: self.spurious + other.spurious,
            late: self.late + other.late,
            load: self.load * other.load,
        }
    }
}

/// The state of a node in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NodeState {
    pub shortage: Option<Shortage>,
    /// Seconds of the window in which the machine stood still.
    pub stalled_s: f64,
    /// Connections that found no room, and which limit it was, where the kernel tells.
    pub refused_entries: u64,
    pub limit: Option<Limit>,
}

impl NodeState {
    pub(crate) const WELL: Self = Self { shortage: None, stalled_s: 0.0, refused_entries: 0, limit: None };

    pub(crate) fn starve(&mut self, shortage: Shortage) {
        self.shortage = Some(self.shortage.map_or(shortage, |other| other.beside(shortage)));
    }
}

/// The node figures that a cluster's kernels report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    All,
    /// Kernels without pressure stall information.
    WithoutPressure,
    /// Agents that don't report nodes.
    Nothing,
}

impl Told {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        match dice.uniform(0.0, 1.0) {
            x if x < 0.75 => Self::All,
            x if x < 0.9 => Self::WithoutPressure,
            _ => Self::Nothing,
        }
    }
}

/// A node's figures in a window of so many seconds.
pub(crate) fn figures(
    state: &NodeState,
    told: Told,
    ena: bool,
    seconds: f64,
    dice: &mut Dice,
) -> NodeFigures {
    let idle = Shortage {
        pressure: dice.uniform(0.0, 0.12),
        steal: 0.0,
        delayed: 0.0,
        delay_us: 0.0,
        spurious: 0.0,
        late: 0.0,
        load: 1.0,
    };
    let short = state.shortage.unwrap_or(idle);
    let stalled = (state.stalled_s / seconds).min(1.0);
    let pressure = (short.pressure + 0.5 * stalled).clamp(0.0, 1.0);
    let busy = (0.15 + 0.9 * pressure.sqrt()) * dice.uniform(0.85, 1.1);
    let limit = 262_144;
    let full = state.limit == Some(Limit::Conntrack);
    let entries = if full { limit } else { (f64::from(limit as u32) * dice.uniform(0.02, 0.35)) as u64 };
    NodeFigures {
        cpu_pressure_ratio: (told == Told::All).then_some(pressure),
        memory_pressure_ratio: (told == Told::All).then_some(dice.uniform(0.0, 0.01)),
        cpu_busy_ratio: Some(busy.min(1.0)),
        steal_ratio: Some((short.steal + 0.7 * stalled).min(1.0)),
        softirq_ratio: Some(0.02 + 0.08 * pressure),
        softnet_dropped: Some(0),
        softnet_squeezed: Some(dice.poisson(20.0 * pressure * seconds / 30.0)),
        listen_overflows: Some(dice.poisson(200.0 * short.late)),
        listen_drops: Some(dice.poisson(200.0 * short.late)),
        conntrack_entries: Some(entries),
        conntrack_limit: Some(limit),
        conntrack_insert_failed: Some(if full { state.refused_entries / 2 } else { dice.poisson(0.2) }),
        conntrack_dropped: Some(if full { state.refused_entries } else { 0 }),
        allowance_exceeded: ena.then(|| AllowanceExceeded {
            conntrack: if state.limit == Some(Limit::Allowance) { state.refused_entries } else { 0 },
            ..AllowanceExceeded::default()
        }),
    }
}
