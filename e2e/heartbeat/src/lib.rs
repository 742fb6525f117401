//! What it takes to run a heartbeat as AWS would: pages to load, a browser, and a stand-in for the Synthetics library.

mod canary;
mod leftovers;
mod pages;
mod tools;

pub use canary::{Browser, Canary, Outcome, Screenshots, Step};
pub use leftovers::ended;
pub use pages::{Pages, Untrusted};
pub use tools::Tools;
