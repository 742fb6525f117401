//! The client's certificate, and whether a server asked for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate;

/// A client certificate with its key.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    certified: Arc<CertifiedKey>,
    /// Whose certificate it is.
    subject: String,
}

/// Why a client certificate can't be used; follows the name of the key of the Secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("holds no certificate in PEM: write it from -----BEGIN CERTIFICATE----- on")]
    NoCertificate,
    #[error("holds no private key in PEM without a passphrase: write it from -----BEGIN PRIVATE KEY----- on")]
    NoKey,
    #[error("holds a private key that isn't supported: use RSA of 2048 to 8192 bits, ECDSA or Ed25519")]
    UnsupportedKey,
    #[error("isn't the private key of the certificate: write both of one pair")]
    Mismatch,
}

impl IdentityError {
    /// Whether it is about the private key, rather than the certificate.
    pub(crate) fn is_of_key(&self) -> bool {
        !matches!(self, Self::NoCertificate)
    }
}

impl Identity {
    /// Of a certificate, which those of authorities may follow, and its private key, both in PEM.
    pub(crate) fn new(certificate: &[u8], private_key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::NoCertificate)?;
        let facts = certificate::read(&chain);
        if facts.is_empty() {
            return Err(IdentityError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(private_key).map_err(|_| IdentityError::NoKey)?;
        let certified = CertifiedKey::from_der(chain, key, &super::handshake::provider()).map_err(
            |error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => IdentityError::Mismatch,
                rustls::Error::InvalidCertificate(_) => IdentityError::NoCertificate,
                _ => IdentityError::UnsupportedKey,
            },
        )?;
        Ok(Self { certified: Arc::new(certified), subject: facts.subject().to_owned() })
    }
}

/// Answers a server's request for a client certificate in one handshake, and remembers it.
#[derive(Debug)]
pub(crate) struct ClientAuth {
    identity: Option<Identity>,
    asked: AtomicBool,
}

impl ClientAuth {
    pub(super) fn new(identity: Option<Identity>) -> Self {
        Self { identity, asked: AtomicBool::new(false) }
    }

    /// Whether the server asked for a certificate.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whose certificate it was shown.
    pub(super) fn subject(&self) -> Option<&str> {
        self.identity.as_ref().map(|identity| identity.subject.as_str())
    }
}

impl ResolvesClientCert for ClientAuth {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.identity.as_ref().map(|identity| Arc::clone(&identity.certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
