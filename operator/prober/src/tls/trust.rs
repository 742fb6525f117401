//! Which certificate authorities are known.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::config::{ProberError, TrustSource};

/// How a server's certificate is judged.
#[derive(Debug, Clone)]
pub(crate) enum Trust {
    /// By the prober's authorities.
    Default,
    /// By these instead.
    Authorities(Arc<WebPkiServerVerifier>),
    /// By the prober's authorities or these.
    AlsoAuthorities(Arc<WebPkiServerVerifier>),
    /// By none: whatever comes is taken.
    Anything,
}

impl Trust {
    /// For a server beside the one that `self` is for: what signs the one needn't sign the other.
    pub(crate) fn or_default(&self) -> Self {
        match self {
            Self::Authorities(verifier) => Self::AlsoAuthorities(Arc::clone(verifier)),
            other => other.clone(),
        }
    }
}

/// The verifier of a prober; `None` where no authority is known.
pub(super) fn default_verifier(
    source: &TrustSource,
) -> Result<Option<Arc<WebPkiServerVerifier>>, ProberError> {
    let mut roots = RootCertStore::empty();
    match source {
        TrustSource::System => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a certificate authority of the system isn't understood");
            }
            roots.add_parsable_certificates(found.certs);
            // An image that holds nothing but the operator has none.
            if roots.is_empty() {
                let (known, _) =
                    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
                tracing::info!(known, "the system has no certificate authorities: Mozilla's are taken");
            }
        }
        TrustSource::Authorities(certificates) => {
            for certificate in certificates {
                roots.add(certificate.clone()).map_err(ProberError::Authority)?;
            }
        }
    }
    if roots.is_empty() {
        tracing::warn!("no certificate authorities are known: checks of https need tls.ca, or verify: false");
        return Ok(None);
    }
    Ok(Some(verifier(roots)?))
}

fn verifier(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, rustls::client::VerifierBuilderError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), super::handshake::provider()).build()
}

/// Why a PEM text holds no authorities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error(
        "isn't PEM ({0}): write the certificates of the authorities, each from -----BEGIN CERTIFICATE----- on"
    )]
    Pem(rustls_pki_types::pem::Error),
    #[error(
        "holds no certificate: write the certificates of the authorities, each from -----BEGIN CERTIFICATE----- on"
    )]
    Empty,
    #[error(
        "holds what can't be an authority ({0}): write the certificate of the one that signed the server's"
    )]
    Unusable(rustls::Error),
    #[error("can't be used: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// The authorities of a PEM text.
pub(crate) fn authorities(pem: &[u8]) -> Result<Trust, AuthorityError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(AuthorityError::Pem)?;
        roots.add(certificate).map_err(AuthorityError::Unusable)?;
    }
    if roots.is_empty() {
        return Err(AuthorityError::Empty);
    }
    Ok(Trust::Authorities(verifier(roots)?))
}
