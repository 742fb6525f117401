//! Runs: their order, attempts, time and trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::http::{reply, serve};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::support::{failed_with, failure, passed, plan, prober, run, tcp};

#[tokio::test]
async fn the_first_failure_ends_the_run() {
    let server = serve(|seen| reply(if seen.path == "/bad" { 500 } else { 200 }, "")).await;
    let check = |name: &str| format!("{{name: {name}, http: {{url: 'http://{}/{name}'}}}}", server.address);
    let report = run(&format!("{{checks: [{}, {}, {}]}}", check("good"), check("bad"), check("never"))).await;
    assert_eq!(failure(&report).check, "bad");
    let made: Vec<_> = report.checks.iter().map(|check| (check.name.as_str(), check.passed)).collect();
    assert_eq!(made, [("good", true), ("bad", false)]);
    assert_eq!(server.seen().len(), 2);
    assert_eq!(report.attempts, 1);
}

#[tokio::test]
async fn a_failed_run_is_tried_again_as_often_as_it_may() {
    for (failures, attempts, good) in [(0, 1, true), (1, 2, true), (2, 3, true), (3, 3, false)] {
        let made = Arc::new(AtomicUsize::new(0));
        let server = serve({
            let made = Arc::clone(&made);
            move |_| reply(if made.fetch_add(1, Ordering::SeqCst) < failures { 503 } else { 200 }, "")
        })
        .await;
        let report = run(&format!(
            "{{retries: 2, checks: [{{name: c, http: {{url: 'http://{}/'}}}}]}}",
            server.address
        ))
        .await;
        assert_eq!((report.attempts, report.passed()), (attempts, good), "{failures}");
        assert_eq!(report.checks.len(), 1);
    }
}

#[tokio::test]
async fn a_run_that_is_out_of_time_fails_and_isn_t_tried_again() {
    let silent = tcp::silent().await;
    let report = run(&format!(
        "{{timeout: 1s, retries: 2, checks: [{{name: c, http: {{url: 'http://{silent}/'}}}}]}}"
    ))
    .await;
    failed_with(&report, &["no answer within ", "(the whole run may take 1s)"]);
    assert_eq!(report.attempts, 1);
}

#[tokio::test]
async fn what_takes_too_long_fails_though_it_is_right() {
    let server = serve(|_| reply(200, vec![b'x'; 1_000_000])).await;
    let report = run(&format!(
        "{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {{maxDuration: 0ms}}}}}}]}}",
        server.address
    ))
    .await;
    failed_with(&report, &["took ", "expected at most"]);
    assert!(failure(&report).got.is_some());
}

#[tokio::test]
async fn all_requests_of_a_run_carry_one_trace() {
    let server = serve(|_| reply(200, "")).await;
    let check = |name: &str| format!("{{name: {name}, http: {{url: 'http://{}/'}}}}", server.address);
    let yaml = format!("{{tracing: Active, checks: [{}, {}]}}", check("a"), check("b"));
    let report = run(&yaml).await;
    passed(&report);
    let trace = report.trace_id.unwrap();
    let seconds = i64::from_str_radix(&trace[..8], 16).unwrap();
    assert_eq!(seconds, report.at.as_second());
    let mut spans = Vec::new();
    for seen in server.seen() {
        let parent: Vec<&str> = seen.header("traceparent").split('-').collect();
        assert_eq!((parent[0], parent[1], parent[3]), ("00", trace.as_str(), "01"));
        assert_eq!(
            seen.header("x-amzn-trace-id"),
            format!("Root=1-{}-{};Parent={};Sampled=1", &trace[..8], &trace[8..], parent[2])
        );
        spans.push(parent[2].to_owned());
    }
    assert_eq!(spans.len(), 2);
    assert_ne!(spans[0], spans[1]);
    assert_ne!(run(&yaml).await.trace_id.unwrap(), trace);
}

#[tokio::test]
async fn a_run_that_is_dropped_closes_its_connection() {
    let (events, mut happened) = mpsc::unbounded_channel();
    let server = tcp::serve(move |mut stream| {
        let events = events.clone();
        async move {
            let mut buffer = [0; 4096];
            while let Ok(length) = stream.read(&mut buffer).await {
                let _ = events.send(length);
                if length == 0 {
                    return;
                }
            }
        }
    })
    .await;
    let plan = plan(&format!("{{checks: [{{name: c, timeout: 5m, http: {{url: 'http://{server}/'}}}}]}}"));
    let running = tokio::spawn(async move { prober().run(&plan).await });
    assert!(happened.recv().await.unwrap() > 0, "the request");
    running.abort();
    assert_eq!(happened.recv().await, Some(0), "the end");
}
