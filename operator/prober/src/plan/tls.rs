//! The plan of a TLS check.

use std::time::Duration;

use tidewatch_crds::canary::TlsCheck;

use super::error::{Field, PlanError};
use super::{Planning, Template, duration};
use crate::tls::TlsSettings;

pub(crate) struct TlsPlan {
    pub(crate) host: Template,
    pub(crate) port: u16,
    pub(crate) server_name: Template,
    pub(crate) tls: TlsSettings,
    pub(crate) min_validity: Option<Duration>,
    pub(crate) subject_contains: Option<String>,
    pub(crate) issuer_contains: Option<String>,
}

impl Planning<'_> {
    pub(super) fn tls(&self, field: &Field, check: &TlsCheck) -> Result<TlsPlan, PlanError> {
        let host = self.template(&field.field("host"), &check.host)?;
        let server_name = match &check.server_name {
            Some(name) => self.template(&field.field("serverName"), name)?,
            None => host.clone(),
        };
        Ok(TlsPlan {
            host,
            port: check.port.unwrap_or(443),
            server_name,
            tls: TlsSettings {
                trust: self.trust(field, check.verify, check.ca.as_ref())?,
                identity: self.identity(field, check.client_certificate.as_ref())?,
                validity_of: check.validity_of.unwrap_or_default(),
            },
            min_validity: duration(&field.field("minValidity"), check.min_validity.as_deref())?,
            subject_contains: check.subject_contains.clone(),
            issuer_contains: check.issuer_contains.clone(),
        })
    }
}
