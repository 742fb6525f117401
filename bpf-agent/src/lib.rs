//! The node agent: reads what the kernel counts in each TCP socket, adds it up by flow and window, and sends it to the
//! collector or prints it.
//!
//! Unsafe code: only in the skeleton that libbpf-cargo generates ([`kernel`]), in wrapping a file descriptor that libbpf
//! owns, and in the ioctl that tells a driver's statistics ([`node`]). All else is safe Rust.

pub mod agent;
pub mod cgroup;
pub mod clock;
pub mod conntrack;
pub mod event;
pub mod export;
pub mod flows;
pub mod kernel;
pub mod metrics;
pub mod node;
pub mod options;
pub mod pods;
pub mod probe;
pub mod queue;
pub mod resolve;
pub mod server;
