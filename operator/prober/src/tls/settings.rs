//! How a connection is secured.

use tidewatch_crds::canary::ValidityOf;

use super::identity::Identity;
use super::trust::Trust;

/// How a connection is secured.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings {
    pub(crate) trust: Trust,
    /// Shown to a server that asks for a client certificate.
    pub(crate) identity: Option<Identity>,
    /// Certificates whose end counts.
    pub(crate) validity_of: ValidityOf,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self { trust: Trust::Default, identity: None, validity_of: ValidityOf::default() }
    }
}

impl TlsSettings {
    /// For a host that the user didn't name: it isn't told who the client is.
    pub(crate) fn for_other_host(&self) -> Self {
        Self { identity: None, ..self.clone() }
    }

    /// For a server beside the one that `self` is for: what signs the one needn't sign the other.
    pub(crate) fn or_default_trust(&self) -> Self {
        Self { trust: self.trust.or_default(), ..self.clone() }
    }
}
