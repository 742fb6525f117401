//! How an HTTP step authenticates.

use serde_json::Value;

use super::schema::{Field, Found, Rule, fields, kind, may, needs, object};

const KINDS: [&str; 5] = ["NONE", "BASIC", "API_KEY", "OAUTH_CLIENT_CREDENTIALS", "SIGV4"];

const TYPE: [Field; 1] = [needs("type", Rule::Elsewhere)];
const BASIC: [Field; 2] = [needs("username", Rule::Filled), needs("password", Rule::Filled)];
const API_KEY: [Field; 2] = [needs("apiKey", Rule::Filled), may("headerName", Rule::Filled)];
const OAUTH: [Field; 7] = [
    needs("tokenUrl", Rule::Filled),
    needs("clientId", Rule::Filled),
    needs("clientSecret", Rule::Filled),
    may("scope", Rule::Text),
    may("audience", Rule::Text),
    may("resource", Rule::Text),
    may("tokenApiAuth", Rule::OneOf(&["BASIC_AUTH_HEADER", "REQUEST_BODY"])),
];
const SIGV4: [Field; 3] =
    [needs("service", Rule::Filled), needs("region", Rule::Filled), needs("roleArn", Rule::Filled)];

pub(super) fn check(value: &Value, path: &str, found: &mut Found) {
    let Some(members) = object(value, path, found) else { return };
    let Some(kind) = kind(members, "type", &KINDS, path, found) else { return };
    let own: &[Field] = match kind {
        "BASIC" => &BASIC,
        "API_KEY" => &API_KEY,
        "OAUTH_CLIENT_CREDENTIALS" => &OAUTH,
        "SIGV4" => &SIGV4,
        _ => &[],
    };
    fields(members, &[&TYPE, own], path, found);
}
