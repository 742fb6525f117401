//! Metric math (AWS: using-metric-math): as much of it as alarms and small queries need.

mod evaluate;
mod functions;
mod insights;
mod parse;

pub(crate) use evaluate::{Evaluation, Value};
pub(crate) use functions::{KNOWN, spread};
pub(crate) use insights::InsightsQuery;
pub(crate) use parse::{Expression, Operator};
