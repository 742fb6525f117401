//! Secrets, and what is wrong with a spec.

use http::HeaderValue;
use tidewatch_prober::{Plan, Secrets, secrets_of};

use crate::support::http::{reply, serve};
use crate::support::{failed_with, failure, passed, plan_with, prober, secret, spec};

const SECRET: &str = "hunter2 & friends";

#[tokio::test]
async fn a_secret_that_a_server_sends_back_is_hidden() {
    // The server shows all that it was sent, as debugging endpoints do.
    let server = serve(|seen| reply(418, format!("{:?} {}", seen.headers, seen.body))).await;
    let yaml = format!(
        r"
checks:
- name: c
  http:
    url: http://{}/
    method: POST
    body: x
    authentication: {{basic: {{username: ann, password: {{secretRef: {{name: login, key: k}}}}}}}}
    expect: {{status: [418], bodyContains: nope}}
",
        server.address
    );
    let plan = plan_with(&yaml, &[("k", SECRET)]).unwrap();
    let report = prober().run(&plan).await;
    let login = "YW5uOmh1bnRlcjIgJiBmcmllbmRz";
    assert_eq!(server.only().header("authorization"), format!("Basic {login}"));
    assert!(failure(&report).got.is_some());
    for text in [format!("{report:?}"), format!("{plan:?}")] {
        assert!(!text.contains(login) && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn an_extracted_value_is_hidden_wherever_it_goes() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" => reply(200, r#"{"token": "s3ss10n-t0ken"}"#),
        path => reply(404, format!("no {path} here")),
    })
    .await;
    let yaml = format!(
        r"
checks:
- name: login
  http: {{url: 'http://{0}/login', extract: [{{name: token, jsonPath: $.token}}]}}
- name: use
  http: {{url: 'http://{0}/${{token}}', expect: {{status: [404], bodyContains: welcome}}}}
",
        server.address
    );
    let report = prober().run(&plan_with(&yaml, &[]).unwrap()).await;
    assert_eq!(failure(&report).got.as_deref(), Some("no /*** here"));
    assert!(!format!("{report:?}").contains("s3ss10n"), "{report:?}");

    // A host that can't be found is named in the message.
    let yaml = yaml.replace(&format!("http://{}/${{token}}", server.address), "http://${token}.test/");
    let report = prober().run(&plan_with(&yaml, &[]).unwrap()).await;
    assert!(!format!("{report:?}").contains("s3ss10n"), "{report:?}");
}

#[tokio::test]
async fn an_extracted_value_is_hidden_also_in_the_answer_itself() {
    let server = serve(|seen| {
        let long = "s3ss10n".repeat(3000);
        let mut reply = match seen.path.as_str() {
            "/long" => reply(200, format!(r#"{{"token": "{long}"}}"#)),
            _ => reply(200, r#"{"token": "s3ss10n-t0ken", "ok": false}"#),
        };
        reply.headers_mut().insert("x-session", HeaderValue::from_static("s3ss10n-k3y"));
        reply
    })
    .await;
    for (path, extract, expect, got) in [
        ("", "jsonPath: $.token", "bodyContains: welcome", r#"{"token": "***", "ok": false}"#),
        ("", "jsonPath: $.token", "json: [{path: $.token, equals: x}]", "***"),
        ("", "regex: 's3[^\"]*'", "bodyNotContains: token", r#"{"token": "***", "ok": false}"#),
        ("", "header: X-Session", "headers: [{name: x-session, equals: x}]", "***"),
        ("long", "jsonPath: $.token", "bodyContains: welcome", "***"),
    ] {
        let yaml = format!(
            "{{checks: [{{name: c, http: {{url: 'http://{}/{path}', extract: [{{name: t, {extract}}}], expect: {{{expect}}}}}}}]}}",
            server.address
        );
        let report = prober().run(&plan_with(&yaml, &[]).unwrap()).await;
        assert_eq!(failure(&report).got.as_deref(), Some(got), "{extract}, {expect}");
        assert!(!format!("{report:?}").contains("s3ss10n"), "{report:?}");
    }
}

#[tokio::test]
async fn a_spec_says_which_secrets_it_needs() {
    let key = |key: &str| format!("{{secretRef: {{name: login, key: {key}}}}}");
    let spec = spec(&format!(
        r"
checks:
- {{name: a, http: {{url: 'https://a/', tls: {{ca: {{name: login, key: ca}}}}, authentication: {{basic: {{username: u, password: {}}}}}}}}}
- {{name: b, http: {{url: 'https://a/', authentication: {{bearer: {}}}}}}}
- {{name: c, http: {{url: 'https://a/', authentication: {{apiKey: {{key: {}}}}}}}}}
- {{name: d, http: {{url: 'https://a/', authentication: {{oauth: {{tokenUrl: 'https://t/', clientId: c, clientSecret: {}}}}}}}}}
- {{name: e, tls: {{host: a, ca: {{name: login, key: ca2}}}}}}
",
        key("basic"),
        key("bearer"),
        key("api"),
        key("oauth")
    ));
    let keys = ["api", "basic", "bearer", "ca", "ca2", "oauth"].map(secret);
    assert_eq!(secrets_of(&spec).into_iter().collect::<Vec<_>>(), keys);
}

#[test]
fn what_can_t_be_carried_out_names_the_field_and_what_to_write() {
    let check = |check: &str| format!("{{checks: [{{name: home, {check}}}]}}");
    for (yaml, field, part) in [
        ("{heartbeat: {urls: ['https://a/']}}".to_owned(), "spec", "provider: AWS"),
        ("{checks: []}".to_owned(), "spec.checks", "at least one check"),
        (
            check("http: {url: 'http://a/', expect: {bodyMatches: '('}}"),
            "spec.checks[home].http.expect.bodyMatches",
            "regular expression",
        ),
        (
            check("http: {url: 'http://a/', expect: {bodyMatches: '(a{999}){999}'}}"),
            "spec.checks[home].http.expect.bodyMatches",
            "memory",
        ),
        (
            check("http: {url: 'http://a/', expect: {json: [{path: '$[', exists: true}]}}"),
            "spec.checks[home].http.expect.json[0].path",
            "JSON path",
        ),
        (
            check("http: {url: 'http://a/', expect: {json: [{path: '$[?count($[*])>0]', exists: true}]}}"),
            "spec.checks[home].http.expect.json[0].path",
            "$ within a filter",
        ),
        (
            check("http: {url: 'http://a/', extract: [{name: t, jsonPath: '$[0,0][0,0][0,0][0,0][0,0]'}]}"),
            "spec.checks[home].http.extract[t].jsonPath",
            "commas within brackets",
        ),
        (
            check(
                "http: {url: 'http://a/', extract: [{name: t, jsonPath: \"$..[?search(@,'(a{900}){900}')]\"}]}",
            ),
            "spec.checks[home].http.extract[t].jsonPath",
            "memory",
        ),
        (
            check("http: {url: 'http://a/', expect: {headers: [{name: 'a b', exists: true}]}}"),
            "spec.checks[home].http.expect.headers[0].name",
            "header",
        ),
        (check("http: {url: 'http://a/${nope}'}"), "spec.checks[home].http.url", "spec.variables"),
        (
            check("http: {url: 'http://a/', headers: {X-A: '${a b}'}}"),
            "spec.checks[home].http.headers[X-A]",
            "${name}",
        ),
        (
            check("http: {url: 'http://a/', headers: {Content-Length: '1'}}"),
            "spec.checks[home].http.headers[Content-Length]",
            "leave it out",
        ),
        (check("http: {url: 'http://u:p@a/'}"), "spec.checks[home].http.url", "has a login in it"),
        (check("http: {url: 'http://a:99999/'}"), "spec.checks[home].http.url", "isn't an address"),
        (
            check(
                "http: {url: 'http://a/', authentication: {bearer: {secretRef: {name: login, key: gone}}}}",
            ),
            "spec.checks[home].http.authentication.bearer.secretRef",
            "no key \"gone\"",
        ),
        (
            check("http: {url: 'http://a/', authentication: {bearer: {awsSecret: {name: a}}}}"),
            "spec.checks[home].http.authentication.bearer.awsSecret",
            "secretRef",
        ),
        (
            check(
                "http: {url: 'http://a/', authentication: {bearer: {secretRef: {name: login, key: lines}}}}",
            ),
            "spec.checks[home].http.authentication.bearer",
            "line break",
        ),
        (check("tls: {host: a, ca: {name: login, key: k}}"), "spec.checks[home].tls.ca", "BEGIN CERTIFICATE"),
        (
            check("tcp: {host: a, port: 1, encoding: HEX, send: 0g}"),
            "spec.checks[home].tcp.send",
            "hexadecimal",
        ),
        (
            check("dns: {name: a, expect: {minTtl: 5}}"),
            "spec.checks[home].dns.expect.minTtl",
            "write a number and a unit",
        ),
        (
            check("dns: {name: a}, tcp: {host: a, port: 1}"),
            "spec.checks[home]",
            "exactly one of http, dns, tls or tcp",
        ),
    ] {
        let error = plan_with(&yaml, &[("k", "s3cr3t"), ("lines", "s3cr3t\nmore")]).unwrap_err();
        assert_eq!(error.field(), field, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("s3cr3t"), "{text}");
        }
    }
}

#[tokio::test]
async fn an_empty_password_is_a_password() {
    let server = serve(|_| reply(200, "")).await;
    for (authentication, header) in
        [("basic: {username: ann, password: {secretRef: {name: login, key: k}}}", "Basic YW5uOg==")]
    {
        let yaml = format!(
            "{{checks: [{{name: c, http: {{url: 'http://{}/', authentication: {{{authentication}}}}}}}]}}",
            server.address
        );
        for empty in ["", "\n"] {
            passed(&prober().run(&plan_with(&yaml, &[("k", empty)]).unwrap()).await);
            assert_eq!(server.seen().last().unwrap().header("authorization"), header);
        }
    }
    // What is nothing without a value is refused: the key was forgotten.
    for authentication in
        ["bearer: {secretRef: {name: login, key: k}}", "apiKey: {key: {secretRef: {name: login, key: k}}}"]
    {
        let yaml = format!(
            "{{checks: [{{name: c, http: {{url: 'http://a/', authentication: {{{authentication}}}}}}}]}}"
        );
        let error = plan_with(&yaml, &[("k", "")]).unwrap_err();
        assert!(error.to_string().contains("is empty: write the value into it"), "{error}");
    }
}

#[test]
fn no_words_of_a_parser_are_shown() {
    for (check, part) in [
        ("http: {url: 'shop.example.com/health'}", "it has no scheme"),
        ("http: {url: 'http://a:99999/'}", "its port isn't a number from 0 to 65535"),
        (
            "http: {url: 'http://a/', expect: {json: [{path: '$.a[', exists: true}]}}",
            "not a JSON path (RFC 9535): ",
        ),
        (
            "http: {url: 'http://a/', expect: {json: [{path: '$..[?(@.a)', exists: true}]}}",
            "not a JSON path (RFC 9535): ",
        ),
        ("http: {url: 'http://a/', extract: [{name: t, jsonPath: '$.a b'}]}", "\"a b\" isn't understood"),
        ("http: {url: 'http://a/', expect: {bodyMatches: '(a'}}", "unclosed group"),
    ] {
        let error = plan_with(&format!("{{checks: [{{name: c, {check}}}]}}"), &[]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        for leftover in ["position", "docs.rs", "relative URL", "Error", "expected one of"] {
            assert!(!error.contains(leftover), "{error}");
        }
    }
}

#[test]
fn a_variable_is_known_only_to_the_checks_after_the_one_that_extracts_it() {
    let extracting = "{name: a, http: {url: 'http://a/', extract: [{name: t, header: X-T}]}}";
    let using = "{name: b, http: {url: 'http://a/${t}'}}";
    let plan = |first: &str, second: &str| {
        Plan::new(&spec(&format!("{{checks: [{first}, {second}]}}")), &Secrets::new())
    };
    assert!(plan(extracting, using).is_ok());
    assert_eq!(plan(using, extracting).unwrap_err().field(), "spec.checks[b].http.url");
}

#[tokio::test]
async fn a_body_with_a_secret_isn_t_led_to_another_origin() {
    let other = serve(|_| reply(200, "")).await;
    let to = format!("http://{}/", other.address);
    let server = serve(move |seen| match seen.path.as_str() {
        "/login" => reply(200, r#"{"token": "s3ss10n-t0ken"}"#),
        _ => crate::support::http::redirect(307, &to),
    })
    .await;
    let with_body = |body: &str| {
        format!(
            r"
checks:
- name: login
  http: {{url: 'http://{0}/login', extract: [{{name: token, jsonPath: $.token}}]}}
- name: use
  http: {{url: 'http://{0}/use', method: POST, body: '{body}'}}
",
            server.address
        )
    };
    let report = prober().run(&plan_with(&with_body("t=${token}"), &[]).unwrap()).await;
    failed_with(&report, &["another origin, with a body that holds a secret"]);
    assert!(other.seen().is_empty());
    passed(&prober().run(&plan_with(&with_body("plain"), &[]).unwrap()).await);
}
