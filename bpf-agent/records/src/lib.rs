//! Flow-window records: what a node agent says about one (local endpoint, remote endpoint, role) in one window.
//!
//! The schema is `docs/flow-records.md`; [`jsonl`] and [`otlp`] are its two wire forms, and [`histogram`] is the
//! round-trip-time sketch that lets summaries of many records be merged.

mod frames;
pub mod histogram;
pub mod jsonl;
pub mod otlp;
mod schema;

pub use histogram::Histogram;
pub use schema::{
    Accounting, AllowanceExceeded, Category, Connections, Endpoint, EndpointKind, FlowWindow, Latency,
    Lifecycle, Name, NodeFigures, NodeWindow, Record, Role, WorkloadRef,
};

/// `event_name` of a [`FlowWindow`] on the wire.
pub const FLOW_EVENT: &str = "tidewatch.flow.window";
/// `event_name` of an [`Accounting`] on the wire.
pub const ACCOUNTING_EVENT: &str = "tidewatch.flow.accounting";
/// `event_name` of a [`NodeWindow`] on the wire.
pub const NODE_EVENT: &str = "tidewatch.node.window";
