//! The multi-checks document
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_WritingCanary_Multichecks.html>).

use serde_json::{Map, Value, json};
use tidewatch_crds::CanarySpec;
use tidewatch_crds::canary::{Check, DnsCheck, DnsProtocol, Encoding, RecordType, TcpCheck, TlsCheck};
use tidewatch_crds::parse_duration;

use crate::http;
use crate::refusal::Refusal;

/// Name of the document within the archive.
pub const FILE: &str = "blueprint-config.json";

/// Editions of AWS's guide differ on the least time-out of a step (1 s, 5 s); this much all of them take.
const LEAST_TIMEOUT_MS: u64 = 5_000;
const DEFAULT_TIMEOUT_MS: u64 = 10_000;

/// The document for the checks of `spec`.
///
/// # Errors
/// Every field that AWS's runtime has no words for.
pub fn blueprint(spec: &CanarySpec) -> Result<Value, Vec<Refusal>> {
    let mut refused = Vec::new();
    let mut steps = Map::new();
    for (index, check) in spec.checks.iter().flatten().enumerate() {
        steps.insert((index + 1).to_string(), step(check, &mut refused));
    }
    let mut document = json!({"steps": steps});
    if !spec.variables.is_empty() {
        set(&mut document, "variables", json!(spec.variables));
    }
    if refused.is_empty() { Ok(document) } else { Err(refused) }
}

fn step(check: &Check, refused: &mut Vec<Refusal>) -> Value {
    let field = format!("spec.checks[{}]", check.name);
    if check.ip_family.is_some() {
        refused.push(Refusal::new(
            format!("{field}.ipFamily"),
            "AWS chooses the address family itself: leave it out, or write provider: Embedded",
        ));
    }
    let timeout = timeout(check, &field, refused);
    let mut step = match (&check.http, &check.dns, &check.tls, &check.tcp) {
        (Some(http), ..) => http::step(http, &format!("{field}.http"), refused),
        (_, Some(dns), ..) => dns_step(dns, &format!("{field}.dns"), refused),
        (_, _, Some(tls), _) => tls_step(tls, &format!("{field}.tls"), refused),
        (_, _, _, Some(tcp)) => tcp_step(tcp, &format!("{field}.tcp"), refused),
        _ => {
            refused.push(Refusal::new(&field, "write exactly one of http, dns, tls or tcp"));
            json!({})
        }
    };
    set(&mut step, "stepName", json!(check.name));
    set(&mut step, "timeout", json!(timeout));
    step
}

fn timeout(check: &Check, field: &str, refused: &mut Vec<Refusal>) -> u64 {
    let Some(text) = &check.timeout else { return DEFAULT_TIMEOUT_MS };
    let ms = millis(text, &format!("{field}.timeout"), refused);
    if ms < LEAST_TIMEOUT_MS {
        refused.push(Refusal::new(format!("{field}.timeout"), "AWS takes no less than 5s: write 5s or more"));
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
        "checkerType": "DNS", "domain": dns.name, "recordType": record_type, "protocol": protocol,
    });
    if let Some(server) = &dns.server {
        set(&mut step, "nameserver", json!(server));
    }
    if let Some(port) = dns.port {
        set(&mut step, "port", json!(port));
    }
    let expect = dns.expect.clone().unwrap_or_default();
    // Greater than one less: there is no "at least".
    let least = expect.min_count.unwrap_or(1).saturating_sub(1);
    let mut assertions = vec![json!({"type": "RECORD_COUNT", "operator": "GREATER_THAN", "value": least})];
    for value in &expect.values {
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
    let mut step = json!({
        "checkerType": "SSL", "hostname": tls.host, "port": tls.port.unwrap_or(443),
        "verifyHostname": tls.verify, "allowSelfSigned": !tls.verify,
    });
    if let Some(name) = &tls.server_name {
        set(&mut step, "sni", json!(name));
    }
    let mut assertions = Vec::new();
    if tls.verify {
        assertions.push(json!({"type": "CERTIFICATE_VALID", "value": true}));
    }
    let hours = tls
        .min_validity
        .as_deref()
        .map_or(0, |text| millis(text, &format!("{field}.minValidity"), refused) / 3_600_000);
    assertions.push(
        json!({"type": "CERTIFICATE_EXPIRY", "operator": "GREATER_THAN", "value": hours, "unit": "HOURS"}),
    );
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
    set(&mut step, "assertions", Value::Array(assertions));
    step
}

const SUBJECT: [&str; 6] = ["CN", "O", "OU", "C", "ST", "L"];
const ISSUER: [&str; 2] = ["CN", "O"];

fn tcp_step(tcp: &TcpCheck, field: &str, refused: &mut Vec<Refusal>) -> Value {
    let encoding = match tcp.encoding {
        Encoding::Utf8 => "UTF-8",
        Encoding::Hex => "HEX",
    };
    let mut step =
        json!({"checkerType": "TCP", "hostname": tcp.host, "port": tcp.port, "encoding": encoding});
    if let Some(send) = &tcp.send {
        set(&mut step, "sendData", json!(send));
    }
    let mut assertions = vec![json!({"type": "CONNECTION_SUCCESSFUL", "value": true})];
    let expect = tcp.expect.clone().unwrap_or_default();
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

pub(crate) fn millis(text: &str, field: &str, refused: &mut Vec<Refusal>) -> u64 {
    match parse_duration(text) {
        Ok(duration) => u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        Err(error) => {
            refused.push(Refusal::new(field, error.to_string()));
            0
        }
    }
}

pub(crate) fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}
