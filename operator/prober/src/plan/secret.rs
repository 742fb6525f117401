//! What a spec takes from Secrets.

use std::collections::{BTreeMap, BTreeSet};

use tidewatch_crds::CanarySpec;
use tidewatch_crds::canary::{Authentication, ClientCertificate, SecretKey, SecretSource};

use super::Planning;
use super::error::{Field, PlanError, Problem};
use crate::tls::{Identity, Trust, authorities};

/// What Secrets hold.
pub type Secrets = BTreeMap<SecretKey, Vec<u8>>;

/// The keys of Secrets that [`super::Plan::new`] needs for `spec`.
pub fn secrets_of(spec: &CanarySpec) -> BTreeSet<SecretKey> {
    let mut keys = BTreeSet::new();
    for check in spec.checks.iter().flatten() {
        if let Some(http) = &check.http {
            if let Some(tls) = &http.tls {
                keys.extend(tls.ca.clone());
                keys.extend(tls.client_certificate.iter().flat_map(of_certificate));
            }
            keys.extend(
                http.authentication.iter().flat_map(sources).filter_map(|source| source.secret_ref.clone()),
            );
        }
        if let Some(tls) = &check.tls {
            keys.extend(tls.ca.clone());
            keys.extend(tls.client_certificate.iter().flat_map(of_certificate));
        }
    }
    keys
}

fn of_certificate(certificate: &ClientCertificate) -> [SecretKey; 2] {
    [certificate.certificate(), certificate.private_key()]
}

fn sources(authentication: &Authentication) -> impl Iterator<Item = &SecretSource> {
    let Authentication { basic, bearer, api_key, oauth } = authentication;
    (basic.iter().map(|basic| &basic.password))
        .chain(bearer)
        .chain(api_key.iter().map(|api_key| &api_key.key))
        .chain(oauth.iter().map(|oauth| &oauth.client_secret))
}

impl Planning<'_> {
    /// The text of a secret, which is hidden from reports from now on.
    pub(super) fn secret(&mut self, field: &Field, source: &SecretSource) -> Result<String, PlanError> {
        let text = self.secret_or_empty(field, source)?;
        match &source.secret_ref {
            Some(key) if text.is_empty() => {
                Err(field.field("secretRef").problem(Problem::EmptySecret(key.clone())))
            }
            _ => Ok(text),
        }
    }

    /// The same of a secret that may be empty.
    pub(super) fn secret_or_empty(
        &mut self,
        field: &Field,
        source: &SecretSource,
    ) -> Result<String, PlanError> {
        let key = match (&source.secret_ref, &source.aws_secret) {
            (Some(key), None) => key,
            (None, Some(_)) => return Err(field.field("awsSecret").problem(Problem::AwsSecret)),
            _ => return Err(field.problem(Problem::NotOneOf("secretRef or awsSecret"))),
        };
        let field = field.field("secretRef");
        let bytes = self.bytes(&field, key)?;
        let text = std::str::from_utf8(bytes).map_err(|_| field.problem(Problem::NotText(key.clone())))?;
        // What `echo` and editors leave at the end is never meant.
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        self.redactor.add(&text);
        Ok(text)
    }

    pub(super) fn identity(
        &self,
        field: &Field,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Option<Identity>, PlanError> {
        let Some(certificate) = certificate else { return Ok(None) };
        let field = field.field("clientCertificate");
        let [public, private] = of_certificate(certificate);
        let identity = Identity::new(self.bytes(&field, &public)?, self.bytes(&field, &private)?);
        identity.map(Some).map_err(|why| {
            let key = if why.is_of_key() { private } else { public };
            field.problem(Problem::Identity { key, why })
        })
    }

    pub(super) fn trust(
        &self,
        field: &Field,
        verify: bool,
        ca: Option<&SecretKey>,
    ) -> Result<Trust, PlanError> {
        match ca {
            _ if !verify => Ok(Trust::Anything),
            None => Ok(Trust::Default),
            Some(key) => {
                let field = field.field("ca");
                authorities(self.bytes(&field, key)?)
                    .map_err(|why| field.problem(Problem::Authority { key: key.clone(), why }))
            }
        }
    }

    fn bytes(&self, field: &Field, key: &SecretKey) -> Result<&[u8], PlanError> {
        self.secrets.get(key).map(Vec::as_slice).ok_or_else(|| field.problem(Problem::NoSecret(key.clone())))
    }
}
