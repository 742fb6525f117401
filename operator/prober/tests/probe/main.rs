//! Probes real servers, which each test starts on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic fails the test, as it should"
)]

mod arbitrary;
mod bodies;
mod client_certificates;
mod cookies;
mod dns;
mod exporter;
mod heads;
mod http;
mod oauth;
mod redirects;
mod runs;
mod secrets;
mod support;
mod targets;
mod tcp;
mod tls;
