//! The reconciler by the real SDK against the AWS double, with a cluster in memory.

mod bed;
mod composite;
mod faults;
mod fleet;
mod lifecycle;
