//! Servers that answer with anything: each run ends with a verdict, and what is shown of it is text in one line.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use hickory_proto::op::Message;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rustls_pki_types::CertificateDer;
use tidewatch_prober::{Prober, ProberConfig, ResolverSource, RunReport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use crate::support::certificates::{DAY, self_signed};
use crate::support::dns::{address, answer, cname, from_zone, mx, srv, txt};
use crate::support::{config, plan, prober, tcp};

/// Cases of each property: each is a server and several runs.
const CASES: u32 = 64;

/// Bytes that are put in the place of others, and how much is left of all.
type Damage = (Vec<(Index, u8)>, Option<Index>);

fn damage() -> impl Strategy<Value = Damage> {
    (vec((any::<Index>(), any::<u8>()), 0..8), proptest::option::weighted(0.3, any::<Index>()))
}

/// `bytes`, damaged from `spared` on.
fn damaged(mut bytes: Vec<u8>, spared: usize, (changes, end): &Damage) -> Vec<u8> {
    let free = bytes.len() - spared;
    for (index, byte) in changes {
        bytes[spared + index.index(free)] = *byte;
    }
    if let Some(end) = end {
        bytes.truncate(spared + end.index(free));
    }
    bytes
}

fn in_time<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What may be shown to people and written into a status.
fn presentable(report: &RunReport) -> Result<(), TestCaseError> {
    let Some(failure) = &report.failure else { return Ok(()) };
    prop_assert!(!failure.message.is_empty(), "{report:?}");
    for text in
        [Some(&failure.message), failure.expected.as_ref(), failure.got.as_ref()].into_iter().flatten()
    {
        prop_assert!(!text.chars().any(char::is_control) && text.chars().count() <= 513, "{text:?}");
    }
    Ok(())
}

/// Whoever connects and says something gets `bytes`, then the end.
async fn says(bytes: Vec<u8>) -> SocketAddr {
    let bytes: Arc<[u8]> = bytes.into();
    tcp::serve(move |mut stream| {
        let bytes = Arc::clone(&bytes);
        async move {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            // A connection that is closed while something comes is reset, and what was said is lost.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    })
    .await
}

async fn probe(prober: &Prober, check: &str) -> Result<RunReport, TestCaseError> {
    let report = prober.run(&plan(&format!("{{checks: [{{name: c, timeout: 5s, {check}}}]}}"))).await;
    presentable(&report)?;
    Ok(report)
}

/// A check that looks at everything of an answer.
fn curious(address: SocketAddr) -> String {
    format!(
        "http: {{url: 'http://{address}/', extract: [{{name: id, jsonPath: '$..id'}}, {{name: kind, header: Content-Type}}, {{name: all, regex: '(?s)(.*)'}}], expect: {{status: [200, 302], bodyMatches: '(?s).*', bodyNotContains: down, json: [{{path: '$..*', notEquals: down}}, {{path: $.status, equals: up}}, {{path: '$.list[?@.a > 1].a', contains: '2'}}], headers: [{{name: Content-Type, matches: json}}]}}}}"
    )
}

const HTTP: [&str; 3] = [
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 62\r\n\r\n{\"status\": \"up\", \"id\": [7, \"\\u00e9\"], \"list\": [{\"a\": 1}, {\"a\": 2}]}",
    "HTTP/1.1 302 Found\r\nLocation: /next?a=b#c\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n10\r\n{\"status\": \"up\",\r\n9\r\n \"id\": 7}\r\n0\r\n\r\n",
];

/// A body in one of the codings, or in two.
fn encoded(which: usize) -> (&'static str, Vec<u8>) {
    let text = br#"{"status": "up", "id": [7, 8], "list": [{"a": 1}, {"a": 2}]}"#.repeat(3);
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    match which {
        0 => ("gzip", gzip(&text)),
        1 => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&text).unwrap();
            ("deflate", encoder.finish().unwrap())
        }
        2 => ("zstd", zstd(&text)),
        3 => ("gzip, zstd", zstd(&gzip(&text))),
        // "hello" of the brotli tools, and what damage makes of it.
        _ => ("br", b"\x0b\x02\x80hello\x03".to_vec()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_bytes_lead_to_a_verdict(bytes in vec(any::<u8>(), 0..256)) {
        in_time(async {
            let address = says(bytes).await;
            for check in [
                curious(address),
                format!("http: {{url: 'https://{address}/', tls: {{verify: false}}}}"),
                format!("tls: {{host: 127.0.0.1, port: {}, verify: false}}", address.port()),
                format!("dns: {{name: shop.test, server: 127.0.0.1, port: {}, protocol: TCP}}", address.port()),
                format!("tcp: {{host: 127.0.0.1, port: {}, send: x, expect: {{startsWith: '220', contains: ready, matches: 'a$'}}}}", address.port()),
                format!("tcp: {{host: 127.0.0.1, port: {}, send: '00', encoding: HEX, expect: {{contains: 'ff00', matches: '^(..)*$'}}}}", address.port()),
            ] {
                probe(&prober(), &check).await?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }

    #[test]
    fn a_damaged_answer_of_http_leads_to_a_verdict(which in 0..HTTP.len(), damage in damage()) {
        in_time(async {
            let address = says(damaged(HTTP[which].as_bytes().to_vec(), 0, &damage)).await;
            probe(&prober(), &curious(address)).await
        })?;
    }

    #[test]
    fn any_encoded_body_and_any_cookie_lead_to_a_verdict(
        which in 0_usize..5,
        damage in damage(),
        cookie in "[a-z_-]{0,8}=?[^\\x00-\\x1f\\x7f]{0,24}(; ?(Path|Domain|Max-Age|Expires|Secure)=?[^\\x00-\\x1f;]{0,12}){0,3}",
    ) {
        in_time(async {
            let (coding, body) = encoded(which);
            let body = damaged(body, 0, &damage);
            let head = format!(
                "HTTP/1.1 302 Found\r\nLocation: /next\r\nSet-Cookie: {cookie}\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let address = says([head.into_bytes(), body].concat()).await;
            probe(&prober(), &curious(address)).await
        })?;
    }

    #[test]
    fn a_damaged_answer_of_dns_leads_to_a_verdict(damage in damage()) {
        in_time(async {
            let zone = [
                ("shop.test", address("127.0.0.1")), ("shop.test", address("::1")), ("shop.test", cname("a.test")),
                ("shop.test", mx(10, "mail.test")), ("shop.test", srv(443, "srv.test")), ("shop.test", txt(&["v=1", "b"])),
            ];
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let port = server.local_addr().unwrap().port();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok((length, from)) = server.recv_from(&mut buffer).await {
                    let query = Message::from_vec(&buffer[..length]).unwrap();
                    let answers = from_zone(&query, &zone).unwrap_or_else(|| vec![answer(&query)]);
                    // Without its id it would be a stray packet.
                    let _ = server.send_to(&damaged(answers[0].to_vec().unwrap(), 2, &damage), from).await;
                }
            });
            for record in ["A", "AAAA", "CNAME", "MX", "SRV", "TXT"] {
                let check = format!("dns: {{name: shop.test, type: {record}, server: 127.0.0.1, port: {port}, expect: {{values: [x], minTtl: 1s, authoritative: true}}}}");
                // An answer to another question isn't one.
                let yaml = format!("{{checks: [{{name: c, timeout: 30ms, {check}}}]}}");
                presentable(&prober().run(&plan(&yaml)).await)?;
            }
            let dns = ResolverSource::Servers(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
            let prober = Prober::new(ProberConfig { resolver: dns, ..config() }).unwrap();
            let yaml = "{checks: [{name: c, timeout: 30ms, tcp: {host: shop.test, port: 9}}]}";
            presentable(&prober.run(&plan(yaml)).await)
        })?;
    }

    #[test]
    fn a_damaged_certificate_leads_to_a_verdict(damage in damage(), other in vec(any::<u8>(), 1..64)) {
        in_time(async {
            let mut identity = self_signed("shop.test");
            let damaged = damaged(identity.chain[0].to_vec(), 0, &damage);
            identity.chain = vec![damaged.into(), CertificateDer::from(other)];
            let server = tcp::tls(identity.acceptor(&[])).await;
            for verify in [true, false] {
                let check = format!(
                    "tls: {{host: 127.0.0.1, serverName: shop.test, port: {}, verify: {verify}, minValidity: {}h, subjectContains: CN=x}}",
                    server.port(), DAY / 3600,
                );
                probe(&prober(), &check).await?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}
