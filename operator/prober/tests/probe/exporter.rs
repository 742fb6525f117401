//! Side by side with the blackbox exporter of Prometheus: on what both can check, both come to the same verdict.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::support::certificates::{DAY, authority, self_signed};
use crate::support::dns::{address, from_zone, serve as serve_dns};
use crate::support::http::{reply, serve, serve_tls};
use crate::support::{plan_with, prober, tcp};

/// How long the exporter may take to start.
const START: Duration = Duration::from_secs(30);

struct Exporter {
    address: SocketAddr,
    _process: Child,
    _config: tempfile::TempDir,
}

impl Exporter {
    async fn start(modules: &str, authority: &str) -> Self {
        let config = tempfile::tempdir().unwrap();
        let ca = config.path().join("ca.pem");
        std::fs::write(&ca, authority).unwrap();
        let file = config.path().join("blackbox.yml");
        std::fs::write(&file, modules.replace("CA_FILE", ca.to_str().unwrap())).unwrap();
        // The port is free for a moment; whoever takes it in between makes the exporter end, and another is tried.
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let mut process = Command::new("prometheus-blackbox-exporter")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--web.listen-address={free}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap_or_else(|error| {
                    panic!("prometheus-blackbox-exporter can't be started ({error}): run `make deps`")
                });
            if tokio::time::timeout(START, ready(&mut process, free))
                .await
                .expect("the exporter doesn't start")
            {
                return Self { address: free, _process: process, _config: config };
            }
        }
        panic!("the exporter ended each time it was started");
    }

    async fn verdict(&self, module: &str, target: &str) -> bool {
        let page = get(self.address, &format!("/probe?module={module}&target={target}")).await.unwrap();
        match page.lines().find_map(|line| line.strip_prefix("probe_success ")) {
            Some("1") => true,
            Some("0") => false,
            other => panic!("{module}: {other:?} in\n{page}"),
        }
    }
}

/// Whether it listens; `false` when it ended.
async fn ready(process: &mut Child, address: SocketAddr) -> bool {
    loop {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if get(address, "/-/healthy").await.is_ok_and(|page| page.starts_with("HTTP/1.0 200")) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}

const MODULES: &str = r#"
modules:
  http: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}
  http_404: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, valid_status_codes: [404]}}
  http_stay: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, follow_redirects: false}}
  http_body: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: ['hel+o w']}}
  http_header: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_header_not_matches: [{header: X-Shop, regexp: '^open$'}]}}
  https: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: CA_FILE}}}
  tls: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4, tls: true, tls_config: {ca_file: CA_FILE, server_name: www.shop.test}}}
  tcp: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4}}
  tcp_banner: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: '^220 .*ESMTP'}]}}
  tcp_ask: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4, query_response: [{send: PING}, {expect: '^PING'}]}}
  dns: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: shop.test, query_type: A, validate_answer_rrs: {fail_if_not_matches_regexp: ['10\.0\.0\.1$']}}}
  dns_tcp: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, transport_protocol: tcp, query_name: shop.test, query_type: A, validate_answer_rrs: {fail_if_not_matches_regexp: ['10\.0\.0\.1$']}}}
  dns_other: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: shop.test, query_type: A, validate_answer_rrs: {fail_if_not_matches_regexp: ['10\.0\.0\.9$']}}}
  dns_nope: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: nope.test, query_type: A}}
"#;

/// The exporter's module and target, our check, and what both must say.
struct Case {
    module: &'static str,
    target: String,
    check: String,
    good: bool,
}

#[tokio::test]
async fn the_verdicts_are_those_of_the_blackbox_exporter() {
    let authority = authority();
    let closed = tcp::closed();
    let exporter = Exporter::start(MODULES, &authority.pem).await;
    let cases = [
        http_cases(closed.address).await,
        https_cases(&authority).await,
        tls_cases(&authority).await,
        tcp_cases(closed.address).await,
        dns_cases().await,
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    assert!(cases.len() >= 30, "{}", cases.len());
    let (exporter, authority, prober) = (&exporter, &authority, prober());
    let judged = cases.iter().map(async |Case { module, target, check, good }| {
        let yaml = format!("{{checks: [{{name: c, timeout: 5s, {check}}}]}}");
        let plan = plan_with(&yaml, &[("ca", &authority.pem)]).unwrap();
        let (theirs, ours) = tokio::join!(exporter.verdict(module, target), prober.run(&plan));
        ((theirs, ours.passed()) != (*good, *good))
            .then(|| format!("{module} {target}: theirs {theirs}, ours {:?}, expected {good}", ours.failure))
    });
    let wrong: Vec<String> = futures::future::join_all(judged).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn case(module: &'static str, target: impl ToString, check: String, good: bool) -> Case {
    Case { module, target: target.to_string(), check, good }
}

async fn http_cases(closed: SocketAddr) -> Vec<Case> {
    let server = serve(|seen| match seen.path.as_str() {
        "/created" => reply(201, ""),
        "/missing" => reply(404, ""),
        "/broken" => reply(500, "hello world"),
        "/moved" => crate::support::http::redirect(302, "/"),
        "/around" => crate::support::http::redirect(302, "/around"),
        _ => {
            let mut reply = reply(200, "hello world");
            reply.headers_mut().insert("x-shop", http::HeaderValue::from_static("open"));
            reply
        }
    })
    .await;
    let at = |path: &str| format!("http://{}{path}", server.address);
    let ours = |url: &str, more: &str| format!("http: {{url: '{url}'{more}}}");
    let mut cases: Vec<Case> = [
        ("http", "/", "", true),
        ("http", "/created", "", true),
        ("http", "/missing", "", false),
        ("http", "/broken", "", false),
        ("http", "/moved", "", true),
        ("http", "/around", "", false),
        ("http_stay", "/moved", ", followRedirects: false", false),
        ("http_404", "/missing", ", expect: {status: [404]}", true),
        ("http_404", "/", ", expect: {status: [404]}", false),
        ("http_body", "/", ", expect: {bodyMatches: 'hel+o w'}", true),
        ("http_body", "/created", ", expect: {bodyMatches: 'hel+o w'}", false),
        ("http_body", "/broken", ", expect: {bodyMatches: 'hel+o w'}", false),
        ("http_header", "/", ", expect: {headers: [{name: X-Shop, matches: '^open$'}]}", true),
        ("http_header", "/created", ", expect: {headers: [{name: X-Shop, matches: '^open$'}]}", false),
    ]
    .into_iter()
    .map(|(module, path, more, good)| case(module, at(path), ours(&at(path), more), good))
    .collect();
    for address in [
        closed,
        tcp::silent().await,
        tcp::answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await,
        tcp::answers("220 mail.test ESMTP\r\n\r\n").await,
        tcp::serve(|stream| async move { drop(stream) }).await,
    ] {
        let url = format!("http://{address}/");
        cases.push(case("http", &url, ours(&url, ""), false));
    }
    cases
}

async fn https_cases(authority: &crate::support::certificates::Authority) -> Vec<Case> {
    let mut cases = Vec::new();
    for (identity, good) in [
        (authority.identity(&["127.0.0.1"], DAY), true),
        (authority.identity(&["127.0.0.1"], -DAY), false),
        (authority.identity(&["127.0.0.2"], DAY), false),
        (self_signed("127.0.0.1"), false),
    ] {
        for protocols in [&["h2", "http/1.1"] as &[_], &["http/1.1"]] {
            let server = serve_tls(identity.acceptor(protocols), |_| reply(200, "")).await;
            let url = format!("https://{}/", server.address);
            let ours = format!("http: {{url: '{url}', tls: {{ca: {{name: login, key: ca}}}}}}");
            cases.push(case("https", &url, ours, good));
        }
    }
    cases
}

async fn tls_cases(authority: &crate::support::certificates::Authority) -> Vec<Case> {
    let mut cases = Vec::new();
    let ours = |address: SocketAddr| {
        format!(
            "tls: {{host: 127.0.0.1, port: {}, serverName: www.shop.test, ca: {{name: login, key: ca}}}}",
            address.port()
        )
    };
    for (identity, good) in [
        (authority.identity(&["www.shop.test"], DAY), true),
        (authority.identity(&["*.shop.test"], DAY), true),
        (authority.identity(&["www.shop.test"], -60), false),
        (authority.identity(&["other.test"], DAY), false),
        (self_signed("www.shop.test"), false),
    ] {
        let address = tcp::tls(identity.acceptor(&[])).await;
        cases.push(case("tls", address, ours(address), good));
    }
    let plain = tcp::says(b"220 mail.test ESMTP\r\n").await;
    cases.push(case("tls", plain, ours(plain), false));
    cases
}

async fn tcp_cases(closed: SocketAddr) -> Vec<Case> {
    let mail = tcp::says(b"220 mail.test ESMTP\r\n").await;
    let wrong = tcp::says(b"554 go away\r\n").await;
    let (echo, silent) = (tcp::echo().await, tcp::silent().await);
    let ours =
        |address: SocketAddr, more: &str| format!("tcp: {{host: 127.0.0.1, port: {}{more}}}", address.port());
    [
        ("tcp", silent, "", true),
        ("tcp", closed, "", false),
        ("tcp_banner", mail, ", expect: {matches: '^220 .*ESMTP'}", true),
        ("tcp_banner", wrong, ", expect: {matches: '^220 .*ESMTP'}", false),
        ("tcp_banner", silent, ", expect: {matches: '^220 .*ESMTP'}", false),
        // The exporter sends a line.
        ("tcp_ask", echo, ", send: \"PING\\n\", expect: {matches: '^PING'}", true),
        ("tcp_ask", silent, ", send: \"PING\\n\", expect: {matches: '^PING'}", false),
    ]
    .into_iter()
    .map(|(module, address, more, good)| case(module, address, ours(address, more), good))
    .collect()
}

async fn dns_cases() -> Vec<Case> {
    let server = serve_dns(|query, _| from_zone(query, &[("shop.test", address("10.0.0.1"))])).await.address;
    let silent = serve_dns(|_, _| None).await.address;
    let ours = |server: SocketAddr, more: &str| {
        format!("dns: {{server: 127.0.0.1, port: {}, {more}}}", server.port())
    };
    [
        ("dns", server, "name: shop.test, expect: {values: [10.0.0.1]}", true),
        ("dns_tcp", server, "name: shop.test, protocol: TCP, expect: {values: [10.0.0.1]}", true),
        ("dns_other", server, "name: shop.test, expect: {values: [10.0.0.9]}", false),
        ("dns_nope", server, "name: nope.test", false),
        ("dns", silent, "name: shop.test", false),
    ]
    .into_iter()
    .map(|(module, address, more, good)| case(module, address, ours(address, more), good))
    .collect()
}
