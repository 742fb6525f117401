//! The multi-checks document
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_WritingCanary_Multichecks.html>).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tidewatch_crds::CanarySpec;
use tidewatch_crds::canary::{
    Check, DnsCheck, DnsProtocol, Encoding, RecordType, TcpCheck, TlsCheck, ValidityOf,
};
use tidewatch_crds::parse_duration;

use crate::refusal::Refusal;
use crate::{http, limits, places};

/// Name of the document within the archive.
pub const FILE: &str = "blueprint-config.json";

/// Editions of AWS's guide differ on the least time-out of a step (1 s, 5 s); this much all of them take.
const LEAST_TIMEOUT_MS: u64 = 5_000;
const MOST_TIMEOUT_MS: u64 = 300_000;
const DEFAULT_TIMEOUT_MS: u64 = 10_000;

/// The document for the checks of `spec`.
///
/// # Errors
/// Every field that AWS's runtime has no words for.
pub fn blueprint(spec: &CanarySpec) -> Result<Value, Vec<Refusal>> {
    let checks = spec.checks.as_deref().unwrap_or_default();
    let mut refused = Vec::new();
    limits::of_spec(spec, checks, &mut refused);
    let mut known: BTreeSet<&str> = spec.variables.keys().map(String::as_str).collect();
    let mut steps = Map::new();
    for (index, check) in checks.iter().enumerate() {
        let field = format!("spec.checks[{}]", check.name);
        places::filled(check, &known, &field, &mut refused);
        steps.insert((index + 1).to_string(), step(check, &field, &mut refused));
        // They are there for the checks after this one.
        known.extend(check.http.iter().flat_map(|http| &http.extract).map(|extract| extract.name.as_str()));
    }
    let mut document = json!({"steps": steps});
    if !spec.variables.is_empty() {
        set(&mut document, "variables", json!(spec.variables));
    }
    if refused.is_empty() { Ok(document) } else { Err(refused) }
}

fn step(check: &Check, field: &str, refused: &mut Vec<Refusal>) -> Value {
    let Check { http, dns, tls, tcp, .. } = check;
    let kinds = [http.is_some(), dns.is_some(), tls.is_some(), tcp.is_some()];
    limits::exactly_one(&kinds, "http, dns, tls or tcp", field, refused);
    if check.ip_family.is_some() {
        refused.push(Refusal::new(
            format!("{field}.ipFamily"),
            "AWS chooses the address family itself: leave it out, or write provider: Embedded",
        ));
    }
    let timeout = timeout(check, field, refused);
    let mut step = match (http, dns, tls, tcp) {
        (Some(http), ..) => http::step(http, &format!("{field}.http"), refused),
        (None, Some(dns), ..) => dns_step(dns, &format!("{field}.dns"), refused),
        (None, None, Some(tls), _) => tls_step(tls, &format!("{field}.tls"), refused),
        (None, None, None, Some(tcp)) => tcp_step(tcp, &format!("{field}.tcp"), refused),
        (None, None, None, None) => json!({}),
    };
    set(&mut step, "stepName", json!(check.name));
    set(&mut step, "timeout", json!(timeout));
    step
}

fn timeout(check: &Check, field: &str, refused: &mut Vec<Refusal>) -> u64 {
    let Some(text) = &check.timeout else { return DEFAULT_TIMEOUT_MS };
    let field = format!("{field}.timeout");
    let Some(ms) = parsed(text, &field, refused) else { return DEFAULT_TIMEOUT_MS };
    if ms < LEAST_TIMEOUT_MS {
        refused.push(Refusal::new(field, "AWS takes no less than 5s: write 5s or more"));
    } else if ms > MOST_TIMEOUT_MS {
        refused.push(Refusal::new(field, "AWS takes no more than 5m: write 5m or less"));
    }
    ms
}

fn dns_step(dns: &DnsCheck, field: &str, refused: &mut Vec<Refusal>) -> Value {
    let record_type = match dns.record_type {
        RecordType::A => "A",
        RecordType::CNAME => "CNAME",
        RecordType::MX => "MX",
        RecordType::NS => "NS",
        RecordType::TXT => "TXT",
        RecordType::AAAA | RecordType::SRV => {
            refused.push(Refusal::new(
                format!("{field}.type"),
                "AWS asks for A, CNAME, MX, NS and TXT only: write one of them, or provider: Embedded",
            ));
            "A"
        }
    };
    let protocol = match dns.protocol {
        DnsProtocol::Udp => "UDP",
        DnsProtocol::Tcp => "TCP",
    };
    let mut step = json!({
        "checkerType": "DNS", "domain": places::ascii_host(&dns.name), "recordType": record_type, "protocol": protocol,
    });
    limits::port(dns.port, field, refused);
    if dns.port.is_some() && dns.server.is_none() {
        refused.push(Refusal::new(
            format!("{field}.port"),
            "a port belongs to a server: name the server, such as server: 10.0.0.2",
        ));
    }
    if let Some(server) = &dns.server {
        set(&mut step, "nameserver", json!(places::ascii_host(server)));
    }
    if let Some(port) = dns.port {
        set(&mut step, "port", json!(port));
    }
    let expect = dns.expect.clone().unwrap_or_default();
    // Greater than one less: there is no "at least".
    let least = expect.min_count.unwrap_or(1).saturating_sub(1);
    let mut assertions = vec![json!({"type": "RECORD_COUNT", "operator": "GREATER_THAN", "value": least})];
    for value in &expect.values {
        let value = match dns.record_type {
            RecordType::TXT => value.clone(),
            _ => value.split(' ').map(places::ascii_host).collect::<Vec<_>>().join(" "),
        };
        assertions.push(json!({"type": "RECORD_VALUE", "operator": "CONTAINS", "value": value}));
    }
    if let Some(ttl) = &expect.min_ttl {
        let seconds = millis(ttl, &format!("{field}.expect.minTtl"), refused) / 1000;
        let below = seconds.saturating_sub(1);
        assertions.push(json!({"type": "TTL", "operator": "GREATER_THAN", "value": below}));
    }
    if let Some(authoritative) = expect.authoritative {
        assertions.push(json!({"type": "AUTHORITATIVE", "value": authoritative}));
    }
    if let Some(longest) = &expect.max_duration {
        assertions.push(response_time(longest, &format!("{field}.expect.maxDuration"), refused));
    }
    set(&mut step, "assertions", Value::Array(assertions));
    step
}

fn tls_step(tls: &TlsCheck, field: &str, refused: &mut Vec<Refusal>) -> Value {
    if tls.ca.is_some() {
        refused.push(Refusal::new(
            format!("{field}.ca"),
            "AWS trusts the public authorities only: leave it out with verify: false, or write provider: Embedded",
        ));
    }
    if tls.client_certificate.is_some() {
        refused.push(Refusal::new(
            format!("{field}.clientCertificate"),
            "AWS shows no client certificate: leave it out, or write provider: Embedded",
        ));
    }
    // AWS's assertion is about the server's own certificate.
    if tls.validity_of.is_some_and(|of| of != ValidityOf::Leaf) {
        refused.push(Refusal::new(
            format!("{field}.validityOf"),
            "AWS looks at the server's own certificate only: write Leaf or leave it out, or write provider: Embedded",
        ));
    }
    limits::port(tls.port, field, refused);
    let mut step = json!({
        "checkerType": "SSL", "hostname": places::ascii_host(&tls.host), "port": tls.port.unwrap_or(443),
        "verifyHostname": tls.verify, "allowSelfSigned": !tls.verify,
    });
    if let Some(name) = &tls.server_name {
        set(&mut step, "sni", json!(places::ascii_host(name)));
    }
    let mut assertions = Vec::new();
    if tls.verify {
        assertions.push(json!({"type": "CERTIFICATE_VALID", "value": true}));
    }
    let hours = tls
        .min_validity
        .as_deref()
        .map(|text| millis(text, &format!("{field}.minValidity"), refused) / 3_600_000)
        .or_else(|| tls.verify.then_some(0));
    // Without `verify`, only what is expected counts: a certificate may have ended.
    if let Some(hours) = hours {
        assertions.push(
            json!({"type": "CERTIFICATE_EXPIRY", "operator": "GREATER_THAN", "value": hours, "unit": "HOURS"}),
        );
    }
    let named = [
        ("subjectContains", "CERTIFICATE_SUBJECT", &tls.subject_contains, &SUBJECT[..]),
        ("issuerContains", "CERTIFICATE_ISSUER", &tls.issuer_contains, &ISSUER[..]),
    ];
    for (key, kind, text, known) in named {
        let Some(text) = text else { continue };
        match text.split_once('=').filter(|(part, _)| known.contains(part)) {
            Some((part, value)) => assertions
                .push(json!({"type": kind, "field": part, "operator": "CONTAINS", "value": value})),
            None => refused.push(Refusal::new(
                format!("{field}.{key}"),
                format!("AWS looks into one part of a name: write it with its part ({}), such as CN=shop.example.com", known.join(", ")),
            )),
        }
    }
    if !assertions.is_empty() {
        set(&mut step, "assertions", Value::Array(assertions));
    }
    step
}

const SUBJECT: [&str; 6] = ["CN", "O", "OU", "C", "ST", "L"];
const ISSUER: [&str; 2] = ["CN", "O"];

fn tcp_step(tcp: &TcpCheck, field: &str, refused: &mut Vec<Refusal>) -> Value {
    let encoding = match tcp.encoding {
        Encoding::Utf8 => "UTF-8",
        Encoding::Hex => "HEX",
    };
    limits::port(Some(tcp.port), field, refused);
    let mut step = json!({"checkerType": "TCP", "hostname": places::ascii_host(&tcp.host), "port": tcp.port, "encoding": encoding});
    if let Some(send) = &tcp.send {
        set(&mut step, "sendData", json!(send));
    }
    let mut assertions = vec![json!({"type": "CONNECTION_SUCCESSFUL", "value": true})];
    let expect = tcp.expect.clone().unwrap_or_default();
    if tcp.encoding == Encoding::Hex {
        let bytes = [
            ("send", tcp.send.as_ref()),
            ("expect.contains", expect.contains.as_ref()),
            ("expect.startsWith", expect.starts_with.as_ref()),
        ];
        for (key, text) in bytes {
            if let Some(text) = text {
                limits::hex(text, &format!("{field}.{key}"), refused);
            }
        }
    }
    if let Some(pattern) = &expect.matches {
        limits::pattern(pattern, &format!("{field}.expect.matches"), refused);
    }
    let texts =
        [("CONTAINS", expect.contains), ("STARTS_WITH", expect.starts_with), ("REGEX_MATCH", expect.matches)];
    for (operator, text) in texts {
        if let Some(text) = text {
            assertions.push(json!({"type": "RESPONSE_DATA", "operator": operator, "value": text}));
        }
    }
    if let Some(longest) = &expect.max_duration {
        assertions.push(response_time(longest, &format!("{field}.expect.maxDuration"), refused));
    }
    set(&mut step, "assertions", Value::Array(assertions));
    step
}

/// At most `longest`: less than a millisecond more.
pub(crate) fn response_time(longest: &str, field: &str, refused: &mut Vec<Refusal>) -> Value {
    let ms = millis(longest, field, refused).saturating_add(1);
    json!({"type": "RESPONSE_TIME", "operator": "LESS_THAN", "value": ms})
}

/// A time whose text is refused counts as none.
fn millis(text: &str, field: &str, refused: &mut Vec<Refusal>) -> u64 {
    parsed(text, field, refused).unwrap_or(0)
}

fn parsed(text: &str, field: &str, refused: &mut Vec<Refusal>) -> Option<u64> {
    let duration =
        parse_duration(text).map_err(|error| refused.push(Refusal::new(field, error.to_string()))).ok()?;
    Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}
