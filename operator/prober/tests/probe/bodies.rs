//! Bodies that browsers and curl read: encoded, in another charset, with a byte order mark, without an end of TLS.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderValue;
use tidewatch_prober::RunReport;

use crate::support::certificates::{DAY, authority};
use crate::support::dns::hosts;
use crate::support::http::{Server, reply, serve};
use crate::support::{failed_with, failure, passed, plan_with, prober_trusting, run, tcp};

/// A server that answers with `body` and these headers.
async fn server(headers: &'static [(&'static str, &'static str)], body: impl Into<Vec<u8>>) -> Server {
    let body = body.into();
    serve(move |_| {
        let mut reply = reply(200, body.clone());
        for (name, value) in headers {
            reply.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        reply
    })
    .await
}

async fn expecting(server: &Server, expect: &str) -> RunReport {
    run(&format!("{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {expect}}}}}]}}", server.address))
        .await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const TEXT: &str = r#"{"status": "an error occurred", "n": 1}"#;

#[tokio::test]
async fn an_encoded_body_is_judged_by_its_text() {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(TEXT.as_bytes()).unwrap();
    let zstd = zstd::encode_all(TEXT.as_bytes(), 3).unwrap();
    for server in [
        server(&[("content-encoding", "gzip")], gzip(TEXT.as_bytes())).await,
        server(&[("content-encoding", "deflate")], zlib.finish().unwrap()).await,
        server(&[("content-encoding", "zstd")], zstd.clone()).await,
        server(&[("content-encoding", "gzip"), ("content-encoding", "zstd")], {
            zstd::encode_all(&gzip(TEXT.as_bytes())[..], 3).unwrap()
        })
        .await,
        // As text in the coding of browsers: a metablock that isn't compressed, and an empty last one.
        server(&[("content-encoding", "br")], brotli(TEXT.as_bytes())).await,
    ] {
        let all = "{bodyContains: error, bodyMatches: 'an err.r', json: [{path: $.n, equals: '1'}], headers: [{name: content-encoding, exists: true}]}";
        let report = expecting(&server, all).await;
        passed(&report);
        assert_eq!(report.checks[0].body_bytes, Some(TEXT.len() as u64));
        failed_with(&expecting(&server, "{bodyNotContains: error}").await, &["the body contains \"error\""]);
        assert_eq!(server.seen()[0].header("accept-encoding"), "gzip, deflate, br, zstd");
    }
}

/// `bytes` without compression (RFC 7932, section 9.2).
fn brotli(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 65_536);
    // WBITS 16: 0; not the last: 0; four nibbles of length: 00; length less one; not compressed: 1.
    let header = (bytes.len() - 1) << 4 | 1 << 20;
    let mut out = header.to_le_bytes()[..3].to_vec();
    out.extend_from_slice(bytes);
    // The last, and empty.
    out.push(0x03);
    out
}

#[tokio::test]
async fn the_user_says_which_codings_are_asked_for() {
    let server = serve(|_| reply(200, "")).await;
    passed(
        &run(&format!(
            "{{checks: [{{name: c, http: {{url: 'http://{}/', headers: {{Accept-Encoding: identity}}}}}}]}}",
            server.address
        ))
        .await,
    );
    assert_eq!(server.only().header("accept-encoding"), "identity");
}

#[tokio::test]
async fn a_body_that_can_t_be_decoded_fails_what_is_said_of_it_alone() {
    let unknown = server(&[("content-encoding", "exi")], "x").await;
    passed(&expecting(&unknown, "{status: [200], headers: [{name: content-encoding, equals: exi}]}").await);
    for expect in ["{bodyNotContains: error}", "{bodyContains: x}", "{json: [{path: $.a, exists: false}]}"] {
        failed_with(&expecting(&unknown, expect).await, &["encoded as \"exi\", which isn't known"]);
    }
    let broken = server(&[("content-encoding", "gzip")], "no gzip").await;
    failed_with(
        &expecting(&broken, "{bodyNotContains: error}").await,
        &["says gzip, but the body isn't valid gzip"],
    );
}

#[tokio::test]
async fn a_body_that_grows_without_end_is_decoded_up_to_the_limit() {
    let bomb = server(&[("content-encoding", "gzip")], gzip(&vec![b'x'; 64 * 1024 * 1024])).await;
    let report = expecting(&bomb, "{bodyNotContains: error}").await;
    failed_with(&report, &["body longer than 1 MiB"]);
    assert_eq!(report.checks[0].body_bytes, Some(1024 * 1024));
    passed(&expecting(&bomb, "{bodyContains: xxx}").await);
}

#[tokio::test]
async fn the_answer_to_head_has_no_body_to_decode() {
    let server = server(&[("content-encoding", "gzip")], Vec::new()).await;
    let url = format!("http://{}/", server.address);
    passed(
        &run(&format!(
            "{{checks: [{{name: c, http: {{url: '{url}', method: HEAD, expect: {{bodyNotContains: x}}}}}}]}}"
        ))
        .await,
    );
}

#[tokio::test]
async fn what_must_not_be_in_a_text_is_looked_for_by_the_wrong_charset_too() {
    let body = "alles gut\nStörung im Lager".as_bytes().to_vec();
    let server = server(&[("content-type", "text/html; charset=iso-8859-1")], body).await;
    let report = run(&format!(
        "{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {{bodyNotContains: Störung}}}}}}]}}",
        server.address
    ))
    .await;
    failed_with(&report, &["the body contains \"Störung\", which it must not"]);
    assert_eq!(failure(&report).got.as_deref(), Some("Störung im Lager"));
}

#[tokio::test]
async fn of_a_part_of_a_body_no_encoding_is_asked_for() {
    let server = server(&[], b"x".to_vec()).await;
    for (headers, asked) in [
        ("Range: bytes=0-0", "identity"),
        ("Range: bytes=0-0, Accept-Encoding: gzip", "gzip"),
        ("X-A: b", "gzip, deflate, br, zstd"),
    ] {
        passed(
            &run(&format!(
                "{{checks: [{{name: c, http: {{url: 'http://{}/', headers: {{{headers}}}}}}}]}}",
                server.address
            ))
            .await,
        );
        assert_eq!(server.seen().pop().unwrap().header("accept-encoding"), asked, "{headers}");
    }
}

#[tokio::test]
async fn a_text_is_judged_by_its_charset() {
    for server in [
        server(&[("content-type", "text/plain; charset=iso-8859-1")], b"St\xf6rung".to_vec()).await,
        server(&[("content-type", "text/html")], b"<meta charset=latin1>St\xf6rung".to_vec()).await,
        server(&[], b"\xff\xfeS\0t\0\xf6\0r\0u\0n\0g\0".to_vec()).await,
        server(&[], b"St\xf6rung".to_vec()).await,
    ] {
        passed(&expecting(&server, "{bodyContains: Störung, bodyMatches: 'St.rung'}").await);
        let report = expecting(&server, "{bodyNotContains: Störung}").await;
        failed_with(&report, &["the body contains \"Störung\""]);
        assert!(failure(&report).got.as_ref().unwrap().contains("Störung"), "{report:?}");
    }
}

#[tokio::test]
async fn json_is_read_as_leniently_as_browsers_read_it() {
    let server = server(&[], "\u{feff}{\"big\": 1e400, \"n\": 3, \"status\": \"up\"}").await;
    passed(
        &expecting(
            &server,
            "{json: [{path: $.status, equals: up}, {path: $.big, equals: '1e400'}, {path: '$[?@ > 1000]', exists: true}, {path: $.n, notEquals: '1e400'}]}",
        )
        .await,
    );
    let url = format!("http://{}/", server.address);
    let extracting = format!(
        "{{checks: [{{name: a, http: {{url: '{url}', extract: [{{name: s, jsonPath: $.status}}]}}}}, {{name: b, http: {{url: '{url}${{s}}'}}}}]}}"
    );
    passed(&run(&extracting).await);
    assert_eq!(server.seen().last().unwrap().path, "/up");
}

#[tokio::test]
async fn a_body_that_isn_t_json_says_where_and_shows_nothing_of_a_parser() {
    for (body, part) in [
        ("", "the body is empty, which isn't JSON"),
        ("{\"a\": 1", "the body isn't JSON: it ends too early"),
        ("{\"a\": 1,\n oops}", "the body isn't JSON from line 2, column 2 on"),
    ] {
        let report = expecting(&server(&[], body).await, "{json: [{path: $.a, exists: true}]}").await;
        failed_with(&report, &[part]);
        assert!(failure(&report).message.ends_with(part), "{report:?}");
    }
}

#[tokio::test]
async fn numbers_are_compared_as_numbers_where_they_are_numbers() {
    let server = server(&[], r#"{"version": "1.10", "code": "007", "n": 7, "x": 1.10}"#).await;
    for (item, good) in [
        ("{path: $.version, equals: '1.10'}", true),
        ("{path: $.version, equals: '1.1'}", false),
        ("{path: $.version, notEquals: '1.1'}", true),
        ("{path: $.code, equals: '7'}", false),
        ("{path: $.n, equals: '7.0'}", true),
        ("{path: $.n, equals: '007'}", false),
        ("{path: $.x, equals: '1.1'}", true),
        // What isn't there isn't that either; who wants it there says so.
        ("{path: $.gone, notEquals: '7'}", true),
        ("{path: $.gone, notEquals: '7'}, {path: $.gone, exists: true}", false),
    ] {
        let report = expecting(&server, &format!("{{json: [{item}]}}")).await;
        assert_eq!(report.passed(), good, "{item}: {report:?}");
    }
}

#[tokio::test]
async fn a_header_in_iso_8859_1_is_compared_as_text() {
    let server = serve(|_| {
        let mut reply = reply(200, "");
        reply.headers_mut().insert("x-city", HeaderValue::from_bytes(b"Z\xfcrich").unwrap());
        reply
    })
    .await;
    passed(&expecting(&server, "{headers: [{name: X-City, equals: Zürich}]}").await);
    failed_with(&expecting(&server, "{headers: [{name: X-City, notContains: ü}]}").await, &["header x-city"]);
}

#[tokio::test]
async fn a_connection_that_ends_without_the_end_of_tls_ends_the_body() {
    let authority = authority();
    let dns = hosts(&[("shop.test", "127.0.0.1")]).await;
    let acceptor = authority.identity(&["shop.test"], DAY).acceptor(&[]);
    for (says, failure) in [
        ("HTTP/1.1 200 OK\r\n\r\nhello", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", None),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            Some("the connection broke within the body, after 5 bytes of 9"),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            Some("the connection broke within the body, after 5 bytes"),
        ),
        ("", Some("the server closed the connection without an answer")),
    ] {
        let address = tcp::answers_and_breaks_off(acceptor.clone(), says).await;
        let yaml = format!(
            "{{checks: [{{name: c, http: {{url: 'https://shop.test:{}/', expect: {{bodyContains: hello}}}}}}]}}",
            address.port()
        );
        let report =
            prober_trusting(&authority.certificate, dns.address).run(&plan_with(&yaml, &[]).unwrap()).await;
        match failure {
            None => passed(&report),
            Some(part) => failed_with(&report, &[part]),
        }
        assert!(!format!("{report:?}").contains("://docs"), "{report:?}");
    }
}

#[tokio::test]
async fn a_literal_dollar_and_brace_can_be_sent() {
    let server = serve(|_| reply(200, "")).await;
    passed(
        &run(&format!(
            "{{variables: {{a: '1'}}, checks: [{{name: c, http: {{url: 'http://{}/?q=$${{a}}', method: POST, body: 'x $${{a}} ${{a}}', headers: {{X-A: '$${{a}}'}}}}}}]}}",
            server.address
        ))
        .await,
    );
    let seen = server.only();
    assert_eq!((seen.body.as_str(), seen.header("x-a")), ("x ${a} 1", "${a}"));
    assert!(seen.path.contains("q=$"), "{}", seen.path);
}
