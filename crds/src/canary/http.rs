//! HTTP checks.

#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::check::{SecretKey, yes};
use super::tls::{ClientCertificate, ValidityOf};

/// An HTTP request. `${name}` in url, headers and body stands for a variable, `$${` for the text `${`. Cookies that an
/// answer sets are sent back, by the rules of browsers, until the run ends.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.body) || !(self.method in ['GET', 'HEAD'])")
    .message("GET and HEAD have no body: write method: POST, or leave body out"))]
#[x_kube(validation = Rule::new("!has(self.authentication) || !self.headers.exists(k, k.lowerAscii() == 'authorization')")
    .message("two ways to authenticate: write either authentication or the Authorization header"))]
pub struct HttpCheck {
    /// The address, such as https://shop.example.com/health.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/@ ]+([/?#][^ ]*)?$') || self.matches('^[$][{][a-zA-Z][a-zA-Z0-9_]*[}][^ ]*$')").message("not an address: write it with its scheme and without login, such as https://shop.example.com/health"))]
    pub url: String,
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// Headers of the request; at most 20. Without Accept-Encoding and Range, an answer may come compressed by gzip,
    /// deflate, br or zstd; compressed or not, expectations see the text that was meant.
    #[serde(default)]
    #[schemars(schema_with = "headers")]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[A-Za-z0-9!#$%&*+.^_|~-]+$') && k.size() <= 128)").message("not a header: write a name such as Accept"))]
    pub headers: BTreeMap<String, String>,
    /// Body of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub body: Option<String>,
    /// True to follow redirects, at most ten; the last answer counts. A POST becomes a GET after 301 and 302,
    /// and every method but HEAD after 303, as in browsers. Headers go along, but to another origin no secrets do:
    /// `authentication`, Authorization, Cookie, and headers that hold a secret or an extracted value. AWS always follows.
    #[serde(default = "yes")]
    pub follow_redirects: bool,
    /// Login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// How an https server is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<HttpTls>,
    /// Values that are taken from the answer for the checks after this one; at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub extract: Vec<Extract>,
    /// What must come back.
    #[serde(default)]
    pub expect: HttpExpect,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            url: String::new(),
            method: Method::Get,
            headers: BTreeMap::new(),
            body: None,
            follow_redirects: true,
            authentication: None,
            tls: None,
            extract: Vec::new(),
            expect: HttpExpect::default(),
        }
    }
}

/// Methods of HTTP.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// How an https server is trusted, and how it knows the client. Embedded only.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.verify || !has(self.validityOf) || self.validityOf != 'VerifiedPath'")
    .message("without verification no path is verified: write validityOf: Leaf or PresentedChain, or leave verify: false out"))]
pub struct HttpTls {
    /// Whether the chain must lead to a known authority and the name must fit.
    #[serde(default = "yes")]
    pub verify: bool,
    /// Certificate authorities to trust instead of the public ones, PEM, from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKey>,
    /// The name that the certificate must be for, and that is sent in the handshake (SNI), where `url` has an address or
    /// another name. Absent: the host of `url`. After a redirect to another host, that host's own name counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[^[:space:][:cntrl:]/@?#%]+$')").message("not a host: write the name on the certificate, such as shop.example.com"))]
    pub server_name: Option<String>,
    /// A certificate that is shown to a server that asks for one, at the host of `url` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// Certificates whose end counts for the metric probe_ssl_earliest_cert_expiry.
    /// VerifiedPath: the server's and those between it and the trusted authority, on the path that is valid longest, so
    /// that a surplus certificate doesn't count. Leaf: the server's alone. PresentedChain: every one that the server sends.
    /// Absent: VerifiedPath, or PresentedChain where `verify: false` leaves nothing verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_of: Option<ValidityOf>,
}

impl Default for HttpTls {
    fn default() -> Self {
        Self { verify: true, ca: None, server_name: None, client_certificate: None, validity_of: None }
    }
}

/// Login, in exactly one way.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.basic), has(self.bearer), has(self.apiKey), has(self.oauth)].filter(x, x).size() == 1")
    .message("a request logs in one way: write exactly one of basic, bearer, apiKey or oauth"))]
pub struct Authentication {
    /// User name and password (RFC 7617).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuthentication>,
    /// A token in the Authorization header (RFC 6750).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretSource>,
    /// A key in a header of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKeyAuthentication>,
    /// A token that is fetched first, by OAuth 2.0 client credentials (RFC 6749, section 4.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OauthAuthentication>,
}

/// User name and password.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuthentication {
    /// User name, such as monitor.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("!self.contains(':')").message("a user name has no colon (RFC 7617): the password goes into password"))]
    pub username: String,
    /// Password, such as {secretRef: {name: shop-login, key: password}}.
    pub password: SecretSource,
}

/// A key in a header of its own.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyAuthentication {
    /// The header.
    #[serde(default = "api_key_header")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9!#$%&*+.^_|~-]+$')").message("not a header: write a name such as X-API-Key"))]
    pub header: String,
    /// The key, such as {secretRef: {name: shop-api, key: token}}.
    pub key: SecretSource,
}

/// OAuth 2.0 client credentials.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OauthAuthentication {
    /// Where the token is fetched, such as https://login.example.com/oauth2/token.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/@ ]+([/?#][^ ]*)?$')").message("not an address: write it with its scheme, such as https://login.example.com/oauth2/token"))]
    pub token_url: String,
    /// The client, such as shop-canary.
    #[schemars(length(min = 1, max = 256))]
    pub client_id: String,
    /// Its secret, such as {secretRef: {name: shop-login, key: client-secret}}.
    pub client_secret: SecretSource,
    /// What is asked for, with spaces between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub scope: Option<String>,
    /// For whom the token is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub audience: Option<String>,
    /// How the client shows who it is.
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
}

/// How an OAuth client shows who it is.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ClientAuthentication {
    /// By the Authorization header.
    #[default]
    BasicHeader,
    /// In the form that is sent.
    RequestBody,
}

/// Where something secret comes from.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretRef) != has(self.awsSecret)")
    .message("a secret comes from one place: write secretRef (a Secret of this namespace) or awsSecret (AWS Secrets Manager)"))]
pub struct SecretSource {
    /// A Secret of this namespace. Embedded only: what AWS runs can't read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKey>,
    /// A secret in AWS Secrets Manager, which the canary's role may read. AWS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_secret: Option<AwsSecret>,
}

/// A secret in AWS Secrets Manager.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AwsSecret {
    /// Its name, such as shop/login.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9/_+=.@-]+$')").message("not the name of a secret: write its name, not its ARN, such as shop/login"))]
    pub name: String,
    /// Key within its JSON. Absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9/_+=.@-]+$')").message("not a key: write letters, digits and _, such as password"))]
    pub key: Option<String>,
}

/// Each is a value that is taken from an answer.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.jsonPath), has(self.regex), has(self.header)].filter(x, x).size() == 1")
    .message("a value is found in one way: write exactly one of jsonPath, regex or header"))]
pub struct Extract {
    /// The variable that takes it: `${name}` in later checks.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z][a-zA-Z0-9_]*$')").message("not the name of a variable: write a letter, then letters, digits and _, such as token"))]
    pub name: String,
    /// Path in a JSON body (RFC 9535), such as $.token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.startsWith('$')").message("not a JSON path: begin with $, such as $.token"))]
    pub json_path: Option<String>,
    /// Regular expression for the body; the first group is taken, or all of it where there is no group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub regex: Option<String>,
    /// A header of the answer. Embedded only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub header: Option<String>,
}

/// What an HTTP answer must be like.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpExpect {
    /// Status codes, any of which is right. Absent: 200 to 299.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "set"), inner(range(min = 100, max = 599)))]
    pub status: Vec<u16>,
    /// A text that the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub body_contains: Option<String>,
    /// A text that the body must not contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub body_not_contains: Option<String>,
    /// A regular expression that the body must match. Embedded only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub body_matches: Option<String>,
    /// What a JSON body must say; at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub json: Vec<JsonExpect>,
    /// What the headers must say; at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub headers: Vec<HeaderExpect>,
    /// The longest that the request may take, redirects and body included, such as 800ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,6}(m|s|ms))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('5m')").message("write a time from 1ms to 5m, such as 800ms"))]
    pub max_duration: Option<String>,
}

/// Each is what a JSON body must say at a path.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.equals), has(self.notEquals), has(self.contains), has(self.exists)].filter(x, x).size() == 1")
    .message("an item expects one thing: write exactly one of equals, notEquals, contains or exists"))]
pub struct JsonExpect {
    /// The path (RFC 9535), such as $.status.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.startsWith('$')").message("not a JSON path: begin with $, such as $.status"))]
    pub path: String,
    /// The value must be this. A number in the body is compared as a number, so that 3 is "3.0"; a text letter by
    /// letter, so that "1.10" isn't "1.1". true, false and null are written as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub equals: Option<String>,
    /// The value must not be this. A value that isn't there isn't this either: to require one, add an item with
    /// `exists: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub not_equals: Option<String>,
    /// The value must contain this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub contains: Option<String>,
    /// Whether there must be a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// Each is what a header must say.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.equals), has(self.notEquals), has(self.contains), has(self.notContains), has(self.matches), has(self.exists)].filter(x, x).size() == 1")
    .message("an item expects one thing: write exactly one of equals, notEquals, contains, notContains, matches or exists"))]
pub struct HeaderExpect {
    /// The header, such as Content-Type.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Its value must be this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub equals: Option<String>,
    /// Its value must not be this. A header that isn't there passes: to require it, add an item with `exists: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub not_equals: Option<String>,
    /// Its value must contain this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub contains: Option<String>,
    /// Its value must not contain this. A header that isn't there passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub not_contains: Option<String>,
    /// A regular expression that its value must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub matches: Option<String>,
    /// Whether it must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

fn api_key_header() -> String {
    "X-API-Key".to_owned()
}

fn headers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": {"type": "string", "maxLength": 2048},
    })
}
