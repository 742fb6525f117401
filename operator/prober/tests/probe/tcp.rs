//! TCP checks.

use std::net::SocketAddr;

use tidewatch_prober::RunReport;

use crate::support::{failed_with, failure, passed, run, tcp};

async fn probe(address: SocketAddr, more: &str) -> RunReport {
    run(&format!("{{checks: [{{name: c, tcp: {{host: 127.0.0.1, port: {}{more}}}}}]}}", address.port())).await
}

/// For servers that won't say what is expected.
async fn probe_briefly(address: SocketAddr, more: &str) -> RunReport {
    let port = address.port();
    run(&format!("{{checks: [{{name: c, timeout: 1s, tcp: {{host: 127.0.0.1, port: {port}{more}}}}}]}}"))
        .await
}

#[tokio::test]
async fn a_connection_is_enough_where_nothing_is_expected() {
    let report = probe(tcp::silent().await, "").await;
    passed(&report);
    assert!(report.checks[0].phases.connect.is_some());
    let bound = tcp::closed();
    let closed = bound.address;
    failed_with(&probe(closed, "").await, &[&format!("connection refused ({closed})")]);
}

#[tokio::test]
async fn an_answer_is_read_until_it_is_as_expected() {
    let mail = tcp::says(b"220 mail.test ESMTP ready\r\n").await;
    for expect in [
        "{startsWith: '220 '}",
        "{contains: ESMTP}",
        "{matches: '^220 .* ready'}",
        "{startsWith: '220', contains: ready, matches: E.M}",
    ] {
        let report = probe(mail, &format!(", expect: {expect}")).await;
        passed(&report);
        assert!(report.checks[0].phases.first_byte.is_some());
    }
    let report = probe(mail, ", expect: {startsWith: '554 '}").await;
    failed_with(&report, &["isn't as expected", "begins with 554 "]);
    assert_eq!(failure(&report).got.as_deref(), Some("220 mail.test ESMTP ready\\r\\n"));
    failed_with(
        &probe_briefly(mail, ", expect: {contains: POP3}").await,
        &["isn't as expected within 1s", "contains POP3"],
    );
}

#[tokio::test]
async fn what_is_sent_comes_back_in_text_and_hexadecimal() {
    let echo = tcp::echo().await;
    passed(&probe(echo, ", send: 'PING', expect: {matches: '^PING$'}").await);
    passed(&probe(echo, ", encoding: HEX, send: '00ff 0D0a', expect: {startsWith: '00FF', contains: '0d0a', matches: '^00ff'}").await);
    let report = probe_briefly(echo, ", encoding: HEX, send: '00ff', expect: {contains: 'aa'}").await;
    assert_eq!(failure(&report).got.as_deref(), Some("00ff"));
}

#[tokio::test]
async fn a_server_that_says_nothing_or_hangs_up_says_so() {
    failed_with(
        &probe_briefly(tcp::silent().await, ", expect: {contains: a}").await,
        &["the server said nothing within 1s"],
    );
    let closing = tcp::serve(|stream| async move { drop(stream) }).await;
    failed_with(
        &probe(closing, ", expect: {contains: a}").await,
        &["the server said nothing, and closed the connection"],
    );
}

#[tokio::test]
async fn a_connection_that_nobody_accepts_times_out() {
    let half_open = tcp::half_open().await;
    failed_with(&probe_briefly(half_open.address, "").await, &["connect timed out after 1s"]);
}
