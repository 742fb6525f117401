//! What a prober is built with.

use std::net::SocketAddr;

use rustls_pki_types::CertificateDer;

use crate::policy::TargetPolicy;

/// What may be reached and with which means; built once a process.
#[derive(Debug, Clone)]
pub struct ProberConfig {
    /// Which addresses may be reached.
    pub allow: TargetPolicy,
    /// Who finds addresses.
    pub resolver: ResolverSource,
    /// Sent with each HTTP request, unless the check has a header of that name.
    pub user_agent: String,
    /// How much of an answer is read, bytes.
    pub max_body: usize,
    /// Which certificate authorities are known.
    pub trust: TrustSource,
}

impl Default for ProberConfig {
    fn default() -> Self {
        Self {
            allow: TargetPolicy::default(),
            resolver: ResolverSource::System,
            user_agent: concat!("tidewatch/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_body: 1024 * 1024,
            trust: TrustSource::System,
        }
    }
}

/// Who finds addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolverSource {
    /// What /etc/resolv.conf says: in a pod, the cluster's DNS with its search domains.
    System,
    /// These servers, without search domains.
    Servers(Vec<SocketAddr>),
}

/// Which certificate authorities are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustSource {
    /// Those of the system.
    System,
    /// These.
    Authorities(Vec<CertificateDer<'static>>),
}

/// Why no prober could be built.
#[derive(Debug, thiserror::Error)]
pub enum ProberError {
    #[error("/etc/resolv.conf can't be read: {0}")]
    ReadResolvConf(std::io::Error),
    #[error("/etc/resolv.conf isn't understood: {0}")]
    ParseResolvConf(resolv_conf::ParseError),
    #[error("no DNS server is known: name one in /etc/resolv.conf")]
    NoServer,
    #[error("the user agent has characters that a header can't carry")]
    UserAgent,
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("a certificate authority isn't understood: {0}")]
    Authority(rustls::Error),
    #[error("the certificate authorities can't be used: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}
