use serde_json::{Value, json};

use super::check;

fn document(step: Value) -> Value {
    json!({"steps": {"1": step}})
}

/// A step of each kind with nothing but what it needs.
fn least(checker: &str) -> Value {
    match checker {
        "HTTP" => json!({"stepName": "a", "checkerType": "HTTP", "url": "https://x", "httpMethod": "GET"}),
        "DNS" => json!({"stepName": "a", "checkerType": "DNS", "domain": "x"}),
        "SSL" => json!({"stepName": "a", "checkerType": "SSL", "hostname": "x"}),
        _ => json!({"stepName": "a", "checkerType": "TCP", "hostname": "x", "port": 22}),
    }
}

/// The same with members added or changed; null takes one away.
fn with(checker: &str, changes: Value) -> Value {
    let mut step = least(checker);
    let members = step.as_object_mut().unwrap();
    for (key, value) in changes.as_object().unwrap() {
        members.insert(key.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    document(step)
}

fn asserting(checker: &str, assertion: Value) -> Value {
    with(checker, json!({"assertions": [assertion]}))
}

fn authenticated(authentication: Value) -> Value {
    with("HTTP", json!({"authentication": authentication}))
}

fn violations(document: &Value) -> Vec<String> {
    check(&document.to_string()).iter().map(ToString::to_string).collect()
}

#[test]
fn every_check_and_every_expectation_has_a_good_form() {
    let mut good = vec![
        json!({
            "globalSettings": {"stepTimeout": 60_000},
            "variables": {"host": "example.com"},
            "steps": {"1": least("HTTP"), "2": least("DNS"), "10": least("TCP")},
        }),
        with(
            "HTTP",
            json!({
                "timeout": 5_000, "waitTime": 60, "headers": {"accept": "*/*"}, "body": "{}", "httpMethod": "POST",
                "extractors": [{"name": "token", "type": "BODY", "path": "$.t", "regex": "a(b)", "regexGroup": 1}],
            }),
        ),
        with(
            "DNS",
            json!({
                "recordType": "MX", "nameserver": "1.1.1.1", "port": 53, "protocol": "TCP", "timeout": 1_000,
            }),
        ),
        with(
            "SSL",
            json!({
                "port": 8443, "sni": "y", "verifyHostname": true, "allowSelfSigned": false, "timeout": 300_000,
            }),
        ),
        with(
            "TCP",
            json!({
                "timeout": 5_000, "sendData": "00", "expectedResponse": "ff", "encoding": "HEX",
            }),
        ),
        authenticated(json!({"type": "NONE"})),
        authenticated(json!({"type": "BASIC", "username": "u", "password": "${AWS_SECRET:s:p}"})),
        authenticated(json!({"type": "API_KEY", "apiKey": "k", "headerName": "x-api-key"})),
        authenticated(json!({
            "type": "OAUTH_CLIENT_CREDENTIALS", "tokenUrl": "https://t", "clientId": "c", "clientSecret": "s",
            "scope": "a b", "audience": "u", "resource": "r", "tokenApiAuth": "REQUEST_BODY",
        })),
        authenticated(json!({"type": "SIGV4", "service": "s3", "region": "eu-west-1", "roleArn": "arn:x"})),
    ];
    let texts: [(&str, &[&str], Value); 6] = [
        (
            "DNS",
            &["EQUALS", "NOT_EQUALS", "CONTAINS", "NOT_CONTAINS", "REGEX_MATCH"],
            json!({"type": "RECORD_VALUE"}),
        ),
        (
            "SSL",
            &["CONTAINS", "EQUALS", "REGEX_MATCH"],
            json!({"type": "CERTIFICATE_SUBJECT", "field": "OU"}),
        ),
        ("SSL", &["CONTAINS", "EQUALS"], json!({"type": "CERTIFICATE_ISSUER", "field": "O"})),
        ("SSL", &["CONTAINS", "NOT_CONTAINS"], json!({"type": "CIPHER_SUITE"})),
        (
            "TCP",
            &["CONTAINS", "EQUALS", "NOT_CONTAINS", "REGEX_MATCH", "STARTS_WITH", "ENDS_WITH"],
            json!({"type": "RESPONSE_DATA"}),
        ),
        (
            "HTTP",
            &["EQUALS", "NOT_EQUALS", "CONTAINS", "NOT_CONTAINS", "REGEX_MATCH"],
            json!({"type": "HEADER", "headerName": "server"}),
        ),
    ];
    let numbers: [(&str, &[&str], Value); 9] = [
        ("HTTP", &["EQUALS", "NOT_EQUALS", "GREATER_THAN", "LESS_THAN"], json!({"type": "STATUS_CODE"})),
        ("HTTP", &["EQUALS", "GREATER_THAN", "LESS_THAN"], json!({"type": "RESPONSE_TIME"})),
        ("DNS", &["EQUALS", "GREATER_THAN", "LESS_THAN"], json!({"type": "RECORD_COUNT"})),
        ("DNS", &["EQUALS", "GREATER_THAN", "LESS_THAN"], json!({"type": "TTL"})),
        ("DNS", &["EQUALS", "GREATER_THAN", "LESS_THAN"], json!({"type": "RESPONSE_TIME"})),
        ("SSL", &["GREATER_THAN", "LESS_THAN"], json!({"type": "CERTIFICATE_EXPIRY", "unit": "HOURS"})),
        ("TCP", &["EQUALS", "GREATER_THAN", "LESS_THAN"], json!({"type": "RESPONSE_SIZE"})),
        ("TCP", &["EQUALS", "GREATER_THAN", "LESS_THAN"], json!({"type": "RESPONSE_TIME"})),
        ("HTTP", &["EQUALS", "NOT_EQUALS"], json!({"type": "BODY", "target": "JSON", "path": "$.n"})),
    ];
    let cases = texts.iter().map(|it| (it, json!("v"))).chain(numbers.iter().map(|it| (it, json!(200))));
    for ((checker, operators, base), value) in cases {
        for operator in *operators {
            let mut assertion = base.clone();
            assertion["operator"] = json!(operator);
            assertion["value"] = value.clone();
            good.push(asserting(checker, assertion));
        }
    }
    for (checker, flag) in [
        ("DNS", "AUTHORITATIVE"),
        ("SSL", "CERTIFICATE_VALID"),
        ("SSL", "CERTIFICATE_TRANSPARENCY"),
        ("TCP", "CONNECTION_SUCCESSFUL"),
    ] {
        good.push(asserting(checker, json!({"type": flag, "value": true})));
    }
    for assertion in [
        json!({"type": "STATUS_CODE", "operator": "IN_RANGE", "rangeMin": 200, "rangeMax": 299}),
        json!({"type": "HEADER", "headerName": "etag", "operator": "EXIST", "value": true}),
        json!({"type": "BODY", "target": "JSON", "path": "$.a", "operator": "EXISTS", "value": false}),
        json!({"type": "BODY", "target": "TEXT", "operator": "CONTAINS", "value": "ok"}),
        json!({"type": "BODY", "target": "TEXT", "operator": "NOT_CONTAINS", "value": "error"}),
    ] {
        good.push(asserting("HTTP", assertion));
    }
    for document in good {
        assert_eq!(violations(&document), Vec::<String>::new(), "{document}");
    }
}

/// Documents that break one rule each, and where.
fn bad() -> Vec<(Value, &'static str)> {
    let eleven: Value =
        (1..=11).map(|n| (format!("v{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let long = "a".repeat(65);
    let assertion = asserting;
    vec![
        (json!([]), "the document"),
        (json!({}), "steps"),
        (json!({"steps": []}), "steps"),
        (json!({"steps": {}}), "steps"),
        (json!({"steps": {"0": least("TCP")}}), "steps.0"),
        (json!({"steps": {"11": least("TCP")}}), "steps.11"),
        (json!({"steps": {"first": least("TCP")}}), "steps.first"),
        (json!({"steps": {"1": "x"}}), "steps.1"),
        (json!({"steps": {"1": least("TCP")}, "retries": 1}), "retries"),
        (json!({"steps": {"1": least("TCP")}, "globalSettings": 5_000}), "globalSettings"),
        (
            json!({"steps": {"1": least("TCP")}, "globalSettings": {"stepTimeout": 999}}),
            "globalSettings.stepTimeout",
        ),
        (
            json!({"steps": {"1": least("TCP")}, "globalSettings": {"userAgent": "x"}}),
            "globalSettings.userAgent",
        ),
        (json!({"steps": {"1": least("TCP")}, "variables": eleven}), "variables"),
        (json!({"steps": {"1": least("TCP")}, "variables": {"a": 1}}), "variables.a"),
        (with("TCP", json!({"stepName": null})), "steps.1.stepName"),
        (with("TCP", json!({"stepName": "1a"})), "steps.1.stepName"),
        (with("TCP", json!({"stepName": "a b"})), "steps.1.stepName"),
        (with("TCP", json!({"stepName": long})), "steps.1.stepName"),
        (with("TCP", json!({"checkerType": null})), "steps.1.checkerType"),
        (with("TCP", json!({"checkerType": "PING"})), "steps.1.checkerType"),
        (with("TCP", json!({"checkerType": "tcp"})), "steps.1.checkerType"),
        (with("TCP", json!({"retries": 2})), "steps.1.retries"),
        (with("TCP", json!({"url": "https://x"})), "steps.1.url"),
        (with("HTTP", json!({"url": null})), "steps.1.url"),
        (with("HTTP", json!({"url": ""})), "steps.1.url"),
        (with("HTTP", json!({"httpMethod": null})), "steps.1.httpMethod"),
        (with("HTTP", json!({"httpMethod": "get"})), "steps.1.httpMethod"),
        (with("HTTP", json!({"timeout": 300_001})), "steps.1.timeout"),
        (with("HTTP", json!({"timeout": "5000"})), "steps.1.timeout"),
        (with("HTTP", json!({"timeout": 5_000.5})), "steps.1.timeout"),
        (with("HTTP", json!({"waitTime": 61})), "steps.1.waitTime"),
        (with("HTTP", json!({"headers": ["a: b"]})), "steps.1.headers"),
        (with("HTTP", json!({"headers": {"a": 1}})), "steps.1.headers.a"),
        (with("HTTP", json!({"body": {"a": 1}})), "steps.1.body"),
        (with("HTTP", json!({"connectionTimeout": 5_000})), "steps.1.connectionTimeout"),
        (with("HTTP", json!({"readTimeout": 5_000})), "steps.1.readTimeout"),
        (with("DNS", json!({"domain": null})), "steps.1.domain"),
        (with("DNS", json!({"recordType": "AAAA"})), "steps.1.recordType"),
        (with("DNS", json!({"protocol": "TLS"})), "steps.1.protocol"),
        (with("DNS", json!({"port": 0})), "steps.1.port"),
        (with("SSL", json!({"hostname": null})), "steps.1.hostname"),
        (with("SSL", json!({"verifyHostname": "yes"})), "steps.1.verifyHostname"),
        (with("SSL", json!({"authentication": {"type": "NONE"}})), "steps.1.authentication"),
        (with("TCP", json!({"port": null})), "steps.1.port"),
        (with("TCP", json!({"port": 65_536})), "steps.1.port"),
        (with("TCP", json!({"encoding": "LATIN-1"})), "steps.1.encoding"),
        (with("HTTP", json!({"extractors": {}})), "steps.1.extractors"),
        (with("HTTP", json!({"extractors": [{"type": "BODY"}]})), "steps.1.extractors.0.name"),
        (with("HTTP", json!({"extractors": [{"name": "a"}]})), "steps.1.extractors.0.type"),
        (with("HTTP", json!({"extractors": [{"name": "a", "type": "HEADER"}]})), "steps.1.extractors.0.type"),
        (
            with("HTTP", json!({"extractors": [{"name": "a", "type": "BODY", "regex": "("}]})),
            "steps.1.extractors.0.regex",
        ),
        (
            with("HTTP", json!({"extractors": [{"name": "a", "type": "BODY", "jsonPath": "$"}]})),
            "steps.1.extractors.0.jsonPath",
        ),
        (with("HTTP", json!({"assertions": {}})), "steps.1.assertions"),
        (with("HTTP", json!({"assertions": ["200"]})), "steps.1.assertions.0"),
        (assertion("HTTP", json!({"operator": "EQUALS", "value": 200})), "steps.1.assertions.0.type"),
        (
            assertion("HTTP", json!({"type": "TTL", "operator": "EQUALS", "value": 1})),
            "steps.1.assertions.0.type",
        ),
        (assertion("HTTP", json!({"type": "STATUS_CODE", "value": 200})), "steps.1.assertions.0.operator"),
        (
            assertion("HTTP", json!({"type": "STATUS_CODE", "operator": "CONTAINS", "value": 200})),
            "steps.1.assertions.0.operator",
        ),
        (
            assertion("HTTP", json!({"type": "STATUS_CODE", "operator": "EQ", "value": 200})),
            "steps.1.assertions.0.operator",
        ),
        (
            assertion("HTTP", json!({"type": "STATUS_CODE", "operator": "EQUALS"})),
            "steps.1.assertions.0.value",
        ),
        (
            assertion("HTTP", json!({"type": "STATUS_CODE", "operator": "EQUALS", "value": "200"})),
            "steps.1.assertions.0.value",
        ),
        (
            assertion("HTTP", json!({"type": "STATUS_CODE", "operator": "IN_RANGE", "rangeMin": 200})),
            "steps.1.assertions.0.rangeMax",
        ),
        (
            assertion(
                "HTTP",
                json!({"type": "STATUS_CODE", "operator": "IN_RANGE", "rangeMin": 300, "rangeMax": 200}),
            ),
            "steps.1.assertions.0.rangeMin",
        ),
        (
            assertion(
                "HTTP",
                json!({"type": "STATUS_CODE", "operator": "IN_RANGE", "rangeMin": 200, "rangeMax": 299, "value": 200}),
            ),
            "steps.1.assertions.0.value",
        ),
        (
            assertion("HTTP", json!({"type": "RESPONSE_TIME", "operator": "NOT_EQUALS", "value": 1})),
            "steps.1.assertions.0.operator",
        ),
        (
            assertion("HTTP", json!({"type": "HEADER", "operator": "EQUALS", "value": "x"})),
            "steps.1.assertions.0.headerName",
        ),
        (
            assertion(
                "HTTP",
                json!({"type": "HEADER", "headerName": "a", "operator": "EXIST", "value": "true"}),
            ),
            "steps.1.assertions.0.value",
        ),
        (
            assertion(
                "HTTP",
                json!({"type": "HEADER", "headerName": "a", "operator": "REGEX_MATCH", "value": "["}),
            ),
            "steps.1.assertions.0.value",
        ),
        (
            assertion("HTTP", json!({"type": "BODY", "operator": "EQUALS", "value": "x"})),
            "steps.1.assertions.0.target",
        ),
        (
            assertion("HTTP", json!({"type": "BODY", "target": "JSON", "operator": "EQUALS", "value": "x"})),
            "steps.1.assertions.0.path",
        ),
        (
            assertion(
                "HTTP",
                json!({"type": "BODY", "target": "TEXT", "path": "$", "operator": "EQUALS", "value": "x"}),
            ),
            "steps.1.assertions.0.path",
        ),
        (
            assertion(
                "HTTP",
                json!({"type": "BODY", "target": "TEXT", "operator": "REGEX_MATCH", "value": "x"}),
            ),
            "steps.1.assertions.0.operator",
        ),
        (
            assertion("DNS", json!({"type": "AUTHORITATIVE", "operator": "EQUALS", "value": true})),
            "steps.1.assertions.0.operator",
        ),
        (assertion("DNS", json!({"type": "AUTHORITATIVE"})), "steps.1.assertions.0.value"),
        (
            assertion("DNS", json!({"type": "RECORD_COUNT", "operator": "EQUALS", "value": "1"})),
            "steps.1.assertions.0.value",
        ),
        (
            assertion("SSL", json!({"type": "CERTIFICATE_EXPIRY", "operator": "EQUALS", "value": 30})),
            "steps.1.assertions.0.operator",
        ),
        (
            assertion(
                "SSL",
                json!({"type": "CERTIFICATE_EXPIRY", "operator": "GREATER_THAN", "value": 30, "unit": "WEEKS"}),
            ),
            "steps.1.assertions.0.unit",
        ),
        (
            assertion("SSL", json!({"type": "CERTIFICATE_SUBJECT", "operator": "EQUALS", "value": "x"})),
            "steps.1.assertions.0.field",
        ),
        (
            assertion(
                "SSL",
                json!({"type": "CERTIFICATE_ISSUER", "field": "OU", "operator": "EQUALS", "value": "x"}),
            ),
            "steps.1.assertions.0.field",
        ),
        (
            assertion("SSL", json!({"type": "CIPHER_SUITE", "operator": "EQUALS", "value": "x"})),
            "steps.1.assertions.0.operator",
        ),
        (
            assertion("TCP", json!({"type": "CONNECTION_SUCCESSFUL", "value": "true"})),
            "steps.1.assertions.0.value",
        ),
        (
            assertion("TCP", json!({"type": "RESPONSE_DATA", "operator": "NOT_EQUALS", "value": "x"})),
            "steps.1.assertions.0.operator",
        ),
        (authenticated(json!("NONE")), "steps.1.authentication"),
        (authenticated(json!({})), "steps.1.authentication.type"),
        (authenticated(json!({"type": "DIGEST"})), "steps.1.authentication.type"),
        (authenticated(json!({"type": "NONE", "username": "u"})), "steps.1.authentication.username"),
        (authenticated(json!({"type": "BASIC", "username": "u"})), "steps.1.authentication.password"),
        (authenticated(json!({"type": "API_KEY"})), "steps.1.authentication.apiKey"),
        (
            authenticated(json!({"type": "SIGV4", "service": "s", "region": "r"})),
            "steps.1.authentication.roleArn",
        ),
        (
            authenticated(json!({"type": "OAUTH_CLIENT_CREDENTIALS", "tokenUrl": "t", "clientId": "c"})),
            "steps.1.authentication.clientSecret",
        ),
        (
            authenticated(json!({
                "type": "OAUTH_CLIENT_CREDENTIALS", "tokenUrl": "t", "clientId": "c", "clientSecret": "s", "tokenCacheTtl": 1,
            })),
            "steps.1.authentication.tokenCacheTtl",
        ),
        (
            authenticated(json!({
                "type": "OAUTH_CLIENT_CREDENTIALS", "tokenUrl": "t", "clientId": "c", "clientSecret": "s", "tokenApiAuth": "BODY",
            })),
            "steps.1.authentication.tokenApiAuth",
        ),
    ]
}

#[test]
fn a_document_that_breaks_one_rule_is_refused_where_it_breaks_it() {
    let bad = bad();
    assert!(bad.len() >= 40);
    for (document, path) in bad {
        let found = violations(&document);
        let [violation] = found.as_slice() else { panic!("{found:?}: {document}") };
        assert!(violation.starts_with(&format!("{path} ")), "{violation}: {document}");
    }
}

#[test]
fn what_is_no_json_is_refused_as_that() {
    assert!(check("{\"steps\":").first().unwrap().to_string().contains("is not JSON"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_check_panic(text: String) {
        let _ = check(&text);
    }
}
