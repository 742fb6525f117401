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
use tidewatch_synthetics::{FILE, RuntimeVersion, Wanted, archive, blueprint, package, runtime};

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
    "tls: {host: a.example, verify: false}",
    "tls: {host: a.example, verify: false, subjectContains: CN=a}",
    "tcp: {host: a.example, port: 22}",
    "tcp: {host: a.example, port: 22, send: 0a, encoding: HEX, expect: {contains: 0b, startsWith: 0c, matches: 0d, maxDuration: 1s}}",
];

/// What AWS can't run, the field that is named, what to write.
const REFUSED: &[(&str, &str, &str)] = &[
    ("ipFamily: IPv6, tcp: {host: a, port: 1}", "spec.checks[it].ipFamily", "leave it out"),
    ("timeout: 2s, tcp: {host: a, port: 1}", "spec.checks[it].timeout", "5s or more"),
    ("http: {url: 'https://a', followRedirects: false}", "http.followRedirects", "always follows"),
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
    ("tls: {host: a, clientCertificate: {secretName: a}}", "tls.clientCertificate", "no client certificate"),
    ("tls: {host: a, validityOf: VerifiedPath}", "tls.validityOf", "the server's own certificate only"),
    ("tls: {host: a, validityOf: PresentedChain}", "tls.validityOf", "write Leaf or leave it out"),
    ("http: {url: 'https://a', tls: {verify: false}}", "http.tls.verify", "verifies the certificate"),
    ("http: {url: 'https://a', tls: {ca: {name: a, key: b}}}", "http.tls.ca", "public authorities only"),
    ("http: {url: 'https://a', tls: {serverName: b}}", "http.tls.serverName", "from the address"),
    (
        "http: {url: 'https://a', tls: {clientCertificate: {secretName: a}}}",
        "http.tls.clientCertificate",
        "no client certificate",
    ),
    ("http: {url: 'https://a', tls: {validityOf: Leaf}}", "http.tls.validityOf", "no figure of certificates"),
    ("http: {url: 'https://a', method: POST, body: 'a $${b}'}", "http.body", "no way to write the text ${"),
    ("tls: {host: a, subjectContains: shop}", "tls.subjectContains", "such as CN="),
    ("tls: {host: a, issuerContains: OU=x}", "tls.issuerContains", "(CN, O)"),
    // What the API server's rules can't see, or what was stored before they were there.
    ("", "spec.checks[it]", "exactly one of http, dns, tls or tcp"),
    ("dns: {name: a.example}, tcp: {host: a, port: 1}", "spec.checks[it]", "exactly one of http, dns"),
    ("timeout: 6m, tcp: {host: a, port: 1}", "spec.checks[it].timeout", "5m or less"),
    ("timeout: soon, tcp: {host: a, port: 1}", "spec.checks[it].timeout", "a number and a unit"),
    ("http: {url: 'https://a:99999/'}", "http.url", "its port isn't a number"),
    ("http: {url: 'https://u:p@a.example/'}", "http.url", "which doesn't belong into an address"),
    ("http: {url: 'ftp://a.example/'}", "http.url", "only http and https"),
    ("http: {url: 'https://a b.example/'}", "http.url", "neither spaces nor line breaks"),
    ("http: {url: '${hots}/'}", "http.url", "${hots} isn't a variable: define it in spec.variables"),
    ("http: {url: 'https://a', headers: {X-Token: '${token}'}}", "http.headers[X-Token]", "isn't a variable"),
    ("http: {url: 'https://a', method: POST, body: 'a ${b c}'}", "http.body", "isn't a variable's place"),
    ("http: {url: 'https://a', method: POST, body: 'a ${host'}", "http.body", "isn't a variable's place"),
    (
        "http: {url: 'https://a/${later}', extract: [{name: later, jsonPath: $.a}]}",
        "http.url",
        "in a check before this one",
    ),
    ("tls: {host: '${nowhere}'}", "tls.host", "isn't a variable"),
    ("tls: {host: a, serverName: '${nowhere}'}", "tls.serverName", "isn't a variable"),
    ("tcp: {host: '${nowhere}', port: 1}", "tcp.host", "isn't a variable"),
    ("http: {url: 'https://a', headers: {X-A: \"a\\nb\"}}", "http.headers[X-A]", "a line break"),
    ("http: {url: 'https://a', body: x}", "http.body", "GET and HEAD have no body"),
    (
        "http: {url: 'https://a', headers: {authorization: x}, authentication: {bearer: {awsSecret: {name: b}}}}",
        "http.headers[authorization]",
        "leave one of them out",
    ),
    ("http: {url: 'https://a', authentication: {}}", "http.authentication", "exactly one of basic, bearer"),
    (
        "http: {url: 'https://a', authentication: {bearer: {}}}",
        "http.authentication.bearer",
        "write awsSecret",
    ),
    (
        "http: {url: 'https://a', authentication: {apiKey: {key: {awsSecret: {name: 'arn:aws:secretsmanager:b'}}}}}",
        "http.authentication.apiKey.key.awsSecret",
        "not the ARN",
    ),
    (
        "http: {url: 'https://a', authentication: {oauth: {tokenUrl: 'https://t', clientId: a, clientSecret: {awsSecret: {name: b, key: 'c}d'}}}}}",
        "http.authentication.oauth.clientSecret.awsSecret",
        "not a key of it",
    ),
    ("http: {url: 'https://a', extract: [{name: t, regex: '('}]}", "http.extract[t].regex", "unclosed group"),
    ("http: {url: 'https://a', expect: {status: [600]}}", "http.expect.status", "from 100 to 599"),
    ("http: {url: 'https://a', expect: {maxDuration: 1w}}", "http.expect.maxDuration", "a number and a unit"),
    (
        "http: {url: 'https://a', expect: {json: [{path: $.a}]}}",
        "http.expect.json[0]",
        "exactly one of equals",
    ),
    (
        "http: {url: 'https://a', expect: {json: [{path: $.a, equals: b}, {path: $.a, equals: b, exists: true}]}}",
        "http.expect.json[1]",
        "exactly one of equals",
    ),
    ("http: {url: 'https://a', expect: {headers: [{name: a}]}}", "http.expect.headers[0]", "exactly one of"),
    (
        "http: {url: 'https://a', expect: {headers: [{name: a, equals: b, matches: b}]}}",
        "http.expect.headers[0]",
        "exactly one of",
    ),
    (
        "http: {url: 'https://a', expect: {headers: [{name: a, matches: 'a{2,1}'}]}}",
        "http.expect.headers[0].matches",
        "not a regular expression",
    ),
    ("dns: {name: a.example, port: 53}", "dns.port", "a port belongs to a server"),
    ("dns: {name: a.example, server: 10.0.0.2, port: 0}", "dns.port", "1 to 65535"),
    ("dns: {name: a.example, expect: {minTtl: 60}}", "dns.expect.minTtl", "a number and a unit"),
    ("dns: {name: a.example, expect: {maxDuration: x}}", "dns.expect.maxDuration", "a number and a unit"),
    ("tls: {host: a, port: 0}", "tls.port", "1 to 65535"),
    ("tls: {host: a, minValidity: 2w}", "tls.minValidity", "a number and a unit"),
    ("tcp: {host: a, port: 0}", "tcp.port", "1 to 65535"),
    ("tcp: {host: a, port: 1, encoding: HEX, send: 0d0}", "tcp.send", "isn't hexadecimal"),
    (
        "tcp: {host: a, port: 1, encoding: HEX, expect: {contains: xy}}",
        "tcp.expect.contains",
        "isn't hexadecimal",
    ),
    (
        "tcp: {host: a, port: 1, encoding: HEX, expect: {startsWith: 1}}",
        "tcp.expect.startsWith",
        "hexadecimal",
    ),
    ("tcp: {host: a, port: 1, expect: {matches: '[a'}}", "tcp.expect.matches", "unclosed character class"),
    ("tcp: {host: a, port: 1, expect: {maxDuration: ''}}", "tcp.expect.maxDuration", "a number and a unit"),
];

/// The whole document, the field that is named, what to write.
const REFUSED_WHOLE: &[(&str, &str, &str)] = &[
    ("{checks: []}", "spec.checks", "write at least one check"),
    ("{checks: [{name: 1st, tcp: {host: a, port: 1}}]}", "spec.checks[1st].name", "write a letter"),
    ("{checks: [{name: a b, tcp: {host: a, port: 1}}]}", "spec.checks[a b].name", "write a letter"),
    (
        "{checks: [{name: a, tcp: {host: a, port: 1}}, {name: a, tcp: {host: a, port: 2}}]}",
        "spec.checks[a].name",
        "two checks have this name",
    ),
    (
        "{variables: {a: '', b: '', c: '', d: '', e: '', f: '', g: '', h: '', i: '', j: '', k: ''}, checks: [{name: a, tcp: {host: a, port: 1}}]}",
        "spec.variables",
        "AWS takes 10",
    ),
];

fn spec(check: &str) -> CanarySpec {
    let text = format!("{{variables: {{host: 'https://a.example'}}, checks: [{{name: it, {check}}}]}}");
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
fn of_a_certificate_that_isn_t_verified_only_what_is_expected_counts() {
    let expiry = |check: &str| {
        let document = blueprint(&spec(check)).unwrap_or_else(|refused| panic!("{check}: {refused:?}"));
        let assertions = document["steps"]["1"]["assertions"].as_array().cloned().unwrap_or_default();
        assertions.into_iter().find(|assertion| assertion["type"] == "CERTIFICATE_EXPIRY")
    };
    let hours = |check: &str| expiry(check).map(|assertion| assertion["value"].clone());
    assert_eq!(hours("tls: {host: a}"), Some(json!(0)));
    assert_eq!(hours("tls: {host: a, minValidity: 2d}"), Some(json!(48)));
    assert_eq!(hours("tls: {host: a, verify: false}"), None);
    assert_eq!(hours("tls: {host: a, verify: false, minValidity: 2d}"), Some(json!(48)));
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
fn what_the_document_as_a_whole_can_t_be_is_refused() {
    let eleven: Vec<String> = (0..11).map(|n| format!("{{name: c{n}, tcp: {{host: a, port: 1}}}}")).collect();
    let eleven = format!("{{checks: [{}]}}", eleven.join(", "));
    let long = format!("{{checks: [{{name: {}, tcp: {{host: a, port: 1}}}}]}}", "a".repeat(65));
    let further = [(eleven.as_str(), "spec.checks", "AWS makes 10"), (long.as_str(), "].name", "64 at most")];
    for (text, field, mend) in REFUSED_WHOLE.iter().chain(&further) {
        let refused = blueprint(&serde_saphyr::from_str(text).unwrap()).expect_err(text);
        assert_eq!(refused.len(), 1, "{text}: {refused:?}");
        assert!(refused[0].field.contains(field) && refused[0].mend.contains(mend), "{text}: {refused:?}");
    }
}

#[test]
fn more_than_forty_documents_are_refused_before_they_are_sent() {
    let cases: std::collections::BTreeSet<_> =
        REFUSED.iter().map(|(check, ..)| check).chain(REFUSED_WHOLE.iter().map(|(text, ..)| text)).collect();
    assert!(cases.len() >= 40, "{}", cases.len());
}

#[test]
fn a_value_of_an_earlier_check_fills_a_place_of_a_later_one() {
    let text = "
checks:
- {name: login, http: {url: 'https://a', extract: [{name: token, jsonPath: $.t}]}}
- {name: use, http: {url: 'https://a', headers: {Authorization: 'Bearer ${token}', X-Own: '${AWS_SECRET:own:key}'}}}
";
    blueprint(&serde_saphyr::from_str(text).unwrap()).unwrap();
}

#[test]
fn patterns_of_javascript_that_rust_s_crate_has_no_say_in_pass() {
    for pattern in ["a(?=b)", "(?<!a)b", "(a)\\1", "(?<x>a)\\k<x>"] {
        let check =
            format!("tcp: {{host: a, port: 1, expect: {{matches: \"{}\"}}}}", pattern.replace('\\', "\\\\"));
        blueprint(&spec(&check)).unwrap_or_else(|refused| panic!("{pattern}: {refused:?}"));
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
        if canary.spec.checks.is_none() {
            let runtime = runtime(&canary.spec).unwrap().wanted;
            let family = match runtime {
                Wanted::Newest(family) => family,
                Wanted::Exactly(version) => version.family,
            };
            let version = RuntimeVersion { family, major: 17, minor: 0 };
            package(&canary.spec, &version, None)
                .unwrap_or_else(|refused| panic!("{}: {refused:?}", path.display()));
            continue;
        }
        match blueprint(&canary.spec) {
            Ok(document) => {
                let violations = blueprint_violations(&document.to_string());
                assert!(violations.is_empty(), "{}: {violations:?}", path.display());
            }
            Err(refused) => assert!(refused.iter().all(|one| one.field.starts_with("spec.checks["))),
        }
    }
}

#[test]
fn names_in_any_letters_are_written_as_dns_knows_them() {
    let spec: CanarySpec = serde_saphyr::from_str(
        "checks:
- {name: page, http: {url: 'https://bücher.example/träume?a=b'}}
- {name: names, dns: {name: bücher.example, type: MX, server: bücher.example, expect: {values: ['10 bücher.example']}}}
- {name: words, dns: {name: bücher.example, type: TXT, expect: {values: ['schöne bücher']}}}
- {name: cert, tls: {host: bücher.example, serverName: bücher.example, validityOf: Leaf}}
- {name: port, tcp: {host: bücher.example, port: 1}}
- {name: later, tcp: {host: '${host}', port: 1}}
variables: {host: bücher.example}
",
    )
    .unwrap();
    let document = blueprint(&spec).unwrap();
    let steps = &document["steps"];
    assert_eq!(steps["1"]["url"], "https://xn--bcher-kva.example/tr%C3%A4ume?a=b");
    let ascii = "xn--bcher-kva.example";
    for (step, key) in
        [("2", "domain"), ("2", "nameserver"), ("4", "hostname"), ("4", "sni"), ("5", "hostname")]
    {
        assert_eq!(steps[step][key], ascii, "{step} {key}");
    }
    assert_eq!(steps["2"]["assertions"][1]["value"], format!("10 {ascii}"));
    assert_eq!(steps["3"]["assertions"][1]["value"], "schöne bücher");
}
