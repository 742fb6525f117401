//! The certificate that the next handshake gets. Changing it disturbs neither the listener nor open connections.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::material::Pair;

#[derive(Debug, thiserror::Error)]
pub(in super::super) enum InstallError {
    #[error("the serving certificate can't be read: {0}")]
    Certificate(rustls::pki_types::pem::Error),
    #[error("the serving key can't be read: {0}")]
    Key(rustls::pki_types::pem::Error),
    #[error("the serving key can't be used: {0}")]
    Use(#[from] rustls::Error),
}

/// Until a certificate is installed, handshakes are refused.
#[derive(Debug, Default)]
pub(in super::super) struct CurrentCertificate(ArcSwapOption<CertifiedKey>);

impl CurrentCertificate {
    pub(super) fn install(&self, pair: &Pair) -> Result<(), InstallError> {
        let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(InstallError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(InstallError::Key)?;
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match()?;
        self.0.store(Some(Arc::new(certified)));
        Ok(())
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// TLS 1.2 and 1.3, HTTP/2 only.
pub(in super::super) fn server_config(
    certificate: Arc<CurrentCertificate>,
) -> Result<rustls::ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
