//! The collector's certificates: what they are, and when which is replaced. Pure but for the randomness of keys.
//!
//! A new authority is published to agents for [`OVERLAP`] before anything is signed by it, and the old one for as long
//! after that, so no agent ever meets a certificate whose authority it hasn't been told of.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365);
const SERVING_LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Well over the time a changed ConfigMap takes to reach every pod (the kubelet's sync period and cache, minutes).
pub(super) const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// Certificates are valid from this much before they are made, for clocks that lag.
const BACKDATE: SignedDuration = SignedDuration::from_mins(5);

/// A certificate and its key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// All of the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Material {
    pub(super) authority: Pair,
    /// The next authority: published, not signing yet.
    pub(super) next: Option<Pair>,
    /// The last authority's certificate: still published.
    pub(super) previous: Option<String>,
    pub(super) serving: Pair,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum MaterialError {
    #[error("can't make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the time {0} is beyond what a certificate can say")]
    Time(Timestamp),
}

impl Material {
    /// The certificates of all authorities that agents trust, in PEM.
    pub(super) fn bundle(&self) -> String {
        let parts = [
            Some(self.authority.certificate.as_str()),
            self.next.as_ref().map(|next| next.certificate.as_str()),
            self.previous.as_deref(),
        ];
        let mut bundle = String::new();
        for part in parts.into_iter().flatten() {
            bundle.push_str(part.trim_end());
            bundle.push('\n');
        }
        bundle
    }

    fn new(names: &[String], now: Timestamp) -> Result<Self, MaterialError> {
        let authority = make_authority(now)?;
        let serving = make_serving(&authority, names, now)?;
        Ok(Self { authority, next: None, previous: None, serving })
    }
}

/// The material that replaces `current` at `now`, for a server reached by `names`. It equals `current` if no renewal is
/// due.
pub(super) fn renew(
    current: Option<&Material>,
    names: &[String],
    now: Timestamp,
) -> Result<Material, MaterialError> {
    let Some(current) = current else { return Material::new(names, now) };
    let Some(authority) = Facts::of(&current.authority).filter(|facts| facts.matches && facts.valid_at(now))
    else {
        // Broken by hand, or nobody led for a year.
        return Material::new(names, now);
    };
    let mut material = current.clone();
    let next =
        material.next.as_ref().and_then(Facts::of).filter(|facts| facts.matches && facts.valid_at(now));
    match next {
        None if authority.two_thirds_over(now) => material.next = Some(make_authority(now)?),
        None => material.next = None,
        Some(next) if now.duration_since(next.from) >= OVERLAP => {
            if let Some(next) = material.next.take() {
                material.previous = Some(std::mem::replace(&mut material.authority, next).certificate);
                material.serving = make_serving(&material.authority, names, now)?;
            }
        }
        Some(_) => {}
    }
    let serving = Facts::of(&material.serving);
    let stands = serving.as_ref().is_some_and(|facts| {
        facts.matches
            && facts.valid_at(now)
            && !facts.two_thirds_over(now)
            && facts.signed_by(&material.authority)
            && names.iter().all(|name| facts.names.contains(name))
    });
    if !stands {
        material.serving = make_serving(&material.authority, names, now)?;
    }
    // The previous authority goes once the present one has been signing for the overlap.
    let signing_since = Facts::of(&material.authority).map(|facts| facts.from + OVERLAP);
    if signing_since.is_none_or(|since| now.duration_since(since) >= OVERLAP) {
        material.previous = None;
    }
    Ok(material)
}

/// Expiry of the serving certificate.
pub(super) fn serving_expires(material: &Material) -> Option<Timestamp> {
    Facts::of(&material.serving).map(|facts| facts.to)
}

fn make_authority(now: Timestamp) -> Result<Pair, MaterialError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // The names of two authorities differ, so that a verifier tries the right one first.
    params.distinguished_name.push(DnType::CommonName, format!("tidewatch-collector CA {}", now.as_second()));
    validity(&mut params, now, AUTHORITY_LIFE)?;
    let certificate = params.self_signed(&key)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn make_serving(authority: &Pair, names: &[String], now: Timestamp) -> Result<Pair, MaterialError> {
    let mut of_authority = CertificateParams::default();
    if let Some(facts) = Facts::of(authority) {
        of_authority.distinguished_name.push(DnType::CommonName, facts.subject);
    }
    of_authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = Issuer::new(of_authority, KeyPair::from_pem(&authority.key)?);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.distinguished_name.push(DnType::CommonName, "tidewatch-collector");
    validity(&mut params, now, SERVING_LIFE)?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn validity(
    params: &mut CertificateParams,
    now: Timestamp,
    life: SignedDuration,
) -> Result<(), MaterialError> {
    let seconds = |at: Timestamp| u64::try_from(at.as_second()).map_err(|_| MaterialError::Time(at));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let from = now.checked_sub(BACKDATE).map_err(|_| MaterialError::Time(now))?;
    let to = now.checked_add(life).map_err(|_| MaterialError::Time(now))?;
    params.not_before = epoch + Duration::from_secs(seconds(from)?);
    params.not_after = epoch + Duration::from_secs(seconds(to)?);
    Ok(())
}

/// Facts about a certificate and its key.
struct Facts {
    subject: String,
    from: Timestamp,
    to: Timestamp,
    names: Vec<String>,
    /// The key is the certificate's.
    matches: bool,
    der: Vec<u8>,
}

impl Facts {
    /// `None` if the pair can't be read.
    fn of(pair: &Pair) -> Option<Self> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pair.certificate.as_bytes()).ok()?;
        let certificate = pem.parse_x509().ok()?;
        let key = KeyPair::from_pem(&pair.key).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten();
        Some(Self {
            subject: certificate.subject().iter_common_name().next()?.as_str().ok()?.to_owned(),
            from: Timestamp::from_second(certificate.validity().not_before.timestamp()).ok()? + BACKDATE,
            to: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
            names: names
                .iter()
                .flat_map(|names| &names.value.general_names)
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some((*name).to_owned()),
                    _ => None,
                })
                .collect(),
            matches: certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw(),
            der: pem.contents.clone(),
        })
    }

    fn valid_at(&self, now: Timestamp) -> bool {
        self.from <= now.saturating_add(BACKDATE).unwrap_or(now) && now < self.to
    }

    fn two_thirds_over(&self, now: Timestamp) -> bool {
        now.duration_since(self.from) >= self.to.duration_since(self.from) * 2 / 3
    }

    fn signed_by(&self, authority: &Pair) -> bool {
        let signed = || {
            let (_, certificate) = X509Certificate::from_der(&self.der).ok()?;
            let (_, pem) = x509_parser::pem::parse_x509_pem(authority.certificate.as_bytes()).ok()?;
            let authority = pem.parse_x509().ok()?;
            let key_id = |c: &X509Certificate<'_>| {
                c.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                    x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                    _ => None,
                })
            };
            let issuer_id =
                certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                    x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => {
                        id.key_identifier.as_ref().map(|id| id.0.to_vec())
                    }
                    _ => None,
                });
            Some(
                certificate.issuer() == authority.subject()
                    && issuer_id.is_some()
                    && issuer_id == key_id(&authority),
            )
        };
        signed().unwrap_or(false)
    }
}

#[cfg(test)]
#[path = "material_tests.rs"]
mod tests;
