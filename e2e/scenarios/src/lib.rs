//! Scenarios: faults on a real cluster, and whether Tidewatch says what is true about them.
//!
//! `cargo test -p tidewatch-scenarios --test scenarios` runs them all on one lab; `SCENARIO=node-loss,port-blocked`
//! chooses. `KEEP_LAB=1` leaves the lab up, and a lab that is up is taken over, so that working on one scenario
//! doesn't mean starting a cluster each time.

pub mod api_writes;
pub mod bed;
pub mod cluster;
pub mod demo;
pub mod double;
pub mod expect;
pub mod interrupt;
pub mod metrics;
pub mod paths;
pub mod pods;
pub mod report;
pub mod runner;
pub mod scenarios;
pub mod status_changes;
pub mod traffic;
pub mod truth;
pub mod wait;
pub mod workload;
