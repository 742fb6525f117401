//! The true faults of a window.

use jiff::Timestamp;
use serde::Serialize;
use tidewatch_health::{Cause, Class, ComponentId};

use crate::fault::FaultKind;
use crate::mode::Mode;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    History,
    Fault,
    Recovery,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Culprit {
    pub component: ComponentId,
    pub class: Class,
    pub cause: Cause,
}

/// One line of a truth file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    pub window_start: Timestamp,
    pub window_seconds: u32,
    pub mode: Mode,
    pub seed: u64,
    pub kind: FaultKind,
    pub phase: Phase,
    /// 1 where the fault has its full size in this window, 0 where there is none.
    pub intensity: f64,
    /// At fault in this window.
    pub components: Vec<Culprit>,
    /// Flows that the fault touched.
    pub flows_touched: usize,
    pub records: usize,
}
