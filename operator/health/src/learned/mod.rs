//! The usual behaviour of services, paths and nodes, learned from the windows before.

pub(crate) mod baseline;
pub(crate) mod blips;
pub(crate) mod node_pressure;
