//! TLS: the handshake, what is trusted, and what a certificate says.

mod certificate;
mod check;
mod handshake;
mod trust;

pub(crate) use check::run;
pub(crate) use handshake::{Handshakes, Protocols, TlsError};
pub(crate) use trust::{AuthorityError, Trust, authorities};
