//! The reconciler by the real SDK against the AWS double, with a cluster in memory.

mod apiserver;
mod bed;
mod canary;
mod composite;
mod faults;
mod fleet;
mod lag;
mod lifecycle;
mod outage;
mod ownership;
mod parents;
mod roles;
mod sweeps;
mod world;
