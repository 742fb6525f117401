//! What the collector costs: records a second on one core, from TLS bytes to kept records, with 100,000 pods known.
//!
//! A child process plays the agents, so that this process's CPU time is the collector's alone; its records are encoded
//! before the clock starts. "A second" is a second of CPU time, over all of the collector's threads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

mod api_server;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use serde::{Deserialize, Serialize};
use tidewatch_cluster::{
    Backend, Cluster, Fact, Kind, NamespaceFact, NodeFact, PodFact, PodPhase, Remotes, ServiceFact,
    SliceFact, Uid,
};
use tidewatch_collector::{Collector, Config, Limits, Metrics};
use tidewatch_evaluation::Registry;
use tidewatch_kube::watch_health::WatchHealth;
use tidewatch_records::{Accounting, Connections, Endpoint, FlowWindow, Histogram, Role, otlp};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use api_server::ApiServer;

/// The operator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PODS: u32 = 100_000;
const PODS_PER_NODE: u32 = 50;
const SERVICES: u32 = 5_000;
/// Nodes that report, and what each does in one window.
const REPORTERS: u32 = 100;
const FLOWS_PER_NODE: u32 = 2_000;
/// What the agent puts into one request.
const BATCH: usize = 500;
const ROUNDS: u32 = 3;
const WINDOW: u32 = 15;

#[derive(Serialize, Deserialize)]
struct Orders {
    address: SocketAddr,
    ca: String,
    tokens: HashMap<String, String>,
    window_start: i64,
}

fn main() {
    if std::env::var_os("TIDEWATCH_BENCH_AGENTS").is_some() {
        return agents();
    }
    // `cargo test --benches` runs this too: there it proves only that it runs.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let (pods, reporters) = if quick { (1_000, 4) } else { (PODS, REPORTERS) };
    let empty = rss_mib();
    let cluster = cluster(pods);
    let indexed = rss_mib();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let nodes: Vec<String> = (0..reporters).map(node_name).collect();
    let tokens = api_server::tokens(&nodes);
    println!(
        "{pods} pods, {SERVICES} services, {} nodes: index {:.0} MiB",
        pods / PODS_PER_NODE,
        indexed - empty
    );
    println!(
        "{:>5} {:>9} {:>9} {:>9} {:>12} {:>9} {:>9}",
        "round", "records", "cpu s", "wall s", "records/s", "ns/rec", "rss MiB"
    );
    let mut rates = Vec::new();
    let mut rss = 0.0_f64;
    for round in 0..if quick { 1 } else { ROUNDS } {
        let measured = runtime.block_on(run(&cluster, &tokens));
        rates.push(measured.records / measured.cpu_seconds);
        rss = rss.max(measured.rss_mib);
        println!(
            "{round:>5} {:>9} {:>9.2} {:>9.2} {:>12.0} {:>9.0} {:>9.0}",
            measured.records,
            measured.cpu_seconds,
            measured.wall_seconds,
            measured.records / measured.cpu_seconds,
            measured.cpu_seconds * 1e9 / measured.records,
            measured.rss_mib
        );
    }
    rates.sort_by(f64::total_cmp);
    let median = rates[rates.len() / 2];
    println!("BENCH {{\"bench\":\"collector\",\"records_per_second\":{median:.0},\"rss_mib\":{rss:.0}}}");
}

struct Measured {
    records: f64,
    cpu_seconds: f64,
    wall_seconds: f64,
    rss_mib: f64,
}

/// One collector, from its start to the last record kept.
async fn run(cluster: &Cluster, tokens: &HashMap<String, String>) -> Measured {
    let cancel = CancellationToken::new();
    let metrics = Metrics::default();
    let (namespace, account) = ("tidewatch-system", "tidewatch-agent");
    let api_server = ApiServer::new(namespace, account, tokens);
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        namespace: namespace.to_owned(),
        agent_service_account: account.to_owned(),
        remotes: Remotes::default(),
        limits: Limits::default(),
        metrics: metrics.clone(),
    };
    let health = WatchHealth::default();
    let collector = Collector::start(
        api_server.client(),
        config,
        cluster.clone(),
        Registry::default(),
        &health,
        cancel.clone(),
    );
    let collector = collector.await.unwrap();
    let window = i64::from(WINDOW);
    let window_start = Timestamp::now().as_second() / window * window - window;
    let orders =
        Orders { address: collector.address(), ca: api_server.ca(), tokens: tokens.clone(), window_start };
    let mut agents = Agents::start(&orders);
    agents.wait_for("ready");
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    agents.say("go");
    let answer = tokio::task::spawn_blocking(move || {
        let answer = agents.wait_for("sent");
        agents.end();
        answer
    });
    let answer = answer.await.unwrap();
    let measured = Measured {
        records: answer.split_whitespace().nth(1).unwrap().parse().unwrap(),
        cpu_seconds: cpu_seconds() - cpu,
        wall_seconds: wall.elapsed().as_secs_f64(),
        rss_mib: rss_mib(),
    };
    cancel.cancel();
    collector.ended().await;
    measured
}

/// The child that plays the agents.
struct Agents {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Agents {
    fn start(orders: &Orders) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env("TIDEWATCH_BENCH_AGENTS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        writeln!(input, "{}", serde_json::to_string(orders).unwrap()).unwrap();
        Self { child, input, output }
    }

    fn say(&mut self, word: &str) {
        writeln!(self.input, "{word}").unwrap();
    }

    fn wait_for(&mut self, word: &str) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.starts_with(word), "the agents said {line:?} instead of {word}");
        line
    }

    fn end(&mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the agents ended with {status}");
    }
}

/// The child's part.
fn agents() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let orders: Orders = serde_json::from_str(&line).unwrap();
    let start = Timestamp::from_second(orders.window_start).unwrap();
    let prepared: Vec<(String, Vec<ExportLogsServiceRequest>)> = (0..u32::try_from(orders.tokens.len())
        .unwrap())
        .map(|node| (format!("Bearer {}", orders.tokens[&node_name(node)]), requests(node, start)))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&orders.ca))
            .domain_name("tidewatch-collector.tidewatch-system.svc");
        let endpoint =
            Channel::from_shared(format!("https://{}", orders.address)).unwrap().tls_config(tls).unwrap();
        println!("ready");
        line.clear();
        std::io::stdin().read_line(&mut line).unwrap();
        // One connection a node, as agents have; eight at a time.
        let queue = Arc::new(std::sync::Mutex::new(prepared));
        let sending = (0..8).map(|_| {
            let (queue, endpoint) = (queue.clone(), endpoint.clone());
            async move {
                let mut sent = 0;
                loop {
                    let Some((token, requests)) = queue.lock().unwrap().pop() else { return sent };
                    let mut client = LogsServiceClient::new(endpoint.connect().await.unwrap());
                    for request in requests {
                        let records = request.resource_logs[0].scope_logs[0].log_records.len();
                        let mut request = tonic::Request::new(request);
                        request.metadata_mut().insert("authorization", token.parse().unwrap());
                        let answer = client.export(request).await.unwrap().into_inner();
                        assert_eq!(answer.partial_success, None, "records were rejected");
                        sent += records;
                    }
                }
            }
        });
        let sent: usize = futures::future::join_all(sending).await.into_iter().sum();
        println!("sent {sent}");
    });
}

fn node_name(n: u32) -> String {
    format!("ip-10-0-{}-{}.eu-west-1.compute.internal", n / 256, n % 256)
}

fn pod_ip(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a80_0000 + n).into()
}

fn pod_uid(n: u32) -> String {
    format!("{n:08x}-2a3c-4f0e-9f1b-6f1de3a6a001")
}

fn cluster(pods: u32) -> Cluster {
    let cluster = Cluster::default();
    let now = Timestamp::now();
    let label = |key: &str, value: String| Arc::new(BTreeMap::from([(key.to_owned(), value)]));
    cluster.update(|index| {
        let nodes: Vec<Arc<str>> = (0..pods.div_ceil(PODS_PER_NODE)).map(|n| node_name(n).into()).collect();
        let zones: Vec<Arc<str>> =
            (0..3).map(|n| format!("eu-west-1{}", ["a", "b", "c"][n]).into()).collect();
        for (n, name) in nodes.iter().enumerate() {
            let node = NodeFact {
                name: name.clone(),
                zone: Some(zones[n % 3].clone()),
                region: Some("eu-west-1".into()),
                labels: label("kubernetes.io/hostname", name.to_string()),
                ips: vec![Ipv4Addr::from(0x0a00_0000 + u32::try_from(n).unwrap()).into()],
                pod_cidrs: Vec::new(),
                unschedulable: false,
                ..NodeFact::default()
            };
            index.apply(Fact::Node(node), now);
        }
        let services = SERVICES.min(pods / 4);
        let labels: Vec<_> = (0..services).map(|s| label("app", format!("service-{s}"))).collect();
        let workloads: Vec<Arc<str>> =
            (0..services).map(|s| format!("team-{}/Deployment/service-{s}", s % 100).into()).collect();
        for n in 0..pods {
            let s = (n % services) as usize;
            let pod = PodFact {
                uid: Uid::parse(&pod_uid(n)).unwrap(),
                static_uid: None,
                key: format!("team-{}/service-{s}-7d9f8c6b5-{n:05x}", s % 100).into(),
                node: Some(nodes[(n / PODS_PER_NODE) as usize].clone()),
                workload: workloads[s].clone(),
                labels: labels[s].clone(),
                ips: vec![pod_ip(n)],
                host_network: false,
                phase: PodPhase::Running,
                ready: true,
                agent: false,
                started: Some(now - Duration::from_secs(3600)),
                ..PodFact::default()
            };
            index.apply(Fact::Pod(pod), now);
        }
        for s in 0..services {
            let key: Arc<str> = format!("team-{}/service-{s}", s % 100).into();
            let service = ServiceFact {
                key: key.clone(),
                ips: vec![Ipv4Addr::from(0xac10_0000 + s).into()],
                ports: vec![80],
                target_ports: vec!["80".into()],
                selector: labels[s as usize].clone(),
                labels: Arc::default(),
                ..ServiceFact::default()
            };
            index.apply(Fact::Service(service), now);
            let backends = (s..pods).step_by(services as usize);
            let slice = SliceFact {
                key: format!("{key}-abcde").into(),
                service: key,
                ports: Arc::new([8080]),
                ready: backends.len(),
                backends: backends.map(|n| Backend { ip: pod_ip(n), pod: Uid::parse(&pod_uid(n)) }).collect(),
            };
            index.apply(Fact::EndpointSlice(slice), now);
        }
        for n in 0..100 {
            let namespace = NamespaceFact { name: format!("team-{n}").into(), labels: Arc::default() };
            index.apply(Fact::Namespace(namespace), now);
        }
        Kind::ALL.into_iter().for_each(|kind| index.end_list(kind, now));
        true
    });
    cluster
}

/// What one node's agent sends for one window: its pods' flows to and from pods all over, through Services or not.
fn requests(node: u32, start: Timestamp) -> Vec<ExportLogsServiceRequest> {
    let reporter: Arc<str> = node_name(node).into();
    let mut records: Vec<_> =
        (0..FLOWS_PER_NODE).map(|n| otlp::encode_flow(&flow(node, n, &reporter, start))).collect();
    let accounting = Accounting {
        window_start: start,
        window_seconds: WINDOW,
        reporter: reporter.clone(),
        seen: 10_000,
        reported: 10_000,
        sampled_out: 0,
        buffer_full: 0,
        dropped: 0,
        invalid: 0,
    };
    records.push(otlp::encode_accounting(&accounting));
    let mut requests = Vec::new();
    while !records.is_empty() {
        let rest = records.split_off(records.len().min(BATCH));
        requests.push(otlp::export_request(&reporter, "0.1.0", std::mem::replace(&mut records, rest)));
    }
    requests
}

fn flow(node: u32, n: u32, reporter: &Arc<str>, start: Timestamp) -> FlowWindow {
    let local_pod = node * PODS_PER_NODE + n % PODS_PER_NODE;
    // Multiplying by an odd number spreads the peers over all pods.
    let remote_pod = (node * FLOWS_PER_NODE + n).wrapping_mul(2_654_435_761) % PODS;
    let mut rtt = Histogram::new();
    for sample in 0..4_u64 {
        rtt.record(400 + u64::from(n % 50) * 10 + sample * 37);
    }
    let client = n.is_multiple_of(2);
    let mut local = Endpoint::of(pod_ip(local_pod));
    local.pod_uid = Some(pod_uid(local_pod).into());
    let mut remote = Endpoint::of(pod_ip(remote_pod));
    if client {
        remote.port = Some(8080 + u16::try_from(n / 2 % 1000).unwrap());
        if n.is_multiple_of(4) {
            remote.cluster_ip = Some(Ipv4Addr::from(0xac10_0000 + remote_pod % SERVICES).into());
            remote.cluster_port = Some(80);
        }
    } else {
        local.port = Some(8080 + u16::try_from(n / 2 % 1000).unwrap());
    }
    FlowWindow {
        window_start: start,
        window_seconds: WINDOW,
        reporter: reporter.clone(),
        role: if client { Role::Client } else { Role::Server },
        local,
        remote,
        category: None,
        connections: Connections {
            attempted: 12,
            established: 12,
            closed: 11,
            open: 4,
            ..Connections::default()
        },
        data_segments_out: 4211,
        retransmissions: 9,
        spurious_retransmissions: 0,
        timeouts: 1,
        bytes_out: 812_345,
        bytes_in: 99_120,
        rtt_us: rtt.summary(),
        handshake_us: rtt.summary(),
    }
}

/// User and system time of all of this process's threads (proc(5), stat fields 14 and 15, in 1/100 s).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
