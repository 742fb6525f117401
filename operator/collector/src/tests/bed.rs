//! A collector that runs, agents that send to it, and what they send.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use futures::future::BoxFuture;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use tidewatch_cluster::{Fact, Kind, NodeFact, PodFact, PodPhase, Uid};
use tidewatch_evaluation::Evaluations;
use tidewatch_health::Sensitivity;
use tidewatch_records::{Accounting, Connections, Endpoint, FlowWindow, Role, otlp};
use tonic::codec::CompressionEncoding;
use tonic::codegen::http;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Request, Status};
use tower::{Service, ServiceExt};

use super::super::clock::ManualClock;
use super::super::*;

const NAME: &str = "tidewatch-collector.tidewatch-system.svc";
pub(super) const LIMIT: Duration = Duration::from_secs(20);
const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// Knows the tokens whose signature is the name of a node.
pub(super) struct FakeApi {
    pub away: AtomicBool,
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

pub(super) fn token(signature: &str) -> String {
    let payload = format!(r#"{{"exp":{},"aud":["{}"]}}"#, at(86_400).as_second(), auth::AUDIENCE);
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    format!("{}.{}.{}", encode("{}"), encode(&payload), encode(signature))
}

pub(super) struct Running {
    pub collector: Collector,
    pub ca: String,
    pub certificate: Arc<tls::CurrentCertificate>,
    pub clock: Arc<ManualClock>,
    pub api: Arc<FakeApi>,
    pub registry: Registry,
    pub cluster: Cluster,
    pub metrics: Metrics,
    pub cancel: CancellationToken,
}

pub(super) fn pod(n: u8, namespace: &str, name: &str, node: &str, ip: &str, agent: bool) -> Fact {
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
        ..PodFact::default()
    })
}

pub(super) fn fill(cluster: &Cluster) {
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
                ..NodeFact::default()
            };
            index.apply(Fact::Node(node), at(0));
        }
        index.apply(pod(1, "shop", "checkout", "node-a", "198.18.1.10", false), at(0));
        index.apply(pod(2, "shop", "payments", "node-b", "198.18.2.20", false), at(0));
        index.apply(pod(3, "tidewatch-system", "agent-a", "node-a", "198.18.201.1", true), at(0));
        true
    });
}

pub(super) fn sync(cluster: &Cluster) {
    cluster.update(|index| {
        Kind::ALL.into_iter().for_each(|kind| index.end_list(kind, at(0)));
        true
    });
}

pub(super) async fn start_with(limits: Limits) -> Running {
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

pub(super) async fn start() -> Running {
    let running = start_with(Limits::default()).await;
    sync(&running.cluster);
    running
}

impl Running {
    pub(super) async fn channel_trusting(&self, ca: &str) -> Result<Channel, tonic::transport::Error> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name(NAME);
        let endpoint = Channel::from_shared(format!("https://{}", self.collector.address())).unwrap();
        endpoint.tls_config(tls)?.connect_timeout(LIMIT).timeout(LIMIT).connect().await
    }

    pub(super) async fn channel(&self) -> Channel {
        self.channel_trusting(&self.ca).await.unwrap()
    }

    pub(super) async fn export(
        &self,
        request: ExportLogsServiceRequest,
        token: &str,
    ) -> Result<(i64, String), Status> {
        export(self.channel().await, request, token).await
    }

    /// Sends `body` as it is, and returns the status.
    pub(super) async fn raw(&self, body: Vec<u8>, headers: &[(&str, &str)]) -> Code {
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
    pub(super) async fn evaluations(&self) -> Evaluations {
        let evaluations = self.registry.want(10, Sensitivity::Standard);
        let known = async {
            while self.registry.engines() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, known).await.expect("the driver didn't look within 20 s");
        evaluations
    }

    pub(super) async fn stop(self) {
        self.cancel.cancel();
        tokio::time::timeout(LIMIT, self.collector.ended())
            .await
            .expect("the collector didn't end within 20 s");
    }
}

pub(super) async fn export(
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

pub(super) fn flow(node: &str, second: i64, port: u16) -> FlowWindow {
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
        spurious_retransmissions: 0,
        syn_retransmissions: 0,
        timeouts: 0,
        bytes_out: 1000,
        bytes_in: 2000,
        rtt_us: None,
        handshake_us: None,
    }
}

pub(super) fn accounting(node: &str, second: i64) -> Accounting {
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

pub(super) fn request(flows: &[FlowWindow], accountings: &[Accounting]) -> ExportLogsServiceRequest {
    let records =
        flows.iter().map(otlp::encode_flow).chain(accountings.iter().map(otlp::encode_accounting)).collect();
    otlp::export_request("node-a", "test", records)
}

pub(super) fn framed(body: &[u8], compressed: bool) -> Vec<u8> {
    let mut frame = vec![u8::from(compressed)];
    frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}

pub(super) fn gzip_zeros(to: &mut Vec<u8>, bytes: usize) {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::fast());
    let chunk = vec![0_u8; 1 << 20];
    for _ in 0..bytes / chunk.len() {
        encoder.write_all(&chunk).unwrap();
    }
    encoder.finish().unwrap();
}
