//! The attributes of a node's figures: one table that the encoder and the decoder share.

use crate::schema::{AllowanceExceeded, NodeFigures};

type Slot<S, T> = (&'static str, fn(&mut S) -> &mut T);

/// Shares of the window's time, as doubles from 0 to 1.
pub(super) const RATIOS: [Slot<NodeFigures, Option<f64>>; 5] = [
    ("node.cpu_pressure_ratio", |node| &mut node.cpu_pressure_ratio),
    ("node.memory_pressure_ratio", |node| &mut node.memory_pressure_ratio),
    ("node.cpu_busy_ratio", |node| &mut node.cpu_busy_ratio),
    ("node.steal_ratio", |node| &mut node.steal_ratio),
    ("node.softirq_ratio", |node| &mut node.softirq_ratio),
];

pub(super) const COUNTS: [Slot<NodeFigures, Option<u64>>; 8] = [
    ("node.softnet_dropped", |node| &mut node.softnet_dropped),
    ("node.softnet_squeezed", |node| &mut node.softnet_squeezed),
    ("node.listen_overflows", |node| &mut node.listen_overflows),
    ("node.listen_drops", |node| &mut node.listen_drops),
    ("node.conntrack_entries", |node| &mut node.conntrack_entries),
    ("node.conntrack_limit", |node| &mut node.conntrack_limit),
    ("node.conntrack_insert_failed", |node| &mut node.conntrack_insert_failed),
    ("node.conntrack_dropped", |node| &mut node.conntrack_dropped),
];

/// Present together, on a node that has an ENA interface; one that is missing is 0.
pub(super) const ALLOWANCES: [Slot<AllowanceExceeded, u64>; 5] = [
    ("node.allowance_exceeded.bandwidth_in", |exceeded| &mut exceeded.bandwidth_in),
    ("node.allowance_exceeded.bandwidth_out", |exceeded| &mut exceeded.bandwidth_out),
    ("node.allowance_exceeded.packets_per_second", |exceeded| &mut exceeded.packets_per_second),
    ("node.allowance_exceeded.conntrack", |exceeded| &mut exceeded.conntrack),
    ("node.allowance_exceeded.link_local", |exceeded| &mut exceeded.link_local),
];
