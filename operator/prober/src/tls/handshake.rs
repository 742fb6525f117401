//! The handshake. It is made without judging the certificate, which is judged right after and before anything else is
//! sent: that way the chain is at hand also when it isn't trusted, and one TLS configuration serves all that is trusted.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate::{self, Chain};
use super::trust::{Trust, default_verifier};
use crate::config::{ProberError, TrustSource};
use crate::connect::add;
use crate::deadline::{Deadline, Elapsed};
use crate::report::CheckReport;

/// Why there is no trusted connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("TLS: {0:?} can't be the name on a certificate: write a name of DNS or an address")]
    BadName(String),
    #[error("the TLS handshake timed out after {0}: the connection is open, but the server doesn't go on")]
    TimedOut(Elapsed),
    #[error("the server closed the connection during the TLS handshake")]
    Closed,
    #[error("the server doesn't speak TLS on this port")]
    NotTls,
    #[error("the server refused the TLS handshake: {0}")]
    Alert(String),
    #[error("the TLS handshake failed: {0}")]
    Failed(String),
    #[error("the server doesn't hold the key of the certificate that it shows")]
    NotItsKey,
    #[error("the server showed no certificate")]
    NoCertificate,
    #[error(
        "no certificate authority is known to the operator: name one in tls.ca, or install the system's into its image"
    )]
    NoAuthorities,
    #[error("{0}")]
    Untrusted(String),
}

/// What the two sides may speak after the handshake.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocols {
    Http,
    /// Not negotiated.
    Any,
}

/// The TLS configurations of a prober: built once, since that is costly.
#[derive(Debug)]
pub(crate) struct Handshakes {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    checked: Arc<ClientConfig>,
    checked_http: Arc<ClientConfig>,
    unchecked: Arc<ClientConfig>,
    unchecked_http: Arc<ClientConfig>,
}

/// A connection whose certificate was judged.
pub(crate) struct Verified {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) chain: Chain,
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Handshakes {
    pub(crate) fn new(trust: &TrustSource) -> Result<Self, ProberError> {
        let provider = provider();
        let config = |check_signature: bool, alpn: &[&[u8]]| -> Result<Arc<ClientConfig>, rustls::Error> {
            let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(JudgedLater {
                    provider: Arc::clone(&provider),
                    check_signature,
                }))
                .with_no_client_auth();
            // A resumed session shows no certificate to judge.
            config.resumption = Resumption::disabled();
            config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
            Ok(Arc::new(config))
        };
        let http: [&[u8]; 2] = [b"h2", b"http/1.1"];
        Ok(Self {
            verifier: default_verifier(trust)?,
            checked: config(true, &[])?,
            checked_http: config(true, &http)?,
            unchecked: config(false, &[])?,
            unchecked_http: config(false, &http)?,
        })
    }

    /// Shakes hands over `stream` with the server of `name`, and judges its certificate by `trust`. `report` learns the
    /// version, the expiry and the time also when it isn't trusted.
    pub(crate) async fn verified(
        &self,
        stream: TcpStream,
        name: &str,
        protocols: Protocols,
        trust: &Trust,
        deadline: Deadline,
        report: &mut CheckReport,
    ) -> Result<Verified, TlsError> {
        let server = server_name(name)?;
        let config = match (trust, protocols) {
            (Trust::Anything, Protocols::Http) => &self.unchecked_http,
            (Trust::Anything, Protocols::Any) => &self.unchecked,
            (_, Protocols::Http) => &self.checked_http,
            (_, Protocols::Any) => &self.checked,
        };
        let began = Instant::now();
        let result =
            deadline.within(TlsConnector::from(Arc::clone(config)).connect(server.clone(), stream)).await;
        add(&mut report.phases.tls, began);
        let stream = result.map_err(TlsError::TimedOut)?.map_err(|error| why(&error))?;

        let (_, connection) = stream.get_ref();
        report.tls_version = connection.protocol_version().map(version_in_words);
        let certificates = connection.peer_certificates().unwrap_or_default();
        let chain = certificate::read(certificates);
        report.certificate_expiry = chain.expiry();
        self.judge(certificates, &server, trust, &chain)?;
        Ok(Verified { stream, chain })
    }

    fn judge(
        &self,
        certificates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        trust: &Trust,
        chain: &Chain,
    ) -> Result<(), TlsError> {
        let verifiers = match trust {
            Trust::Anything => return Ok(()),
            Trust::Default => [self.verifier.as_ref(), None],
            Trust::Authorities(verifier) => [Some(verifier), None],
            Trust::AlsoAuthorities(verifier) => [Some(verifier), self.verifier.as_ref()],
        };
        let (leaf, intermediates) = certificates.split_first().ok_or(TlsError::NoCertificate)?;
        let now = UnixTime::now();
        let mut result = Err(TlsError::NoAuthorities);
        for verifier in verifiers.into_iter().flatten() {
            result = match verifier.verify_server_cert(leaf, intermediates, server, &[], now) {
                Ok(_) => return Ok(()),
                Err(rustls::Error::InvalidCertificate(error)) => {
                    let why = untrusted(&error, chain, &name_in_words(server), Timestamp::now());
                    Err(TlsError::Untrusted(why))
                }
                Err(error) => Err(TlsError::Failed(error.to_string())),
            };
        }
        result
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    if let Some(ip) = crate::connect::literal(name) {
        return Ok(ServerName::IpAddress(ip.into()));
    }
    let bare = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::BadName(name.to_owned()))
}

fn name_in_words(server: &ServerName<'_>) -> String {
    match server {
        ServerName::IpAddress(ip) => std::net::IpAddr::from(*ip).to_string(),
        other => other.to_str().into_owned(),
    }
}

/// Why a certificate isn't trusted, so that its owner knows what to do.
fn untrusted(error: &CertificateError, chain: &Chain, server: &str, now: Timestamp) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            chain.expired(now).unwrap_or_else(|| "a certificate of the authorities has expired".to_owned())
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            chain.not_yet_valid(now).unwrap_or_else(|| "certificate isn't valid yet".to_owned())
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("certificate is for {}, not for {server}", chain.names())
        }
        CertificateError::UnknownIssuer if chain.is_self_signed() => {
            format!("self-signed certificate ({}): name it in tls.ca to trust it", chain.subject())
        }
        CertificateError::UnknownIssuer => format!(
            "unknown authority: the chain ends at {}, which isn't trusted; name it in tls.ca, or have the server send the certificates in between",
            chain.last_issuer()
        ),
        CertificateError::BadSignature => format!(
            "unknown authority: {} is known by that name, but with another key; was it renewed?",
            chain.last_issuer()
        ),
        CertificateError::BadEncoding => "certificate isn't understood".to_owned(),
        // webpki's CaUsedAsEndEntity: what `openssl req -x509` makes.
        CertificateError::Other(_) if chain.is_self_signed() => {
            format!("self-signed certificate of an authority ({}), which isn't a server's", chain.subject())
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate isn't for servers (its extended key usage leaves serverAuth out)".to_owned()
        }
        other => format!("certificate isn't trusted: {other}"),
    }
}

fn why(error: &io::Error) -> TlsError {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                TlsError::Closed
            }
            _ => TlsError::Failed(error.to_string()),
        };
    };
    match tls {
        rustls::Error::InvalidMessage(_) => TlsError::NotTls,
        // The certificate isn't judged here: what failed is the signature that its key made.
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => TlsError::NotItsKey,
        rustls::Error::NoCertificatesPresented => TlsError::NoCertificate,
        rustls::Error::AlertReceived(alert) => TlsError::Alert(alert_in_words(*alert)),
        rustls::Error::PeerIncompatible(why) => TlsError::Failed(format!(
            "the server and the operator have no common way ({why:?}); TLS 1.2 or 1.3 is needed"
        )),
        other => TlsError::Failed(other.to_string()),
    }
}

fn alert_in_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnrecognisedName => "it doesn't know the name it was asked for (SNI)".to_owned(),
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate => {
            "it wants a certificate of the client".to_owned()
        }
        AlertDescription::ProtocolVersion => "it speaks neither TLS 1.2 nor 1.3".to_owned(),
        other => format!("{other:?}"),
    }
}

fn version_in_words(version: ProtocolVersion) -> String {
    match version {
        ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
        ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Takes any certificate during the handshake; `judge` follows. That the server holds the certificate's key is checked
/// here, unless nothing is to be checked.
#[derive(Debug)]
struct JudgedLater {
    provider: Arc<CryptoProvider>,
    check_signature: bool,
}

impl ServerCertVerifier for JudgedLater {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.check_signature {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signature, algorithms)
        } else {
            Ok(HandshakeSignatureValid::assertion())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.check_signature {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, algorithms)
        } else {
            Ok(HandshakeSignatureValid::assertion())
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
