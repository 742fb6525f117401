//! Documents hold against the double's reading of AWS's schema, which was written apart from the rendering.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic fails the test, as it should"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidewatch_aws_double::blueprint_violations;
use tidewatch_crds::{Canary, CanarySpec};
use tidewatch_synthetics::{FILE, archive, blueprint};

/// Every check and every expectation that AWS has words for, a check a line.
const GOOD: &[&str] = &[
    "http: {url: 'https://a.example/'}",
    "http: {url: '${host}/x', method: POST, headers: {Accept: '*/*'}, body: '{}'}",
    "http: {url: 'https://a', expect: {status: [204]}}",
    "http: {url: 'https://a', expect: {status: [202, 200, 201]}}",
    "http: {url: 'https://a', expect: {bodyContains: a, bodyNotContains: b, maxDuration: 800ms}}",
    "http: {url: 'https://a', expect: {json: [{path: $.a, equals: b}, {path: $.a, notEquals: b}, {path: $.a, contains: b}, {path: $.a, exists: false}]}}",
    "http: {url: 'https://a', expect: {headers: [{name: a, equals: b}, {name: a, notEquals: b}, {name: a, contains: b}, {name: a, notContains: b}, {name: a, matches: 'b.*'}, {name: a, exists: true}]}}",
    "http: {url: 'https://a', extract: [{name: a, jsonPath: $.a}, {name: b, regex: 'x=(.*)'}, {name: c, regex: 'x.*'}]}",
    "http: {url: 'https://a', authentication: {basic: {username: a, password: {awsSecret: {name: b, key: c}}}}}",
    "http: {url: 'https://a', authentication: {bearer: {awsSecret: {name: b}}}}",
    "http: {url: 'https://a', authentication: {apiKey: {key: {awsSecret: {name: b}}, header: X-Key}}}",
    "http: {url: 'https://a', authentication: {oauth: {tokenUrl: 'https://t', clientId: a, clientSecret: {awsSecret: {name: b}}, scope: c, audience: d, clientAuthentication: RequestBody}}}",
    "dns: {name: a.example}",
    "dns: {name: a.example, type: MX, server: 10.0.0.2, port: 53, protocol: TCP, expect: {values: [10 mail.a.example], minCount: 2, minTtl: 60s, authoritative: true, maxDuration: 100ms}}",
    "dns: {name: a.example, type: CNAME}",
    "dns: {name: a.example, type: NS}",
    "dns: {name: a.example, type: TXT}",
    "tls: {host: a.example}",
    "tls: {host: a.example, port: 636, serverName: b.example, verify: false, minValidity: 14d12h, subjectContains: CN=a, issuerContains: O=b}",
    "tcp: {host: a.example, port: 22}",
    "tcp: {host: a.example, port: 22, send: 0a, encoding: HEX, expect: {contains: 0b, startsWith: 0c, matches: 0d, maxDuration: 1s}}",
];

/// What AWS can't run, the field that is named, what to write.
const REFUSED: &[(&str, &str, &str)] = &[
    ("ipFamily: IPv6, tcp: {host: a, port: 1}", "spec.checks[it].ipFamily", "leave it out"),
    ("timeout: 2s, tcp: {host: a, port: 1}", "spec.checks[it].timeout", "5s or more"),
    ("http: {url: 'https://a', followRedirects: false}", "http.followRedirects", "always follows"),
    ("http: {url: 'https://a', tls: {verify: false}}", "http.tls", "public authorities only"),
    ("http: {url: 'https://a', expect: {status: [200, 404]}}", "http.expect.status", "a range without gaps"),
    (
        "http: {url: 'https://a', expect: {bodyMatches: 'a.*'}}",
        "http.expect.bodyMatches",
        "write bodyContains",
    ),
    (
        "http: {url: 'https://a', extract: [{name: t, header: X}]}",
        "http.extract[t].header",
        "write jsonPath or regex",
    ),
    (
        "http: {url: 'https://a', authentication: {bearer: {secretRef: {name: a, key: b}}}}",
        "http.authentication.bearer.secretRef",
        "write awsSecret",
    ),
    (
        "http: {url: 'https://a', authentication: {basic: {username: u, password: {secretRef: {name: a, key: b}}}}}",
        "http.authentication.basic.password.secretRef",
        "write awsSecret",
    ),
    ("dns: {name: a.example, type: AAAA}", "dns.type", "A, CNAME, MX, NS and TXT only"),
    ("dns: {name: a.example, type: SRV}", "dns.type", "A, CNAME, MX, NS and TXT only"),
    ("tls: {host: a, ca: {name: a, key: b}}", "tls.ca", "public authorities only"),
    ("tls: {host: a, subjectContains: shop}", "tls.subjectContains", "such as CN="),
    ("tls: {host: a, issuerContains: OU=x}", "tls.issuerContains", "(CN, O)"),
];

fn spec(check: &str) -> CanarySpec {
    let text = format!("variables: {{host: 'https://a.example'}}\nchecks: [{{name: it, {check}}}]");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{check}: {error}"))
}

#[test]
fn every_check_and_every_expectation_passes_the_schema() {
    for check in GOOD {
        let document = blueprint(&spec(check)).unwrap_or_else(|refused| panic!("{check}: {refused:?}"));
        let violations = blueprint_violations(&document.to_string());
        assert!(violations.is_empty(), "{check}: {violations:?}\n{document}");
    }
}

#[test]
fn what_aws_can_t_run_is_refused_with_the_field_and_what_to_write() {
    for (check, field, mend) in REFUSED {
        let refused = blueprint(&spec(check)).expect_err(check);
        let said: Vec<String> = refused.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 1, "{check}: {said:?}");
        assert!(said[0].starts_with("spec.checks[it]") && said[0].contains(field), "{check}: {said:?}");
        assert!(said[0].contains(mend), "{check}: {said:?}");
    }
}

#[test]
fn steps_are_numbered_in_their_order_and_secrets_are_named_only() {
    let text = "
checks:
- {name: login, http: {url: 'https://a', authentication: {basic: {username: u, password: {awsSecret: {name: shop/login, key: password}}}}}}
- {name: db, timeout: 7s, tcp: {host: db, port: 5432}}
";
    let document = blueprint(&serde_saphyr::from_str(text).unwrap()).unwrap();
    let login = &document["steps"]["1"];
    assert_eq!(login["authentication"]["password"], json!("${AWS_SECRET:shop/login:password}"));
    assert_eq!(
        login["assertions"],
        json!([{"type": "STATUS_CODE", "operator": "IN_RANGE", "rangeMin": 200, "rangeMax": 299}])
    );
    let expected = json!({
        "stepName": "db", "checkerType": "TCP", "hostname": "db", "port": 5432, "encoding": "UTF-8", "timeout": 7000,
        "assertions": [{"type": "CONNECTION_SUCCESSFUL", "value": true}],
    });
    assert_eq!(document["steps"]["2"], expected);
}

#[test]
fn a_document_packs_to_the_same_bytes_each_time() {
    let pack = || {
        let document: Value = blueprint(&spec(GOOD[4])).unwrap();
        archive(&BTreeMap::from([(FILE.to_owned(), document.to_string().into_bytes())])).unwrap()
    };
    assert_eq!(pack(), pack());
}

#[test]
fn recipes_say_what_keeps_them_from_aws() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/canary-recipes");
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let canary: Canary = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        match blueprint(&canary.spec) {
            Ok(document) => {
                let violations = blueprint_violations(&document.to_string());
                assert!(violations.is_empty(), "{}: {violations:?}", path.display());
            }
            Err(refused) => assert!(refused.iter().all(|one| one.field.starts_with("spec.checks["))),
        }
    }
}
