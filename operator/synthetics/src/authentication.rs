//! How an HTTP step logs in. What is secret is named, never written: the runtime fetches it from Secrets Manager.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidewatch_crds::canary::{Authentication, ClientAuthentication, SecretSource};

use crate::blueprint::set;
use crate::refusal::Refusal;

pub(crate) fn apply(
    authentication: &Authentication,
    step: &mut Value,
    headers: &mut BTreeMap<String, String>,
    field: &str,
    refused: &mut Vec<Refusal>,
) {
    let members = if let Some(basic) = &authentication.basic {
        let password = reference(&basic.password, &format!("{field}.basic.password"), refused);
        json!({"type": "BASIC", "username": basic.username, "password": password})
    } else if let Some(api_key) = &authentication.api_key {
        let key = reference(&api_key.key, &format!("{field}.apiKey.key"), refused);
        json!({"type": "API_KEY", "apiKey": key, "headerName": api_key.header})
    } else if let Some(oauth) = &authentication.oauth {
        let secret = reference(&oauth.client_secret, &format!("{field}.oauth.clientSecret"), refused);
        let shown = match oauth.client_authentication {
            ClientAuthentication::BasicHeader => "BASIC_AUTH_HEADER",
            ClientAuthentication::RequestBody => "REQUEST_BODY",
        };
        let mut members = json!({
            "type": "OAUTH_CLIENT_CREDENTIALS", "tokenUrl": oauth.token_url, "clientId": oauth.client_id,
            "clientSecret": secret, "tokenApiAuth": shown,
        });
        for (key, value) in [("scope", &oauth.scope), ("audience", &oauth.audience)] {
            if let Some(value) = value {
                set(&mut members, key, json!(value));
            }
        }
        members
    } else if let Some(bearer) = &authentication.bearer {
        // The runtime has no bearer tokens of its own.
        let token = reference(bearer, &format!("{field}.bearer"), refused);
        headers.insert("Authorization".to_owned(), format!("Bearer {token}"));
        return;
    } else {
        refused.push(Refusal::new(field, "write exactly one of basic, bearer, apiKey or oauth"));
        return;
    };
    set(step, "authentication", members);
}

fn reference(source: &SecretSource, field: &str, refused: &mut Vec<Refusal>) -> String {
    let mut refuse = |key: &str, mend: &str| {
        refused.push(Refusal::new(format!("{field}{key}"), mend));
        String::new()
    };
    let Some(secret) = &source.aws_secret else {
        if source.secret_ref.is_none() {
            return refuse("", "a secret comes from somewhere: write awsSecret: {name: …, key: …}");
        }
        return refuse(
            ".secretRef",
            "what AWS runs can't read a Secret of the cluster: write awsSecret: {name: …, key: …}, or provider: Embedded",
        );
    };
    // In a reference a colon parts name and key.
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c))
    };
    if !plain(&secret.name) || !secret.key.as_deref().is_none_or(plain) {
        return refuse(
            ".awsSecret",
            "not the name of a secret, or not a key of it: write the name, not the ARN, such as shop/login",
        );
    }
    match &secret.key {
        Some(key) => format!("${{AWS_SECRET:{}:{key}}}", secret.name),
        None => format!("${{AWS_SECRET:{}}}", secret.name),
    }
}
