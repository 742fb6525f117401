//! The whole collector on loopback, over real TLS, against a real OTLP client; only the API server is played.

mod arbitrary;
mod bed;
mod end_to_end;
