//! The exporter against a collector that speaks OTLP over TLS.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use tidewatch_agent::event::{Event, flag};
use tidewatch_agent::export::{Exporter, Outbox, Target};
use tidewatch_agent::flows::{ClosedWindow, Flows};
use tidewatch_agent::metrics::Metrics;
use tidewatch_records::otlp::Decoder;
use tidewatch_records::{Accounting, Name, NodeFigures, NodeWindow, Record};
use tokio::runtime::Runtime;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

#[derive(Clone, Default)]
struct Collector {
    got: Arc<Mutex<Got>>,
}

#[derive(Default)]
struct Got {
    flows: usize,
    accounting: Vec<Accounting>,
    nodes: Vec<NodeWindow>,
    tokens: Vec<String>,
    /// Answers to give before any success.
    errors: Vec<Status>,
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut got = self.got.lock().unwrap();
        if let Some(error) = got.errors.pop() {
            return Err(error);
        }
        let token = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        got.tokens.extend(token);
        let mut decoder = Decoder::new();
        let logs = request.into_inner().resource_logs.into_iter().flat_map(|r| r.scope_logs);
        for record in logs.flat_map(|scope| scope.log_records) {
            match decoder.decode(&record).unwrap() {
                Record::Flow(_) => got.flows += 1,
                Record::Accounting(accounting) => got.accounting.push(accounting),
                Record::Node(node) => got.nodes.push(node),
            }
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

/// A server, until it is dropped: then its connections are gone too, as those of a process that ended.
struct Served {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Serves with a new certificate, whose authority is written to `ca`.
async fn serve(collector: &Collector, address: SocketAddr, ca: &Path) -> Served {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(ca, made.cert.pem()).unwrap();
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let service = LogsServiceServer::new(collector.clone()).accept_compressed(CompressionEncoding::Gzip);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let serving = async move {
        let incoming = bind(address).await;
        let address = incoming.local_addr().unwrap();
        let server = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .unwrap()
            .add_service(service)
            .serve_with_incoming(incoming);
        tokio::spawn(server);
        address
    };
    let address = runtime.spawn(serving).await.unwrap();
    Served { address, runtime: Some(runtime) }
}

/// The port of a server that was just ended may be in use for a moment.
async fn bind(address: SocketAddr) -> TcpIncoming {
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match TcpIncoming::bind(address) {
            Ok(incoming) => return incoming,
            Err(error) => assert!(tokio::time::Instant::now() < limit, "{address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn window(start: i64, sockets: u16) -> ClosedWindow {
    let mut flows = Flows::new();
    for n in 0..sockets {
        let event = Event {
            cgroup: 1,
            bytes_out: 10,
            bytes_in: 10,
            local: Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc612, n + 1),
            remote: Ipv6Addr::LOCALHOST,
            data_segments_out: 1,
            retransmissions: 0,
            spurious: 0,
            syn_retransmissions: 0,
            srtt_us: 100,
            quickest_rtt_us: 90,
            timeouts: 0,
            local_port: 40_000,
            remote_port: 80,
            flags: flag::CLIENT | flag::FIRST | flag::ESTABLISHED | flag::CLOSED,
        };
        flows.add(&event, None, None);
    }
    flows.close(Timestamp::from_second(start).unwrap(), 5, &Name::from("node-a"))
}

struct Bench {
    directory: tempfile::TempDir,
    collector: Collector,
    outbox: Arc<Outbox>,
    metrics: Arc<Metrics>,
}

impl Bench {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new());
        let outbox = Arc::new(Outbox::new(metrics.clone()));
        Self { directory: tempfile::tempdir().unwrap(), collector: Collector::default(), outbox, metrics }
    }

    fn start(&self, address: SocketAddr) {
        let path = |name: &str| self.directory.path().join(name);
        std::fs::write(path("token"), "first\n").unwrap();
        let target = Target {
            url: format!("https://localhost:{}", address.port()),
            ca: Some(path("ca.crt")),
            token: Some(path("token")),
            gzip: true,
            node: "node-a".to_owned(),
            window: Duration::from_secs(10),
        };
        let exporter = Exporter::new(target, self.outbox.clone(), self.metrics.clone()).unwrap();
        tokio::spawn(exporter.run());
    }

    /// Waits until an export has failed.
    async fn failed(&self) {
        let failed = async {
            while self.metrics.export_failures.get() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), failed).await.expect("an export fails within 30 s");
    }

    async fn flushed(&self) {
        tokio::time::timeout(Duration::from_secs(30), self.outbox.flushed())
            .await
            .expect("all is sent within 30 s");
    }
}

const ANY: &str = "127.0.0.1:0";

#[tokio::test]
async fn windows_arrive_in_order_in_batches_with_the_token_of_the_moment() {
    let bench = Bench::new();
    let server = serve(&bench.collector, ANY.parse().unwrap(), &bench.directory.path().join("ca.crt")).await;
    bench.start(server.address);
    let figures = NodeFigures { cpu_pressure_ratio: Some(0.25), ..Default::default() };
    bench.outbox.push(ClosedWindow { node: Some(figures), ..window(0, 1200) });
    bench.flushed().await;
    std::fs::write(bench.directory.path().join("token"), "second").unwrap();
    bench.outbox.push(window(5, 0));
    bench.flushed().await;
    let got = bench.collector.got.lock().unwrap();
    assert_eq!(got.flows, 1200);
    assert_eq!(got.accounting.iter().map(|a| a.window_start.as_second()).collect::<Vec<_>>(), [0, 5]);
    let nodes: Vec<_> = got.nodes.iter().map(|node| (node.window_start.as_second(), node.node)).collect();
    assert_eq!(nodes, [(0, figures)]);
    assert_eq!(bench.metrics.records_sent.get(), 1200 + 1 + 2);
    assert_eq!(got.tokens, ["Bearer first", "Bearer first", "Bearer first", "Bearer second"]);
}

#[tokio::test]
async fn a_collector_that_was_away_and_came_back_with_another_authority_gets_all() {
    let bench = Bench::new();
    let ca = bench.directory.path().join("ca.crt");
    let server = serve(&bench.collector, ANY.parse().unwrap(), &ca).await;
    let address = server.address;
    bench.start(address);
    bench.outbox.push(window(0, 3));
    bench.flushed().await;
    drop(server);
    bench.outbox.push(window(5, 3));
    bench.outbox.push(window(10, 3));
    bench.failed().await;
    let _server = serve(&bench.collector, address, &ca).await;
    bench.flushed().await;
    let got = bench.collector.got.lock().unwrap();
    assert_eq!(got.accounting.iter().map(|a| a.window_start.as_second()).collect::<Vec<_>>(), [0, 5, 10]);
    assert_eq!(got.flows, 9);
}

#[tokio::test]
async fn a_passing_error_is_tried_again_and_a_final_one_is_counted_as_dropped() {
    let bench = Bench::new();
    bench.collector.got.lock().unwrap().errors = vec![
        Status::invalid_argument("never"),
        Status::unavailable("not now"),
        Status::unauthenticated("who?"),
    ];
    let server = serve(&bench.collector, ANY.parse().unwrap(), &bench.directory.path().join("ca.crt")).await;
    bench.start(server.address);
    bench.outbox.push(window(0, 4));
    bench.flushed().await;
    bench.outbox.push(window(5, 1));
    bench.flushed().await;
    let got = bench.collector.got.lock().unwrap();
    assert_eq!(got.accounting.len(), 1);
    let a = &got.accounting[0];
    assert_eq!((a.seen, a.reported, a.dropped), (5, 1, 4));
    assert_eq!(bench.metrics.export_failures.get(), 2);
}
