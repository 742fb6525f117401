//! The reconciler by the real SDK against the AWS double, with a cluster in memory.

mod apiserver;
mod bed;
mod composite;
mod faults;
mod fleet;
mod lifecycle;
