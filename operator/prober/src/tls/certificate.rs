//! What the certificates of a chain say. Pure: the time is passed in.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::deadline::Span;

/// The certificates that a server showed, its own first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chain(Vec<Facts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    /// In the manner of RFC 4514, such as `CN=shop.example.com, O=Shop`.
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Reads what can be read; a certificate that isn't understood is left out.
pub(super) fn read(certificates: &[CertificateDer<'_>]) -> Chain {
    Chain(certificates.iter().filter_map(|der| facts(der)).collect())
}

fn facts(der: &[u8]) -> Option<Facts> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let timestamp = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    Some(Facts {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names(&certificate),
        not_before: timestamp(certificate.validity().not_before)?,
        not_after: timestamp(certificate.validity().not_after)?,
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => ip(bytes).map(|ip| ip.to_string()),
            _ => None,
        })
        .collect()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

impl Chain {
    /// When the first of them ends.
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        self.first_to_end().map(|(_, facts)| facts.not_after)
    }

    fn first_to_end(&self) -> Option<(usize, &Facts)> {
        self.0.iter().enumerate().min_by_key(|(_, facts)| facts.not_after)
    }

    /// The server's own certificate alone.
    pub(super) fn leaf(&self) -> Self {
        Self(self.0.first().cloned().into_iter().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn subject(&self) -> &str {
        self.0.first().map_or("", |facts| &facts.subject)
    }

    pub(super) fn issuer(&self) -> &str {
        self.0.first().map_or("", |facts| &facts.issuer)
    }

    pub(super) fn last_issuer(&self) -> &str {
        self.0.last().map_or("an unreadable certificate", |facts| &facts.issuer)
    }

    pub(super) fn is_self_signed(&self) -> bool {
        self.0.first().is_some_and(|facts| facts.subject == facts.issuer)
    }

    /// The names that the server's certificate is for.
    pub(super) fn names(&self) -> String {
        match self.0.first().map(|facts| facts.names.as_slice()) {
            None | Some([]) => "no name (it has no subjectAltName, without which no name counts)".to_owned(),
            Some([names @ .., last]) if names.len() < 4 && !names.is_empty() => {
                format!("{} and {last}", names.join(", "))
            }
            Some([one]) => one.clone(),
            Some([first, rest @ ..]) => format!("{first} and {} other names", rest.len()),
        }
    }

    /// Says which has expired, and when.
    pub(super) fn expired(&self, now: Timestamp) -> Option<String> {
        let (place, facts) = self.first_to_end().filter(|(_, facts)| facts.not_after < now)?;
        Some(expired_in_words(place, facts, now))
    }

    /// Says the same of the one that ended at `end`, seconds since 1970.
    pub(super) fn expired_at(&self, end: i64, now: Timestamp) -> Option<String> {
        let (place, facts) =
            self.0.iter().enumerate().find(|(_, facts)| facts.not_after.as_second() == end)?;
        Some(expired_in_words(place, facts, now))
    }

    pub(super) fn not_yet_valid(&self, now: Timestamp) -> Option<String> {
        let (place, facts) = self.0.iter().enumerate().find(|(_, facts)| facts.not_before > now)?;
        Some(format!(
            "{} isn't valid before {}: check the server's clock and ours ({now})",
            which(place, facts),
            facts.not_before
        ))
    }

    /// Says which ends within `least`, and when.
    pub(super) fn ends_within(&self, least: Duration, now: Timestamp) -> Option<String> {
        if let Some(expired) = self.expired(now) {
            return Some(expired);
        }
        let (place, facts) = self.first_to_end()?;
        let left = span(now, facts.not_after);
        (left < least)
            .then(|| format!("{} expires in {} ({})", which(place, facts), Days(left), facts.not_after))
    }
}

fn expired_in_words(place: usize, facts: &Facts, now: Timestamp) -> String {
    format!("{} expired {} ago ({})", which(place, facts), Days(span(facts.not_after, now)), facts.not_after)
}

fn which(place: usize, facts: &Facts) -> String {
    match place {
        0 => "certificate".to_owned(),
        _ => format!("certificate of the authority {}", facts.subject),
    }
}

fn span(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// A span in days, or below two days in hours.
struct Days(Duration);

impl std::fmt::Display for Days {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hours = self.0.as_secs() / 3600;
        match hours {
            0 => write!(f, "{}", Span(self.0)),
            1 => f.write_str("1 hour"),
            2..48 => write!(f, "{hours} hours"),
            _ => write!(f, "{} days", hours / 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(names: &[&str], not_after: &str) -> Chain {
        Chain(vec![Facts {
            subject: "CN=a".to_owned(),
            issuer: "CN=ca".to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            not_before: "2026-01-01T00:00:00Z".parse().unwrap(),
            not_after: not_after.parse().unwrap(),
        }])
    }

    #[test]
    fn the_names_of_a_certificate_read_as_a_list() {
        for (names, text) in [
            (&["a"] as &[_], "a"),
            (&["a", "b"], "a and b"),
            (&["a", "b", "c"], "a, b and c"),
            (&["a", "b", "c", "d", "e", "f"], "a and 5 other names"),
        ] {
            assert_eq!(chain(names, "2027-01-01T00:00:00Z").names(), text);
        }
    }

    #[test]
    fn an_end_says_how_long_ago_or_in_how_long() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        assert_eq!(
            chain(&[], "2026-11-20T12:00:00Z").expired(now).unwrap(),
            "certificate expired 3 days ago (2026-11-20T12:00:00Z)"
        );
        let soon = chain(&[], "2026-11-24T12:00:00Z");
        assert_eq!(soon.expired(now), None);
        let day = Duration::from_secs(86_400);
        assert_eq!(
            soon.ends_within(14 * day, now).unwrap(),
            "certificate expires in 24 hours (2026-11-24T12:00:00Z)"
        );
        assert_eq!(soon.ends_within(day / 2, now), None);
    }
}
