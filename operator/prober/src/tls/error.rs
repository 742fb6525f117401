//! Why there is no trusted connection, in words that say what to do.

use std::fmt;
use std::io;

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError};

use super::certificate::Chain;
use super::identity::ClientAuth;
use crate::deadline::Elapsed;
use crate::failure::io_in_words;

/// Why there is no trusted connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("TLS: {0:?} can't be the name on a certificate: write a DNS name or an IP address")]
    BadName(String),
    #[error("the TLS handshake timed out after {0}: the connection is open, but the server doesn't go on")]
    TimedOut(Elapsed),
    #[error("the server closed the connection during the TLS handshake")]
    Closed,
    #[error("the server closed the connection {stage}; it had asked for a client certificate, and {shown}")]
    ClosedToClient { stage: Stage, shown: String },
    #[error("the server doesn't speak TLS on this port")]
    NotTls,
    #[error("the server refused the TLS handshake: {0}")]
    Alert(String),
    #[error("the server ended the TLS connection: {0}")]
    AlertAfter(String),
    #[error("the server wants a client certificate: name a Secret with one in tls.clientCertificate")]
    WantsCertificate,
    #[error("the server doesn't take the client certificate ({subject}): {why}")]
    CertificateRefused { subject: String, why: String },
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

/// How far a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Handshake,
    /// After the handshake, before the answer.
    Answer,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "during the TLS handshake",
            Self::Answer => "without an answer",
        })
    }
}

impl TlsError {
    /// Why `alert` came, before or after the handshake: a server of TLS 1.3 judges a client only then.
    pub(crate) fn of_alert(alert: AlertDescription, auth: &ClientAuth, stage: Stage) -> Self {
        match (auth.was_asked() && is_of_client(alert), auth.subject()) {
            (true, None) => Self::WantsCertificate,
            (true, Some(subject)) => {
                Self::CertificateRefused { subject: subject.to_owned(), why: refusal_in_words(alert) }
            }
            (false, _) if stage == Stage::Answer => Self::AlertAfter(alert_in_words(alert)),
            (false, _) => Self::Alert(alert_in_words(alert)),
        }
    }

    /// Why the connection was closed without an alert, by a server that may have asked for a certificate: many take a
    /// client without one too, and so that may not be why.
    pub(crate) fn of_close(auth: &ClientAuth, stage: Stage) -> Self {
        if !auth.was_asked() {
            return Self::Closed;
        }
        let shown = match auth.subject() {
            None => "got none: if it needs one, name a Secret with one in tls.clientCertificate".to_owned(),
            Some(subject) => format!("got that of {subject}"),
        };
        Self::ClosedToClient { stage, shown }
    }

    /// Why reading or writing failed.
    pub(super) fn of_io(error: &io::Error, auth: &ClientAuth) -> Self {
        let Some(tls) = cause(error) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    Self::of_close(auth, Stage::Handshake)
                }
                _ => Self::Failed(io_in_words(error)),
            };
        };
        match tls {
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            // The certificate isn't judged here: what failed is the signature that its key made.
            rustls::Error::InvalidCertificate(CertificateError::BadSignature) => Self::NotItsKey,
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert, auth, Stage::Handshake),
            rustls::Error::PeerIncompatible(_) => Self::Failed(
                "the server and the operator have no version of TLS and no cipher in common; TLS 1.2 or 1.3 is needed"
                    .to_owned(),
            ),
            rustls::Error::PeerMisbehaved(_) | rustls::Error::InappropriateMessage { .. } => {
                Self::Failed("the server breaks the rules of TLS".to_owned())
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

/// What TLS says of an error of the stream, if that is where it comes from.
pub(crate) fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Why a certificate isn't trusted, so that its owner knows what to do.
pub(super) fn untrusted(error: &CertificateError, chain: &Chain, server: &str, now: Timestamp) -> String {
    match error {
        CertificateError::Expired => chain.expired(now).unwrap_or_else(expired_authority),
        CertificateError::ExpiredContext { not_after, .. } => i64::try_from(not_after.as_secs())
            .ok()
            .and_then(|end| chain.expired_at(end, now))
            .or_else(|| chain.expired(now))
            .unwrap_or_else(expired_authority),
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

fn expired_authority() -> String {
    "a certificate of the authorities has expired".to_owned()
}

/// Alerts by which a server says that it doesn't take the client: that of TLS 1.2 for a missing certificate is
/// handshake_failure (RFC 5246, section 7.4.6), that of TLS 1.3 certificate_required (RFC 8446, section 4.4.2.4).
fn is_of_client(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::HandshakeFailure
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}

fn refusal_in_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateExpired => "it has expired".to_owned(),
        AlertDescription::CertificateRevoked => "it was revoked".to_owned(),
        AlertDescription::UnknownCA => "it doesn't know the authority that signed it".to_owned(),
        AlertDescription::AccessDenied => "its holder has no access".to_owned(),
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "it was none that the server could use, such as one with a key of a kind that it doesn't know"
                .to_owned()
        }
        other => format!("it says no more than {other:?}"),
    }
}

fn alert_in_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnrecognisedName => "it doesn't know the name it was asked for (SNI)".to_owned(),
        AlertDescription::ProtocolVersion => "it speaks neither TLS 1.2 nor 1.3".to_owned(),
        AlertDescription::HandshakeFailure => {
            "it finds no version, cipher or certificate that suits both sides (handshake_failure)".to_owned()
        }
        AlertDescription::NoApplicationProtocol => "it speaks neither HTTP/1.1 nor HTTP/2".to_owned(),
        AlertDescription::InternalError => "it failed within (internal_error)".to_owned(),
        other => format!("{other:?}"),
    }
}
