//! The handshake. It is made without judging the certificate, which is judged right after and before anything else is
//! sent: that way the chain is at hand also when it isn't trusted, and one TLS configuration serves all that is trusted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tidewatch_crds::canary::ValidityOf;
use tidewatch_crds::host_to_ascii;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate::{self, Chain};
use super::error::{Stage, TlsError, untrusted};
use super::identity::ClientAuth;
use super::settings::TlsSettings;
use super::trust::{Authorities, Trust, default_authorities};
use crate::config::{ProberError, TrustSource};
use crate::connect::add;
use crate::deadline::Deadline;
use crate::report::CheckReport;

/// How long a server of TLS 1.3 that asked for a client certificate is given to say that it doesn't take it. It says so
/// after the handshake, when a client that has nothing to send would be gone.
const CLIENT_JUDGED_WITHIN: Duration = Duration::from_secs(2);

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
    authorities: Option<Arc<Authorities>>,
    checked: Arc<ClientConfig>,
    checked_http: Arc<ClientConfig>,
    unchecked: Arc<ClientConfig>,
    unchecked_http: Arc<ClientConfig>,
}

/// A connection whose certificate was judged.
pub(crate) struct Verified {
    pub(crate) stream: TlsStream<TcpStream>,
    /// The certificates whose end counts, the server's own first.
    pub(crate) chain: Chain,
    pub(crate) auth: Arc<ClientAuth>,
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
            authorities: default_authorities(trust)?,
            checked: config(true, &[])?,
            checked_http: config(true, &http)?,
            unchecked: config(false, &[])?,
            unchecked_http: config(false, &http)?,
        })
    }

    /// Shakes hands over `stream` with the server of `name`, and judges its certificate by `settings`. `report` learns the
    /// version, the expiry and the time also when it isn't trusted.
    pub(crate) async fn verified(
        &self,
        stream: TcpStream,
        name: &str,
        protocols: Protocols,
        settings: &TlsSettings,
        deadline: Deadline,
        report: &mut CheckReport,
    ) -> Result<Verified, TlsError> {
        let server = server_name(name)?;
        let auth = Arc::new(ClientAuth::new(settings.identity.clone()));
        let mut config = ClientConfig::clone(match (&settings.trust, protocols) {
            (Trust::Anything, Protocols::Http) => &self.unchecked_http,
            (Trust::Anything, Protocols::Any) => &self.unchecked,
            (_, Protocols::Http) => &self.checked_http,
            (_, Protocols::Any) => &self.checked,
        });
        config.client_auth_cert_resolver = Arc::<ClientAuth>::clone(&auth);
        let began = Instant::now();
        let connecting = TlsConnector::from(Arc::new(config)).connect(server.clone(), stream);
        let result = deadline.within(connecting).await;
        add(&mut report.phases.tls, began);
        let stream = result.map_err(TlsError::TimedOut)?.map_err(|error| TlsError::of_io(&error, &auth))?;

        let (_, connection) = stream.get_ref();
        report.tls_version = connection.protocol_version().map(version_in_words);
        let certificates = connection.peer_certificates().unwrap_or_default();
        let presented = certificate::read(certificates);
        let chain = self.counted(certificates, &presented, settings).unwrap_or_else(|| presented.clone());
        report.certificate_expiry = chain.expiry();
        self.judge(certificates, &server, &settings.trust, &presented)?;
        Ok(Verified { stream, chain, auth })
    }

    /// The certificates whose end counts; `None`: all that are presented.
    fn counted(
        &self,
        certificates: &[CertificateDer<'_>],
        presented: &Chain,
        settings: &TlsSettings,
    ) -> Option<Chain> {
        match settings.validity_of {
            ValidityOf::PresentedChain => None,
            ValidityOf::Leaf => Some(presented.leaf()),
            ValidityOf::VerifiedPath => {
                let trusted = self.trusted(&settings.trust);
                let paths = trusted.filter_map(|authorities| authorities.longest_path(certificates));
                paths.max_by_key(Chain::expiry)
            }
        }
    }

    fn trusted<'a>(&'a self, trust: &'a Trust) -> impl Iterator<Item = &'a Authorities> {
        let authorities = match trust {
            Trust::Anything => [None, None],
            Trust::Default => [self.authorities.as_deref(), None],
            Trust::Authorities(authorities) => [Some(&**authorities), None],
            Trust::AlsoAuthorities(authorities) => [Some(&**authorities), self.authorities.as_deref()],
        };
        authorities.into_iter().flatten()
    }

    fn judge(
        &self,
        certificates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        trust: &Trust,
        presented: &Chain,
    ) -> Result<(), TlsError> {
        if matches!(trust, Trust::Anything) {
            return Ok(());
        }
        let (leaf, intermediates) = certificates.split_first().ok_or(TlsError::NoCertificate)?;
        let now = UnixTime::now();
        let mut result = Err(TlsError::NoAuthorities);
        for authorities in self.trusted(trust) {
            let verifier = &authorities.verifier;
            result = match verifier.verify_server_cert(leaf, intermediates, server, &[], now) {
                Ok(_) => return Ok(()),
                Err(rustls::Error::InvalidCertificate(error)) => {
                    let why = untrusted(&error, presented, &name_in_words(server), Timestamp::now());
                    Err(TlsError::Untrusted(why))
                }
                Err(error) => Err(TlsError::Failed(error.to_string())),
            };
        }
        result
    }
}

impl Verified {
    /// Waits until the server has judged the client, where it asked for a certificate and says so only now.
    pub(crate) async fn client_judged(&mut self, deadline: Deadline) -> Result<(), TlsError> {
        let is_1_3 = self.stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        if !self.auth.was_asked() || !is_1_3 {
            return Ok(());
        }
        let stream = &mut self.stream;
        let mut byte = [0];
        let answered = std::future::poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut byte);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(result) => Poll::Ready(result.map(|()| !buffer.filled().is_empty())),
                // A session ticket comes after the server has taken the client.
                Poll::Pending if stream.get_ref().1.tls13_tickets_received() > 0 => Poll::Ready(Ok(true)),
                Poll::Pending => Poll::Pending,
            }
        });
        match deadline.at_most(CLIENT_JUDGED_WITHIN).within(answered).await {
            // A server that takes the client may have nothing to say.
            Ok(Ok(true)) | Err(_) => Ok(()),
            Ok(Ok(false)) => Err(TlsError::of_close(&self.auth, Stage::Handshake)),
            Ok(Err(error)) => Err(TlsError::of_io(&error, &self.auth)),
        }
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    if let Some(ip) = crate::connect::literal(name) {
        return Ok(ServerName::IpAddress(ip.into()));
    }
    let bad = || TlsError::BadName(name.to_owned());
    let ascii = host_to_ascii(name).ok_or_else(bad)?;
    let bare = ascii.strip_suffix('.').unwrap_or(&ascii);
    ServerName::try_from(bare.to_owned()).map_err(|_| bad())
}

fn name_in_words(server: &ServerName<'_>) -> String {
    match server {
        ServerName::IpAddress(ip) => std::net::IpAddr::from(*ip).to_string(),
        other => other.to_str().into_owned(),
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
