//! Certificates, good and bad.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

pub(crate) const DAY: i64 = 86_400;

/// A certificate with its key, as a server shows it.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
    name: String,
}

fn params(name: &str, names: &[&str], from: i64, to: i64) -> CertificateParams {
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Shop");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let at = |offset: i64| {
        rcgen::date_time_ymd(1970, 1, 1)
            + Duration::from_secs(now.as_secs().checked_add_signed(offset).unwrap())
    };
    (params.not_before, params.not_after) = (at(from), at(to));
    params
}

pub(crate) fn authority() -> Authority {
    authority_of("Test authority")
}

pub(crate) fn authority_of(name: &str) -> Authority {
    let mut params = params(name, &[], -DAY, 3650 * DAY);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Authority {
        certificate: certificate.der().clone(),
        pem: certificate.pem(),
        issuer: Issuer::new(params, key),
        name: name.to_owned(),
    }
}

impl Authority {
    /// A certificate for the name and key of `other`, by which whoever trusts `self` trusts what `other` signs; valid for
    /// `seconds` from now.
    pub(crate) fn cross_sign(&self, other: &Self, seconds: i64) -> CertificateDer<'static> {
        let mut params = params(&other.name, &[], -100 * DAY, seconds);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.signed_by(other.issuer.key(), &self.issuer).unwrap().der().clone()
    }

    /// A certificate for `names` that is valid for `seconds` from now; negative: that ended so long ago.
    pub(crate) fn identity(&self, names: &[&str], seconds: i64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names[0], names, -100 * DAY, seconds).signed_by(&key, &self.issuer).unwrap();
        Identity { chain: vec![certificate.der().clone()], key }
    }
}

pub(crate) fn self_signed(name: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params(name, &[name], -DAY, 100 * DAY).self_signed(&key).unwrap();
    Identity { chain: vec![certificate.der().clone()], key }
}

impl Identity {
    pub(crate) fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        self.acceptor_of(rustls::ALL_VERSIONS, protocols)
    }

    /// The certificate and its key in PEM, as a Secret holds them.
    pub(crate) fn pem(&self) -> (String, String) {
        let encoded = data_encoding::BASE64.encode(&self.chain[0]);
        let certificate = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
        (certificate, self.key.serialize_pem())
    }

    /// One that speaks these versions of TLS. Whether the key fits the certificate isn't asked.
    pub(crate) fn acceptor_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> TlsAcceptor {
        self.acceptor_for(versions, protocols, None)
    }

    /// One that wants a client certificate of `clients`.
    pub(crate) fn acceptor_for(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
        clients: Option<&Authority>,
    ) -> TlsAcceptor {
        self.acceptor_with(versions, protocols, clients.map(|clients| (clients, true)))
    }

    /// One that asks for a client certificate of `clients`, and takes a client without one too.
    pub(crate) fn acceptor_asking(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        clients: &Authority,
    ) -> TlsAcceptor {
        self.acceptor_with(versions, &[], Some((clients, false)))
    }

    /// `clients` are those whose certificates are asked for, and whether one is needed.
    fn acceptor_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
        clients: Option<(&Authority, bool)>,
    ) -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = provider.key_provider.load_private_key(key).unwrap();
        let certified = CertifiedKey::new(self.chain.clone(), key);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some((clients, is_needed)) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.certificate.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if is_needed { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}
