//! STS: roles and who one is. Whether a role may be assumed isn't asked: there are no policies here.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::parse;
use crate::error::ApiError;

/// Which keys belong to which account, and to which role.
#[derive(Debug)]
pub(crate) struct Keys {
    default_account: String,
    accounts: BTreeMap<String, String>,
    sessions: BTreeMap<String, Session>,
}

#[derive(Debug, Clone)]
pub(crate) struct Session {
    account: String,
    role: String,
    name: String,
    expires: Timestamp,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    /// The role's ARN.
    pub(crate) role: Option<String>,
    pub(crate) principal: String,
    pub(crate) expired: bool,
}

impl Keys {
    pub(crate) fn new(default_account: String, accounts: BTreeMap<String, String>) -> Self {
        Self { default_account, accounts, sessions: BTreeMap::new() }
    }

    pub(crate) fn register(&mut self, access_key: &str, account: &str) {
        self.accounts.insert(access_key.to_owned(), account.to_owned());
    }

    pub(crate) fn caller(&self, access_key: &str, now: Timestamp) -> Caller {
        if let Some(session) = self.sessions.get(access_key) {
            return Caller {
                account: session.account.clone(),
                role: Some(session.role.clone()),
                principal: session.arn(),
                expired: session.expires <= now,
            };
        }
        let account = self.accounts.get(access_key).unwrap_or(&self.default_account).clone();
        let principal = format!("arn:aws:iam::{account}:user/tidewatch");
        Caller { account, role: None, principal, expired: false }
    }

    pub(crate) fn run(
        &mut self,
        operation: &str,
        caller: &Caller,
        input: Value,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        match operation {
            "AssumeRole" => self.assume_role(&parse(input)?, now),
            "AssumeRoleWithWebIdentity" => self.assume_role_with_web_identity(&parse(input)?, now),
            "GetCallerIdentity" => Ok(json!({
                "UserId": id("AIDA", &caller.principal),
                "Account": caller.account,
                "Arn": caller.principal,
            })),
            other => Err(ApiError::not_served(other)),
        }
    }

    fn assume_role(&mut self, input: &AssumeRole, now: Timestamp) -> Result<Value, ApiError> {
        let (credentials, user) =
            self.open(&input.role_arn, &input.role_session_name, input.duration_seconds, now)?;
        Ok(json!({"Credentials": credentials, "AssumedRoleUser": user}))
    }

    fn assume_role_with_web_identity(
        &mut self,
        input: &WebIdentity,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let claims = claims(&input.web_identity_token)?;
        if Timestamp::from_second(claims.exp).is_ok_and(|expires| expires <= now) {
            return Err(ApiError::new("ExpiredTokenException", "Token expired"));
        }
        let (credentials, user) =
            self.open(&input.role_arn, &input.role_session_name, input.duration_seconds, now)?;
        let audience = match claims.aud {
            Value::Array(list) => list.into_iter().next().unwrap_or_default(),
            single => single,
        };
        Ok(json!({
            "Credentials": credentials,
            "AssumedRoleUser": user,
            "SubjectFromWebIdentityToken": claims.sub,
            "Provider": claims.iss,
            "Audience": audience,
        }))
    }

    fn open(
        &mut self,
        role: &str,
        name: &str,
        seconds: Option<i64>,
        now: Timestamp,
    ) -> Result<(Value, Value), ApiError> {
        let account = role_account(role).ok_or_else(|| ApiError::validation(format!("{role} is invalid")))?;
        // An hour unless asked for another time (AssumeRole).
        let expires = now.saturating_add(SignedDuration::from_secs(seconds.unwrap_or(3_600))).unwrap_or(now);
        let session =
            Session { account: account.to_owned(), role: role.to_owned(), name: name.to_owned(), expires };
        let seed = format!("{role}{name}{now}{}", self.sessions.len());
        let key = id("ASIA", &seed);
        let credentials = json!({
            "AccessKeyId": key,
            "SecretAccessKey": digest(&format!("secret{seed}")),
            "SessionToken": digest(&format!("token{seed}")),
            "Expiration": expires,
        });
        let user = json!({"AssumedRoleId": format!("{}:{name}", id("AROA", role)), "Arn": session.arn()});
        self.sessions.insert(key, session);
        Ok((credentials, user))
    }
}

impl Session {
    fn arn(&self) -> String {
        let role = self.role.rsplit('/').next().unwrap_or_default();
        format!("arn:aws:sts::{}:assumed-role/{role}/{}", self.account, self.name)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRole {
    role_arn: String,
    role_session_name: String,
    duration_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WebIdentity {
    role_arn: String,
    role_session_name: String,
    web_identity_token: String,
    duration_seconds: Option<i64>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    #[serde(default)]
    aud: Value,
    exp: i64,
}

/// The token's claims; its signature isn't verified.
fn claims(token: &str) -> Result<Claims, ApiError> {
    let parts: Vec<&str> = token.split('.').collect();
    let payload = match parts.as_slice() {
        [_, payload, _] => BASE64URL_NOPAD.decode(payload.as_bytes()).ok(),
        _ => None,
    };
    let claims = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    claims.ok_or_else(|| {
        ApiError::new("InvalidIdentityTokenException", "The ID Token provided is not a valid JWT")
    })
}

/// The account in `arn:aws:iam::ACCOUNT:role/NAME`.
fn role_account(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return None };
    let valid = partition.starts_with("aws")
        && account.len() == 12
        && account.chars().all(|digit| digit.is_ascii_digit())
        && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty());
    valid.then_some(account)
}

fn id(prefix: &str, seed: &str) -> String {
    format!("{prefix}{}", digest(seed).to_uppercase().get(..16).unwrap_or_default())
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
