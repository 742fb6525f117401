//! DNS: the resolver that finds addresses for all checks, and the check of DNS itself.

mod check;
mod error;
mod exchange;
mod message;
mod resolver;

pub(crate) use check::run;
pub(crate) use error::DnsError;
pub(crate) use resolver::{Resolver, fits};
