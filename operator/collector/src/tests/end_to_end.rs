//! Requests of agents, well-formed or not, from the wire to the evaluated window.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use prost::Message;
use tidewatch_cluster::{Deletion, Fact, PodFact};
use tidewatch_records::{EndpointKind, FlowWindow, Lifecycle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

use super::super::reject::Reject;
use super::super::*;
use super::bed::{
    LIMIT, accounting, at, export, flow, framed, gzip_zeros, pod, request, start, start_with, sync, token,
};

#[tokio::test]
async fn what_an_agent_reports_comes_out_as_an_evaluated_window_with_names_and_coverage() {
    let running = start().await;
    let mut evaluations = running.evaluations().await;
    running.clock.set(at(1));
    let mut channel = running.channel().await;
    for second in [0, 5] {
        let sent = request(&[flow("node-a", second, 8080)], &[accounting("node-a", second)]);
        running.clock.set(at(second + 5));
        let answer = export(channel.clone(), sent, &token("node-a")).await.unwrap();
        assert_eq!(answer, (0, String::new()));
        channel = channel.clone();
    }
    tokio::time::timeout(LIMIT, evaluations.wait_for(Option::is_some))
        .await
        .expect("no window closed")
        .unwrap();
    let evaluation = evaluations.borrow().clone().unwrap();
    let window = &evaluation.window;
    assert_eq!((window.start, window.seconds, window.flows.len()), (at(0), 10, 2));
    assert_eq!(window.connections(), (14, 14));
    assert_eq!(window.expected.iter().map(|n| &**n).collect::<Vec<_>>(), ["node-a"]);
    let flow = &window.flows[0];
    assert_eq!(flow.local.pod.as_deref(), Some("shop/checkout"));
    assert_eq!(flow.remote.pod.as_deref(), Some("shop/payments"));
    assert_eq!(flow.remote.kind, Some(EndpointKind::Pod));
    assert_eq!(flow.category, Some(tidewatch_records::Category::InterAz));
    running.stop().await;
}

#[tokio::test]
async fn a_pod_that_the_watch_tells_of_late_is_named_all_the_same() {
    let running = start().await;
    let mut evaluations = running.evaluations().await;
    let mut early = flow("node-a", 0, 8080);
    early.remote.ip = "10.9.9.9".parse().unwrap();
    running.export(request(&[early], &[]), &token("node-a")).await.unwrap();
    running.cluster.update(|index| index.apply(pod(9, "shop", "late", "node-b", "10.9.9.9", false), at(3)));
    running.clock.set(at(24));
    tokio::time::timeout(LIMIT, evaluations.wait_for(Option::is_some))
        .await
        .expect("no window closed")
        .unwrap();
    let evaluation = evaluations.borrow().clone().unwrap();
    assert_eq!(evaluation.window.flows[0].remote.pod.as_deref(), Some("shop/late"));
    running.stop().await;
}

#[tokio::test]
async fn what_failed_is_marked_when_the_watch_tells_late_of_an_end() {
    let running = start().await;
    let mut evaluations = running.evaluations().await;
    let mut refused = flow("node-a", 0, 8080);
    refused.connections.refused = 3;
    let mut untroubled = flow("node-a", 0, 8081);
    untroubled.retransmissions = 0;
    running.export(request(&[refused, untroubled], &[]), &token("node-a")).await.unwrap();
    let Fact::Pod(payments) = pod(2, "shop", "payments", "node-b", "198.18.2.20", false) else {
        unreachable!("it makes a pod");
    };
    let deletion = Some(Deletion { requested: at(2), due: at(32) });
    let going = Fact::Pod(PodFact { deletion, ..payments });
    running.cluster.update(|index| index.apply(going, at(12)));
    running.clock.set(at(24));
    tokio::time::timeout(LIMIT, evaluations.wait_for(Option::is_some))
        .await
        .expect("no window closed")
        .unwrap();
    let evaluation = evaluations.borrow().clone().unwrap();
    let stage = |port: u16| {
        let is = |flow: &&FlowWindow| flow.remote.port == Some(port);
        evaluation.window.flows.iter().find(is).and_then(|flow| flow.remote.lifecycle)
    };
    assert_eq!(stage(8080), Some(Lifecycle::Terminating));
    assert_eq!(stage(8081), None, "what didn't fail is as it was when it came");
    running.stop().await;
}

#[tokio::test]
async fn a_forged_token_is_refused_and_counted() {
    let running = start().await;
    let good = request(&[flow("node-a", 0, 80)], &[]);
    for forged in [token("mallory"), "garbage".to_owned(), "a.b.c".to_owned()] {
        let status = running.export(good.clone(), &forged).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{forged}: {status}");
    }
    assert_eq!(running.metrics.requests_so_far("unauthenticated"), 3);
    assert_eq!(running.metrics.received_so_far(), 0);
    assert_eq!(running.export(good, &token("node-a")).await.unwrap().0, 0);
    running.stop().await;
}

#[tokio::test]
async fn records_about_another_node_are_rejected_and_the_rest_kept() {
    let running = start().await;
    let sent = request(&[flow("node-a", 0, 80), flow("node-b", 0, 80)], &[accounting("node-b", 0)]);
    let (rejected, message) = running.export(sent, &token("node-a")).await.unwrap();
    assert_eq!((rejected, message.as_str()), (2, "2 wrong_node"));
    assert_eq!(running.metrics.rejected_so_far(Reject::WrongNode), 2);
    assert_eq!(running.metrics.received_so_far(), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_answer_says_how_many_records_were_rejected_and_why() {
    let running = start().await;
    let mut sent = request(
        &[flow("node-a", 0, 80), flow("node-a", 0, 80), flow("node-a", 100, 80), flow("node-a", -2000, 80)],
        &[],
    );
    sent.resource_logs[0].scope_logs[0].log_records.push(Default::default());
    let (rejected, message) = running.export(sent, &token("node-a")).await.unwrap();
    assert_eq!(rejected, 4);
    assert!(
        message.starts_with("1 malformed, 1 past, 1 future, 1 duplicate (such as: unknown event_name"),
        "{message}"
    );
    running.stop().await;
}

#[tokio::test]
async fn an_api_server_that_is_away_means_try_again() {
    let running = start().await;
    running.api.away.store(true, Ordering::Relaxed);
    let good = request(&[flow("node-a", 0, 80)], &[]);
    assert_eq!(running.export(good.clone(), &token("node-a")).await.unwrap_err().code(), Code::Unavailable);
    running.api.away.store(false, Ordering::Relaxed);
    assert!(running.export(good, &token("node-a")).await.is_ok());
    running.stop().await;
}

#[tokio::test]
async fn before_the_cluster_is_known_agents_are_told_to_try_again() {
    let running = start_with(Limits::default()).await;
    let good = request(&[flow("node-a", 0, 80)], &[]);
    assert_eq!(running.export(good.clone(), &token("node-a")).await.unwrap_err().code(), Code::Unavailable);
    sync(&running.cluster);
    assert!(running.export(good, &token("node-a")).await.is_ok());
    running.stop().await;
}

#[tokio::test]
async fn oversized_truncated_and_garbage_bodies_are_refused_and_counted_and_the_collector_goes_on() {
    let running = start().await;
    let good = request(&[flow("node-a", 0, 80)], &[]).encode_to_vec();
    let huge = vec![0_u8; (8 << 20) + 1];
    let mut cut = framed(&good, false);
    cut.truncate(cut.len() - 3);
    let cut_inside = framed(&good[..good.len() - 3], false);
    let bomb = {
        // 100 MB of zeros in about 100 kB.
        let mut encoder = Vec::new();
        gzip_zeros(&mut encoder, 100 << 20);
        framed(&encoder, true)
    };
    type Case = (&'static str, Vec<u8>, Vec<(&'static str, &'static str)>);
    let cases: Vec<Case> = vec![
        ("oversized", framed(&huge, false), vec![]),
        ("decompressing to more than the limit", bomb, vec![("grpc-encoding", "gzip")]),
        ("cut short", cut, vec![]),
        ("cut inside the message", cut_inside, vec![]),
        ("no protobuf", framed(&[0xff; 100], false), vec![]),
        ("no gzip", framed(&good, true), vec![("grpc-encoding", "gzip")]),
        ("compressed in secret", framed(&good, true), vec![]),
        ("no frame", vec![7; 40], vec![]),
        ("empty", vec![], vec![]),
        ("a length that lies", vec![0, 0xff, 0xff, 0xff, 0xff, 1, 2], vec![]),
        ("an encoding nobody knows", framed(&good, true), vec![("grpc-encoding", "snappy")]),
    ];
    let count = cases.len() as u64;
    for (what, body, headers) in cases {
        assert_ne!(running.raw(body, &headers).await, Code::Ok, "{what}");
    }
    let refused: u64 = ["too_large", "undecodable", "unknown_method", "timeout", "other"]
        .iter()
        .map(|outcome| running.metrics.requests_so_far(outcome))
        .sum();
    assert_eq!(refused, count);
    assert!(running.metrics.requests_so_far("too_large") >= 1);
    assert_eq!(running.raw(framed(&good, false), &[]).await, Code::Ok);
    assert_eq!(running.metrics.received_so_far(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_served_without_dropping_the_listener_or_a_connection() {
    let running = start().await;
    let old = running.channel().await;
    let good = |second| request(&[flow("node-a", second, 80)], &[]);
    export(old.clone(), good(0), &token("node-a")).await.unwrap();
    let new_ca = tls::ephemeral(&running.certificate, "tidewatch-system", Timestamp::now()).unwrap();
    export(old, good(-5), &token("node-a")).await.expect("the open connection goes on");
    assert!(running.channel_trusting(&running.ca).await.is_err(), "the old authority signs no more");
    let both = format!("{}{new_ca}", running.ca);
    for trusted in [&new_ca, &both] {
        running.channel_trusting(trusted).await.expect("agents that know the new authority connect");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_tls_is_turned_away_and_the_listener_goes_on() {
    let running = start().await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 0x03, 0x01, 0xff, 0xff][..], &[0; 64][..]] {
        let mut tcp = tokio::net::TcpStream::connect(running.collector.address()).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        tcp.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(LIMIT, tcp.read_to_end(&mut answer)).await.expect("not turned away");
    }
    assert!(running.export(request(&[flow("node-a", 0, 80)], &[]), &token("node-a")).await.is_ok());
    running.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_room_comes_back() {
    let running = start_with(Limits { connections: 2, ..Limits::default() }).await;
    let (first, second) = (running.channel().await, running.channel().await);
    assert!(running.channel_trusting(&running.ca).await.is_err(), "a third");
    drop((first, second));
    let came_back = async {
        while running.channel_trusting(&running.ca).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, came_back).await.expect("the room of closed connections did not come back");
    running.stop().await;
}
