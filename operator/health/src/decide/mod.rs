//! Decisions over several windows: which components are at fault, how certain that is, and how it is worded.

pub(crate) mod attribution;
pub(crate) mod confidence;
pub(crate) mod limits;
pub(crate) mod monitor_share;
pub(crate) mod power;
pub(crate) mod rare_attempts;
pub(crate) mod reason;
pub(crate) mod recent_traffic;
pub(crate) mod rule;
pub(crate) mod score_history;
pub(crate) mod severity;
pub(crate) mod steady_level;
pub(crate) mod track;
