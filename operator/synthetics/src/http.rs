//! HTTP steps.

use serde_json::{Value, json};
use tidewatch_crds::canary::{Extract, HeaderExpect, HttpCheck, HttpExpect, HttpTls, JsonExpect, Method};

use crate::authentication;
use crate::blueprint::{response_time, set};
use crate::limits::{address, exactly_one, pattern};
use crate::places;
use crate::refusal::Refusal;

pub(crate) fn step(http: &HttpCheck, field: &str, refused: &mut Vec<Refusal>) -> Value {
    request(http, field, refused);
    if !http.follow_redirects {
        refused.push(Refusal::new(
            format!("{field}.followRedirects"),
            "AWS always follows redirects: leave it out, or write provider: Embedded",
        ));
    }
    if let Some(tls) = &http.tls {
        secured(tls, &format!("{field}.tls"), refused);
    }
    let mut step = json!({"checkerType": "HTTP", "url": places::ascii_address(&http.url), "httpMethod": http.method.as_str()});
    let mut headers = http.headers.clone();
    if let Some(authentication) = &http.authentication {
        authentication::apply(
            authentication,
            &mut step,
            &mut headers,
            &format!("{field}.authentication"),
            refused,
        );
    }
    if !headers.is_empty() {
        set(&mut step, "headers", json!(headers));
    }
    if let Some(body) = &http.body {
        set(&mut step, "body", json!(body));
    }
    let extractors: Vec<Value> = http.extract.iter().map(|one| extractor(one, field, refused)).collect();
    if !extractors.is_empty() {
        set(&mut step, "extractors", Value::Array(extractors));
    }
    let assertions = assertions(&http.expect, &format!("{field}.expect"), refused);
    set(&mut step, "assertions", Value::Array(assertions));
    step
}

/// What AWS's requests can't be told of TLS.
fn secured(tls: &HttpTls, field: &str, refused: &mut Vec<Refusal>) {
    let HttpTls { verify, ca, server_name, client_certificate, validity_of } = tls;
    let unknown = [
        ("verify", !verify, "AWS verifies the certificate of every https server"),
        ("ca", ca.is_some(), "AWS trusts the public authorities only"),
        ("serverName", server_name.is_some(), "AWS takes the name on the certificate from the address"),
        ("clientCertificate", client_certificate.is_some(), "AWS shows no client certificate"),
        ("validityOf", validity_of.is_some(), "AWS keeps no figure of certificates for http"),
    ];
    for (key, given, why) in unknown {
        if given {
            let mend = format!("{why}: leave it out, or write provider: Embedded");
            refused.push(Refusal::new(format!("{field}.{key}"), mend));
        }
    }
}

/// What no request can be.
fn request(http: &HttpCheck, field: &str, refused: &mut Vec<Refusal>) {
    // One with places is known at the run.
    if let (false, Err(why)) = (http.url.contains("${"), address(&http.url)) {
        refused.push(Refusal::new(
            format!("{field}.url"),
            format!(
                "{why}: write it with its scheme and without login, such as https://shop.example.com/health"
            ),
        ));
    }
    if http.body.is_some() && matches!(http.method, Method::Get | Method::Head) {
        refused.push(Refusal::new(
            format!("{field}.body"),
            "GET and HEAD have no body: write method: POST, or leave body out",
        ));
    }
    for (name, value) in &http.headers {
        let field = || format!("{field}.headers[{name}]");
        if value.chars().any(char::is_control) {
            refused.push(Refusal::new(field(), "a header can't carry a line break: leave it out"));
        }
        if http.authentication.is_some() && name.eq_ignore_ascii_case("authorization") {
            refused.push(Refusal::new(field(), "authentication writes this header: leave one of them out"));
        }
    }
}

fn extractor(extract: &Extract, field: &str, refused: &mut Vec<Refusal>) -> Value {
    let name = &extract.name;
    match (&extract.json_path, &extract.regex) {
        (Some(path), _) => json!({"name": name, "type": "BODY", "path": path}),
        (None, Some(regex)) => {
            pattern(regex, &format!("{field}.extract[{name}].regex"), refused);
            // The first group, or all of it.
            let group = u8::from(has_group(regex));
            json!({"name": name, "type": "BODY", "regex": regex, "regexGroup": group})
        }
        (None, None) => {
            refused.push(Refusal::new(
                format!("{field}.extract[{name}].header"),
                "AWS takes values from bodies only: write jsonPath or regex, or provider: Embedded",
            ));
            json!({})
        }
    }
}

/// Whether there is a group that captures.
fn has_group(regex: &str) -> bool {
    let mut rest = regex.chars().peekable();
    let mut in_class = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => {
                if rest.peek() != Some(&'?') {
                    return true;
                }
                let mut ahead = rest.clone();
                ahead.next();
                let named = match ahead.next() {
                    Some('P') => true,
                    Some('<') => !matches!(ahead.next(), Some('=' | '!')),
                    _ => false,
                };
                if named {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn assertions(expect: &HttpExpect, field: &str, refused: &mut Vec<Refusal>) -> Vec<Value> {
    let mut assertions = vec![status(&expect.status, field, refused)];
    let texts = [("CONTAINS", &expect.body_contains), ("NOT_CONTAINS", &expect.body_not_contains)];
    for (operator, text) in texts {
        if let Some(text) = text {
            assertions.push(json!({"type": "BODY", "target": "TEXT", "operator": operator, "value": text}));
        }
    }
    if expect.body_matches.is_some() {
        refused.push(Refusal::new(
            format!("{field}.bodyMatches"),
            "AWS has no patterns for bodies: write bodyContains, or provider: Embedded",
        ));
    }
    for (index, json) in expect.json.iter().enumerate() {
        let JsonExpect { equals, not_equals, contains, exists, .. } = json;
        let given = [equals.is_some(), not_equals.is_some(), contains.is_some(), exists.is_some()];
        let names = "equals, notEquals, contains or exists";
        exactly_one(&given, names, format!("{field}.json[{index}]"), refused);
        assertions.push(json_assertion(json));
    }
    for (index, header) in expect.headers.iter().enumerate() {
        let HeaderExpect { equals, not_equals, contains, not_contains, matches, exists, .. } = header;
        let texts = [equals, not_equals, contains, not_contains, matches].map(Option::is_some);
        let given = [&texts[..], &[exists.is_some()]].concat();
        let names = "equals, notEquals, contains, notContains, matches or exists";
        exactly_one(&given, names, format!("{field}.headers[{index}]"), refused);
        if let Some(matches) = matches {
            pattern(matches, &format!("{field}.headers[{index}].matches"), refused);
        }
        assertions.push(header_assertion(header));
    }
    if let Some(longest) = &expect.max_duration {
        assertions.push(response_time(longest, &format!("{field}.maxDuration"), refused));
    }
    assertions
}

/// Every assertion must hold, so that several codes are told by their range, if they are one.
fn status(codes: &[u16], field: &str, refused: &mut Vec<Refusal>) -> Value {
    let mut codes = codes.to_vec();
    codes.sort_unstable();
    let (least, most) = match (codes.first(), codes.last()) {
        (Some(least), Some(most)) => (*least, *most),
        _ => (200, 299),
    };
    if least < 100 || most > 599 {
        refused
            .push(Refusal::new(format!("{field}.status"), "codes go from 100 to 599: write such as [200]"));
    }
    if least == most {
        return json!({"type": "STATUS_CODE", "operator": "EQUALS", "value": least});
    }
    if codes.windows(2).any(|pair| matches!(pair, [a, b] if b - a > 1)) {
        refused.push(Refusal::new(
            format!("{field}.status"),
            "AWS takes one code or a range without gaps: write such as [200, 201, 202], or provider: Embedded",
        ));
    }
    json!({"type": "STATUS_CODE", "operator": "IN_RANGE", "rangeMin": least, "rangeMax": most})
}

fn json_assertion(expect: &JsonExpect) -> Value {
    let (operator, value) = match expect {
        JsonExpect { equals: Some(text), .. } => ("EQUALS", json!(text)),
        JsonExpect { not_equals: Some(text), .. } => ("NOT_EQUALS", json!(text)),
        JsonExpect { contains: Some(text), .. } => ("CONTAINS", json!(text)),
        JsonExpect { exists, .. } => ("EXISTS", json!(exists.unwrap_or(true))),
    };
    json!({"type": "BODY", "target": "JSON", "path": expect.path, "operator": operator, "value": value})
}

fn header_assertion(expect: &HeaderExpect) -> Value {
    let (operator, value) = match expect {
        HeaderExpect { equals: Some(text), .. } => ("EQUALS", json!(text)),
        HeaderExpect { not_equals: Some(text), .. } => ("NOT_EQUALS", json!(text)),
        HeaderExpect { contains: Some(text), .. } => ("CONTAINS", json!(text)),
        HeaderExpect { not_contains: Some(text), .. } => ("NOT_CONTAINS", json!(text)),
        HeaderExpect { matches: Some(text), .. } => ("REGEX_MATCH", json!(text)),
        HeaderExpect { exists, .. } => ("EXIST", json!(exists.unwrap_or(true))),
    };
    json!({"type": "HEADER", "headerName": expect.name, "operator": operator, "value": value})
}

#[cfg(test)]
mod tests {
    use super::has_group;

    #[test]
    fn groups_that_capture_are_told_from_others() {
        for pattern in ["a(b)", "(?P<id>x)", "(?<id>x)", "[(](x)"] {
            assert!(has_group(pattern), "{pattern}");
        }
        for pattern in ["ab", r"a\(b\)", "(?:a)b", "[(]x", "(?=a)", "(?<!a)b"] {
            assert!(!has_group(pattern), "{pattern}");
        }
    }
}
