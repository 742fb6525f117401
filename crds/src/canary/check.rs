//! What a canary checks, and what must come back.

#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::HttpCheck;
use super::tls::{ClientCertificate, ValidityOf};

/// Each is one check: a name, and what is asked of whom.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.http), has(self.dns), has(self.tls), has(self.tcp)].filter(x, x).size() == 1")
    .message("a check asks one thing: write exactly one of http, dns, tls or tcp"))]
pub struct Check {
    /// Name of the check within the canary: a letter, then letters, digits, - and _.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z][a-zA-Z0-9_-]*$')").message("not the name of a check: write a letter, then letters, digits, - and _, such as home"))]
    pub name: String,
    /// Use only addresses of this family. Absent: whichever answers. Embedded only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_family: Option<IpFamily>,
    /// How long the check may take, such as 10s; from 1s to 5m (AWS: from 5s). Absent: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}(h|m|s|ms))+$') && duration(self) >= duration('1s') && duration(self) <= duration('5m')").message("write a time limit from 1s to 5m, such as 10s"))]
    pub timeout: Option<String>,
    /// An HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// A DNS query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsCheck>,
    /// A TLS handshake, and the certificate that comes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsCheck>,
    /// A TCP connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCheck>,
}

/// A family of addresses.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IpFamily {
    IPv4,
    IPv6,
}

/// A DNS query.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.port) || has(self.server)")
    .message("a port belongs to a server: name the server, such as server: 10.96.0.10"))]
pub struct DnsCheck {
    /// The name that is asked for, such as shop.example.com. It is taken as complete: no search domain is added.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^[^ /:]+$')").message("not a DNS name: write it without scheme, port and path, such as shop.example.com"))]
    pub name: String,
    /// The type of the record.
    #[serde(default, rename = "type")]
    pub record_type: RecordType,
    /// Name or address of the server that is asked. Absent: the cluster's resolver (AWS: the VPC's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[^[:space:][:cntrl:]/@?#%]+$')").message("not a server: write a name or an address without port, such as 10.96.0.10"))]
    pub server: Option<String>,
    /// Port of the server. Absent: 53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Over which protocol. An answer over UDP that is cut short is a failure, not asked again over TCP.
    #[serde(default)]
    pub protocol: DnsProtocol,
    /// What must come back. Absent: at least one record of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<DnsExpect>,
}

/// Types of DNS records.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RecordType {
    #[default]
    A,
    /// Embedded only.
    AAAA,
    CNAME,
    MX,
    NS,
    /// Embedded only.
    SRV,
    TXT,
}

/// What carries a DNS query.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DnsProtocol {
    #[default]
    #[serde(rename = "UDP")]
    Udp,
    #[serde(rename = "TCP")]
    Tcp,
}

/// What a DNS answer must be like.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DnsExpect {
    /// Values that must each be among the records, as `dig +short` writes them: an address, a name with or without its
    /// last dot, `10 mail.example.com`, a text without quotes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 512)))]
    pub values: Vec<String>,
    /// The least number of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_count: Option<u16>,
    /// The least time for which every record may be kept, such as 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && duration(self) >= duration('1s')").message("write a time of at least 1s, such as 60s"))]
    pub min_ttl: Option<String>,
    /// Whether the answer must come from a server that is the authority (true), or must not (false).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authoritative: Option<bool>,
    /// The longest that the answer may take, such as 100ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,6}(m|s|ms))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('5m')").message("write a time from 1ms to 5m, such as 800ms"))]
    pub max_duration: Option<String>,
}

/// A TLS handshake, and the certificate that comes with it.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.verify || !has(self.validityOf) || self.validityOf != 'VerifiedPath'")
    .message("without verification no path is verified: write validityOf: Leaf or PresentedChain, or leave verify: false out"))]
pub struct TlsCheck {
    /// Name or address of the server, such as shop.example.com.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[^[:space:][:cntrl:]/@?#%]+$')").message("not a host: write a name or an address without scheme and path, such as shop.example.com"))]
    pub host: String,
    /// Port of the server. Absent: 443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The name that the certificate must be for, and that is sent in the handshake (SNI). Absent: `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[^[:space:][:cntrl:]/@?#%]+$')").message("not a host: write the name on the certificate, such as shop.example.com"))]
    pub server_name: Option<String>,
    /// Whether the chain must lead to a known authority and the name must fit. Without, only the expectations count.
    #[serde(default = "yes")]
    pub verify: bool,
    /// Certificate authorities to trust instead of the public ones, PEM, from a Secret. Embedded only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKey>,
    /// A certificate that is shown to a server that asks for one. Embedded only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// How long the certificates that `validityOf` names must still be valid, such as 14d. Absent: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,4}d)?([0-9]{1,5}h)?$') && self != ''").message("write days or hours, such as 14d"))]
    pub min_validity: Option<String>,
    /// Certificates whose end counts for `minValidity` and the metric probe_ssl_earliest_cert_expiry. AWS: Leaf only.
    /// VerifiedPath: the server's and those between it and the trusted authority, on the path that is valid longest, so
    /// that a surplus certificate doesn't count. Leaf: the server's alone. PresentedChain: every one that the server sends.
    /// Absent: VerifiedPath, or PresentedChain where `verify: false` leaves nothing verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_of: Option<ValidityOf>,
    /// A text that the certificate's subject must contain, such as CN=shop.example.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub subject_contains: Option<String>,
    /// A text that the certificate's issuer must contain, such as O=Amazon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub issuer_contains: Option<String>,
}

/// A TCP connection, and what may be said over it.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TcpCheck {
    /// Name or address of the server, such as db.shop.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[^[:space:][:cntrl:]/@?#%]+$')").message("not a host: write a name or an address without scheme and port, such as db.shop"))]
    pub host: String,
    /// Port of the server, such as 5432.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// What is sent once connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub send: Option<String>,
    /// What must come back. Absent: the connection is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<TcpExpect>,
    /// How `send` and the expectations are written.
    #[serde(default)]
    pub encoding: Encoding,
}

/// How bytes are written.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As text.
    #[default]
    #[serde(rename = "UTF-8")]
    Utf8,
    /// As hexadecimal digits.
    #[serde(rename = "HEX")]
    Hex,
}

/// What a server must answer over TCP.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TcpExpect {
    /// What the answer must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub contains: Option<String>,
    /// What the answer must begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub starts_with: Option<String>,
    /// A regular expression that the answer must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub matches: Option<String>,
    /// The longest that all of it may take, such as 800ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,6}(m|s|ms))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('5m')").message("write a time from 1ms to 5m, such as 800ms"))]
    pub max_duration: Option<String>,
}

/// A key of a Secret of the canary's namespace. The Secret must carry the label `tidewatch.dev/canary: "true"`, by
/// which its owner allows canaries to send it.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret, such as shop-login.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("not the name of a Secret: write lower-case letters, digits and -, such as shop-login"))]
    pub name: String,
    /// Key within it, such as password.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

pub(super) fn yes() -> bool {
    true
}
