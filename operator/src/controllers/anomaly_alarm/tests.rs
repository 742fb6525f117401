//! The reconciler by the real SDK against the AWS double, with a cluster in memory.

mod apiserver;
mod bed;
mod canary;
mod cluster;
mod composite;
mod faults;
mod fleet;
mod kills;
mod lag;
mod lifecycle;
mod outage;
mod roles;
mod scenario;
