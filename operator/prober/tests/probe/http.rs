//! HTTP checks.

use http::{HeaderValue, Method, Version};
use tidewatch_prober::HttpVersion;

use crate::support::certificates::{DAY, authority};
use crate::support::dns::hosts;
use crate::support::http::{Seen, reply, serve, serve_at_address, serve_tls};
use crate::support::{
    failed_with, failure, passed, plan, plan_with, prober, prober_trusting, prober_with_dns, run, tcp,
};

#[tokio::test]
async fn a_good_answer_passes_and_each_phase_is_timed() {
    let dns = hosts(&[("shop.test", "127.0.0.1")]).await;
    let server = serve(|_| reply(200, "hello")).await;
    let plan = plan(&format!(
        "{{checks: [{{name: home, http: {{url: 'http://shop.test:{}/a?b=c#d', headers: {{X-Shop: '1'}}}}}}]}}",
        server.address.port()
    ));
    let report = prober_with_dns(dns.address).run(&plan).await;
    passed(&report);
    let check = &report.checks[0];
    assert_eq!(check.http_status, Some(200));
    assert_eq!(check.http_version, Some(HttpVersion::Http1));
    assert_eq!(check.ip, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(check.body_bytes, Some(5));
    let phases = check.phases;
    assert!(
        [phases.dns, phases.connect, phases.first_byte, phases.body].iter().all(Option::is_some),
        "{phases:?}"
    );
    assert_eq!(phases.tls, None);
    let sum: std::time::Duration =
        [phases.dns, phases.connect, phases.first_byte, phases.body].into_iter().flatten().sum();
    assert!(sum <= check.duration && check.duration <= report.duration, "{report:#?}");

    let seen = server.only();
    assert_eq!((seen.method.clone(), seen.path.as_str()), (Method::GET, "/a?b=c"));
    assert_eq!(seen.header("host"), format!("shop.test:{}", server.address.port()));
    assert_eq!(seen.header("accept-encoding"), "gzip, deflate, br, zstd");
    assert_eq!(seen.header("x-shop"), "1");
    assert!(seen.header("user-agent").starts_with("tidewatch/"));
    assert!(!seen.headers.contains_key("traceparent"));
}

#[tokio::test]
async fn a_body_is_posted_with_variables() {
    let server = serve(|_| reply(201, "")).await;
    let report = run(&format!(
        "{{variables: {{host: '{}', user: ann}}, checks: [{{name: post, http: {{url: 'http://${{host}}/u/${{user}}', method: POST, body: 'u=${{user}}', headers: {{X-User: 'is ${{user}}'}}}}}}]}}",
        server.address
    ))
    .await;
    passed(&report);
    let seen = server.only();
    assert_eq!(
        (seen.method.clone(), seen.path.as_str(), seen.body.as_str()),
        (Method::POST, "/u/ann", "u=ann")
    );
    assert_eq!(seen.header("x-user"), "is ann");
}

#[tokio::test]
async fn http_2_is_spoken_where_the_server_offers_it() {
    let authority = authority();
    let dns = hosts(&[("shop.test", "127.0.0.1")]).await;
    let identity = authority.identity(&["shop.test"], 30 * DAY);
    for (offered, version, expected) in [
        (vec!["h2", "http/1.1"], Version::HTTP_2, HttpVersion::Http2),
        (vec!["http/1.1"], Version::HTTP_11, HttpVersion::Http1),
        (vec![], Version::HTTP_11, HttpVersion::Http1),
    ] {
        let server = serve_tls(identity.acceptor(&offered), |_| reply(200, "hello")).await;
        let plan = plan(&format!(
            "{{checks: [{{name: home, http: {{url: 'https://shop.test:{}/', method: POST, body: hi, expect: {{bodyContains: hello}}}}}}]}}",
            server.address.port()
        ));
        let report = prober_trusting(&authority.certificate, dns.address).run(&plan).await;
        passed(&report);
        assert_eq!(report.checks[0].http_version, Some(expected));
        assert_eq!(report.checks[0].tls_version.as_deref(), Some("TLS 1.3"));
        assert!(report.checks[0].certificate_expiry.is_some());
        assert!(report.checks[0].phases.tls.is_some());
        let seen = server.only();
        assert_eq!((seen.version, seen.body.as_str()), (version, "hi"));
    }
}

#[tokio::test]
async fn ipv6_is_probed() {
    let server = serve_at_address("[::1]:0", |_| reply(200, "")).await;
    let report =
        run(&format!("{{checks: [{{name: six, http: {{url: 'http://{}/'}}}}]}}", server.address)).await;
    passed(&report);
    assert_eq!(report.checks[0].ip, Some("::1".parse().unwrap()));

    let dns = hosts(&[("shop.test", "127.0.0.1"), ("shop.test", "::1")]).await;
    let url = format!("http://shop.test:{}/", server.address.port());
    for (family, ip) in [("", "::1"), ("ipFamily: IPv6, ", "::1")] {
        let plan = plan(&format!("{{checks: [{{name: six, {family}http: {{url: '{url}'}}}}]}}"));
        let report = prober_with_dns(dns.address).run(&plan).await;
        passed(&report);
        assert_eq!(report.checks[0].ip, Some(ip.parse().unwrap()), "{family}");
    }
    let plan = plan(&format!("{{checks: [{{name: four, ipFamily: IPv4, http: {{url: '{url}'}}}}]}}"));
    failed_with(&prober_with_dns(dns.address).run(&plan).await, &["connection refused (127.0.0.1:"]);
}

#[tokio::test]
async fn an_answer_that_isn_t_as_expected_fails_and_says_what_came() {
    let answer = |_: &Seen| {
        let mut reply =
            reply(200, r#"{"status": "up", "count": 3, "list": [{"a": 1}, {"a": 2}], "none": null}"#);
        reply.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        reply
    };
    let server = serve(answer).await;
    let with = async |expect: &str| {
        run(&format!(
            "{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {expect}}}}}]}}",
            server.address
        ))
        .await
    };
    for expect in [
        "{status: [204, 200]}",
        "{bodyContains: up}",
        "{bodyNotContains: down}",
        "{bodyMatches: '\"status\": *\"u.\"'}",
        "{json: [{path: $.status, equals: up}, {path: $.count, equals: '3.0'}, {path: '$.list[*].a', equals: '2'}]}",
        "{json: [{path: $.status, notEquals: down}, {path: $.status, contains: u}, {path: $.gone, exists: false}, {path: $.none, equals: 'null'}]}",
        "{headers: [{name: Content-Type, equals: application/json}, {name: content-type, matches: json$}, {name: X-No, exists: false}]}",
        "{headers: [{name: Content-Type, contains: json}, {name: content-type, notContains: html}, {name: content-type, notEquals: text/html}]}",
        "{maxDuration: 5m}",
    ] {
        passed(&with(expect).await);
    }
    for (expect, expected, got) in [
        ("{status: [201, 204]}", "201 or 204", "200 OK"),
        ("{bodyContains: down}", "contains down", r#"{"status": "up""#),
        ("{bodyNotContains: up}", "doesn't contain up", r#"{"status": "up""#),
        ("{bodyMatches: '^x'}", "matches ^x", r#"{"status": "up""#),
        ("{json: [{path: $.status, equals: down}]}", "is down", "up"),
        ("{json: [{path: $.status, notEquals: up}]}", "isn't up", "up"),
        ("{json: [{path: '$.list[*].a', contains: '7'}]}", "contains 7", "1, 2"),
        ("{json: [{path: $.gone, exists: true}]}", "is there", "nothing"),
        ("{json: [{path: $.gone, equals: a}]}", "is a", "nothing"),
        ("{headers: [{name: X-No, equals: a}]}", "is a", "nothing"),
        ("{headers: [{name: Content-Type, notContains: json}]}", "doesn't contain json", "application/json"),
    ] {
        let report = with(expect).await;
        let failure = failure(&report);
        assert_eq!(failure.expected.as_deref(), Some(expected), "{expect}: {failure:?}");
        assert!(failure.got.as_deref().unwrap().starts_with(got), "{expect}: {failure:?}");
    }
}

#[tokio::test]
async fn a_wrong_status_says_which_was_expected() {
    let server = serve(|_| reply(500, "oops")).await;
    let report =
        run(&format!("{{checks: [{{name: c, http: {{url: 'http://{}/'}}}}]}}", server.address)).await;
    failed_with(&report, &["status 500, expected 200–299"]);
    assert_eq!(report.checks[0].http_status, Some(500));
}

#[tokio::test]
async fn a_body_that_isn_t_json_says_so() {
    let server = serve(|_| reply(200, "<html>")).await;
    let report = run(&format!(
        "{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {{json: [{{path: $.a, exists: false}}]}}}}}}]}}",
        server.address
    ))
    .await;
    failed_with(&report, &["isn't JSON"]);
    assert_eq!(failure(&report).got.as_deref(), Some("<html>"));
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_is_told_from_one_that_is_slow_to_end() {
    let url =
        async |address| format!("{{checks: [{{name: c, timeout: 1s, http: {{url: 'http://{address}/'}}}}]}}");
    let silent = run(&url(tcp::silent().await).await).await;
    failed_with(&silent, &["no answer within 1s: the connection is open but no byte of a response came"]);
    let phases = silent.checks[0].phases;
    assert!(phases.connect.is_some() && phases.first_byte.is_some() && phases.body.is_none(), "{phases:?}");

    let half = run(&url(tcp::answers("HTTP/1.1 200 OK\r\nContent-").await).await).await;
    failed_with(&half, &["no answer within 1s: a response began, but its headers didn't end"]);

    let slow =
        run(&url(tcp::answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await).await).await;
    failed_with(&slow, &["the body didn't end within 1s; 5 bytes of it came"]);
    assert_eq!(slow.checks[0].http_status, Some(200));
    assert!(slow.checks[0].phases.body.is_some());
}

#[tokio::test]
async fn a_refused_connection_and_one_that_nobody_accepts_say_so() {
    let bound = tcp::closed();
    let closed = bound.address;
    let report = run(&format!("{{checks: [{{name: c, http: {{url: 'http://{closed}/'}}}}]}}")).await;
    failed_with(&report, &[&format!("connection refused ({closed})")]);

    let half_open = tcp::half_open().await;
    let report = run(&format!(
        "{{checks: [{{name: c, timeout: 1s, http: {{url: 'http://{}/'}}}}]}}",
        half_open.address
    ))
    .await;
    failed_with(&report, &[&format!("connect timed out after 1s ({})", half_open.address)]);
    assert_eq!(report.checks[0].phases.first_byte, None);
}

#[tokio::test]
async fn what_isn_t_http_or_breaks_off_says_so() {
    for (says, part) in [
        ("220 mail.test ESMTP\r\n\r\n", "isn't HTTP"),
        (
            "HTTP/1.1 200 OK\r\nbroken header\r\n\r\n",
            "breaks the rules of HTTP; it begins with \"HTTP/1.1 200 OK",
        ),
    ] {
        let address = tcp::answers(says).await;
        let report = run(&format!("{{checks: [{{name: c, http: {{url: 'http://{address}/'}}}}]}}")).await;
        failed_with(&report, &[part]);
    }
    let address = tcp::serve(|stream| async move { drop(stream) }).await;
    let report = run(&format!("{{checks: [{{name: c, http: {{url: 'http://{address}/'}}}}]}}")).await;
    failed_with(&report, &["closed the connection without an answer"]);
}

#[tokio::test]
async fn of_a_huge_body_the_first_mib_is_judged() {
    let mut body = vec![b'x'; 3 * 1024 * 1024];
    body[10..16].copy_from_slice(b"needle");
    body[2 * 1024 * 1024..2 * 1024 * 1024 + 3].copy_from_slice(b"far");
    let server = serve(move |_| reply(200, body.clone())).await;
    let with = async |expect: &str| {
        run(&format!(
            "{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {expect}}}}}]}}",
            server.address
        ))
        .await
    };
    let report = with("{}").await;
    passed(&report);
    assert_eq!(report.checks[0].body_bytes, Some(1024 * 1024));
    passed(&with("{bodyContains: needle}").await);
    passed(&with("{bodyMatches: ne+dle}").await);
    let far = with("{bodyContains: far}").await;
    failed_with(&far, &["body longer than 1 MiB, and the text \"far\" isn't in the first 1 MiB"]);
    assert!(failure(&far).got.as_ref().unwrap().chars().count() < 300);
    failed_with(&with("{bodyNotContains: near}").await, &["body longer than 1 MiB"]);
    failed_with(&with("{json: [{path: $, exists: true}]}").await, &["body longer than 1 MiB"]);
}

#[tokio::test]
async fn a_value_from_one_answer_is_used_in_the_checks_after_it() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" => {
            let mut reply = reply(200, r#"{"user": {"id": 4711}, "csrf": "<input value='c5rf-t0ken'>"}"#);
            reply.headers_mut().insert("x-session", HeaderValue::from_static("s3ss10n"));
            reply
        }
        "/user/4711" if seen.header("x-session") == "s3ss10n" && seen.body == "csrf=c5rf-t0ken" => {
            reply(200, "ann")
        }
        _ => reply(404, ""),
    })
    .await;
    let plan = plan(&format!(
        r#"
variables: {{base: 'http://{}'}}
checks:
- name: login
  http:
    url: ${{base}}/login
    extract:
    - {{name: id, jsonPath: $.user.id}}
    - {{name: csrf, regex: "value='([^']+)'"}}
    - {{name: session, header: X-Session}}
- name: user
  http:
    url: ${{base}}/user/${{id}}
    method: PUT
    body: csrf=${{csrf}}
    headers: {{X-Session: '${{session}}'}}
    expect: {{bodyContains: ann}}
"#,
        server.address
    ));
    let prober = prober();
    passed(&prober.run(&plan).await);
    // Nothing of a run is left in the plan.
    passed(&prober.run(&plan).await);
}

#[tokio::test]
async fn a_value_that_isn_t_there_ends_the_run() {
    let server = serve(|_| reply(200, "{}")).await;
    for (extract, part) in [
        ("{name: t, jsonPath: $.t}", "extract t: the path finds nothing"),
        ("{name: t, regex: 'a(b)'}", "extract t: the regular expression matches nothing"),
        ("{name: t, header: X-T}", "extract t: the answer has no header x-t"),
    ] {
        let report = run(&format!(
            "{{checks: [{{name: a, http: {{url: 'http://{0}/', extract: [{extract}]}}}}, {{name: b, http: {{url: 'http://{0}/${{t}}'}}}}]}}",
            server.address
        ))
        .await;
        failed_with(&report, &[part]);
        assert_eq!(report.checks.len(), 1);
    }
}

#[tokio::test]
async fn each_way_to_log_in_sends_its_header() {
    let server = serve(|_| reply(200, "")).await;
    for (authentication, header, value) in [
        (
            "basic: {username: ann, password: {secretRef: {name: login, key: k}}}",
            "authorization",
            "Basic YW5uOnMzY3IzdA==",
        ),
        ("bearer: {secretRef: {name: login, key: k}}", "authorization", "Bearer s3cr3t"),
        ("apiKey: {key: {secretRef: {name: login, key: k}}}", "x-api-key", "s3cr3t"),
        ("apiKey: {header: X-Mine, key: {secretRef: {name: login, key: k}}}", "x-mine", "s3cr3t"),
    ] {
        let yaml = format!(
            "{{checks: [{{name: c, http: {{url: 'http://{}/', authentication: {{{authentication}}}}}}}]}}",
            server.address
        );
        // As `echo s3cr3t | kubectl create secret` leaves it.
        let plan = plan_with(&yaml, &[("k", "s3cr3t\n")]).unwrap();
        passed(&prober().run(&plan).await);
        assert_eq!(server.seen().last().unwrap().header(header), value);
    }
}

#[tokio::test]
async fn an_address_that_nobody_accepts_on_leaves_time_for_the_next() {
    let half_open = tcp::half_open().await;
    let port = half_open.address.port();
    let _server = serve_at_address(&format!("[::1]:{port}"), |_| reply(200, "")).await;
    let dns = hosts(&[("shop.test", "127.0.0.1"), ("shop.test", "::1")]).await;
    let plan =
        plan(&format!("{{checks: [{{name: c, timeout: 4s, http: {{url: 'http://shop.test:{port}/'}}}}]}}"));
    let report = prober_with_dns(dns.address).run(&plan).await;
    passed(&report);
    assert_eq!(report.checks[0].ip, Some("::1".parse().unwrap()));
}

#[tokio::test]
async fn a_request_that_could_have_a_body_says_that_it_has_none() {
    let server = serve(|_| reply(200, "")).await;
    for (method, length) in [("POST", "0"), ("PUT", "0"), ("PATCH", "0"), ("GET", ""), ("DELETE", "")] {
        let url = format!("http://{}/{method}", server.address);
        passed(&run(&format!("{{checks: [{{name: c, http: {{url: '{url}', method: {method}}}}}]}}")).await);
        assert_eq!(server.seen().last().unwrap().header("content-length"), length, "{method}");
    }
}

#[tokio::test]
async fn ids_that_differ_in_their_last_digit_are_others() {
    let server = serve(|_| reply(200, r#"{"id": 175928847299117063, "n": 1e3}"#)).await;
    for (expect, good) in [
        ("{path: $.id, equals: '175928847299117063'}", true),
        ("{path: $.id, equals: '175928847299117064'}", false),
        ("{path: $.id, notEquals: '175928847299117064'}", true),
        ("{path: $.n, equals: '1000'}", true),
        ("{path: $.n, equals: '1000.0'}", true),
    ] {
        let url = format!("http://{}/", server.address);
        let report =
            run(&format!("{{checks: [{{name: c, http: {{url: '{url}', expect: {{json: [{expect}]}}}}}}]}}"))
                .await;
        assert_eq!(report.passed(), good, "{expect} {report:?}");
    }
}

#[tokio::test]
async fn a_value_that_is_too_long_isn_t_extracted() {
    let server = serve(|_| reply(200, "a line or so\n".repeat(80_000))).await;
    let report = run(&format!(
        "{{checks: [{{name: c, http: {{url: 'http://{}/', extract: [{{name: all, regex: '(?s).*'}}]}}}}]}}",
        server.address
    ))
    .await;
    failed_with(
        &report,
        &["extract all: what was found has 1040000 bytes, and no more than 16384 are taken"],
    );
}
