//! Checks that agents can trust the collector: its authority and certificate, how long they hold, and the authority that
//! agents were given.

use jiff::Timestamp;
use x509_parser::pem::Pem;

use super::{Check, Collected, Finding};
use crate::age::length;

/// Secret with the collector's key and certificates.
pub(crate) const SECRET: &str = "tidewatch-collector-tls";
/// ConfigMap with the authorities that agents trust.
pub(crate) const CONFIG_MAP: &str = "tidewatch-collector-ca";
/// Remaining time below which a certificate should have been renewed, as in alert TidewatchCollectorCertificateExpiring.
const SOON_SECONDS: i64 = 5 * 24 * 3600;

/// The certificates, as PEM; no key is among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    pub secret_exists: bool,
    /// The ConfigMap is there.
    pub bundle_exists: bool,
    /// The authority that signs the collector's certificate.
    pub authority: Option<String>,
    pub serving: Option<String>,
    /// The authorities that agents trust.
    pub bundle: Option<String>,
}

struct Parsed {
    der: Vec<u8>,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    not_after: Timestamp,
}

pub(super) fn check(collected: &Collected) -> Check {
    let (findings, summary) = match &collected.certificates {
        Err(error) => {
            let what = format!("Secret {SECRET} and ConfigMap {CONFIG_MAP}");
            (vec![Finding::unchecked(&what, error)], String::new())
        }
        Ok(certificates) => examine(certificates, collected),
    };
    Check::new("Certificates", findings, || summary)
}

fn examine(certificates: &Certificates, collected: &Collected) -> (Vec<Finding>, String) {
    let now = *collected.server_time.as_ref().unwrap_or(&collected.now);
    let namespace = &collected.namespace;
    let mut findings = Vec::new();
    for (there, kind, name) in [
        (certificates.secret_exists, "Secret", SECRET),
        (certificates.bundle_exists, "ConfigMap", CONFIG_MAP),
    ] {
        if !there {
            findings.push(Finding::problem(
                format!("{kind} {namespace}/{name} is missing, and the operator may not make it."),
                "Install the chart tidewatch whole; the operator then fills it.",
            ));
        }
    }
    if !findings.is_empty() {
        return (findings, String::new());
    }
    let authority = certificates.authority.as_deref().map(parse).unwrap_or_default();
    let serving = certificates.serving.as_deref().map(parse).unwrap_or_default();
    let bundle = certificates.bundle.as_deref().map(parse).unwrap_or_default();
    let (Some(authority), Some(serving)) = (authority.first(), serving.first()) else {
        findings.push(Finding::problem(
            format!("Secret {namespace}/{SECRET} has no certificates: the operator hasn't filled it, or somebody cut it."),
            "Look at the operator's log; the operator makes new ones of an empty Secret when it starts to lead.",
        ));
        return (findings, String::new());
    };
    findings.extend(expiry("authority (ca.crt)", authority, now, namespace));
    findings.extend(expiry("certificate (tls.crt)", serving, now, namespace));
    if serving.issuer != authority.subject {
        findings.push(Finding::problem(
            format!("The collector's certificate in Secret {namespace}/{SECRET} isn't of its authority: agents refuse it."),
            "Empty the Secret's data and restart the operator, which then makes new ones.",
        ));
    }
    if !bundle.iter().any(|trusted| trusted.der == authority.der) {
        findings.push(Finding::problem(
            format!("ConfigMap {namespace}/{CONFIG_MAP} doesn't hold the authority of Secret {SECRET}: agents refuse the collector's certificate."),
            "Let the operator write the ConfigMap: it does so when it starts to lead. Look for who else writes it.",
        ));
    }
    let left = length(serving.not_after.as_second() - now.as_second());
    let ca_left = length(authority.not_after.as_second() - now.as_second());
    (
        findings,
        format!(
            "The collector's certificate holds for {left}, its authority for {ca_left}, and agents trust it."
        ),
    )
}

fn expiry(what: &str, certificate: &Parsed, now: Timestamp, namespace: &str) -> Option<Finding> {
    let left = certificate.not_after.as_second() - now.as_second();
    let mend = "Let the operator write Secret tidewatch-collector-tls and ConfigMap tidewatch-collector-ca, and look at its log.";
    match left {
        ..=0 => Some(Finding::problem(
            format!(
                "The {what} of Secret {namespace}/{SECRET} ended {} ago: agents report nothing.",
                length(-left)
            ),
            mend,
        )),
        1..SOON_SECONDS => Some(Finding::warning(
            format!(
                "The {what} of Secret {namespace}/{SECRET} ends in {}, and wasn't renewed.",
                length(left)
            ),
            mend,
        )),
        _ => None,
    }
}

/// The certificates of a PEM file; what isn't one is left out.
fn parse(pem: &str) -> Vec<Parsed> {
    let one = |pem: Pem| {
        let certificate = pem.parse_x509().ok()?;
        Some(Parsed {
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            not_after: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
            der: pem.contents.clone(),
        })
    };
    Pem::iter_from_buffer(pem.as_bytes()).filter_map(Result::ok).filter_map(one).collect()
}
