//! TLS: the handshake, what is trusted, and what a certificate says.

mod certificate;
mod check;
mod error;
mod handshake;
mod identity;
mod settings;
mod trust;

pub(crate) use check::run;
pub(crate) use error::{Stage, TlsError, cause};
pub(crate) use handshake::{Handshakes, Protocols};
pub(crate) use identity::{ClientAuth, Identity, IdentityError};
pub(crate) use settings::TlsSettings;
pub(crate) use trust::{AuthorityError, Trust, authorities};
