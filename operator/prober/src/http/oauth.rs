//! A token by OAuth 2.0 client credentials (RFC 6749, section 4.4), fetched before the request that needs it.

use ::http::{HeaderMap, HeaderValue, Method, header};
use bytes::Bytes;
use serde_json::Value;

use super::answer::Answer;
use super::client::{Client, HttpError, Request};
use super::extract::LONGEST;
use crate::failure::Failure;
use crate::plan::OauthPlan;
use crate::redact::Redactor;
use crate::report::CheckReport;
use crate::tls::TlsSettings;

#[derive(Debug, thiserror::Error)]
enum OauthError {
    #[error("OAuth: the token wasn't fetched: {0}")]
    Http(#[from] HttpError),
    #[error("OAuth: the token endpoint answered with status {status}{}", .error.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    Status { status: u16, error: Option<String> },
    #[error("OAuth: the token endpoint's answer isn't JSON with an access_token")]
    NoToken,
    #[error("OAuth: the token is of type {0:?}; only bearer tokens are known")]
    Type(String),
    #[error("OAuth: the token has characters that a header can't carry, or more than {LONGEST} bytes")]
    Unfit,
}

/// The value of the Authorization header. `name` is the name on the endpoint's certificate, where that isn't the host. The
/// time of fetching it isn't among the phases, which are the request's own,
/// unless it fails.
pub(super) async fn token(
    plan: &OauthPlan,
    client: &Client<'_>,
    tls: &TlsSettings,
    name: Option<&str>,
    redactor: &mut Redactor,
    report: &mut CheckReport,
) -> Result<HeaderValue, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(authorization) = &plan.authorization {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    let request = Request {
        url: plan.token_url.clone(),
        method: Method::POST,
        headers,
        body: Some(Bytes::from(plan.form.clone())),
    };
    let mut its_own = CheckReport::new(&report.name, report.kind);
    let fetched = client.send(&request, tls, name, &mut its_own).await.map_err(OauthError::Http);
    match fetched.and_then(|answer| read(&answer)) {
        Ok(token) => {
            redactor.add(&token);
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Failure::new(OauthError::Unfit))?;
            value.set_sensitive(true);
            Ok(value)
        }
        Err(error) => {
            *report = its_own;
            Err(Failure::new(error))
        }
    }
}

fn read(answer: &Answer) -> Result<String, OauthError> {
    let json = super::json::of_answer(answer).unwrap_or_default();
    let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
    if answer.status != 200 {
        let error =
            [text("error"), text("error_description")].into_iter().flatten().collect::<Vec<_>>().join(": ");
        return Err(OauthError::Status {
            status: answer.status,
            error: Some(error).filter(|e| !e.is_empty()),
        });
    }
    let token = text("access_token").filter(|token| !token.is_empty()).ok_or(OauthError::NoToken)?;
    if token.len() > LONGEST {
        return Err(OauthError::Unfit);
    }
    match text("token_type") {
        Some(other) if !other.eq_ignore_ascii_case("bearer") => Err(OauthError::Type(other)),
        _ => Ok(token),
    }
}
