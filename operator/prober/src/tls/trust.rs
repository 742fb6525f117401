//! Which certificate authorities are known.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::certificate::{self, Chain};
use super::handshake::provider;
use crate::config::{ProberError, TrustSource};

/// How a server's certificate is judged.
#[derive(Debug, Clone)]
pub(crate) enum Trust {
    /// By the prober's authorities.
    Default,
    /// By these instead.
    Authorities(Arc<Authorities>),
    /// By the prober's authorities or these.
    AlsoAuthorities(Arc<Authorities>),
    /// By none: whatever comes is taken.
    Anything,
}

impl Trust {
    /// For a server beside the one that `self` is for: what signs the one needn't sign the other.
    pub(crate) fn or_default(&self) -> Self {
        match self {
            Self::Authorities(authorities) => Self::AlsoAuthorities(Arc::clone(authorities)),
            other => other.clone(),
        }
    }
}

/// Certificate authorities that are known.
#[derive(Debug)]
pub(crate) struct Authorities {
    roots: Arc<RootCertStore>,
    pub(super) verifier: Arc<WebPkiServerVerifier>,
}

impl Authorities {
    fn new(roots: RootCertStore) -> Result<Self, rustls::client::VerifierBuilderError> {
        let roots = Arc::new(roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider()).build()?;
        Ok(Self { roots, verifier })
    }

    /// The server's certificate and those between it and an authority, on the path by which clients can trust the server
    /// longest; `None` where there is no path now.
    ///
    /// A path is valid until its first certificate ends. If there is still one a second later, it ends later: so each step
    /// finds a longer one, and there are no more than certificates.
    pub(super) fn longest_path(&self, certificates: &[CertificateDer<'_>]) -> Option<Chain> {
        let mut at = UnixTime::now();
        let mut longest = None;
        for _ in certificates {
            let Some(path) = self.path(certificates, at) else { break };
            let end = path.expiry()?.as_second();
            at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(end).ok()? + 1));
            longest = Some(path);
        }
        longest
    }

    /// The certificates of a path that is valid at a time.
    fn path(&self, certificates: &[CertificateDer<'_>], at: UnixTime) -> Option<Chain> {
        let (leaf, others) = certificates.split_first()?;
        let server = EndEntityCert::try_from(leaf).ok()?;
        let algorithms = provider().signature_verification_algorithms.all;
        let path = server
            .verify_for_usage(algorithms, &self.roots.roots, others, at, KeyUsage::server_auth(), None, None)
            .ok()?;
        let between = path.intermediate_certificates().map(|certificate| certificate.der());
        Some(certificate::read(&std::iter::once(leaf.clone()).chain(between).collect::<Vec<_>>()))
    }
}

/// The authorities of a prober; `None` where none is known.
pub(super) fn default_authorities(source: &TrustSource) -> Result<Option<Arc<Authorities>>, ProberError> {
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
    Ok(Some(Arc::new(Authorities::new(roots)?)))
}

/// Why a PEM text holds no authorities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("isn't PEM: write the certificates of the authorities, each from -----BEGIN CERTIFICATE----- on")]
    Pem,
    #[error(
        "holds no certificate: write the certificates of the authorities, each from -----BEGIN CERTIFICATE----- on"
    )]
    Empty,
    #[error("holds what can't be an authority: write the certificate of the one that signed the server's")]
    Unusable,
    #[error("can't be used: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// The authorities of a PEM text.
pub(crate) fn authorities(pem: &[u8]) -> Result<Trust, AuthorityError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| AuthorityError::Pem)?;
        roots.add(certificate).map_err(|_| AuthorityError::Unusable)?;
    }
    if roots.is_empty() {
        return Err(AuthorityError::Empty);
    }
    Ok(Trust::Authorities(Arc::new(Authorities::new(roots)?)))
}
