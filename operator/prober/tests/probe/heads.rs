//! The heads of answers: many headers, long ones, folded ones; the same over HTTP/1.1 and HTTP/2.

use http::{HeaderName, HeaderValue};
use tidewatch_prober::RunReport;

use crate::support::certificates::{DAY, authority};
use crate::support::dns::hosts;
use crate::support::http::{reply, serve_tls};
use crate::support::{failed_with, passed, plan_with, prober_trusting, run, tcp};

/// The reports of a check that wants X-Last, of a server with `fields` headers of `length` bytes, over each version.
async fn both(fields: usize, length: usize) -> Vec<RunReport> {
    let authority = authority();
    let dns = hosts(&[("shop.test", "127.0.0.1")]).await;
    let identity = authority.identity(&["shop.test"], DAY);
    let mut reports = Vec::new();
    for protocol in ["http/1.1", "h2"] {
        let server = serve_tls(identity.acceptor(&[protocol]), move |_| {
            let mut reply = reply(200, "");
            let value = HeaderValue::from_str(&"x".repeat(length)).unwrap();
            for n in 0..fields {
                let name = HeaderName::from_bytes(format!("x-{n}").as_bytes()).unwrap();
                reply.headers_mut().append(name, value.clone());
            }
            reply.headers_mut().append("x-last", HeaderValue::from_static("yes"));
            reply
        })
        .await;
        let yaml = format!(
            "{{checks: [{{name: c, http: {{url: 'https://shop.test:{}/', expect: {{headers: [{{name: X-Last, equals: 'yes'}}]}}}}}}]}}",
            server.address.port()
        );
        let prober = prober_trusting(&authority.certificate, dns.address);
        reports.push(prober.run(&plan_with(&yaml, &[]).unwrap()).await);
    }
    reports
}

#[tokio::test]
async fn many_headers_and_long_ones_are_taken() {
    for (fields, length) in [(120, 10), (1, 30 * 1024), (3, 64 * 1024), (1500, 10)] {
        for report in both(fields, length).await {
            passed(&report);
        }
    }
}

#[tokio::test]
async fn longer_headers_than_any_browser_takes_fail_with_the_same_words() {
    for (fields, length) in [(1, 400 * 1024), (2500, 10)] {
        for report in both(fields, length).await {
            failed_with(
                &report,
                &["the headers of the answer are longer than 384 KiB, or are more than 2000"],
            );
        }
    }
}

#[tokio::test]
async fn a_folded_line_and_a_space_before_the_colon_are_taken() {
    let address = tcp::answers(
        "HTTP/1.1 200 OK\r\nX-Long: one\r\n  two\r\n\tthree\r\nX-Space : here\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let report = run(&format!(
        "{{checks: [{{name: c, http: {{url: 'http://{address}/', expect: {{headers: [{{name: X-Long, matches: '^one +two +three$'}}, {{name: X-Space, equals: here}}]}}}}}}]}}"
    ))
    .await;
    passed(&report);
}

#[tokio::test]
async fn what_isn_t_http_is_shown_in_plain_words() {
    for (says, part) in [
        ("220 mail.test ESMTP\r\n\r\n", "the answer isn't HTTP: it begins with \"220 mail.test ESMTP"),
        (
            "HTTP/1.1 200 OK\r\nbroken header\r\n\r\n",
            "the answer breaks the rules of HTTP; it begins with \"HTTP/1.1 200 OK",
        ),
    ] {
        let address = tcp::answers(says).await;
        let report = run(&format!("{{checks: [{{name: c, http: {{url: 'http://{address}/'}}}}]}}")).await;
        failed_with(&report, &[part]);
    }
}
