//! The whole collector on loopback, over real TLS, against a real OTLP client; only the API server is played.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use data_encoding::BASE64URL_NOPAD;
use futures::future::BoxFuture;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use prost::Message;
use tidewatch_health::Sensitivity;
use tidewatch_records::{Accounting, Connections, Endpoint, EndpointKind, FlowWindow, Role, otlp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::codec::CompressionEncoding;
use tonic::codegen::http;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Request, Status};
use tower::{Service, ServiceExt};

use super::clock::ManualClock;
use super::reject::Reject;
use super::*;
use crate::cluster::{Fact, Kind, NodeFact, PodFact, PodPhase, Uid};
use crate::evaluation::Evaluations;

const NAME: &str = "tidewatch-collector.tidewatch-system.svc";
const LIMIT: Duration = Duration::from_secs(20);
const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// Knows the tokens whose signature is the name of a node.
struct FakeApi {
    away: AtomicBool,
}

impl auth::Reviewer for Arc<FakeApi> {
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<auth::Review, auth::ReviewError>> {
        Box::pin(async move {
            if self.away.load(Ordering::Relaxed) {
                return Err(auth::ReviewError("connection refused".to_owned()));
            }
            let signature = token.rsplit('.').next().unwrap();
            let node =
                BASE64URL_NOPAD.decode(signature.as_bytes()).ok().and_then(|b| String::from_utf8(b).ok());
            let Some(node) = node.filter(|node| node.starts_with("node-")) else {
                return Ok(auth::Review {
                    error: Some("invalid signature".to_owned()),
                    ..Default::default()
                });
            };
            Ok(auth::Review {
                authenticated: true,
                username: "system:serviceaccount:tidewatch-system:tidewatch-agent".to_owned(),
                audiences: vec![auth::AUDIENCE.to_owned()],
                extra: BTreeMap::from([("authentication.kubernetes.io/node-name".to_owned(), vec![node])]),
                error: None,
            })
        })
    }
}

fn token(signature: &str) -> String {
    let payload = format!(r#"{{"exp":{},"aud":["{}"]}}"#, at(86_400).as_second(), auth::AUDIENCE);
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    format!("{}.{}.{}", encode("{}"), encode(&payload), encode(signature))
}

struct Running {
    collector: Collector,
    ca: String,
    certificate: Arc<tls::CurrentCertificate>,
    clock: Arc<ManualClock>,
    api: Arc<FakeApi>,
    registry: Registry,
    cluster: Cluster,
    metrics: Metrics,
    cancel: CancellationToken,
}

fn pod(n: u8, namespace: &str, name: &str, node: &str, ip: &str, agent: bool) -> Fact {
    Fact::Pod(PodFact {
        uid: Uid::parse(&format!("00000000-0000-0000-0000-0000000000{n:02x}")).unwrap(),
        static_uid: None,
        key: format!("{namespace}/{name}").into(),
        node: Some(node.into()),
        workload: format!("{namespace}/Deployment/{name}").into(),
        labels: Arc::default(),
        ips: vec![ip.parse().unwrap()],
        host_network: agent,
        phase: PodPhase::Running,
        ready: true,
        agent,
        started: Some(at(-100)),
    })
}

fn fill(cluster: &Cluster) {
    cluster.update(|index| {
        for (name, zone, ip) in [("node-a", "zone-1", "198.18.201.1"), ("node-b", "zone-2", "198.18.202.1")] {
            let node = NodeFact {
                name: name.into(),
                zone: Some(zone.into()),
                region: None,
                labels: Arc::default(),
                ips: vec![ip.parse().unwrap()],
                pod_cidrs: Vec::new(),
                unschedulable: false,
            };
            index.apply(Fact::Node(node), at(0));
        }
        index.apply(pod(1, "shop", "checkout", "node-a", "198.18.1.10", false), at(0));
        index.apply(pod(2, "shop", "payments", "node-b", "198.18.2.20", false), at(0));
        index.apply(pod(3, "tidewatch-system", "agent-a", "node-a", "198.18.201.1", true), at(0));
        true
    });
}

fn sync(cluster: &Cluster) {
    cluster.update(|index| {
        Kind::ALL.into_iter().for_each(|kind| index.end_list(kind, at(0)));
        true
    });
}

async fn start_with(limits: Limits) -> Running {
    let cluster = Cluster::default();
    fill(&cluster);
    let certificate = Arc::new(tls::CurrentCertificate::default());
    // TLS has the real clock: the client checks validity by it.
    let ca = tls::ephemeral(&certificate, "tidewatch-system", Timestamp::now()).unwrap();
    let clock = Arc::new(ManualClock::at(at(0)));
    let api = Arc::new(FakeApi { away: AtomicBool::new(false) });
    let registry = Registry::default();
    let metrics = Metrics::default();
    let cancel = CancellationToken::new();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        namespace: "tidewatch-system".to_owned(),
        agent_service_account: "tidewatch-agent".to_owned(),
        agent_window: Duration::from_secs(5),
        remotes: Remotes::default(),
        limits,
        metrics: metrics.clone(),
    };
    let collector = Collector::listen(
        config,
        certificate.clone(),
        Box::new(api.clone()),
        clock.clone(),
        cluster.clone(),
        registry.clone(),
        &cancel,
    )
    .await
    .unwrap();
    Running { collector, ca, certificate, clock, api, registry, cluster, metrics, cancel }
}

async fn start() -> Running {
    let running = start_with(Limits::default()).await;
    sync(&running.cluster);
    running
}

impl Running {
    async fn channel_trusting(&self, ca: &str) -> Result<Channel, tonic::transport::Error> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name(NAME);
        let endpoint = Channel::from_shared(format!("https://{}", self.collector.address())).unwrap();
        endpoint.tls_config(tls)?.connect_timeout(LIMIT).timeout(LIMIT).connect().await
    }

    async fn channel(&self) -> Channel {
        self.channel_trusting(&self.ca).await.unwrap()
    }

    async fn export(&self, request: ExportLogsServiceRequest, token: &str) -> Result<(i64, String), Status> {
        export(self.channel().await, request, token).await
    }

    /// Sends `body` as it is, and returns the status.
    async fn raw(&self, body: Vec<u8>, headers: &[(&str, &str)]) -> Code {
        let mut channel = self.channel().await;
        let mut request = http::Request::post(format!("https://{NAME}{PATH}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", token("node-a")));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(tonic::body::Body::new(axum::body::Body::from(body))).unwrap();
        let response =
            tokio::time::timeout(LIMIT, channel.ready().await.unwrap().call(request)).await.unwrap().unwrap();
        let status = response.headers().get("grpc-status").map(|v| Code::from_bytes(v.as_bytes()));
        status.unwrap_or(Code::Ok)
    }

    /// Evaluations of windows of 10 s, from the one that is going on.
    async fn evaluations(&self) -> Evaluations {
        let evaluations = self.registry.want(10, Sensitivity::Standard);
        let known = async {
            while self.registry.engines() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, known).await.expect("the driver didn't look within 20 s");
        evaluations
    }

    async fn stop(self) {
        self.cancel.cancel();
        tokio::time::timeout(LIMIT, self.collector.ended())
            .await
            .expect("the collector didn't end within 20 s");
    }
}

async fn export(
    channel: Channel,
    request: ExportLogsServiceRequest,
    token: &str,
) -> Result<(i64, String), Status> {
    let mut request = Request::new(request);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let mut client = LogsServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
    let response = client.export(request).await?.into_inner();
    let partial = response.partial_success.unwrap_or_default();
    Ok((partial.rejected_log_records, partial.error_message))
}

fn flow(node: &str, second: i64, port: u16) -> FlowWindow {
    FlowWindow {
        window_start: at(second),
        window_seconds: 5,
        reporter: node.into(),
        role: Role::Client,
        local: Endpoint::of("198.18.1.10".parse().unwrap()),
        remote: Endpoint { port: Some(port), ..Endpoint::of("198.18.2.20".parse().unwrap()) },
        category: None,
        connections: Connections { open: 1, ..Default::default() },
        data_segments_out: 10,
        retransmissions: 1,
        timeouts: 0,
        bytes_out: 1000,
        bytes_in: 2000,
        rtt_us: None,
        handshake_us: None,
    }
}

fn accounting(node: &str, second: i64) -> Accounting {
    Accounting {
        window_start: at(second),
        window_seconds: 5,
        reporter: node.into(),
        seen: 7,
        reported: 7,
        sampled_out: 0,
        buffer_full: 0,
        dropped: 0,
        invalid: 0,
    }
}

fn request(flows: &[FlowWindow], accountings: &[Accounting]) -> ExportLogsServiceRequest {
    let records =
        flows.iter().map(otlp::encode_flow).chain(accountings.iter().map(otlp::encode_accounting)).collect();
    otlp::export_request("node-a", "test", records)
}

fn framed(body: &[u8], compressed: bool) -> Vec<u8> {
    let mut frame = vec![u8::from(compressed)];
    frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}

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
    running.clock.set(at(18));
    tokio::time::timeout(LIMIT, evaluations.wait_for(Option::is_some))
        .await
        .expect("no window closed")
        .unwrap();
    let evaluation = evaluations.borrow().clone().unwrap();
    assert_eq!(evaluation.window.flows[0].remote.pod.as_deref(), Some("shop/late"));
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

fn gzip_zeros(to: &mut Vec<u8>, bytes: usize) {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::fast());
    let chunk = vec![0_u8; 1 << 20];
    for _ in 0..bytes / chunk.len() {
        encoder.write_all(&chunk).unwrap();
    }
    encoder.finish().unwrap();
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

mod arbitrary {
    use proptest::prelude::*;

    use super::super::ingest::Ingest;
    use super::*;

    fn ingest() -> Ingest {
        let cluster = Cluster::default();
        fill(&cluster);
        Ingest {
            cluster,
            remotes: Arc::default(),
            windows: Arc::new(Mutex::new(Windows::new(Duration::from_secs(5), Limits::default()))),
            metrics: Metrics::default(),
        }
    }

    fn take(bytes: &[u8]) {
        if let Ok(request) = ExportLogsServiceRequest::decode(bytes) {
            let records: usize =
                request.resource_logs.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len()).sum();
            let outcome = ingest().take(&request, &"node-a".into(), at(0));
            let rejected: u64 = outcome.rejected.values().sum();
            assert_eq!(outcome.kept + rejected, records as u64, "every record is accounted for");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            take(&bytes);
        }

        #[test]
        fn a_request_with_any_bytes_changed_is_taken_without_panic(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            keep in any::<prop::sample::Index>(),
        ) {
            let mut bytes = request(&[flow("node-a", 0, 80), flow("node-a", 5, 81)], &[accounting("node-a", 0)]).encode_to_vec();
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            take(&bytes);
            take(&bytes[..keep.index(bytes.len())]);
        }

        #[test]
        fn any_values_are_taken_without_panic(
            seconds in any::<i64>(), length in any::<u32>(), counters in any::<(u64, u64, u64)>(), ip in any::<u128>(),
        ) {
            let Ok(start) = Timestamp::from_second(seconds % 200_000_000_000) else { return Ok(()) };
            let mut flow = flow("node-a", 0, 80);
            flow.window_start = start;
            flow.window_seconds = length;
            flow.connections.open = counters.0;
            flow.connections.closed = counters.1;
            flow.bytes_out = counters.2;
            flow.remote.ip = std::net::Ipv6Addr::from(ip).into();
            take(&request(&[flow], &[Accounting { window_start: start, seen: u64::MAX, ..accounting("node-a", 0) }]).encode_to_vec());
        }
    }
}
