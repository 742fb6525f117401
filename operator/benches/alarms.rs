//! What a thousand AnomalyAlarms cost: made from nothing at AWS's published rates, then at rest. The operator is the
//! released binary in a process of its own, between a real API server and the AWS double, which refuses what comes
//! faster than published; so that the memory told is the operator's, with all its controllers and the collector.
//!
//! `TIDEWATCH_BENCH_ALARMS` is how many (1000), `TIDEWATCH_BENCH_RESYNCS` how many resyncs at rest are watched (3).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use control_plane::ControlPlane;
use futures::StreamExt;
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use tidewatch_aws_double::{Call, Double, Options};
use tidewatch_crds::AnomalyAlarm;

#[path = "../../crds/tests/apiserver/control_plane.rs"]
mod control_plane;

/// PutMetricAlarm calls a second (CloudWatch service quotas).
const QUOTA: f64 = 3.0;
const RESYNC: Duration = Duration::from_secs(60);
/// DescribeAnomalyDetectors answers with so many at a time; a resync ends with the last page.
const PAGE: usize = 100;

fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = ControlPlane::start();
    install(&server);
    let outcome = runtime.block_on(measure(&server, number("TIDEWATCH_BENCH_ALARMS", 1000)));
    outcome.print();
    assert_eq!(
        (outcome.at_rest.writes, outcome.at_rest.throttled),
        (0, 0),
        "writes or throttled calls at rest"
    );
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number")))
}

/// The CRDs, and the namespaces of the operator and of the alarms.
fn install(server: &ControlPlane) {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/tidewatch-crds/templates");
    for plural in ["networkmonitors", "anomalyalarms", "canaries"] {
        let file = crds.join(format!("{plural}.yaml"));
        server.kubectl(&["apply", "--server-side", "-f", file.to_str().unwrap()], None).unwrap();
        let name = format!("crd/{plural}.tidewatch.dev");
        server.kubectl(&["wait", "--for=condition=Established", &name, "--timeout=60s"], None).unwrap();
    }
    for namespace in ["tidewatch-system", "shop"] {
        server.kubectl(&["create", "namespace", namespace], None).unwrap();
    }
}

struct Outcome {
    objects: usize,
    seconds: f64,
    calls: BTreeMap<String, usize>,
    throttled: usize,
    at_rest: AtRest,
    /// Terms of leadership: one, unless the machine was so busy that the lease couldn't be renewed.
    terms: usize,
    rss_mib: f64,
    anonymous_mib: f64,
    peak_mib: f64,
    cpu_seconds: f64,
}

struct AtRest {
    describe_alarms_per_resync: f64,
    writes: usize,
    throttled: usize,
    cluster_writes: usize,
}

impl Outcome {
    fn print(&self) {
        let quota = self.objects as f64 / QUOTA;
        let line = |what: &str, value: String| println!("{what:<66} {value:>10}");
        line("AnomalyAlarms with a band, each with a detector of its own", self.objects.to_string());
        line("seconds from the first one's creation to Ready of all", format!("{:.0}", self.seconds));
        line("seconds that the quota takes (target: at most 10% more)", format!("{quota:.0}"));
        for (operation, count) in &self.calls {
            line(&format!("  calls of {operation}"), count.to_string());
        }
        line("  of them throttled", self.throttled.to_string());
        let reads = self.at_rest.describe_alarms_per_resync;
        line("at rest: DescribeAlarms a resync (target 12)", format!("{reads:.1}"));
        line("at rest: writes to AWS (target 0)", self.at_rest.writes.to_string());
        line("at rest: throttled calls (target 0)", self.at_rest.throttled.to_string());
        line("at rest: objects written (target 0)", self.at_rest.cluster_writes.to_string());
        line("terms of leadership (1, or the machine was too busy)", self.terms.to_string());
        line("operator's RSS at rest, MiB (target 100)", format!("{:.1}", self.rss_mib));
        line("  of it not the program's file, MiB", format!("{:.1}", self.anonymous_mib));
        line("operator's highest RSS, MiB", format!("{:.1}", self.peak_mib));
        line("operator's CPU time, seconds", format!("{:.1}", self.cpu_seconds));
        println!(
            "BENCH {{\"bench\":\"alarms\",\"objects\":{},\"seconds\":{:.1},\"quota_seconds\":{quota:.1},\"throttled_calls\":{},\"describe_alarms_per_resync\":{reads:.1},\"writes_at_rest\":{},\"rss_mib\":{:.1}}}",
            self.objects, self.seconds, self.throttled, self.at_rest.writes, self.rss_mib
        );
    }
}

async fn measure(server: &ControlPlane, objects: usize) -> Outcome {
    let double = Double::start(Options { throttled: true, ..Options::default() }).await.unwrap();
    let alarms: Api<AnomalyAlarm> = Api::namespaced(client(server).await, "shop");
    let operator = Operator::start(server, &double);
    operator.wait_until_it_leads(server).await;

    let begun = Instant::now();
    create(&alarms, objects).await;
    wait_until_ready(&alarms, objects, begun).await;
    let seconds = begun.elapsed().as_secs_f64();
    let calls = double.calls();
    let throttled = calls.iter().filter(|call| is_throttled(call)).count();
    let mut counted = BTreeMap::new();
    for call in calls {
        *counted.entry(call.operation).or_insert(0) += 1;
    }

    let at_rest = rest(&double, &alarms, objects).await;
    Outcome {
        objects,
        seconds,
        calls: counted,
        throttled,
        at_rest,
        terms: operator.terms(),
        rss_mib: operator.memory("VmRSS:"),
        anonymous_mib: operator.memory("RssAnon:"),
        peak_mib: operator.memory("VmHWM:"),
        cpu_seconds: operator.cpu_seconds(),
    }
}

async fn client(server: &ControlPlane) -> Client {
    let kubeconfig = Kubeconfig::read_from(server.kubeconfig()).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn create(alarms: &Api<AnomalyAlarm>, objects: usize) {
    let made = futures::stream::iter(0..objects).map(|n| async move {
        let alarm: AnomalyAlarm = serde_json::from_value(serde_json::json!({
            "apiVersion": "tidewatch.dev/v1alpha1",
            "kind": "AnomalyAlarm",
            "metadata": {"name": format!("cpu-{n}"), "namespace": "shop"},
            "spec": {
                "metric": {"cloudWatch": {
                    "namespace": "AWS/EC2", "metricName": "CPUUtilization",
                    "dimensions": {"InstanceId": format!("i-{n:017}")},
                }},
                "condition": {"band": {"width": 3, "breach": "Above"}},
                "actions": {"alarm": ["arn:aws:sns:eu-west-1:123456789012:on-call"]},
            },
        }))
        .unwrap();
        alarms.create(&PostParams::default(), &alarm).await.unwrap();
    });
    made.buffer_unordered(8).collect::<Vec<()>>().await;
}

async fn wait_until_ready(alarms: &Api<AnomalyAlarm>, objects: usize, begun: Instant) {
    let limit = Duration::from_secs_f64(120.0 + objects as f64);
    let mut told = Instant::now();
    loop {
        let all = alarms.list(&ListParams::default()).await.unwrap().items;
        let ready = all.iter().filter(|alarm| reason(alarm).0 == "True").count();
        if ready == objects {
            return;
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            eprintln!("{ready} of {objects} are ready after {} s", begun.elapsed().as_secs());
        }
        if begun.elapsed() > limit {
            let mut left = BTreeMap::new();
            all.iter().for_each(|alarm| *left.entry(reason(alarm)).or_insert(0) += 1);
            panic!("{ready} of {objects} are ready after {limit:?}: {left:?}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Status and reason of condition Ready.
fn reason(alarm: &AnomalyAlarm) -> (String, String) {
    let mut conditions = alarm.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.find(|condition| condition.type_ == "Ready");
    ready.map(|ready| (ready.status.clone(), ready.reason.clone())).unwrap_or_default()
}

/// From the end of one resync to the end of a later one.
async fn rest(double: &Double, alarms: &Api<AnomalyAlarm>, objects: usize) -> AtRest {
    let resyncs = number("TIDEWATCH_BENCH_RESYNCS", 3);
    let pages = objects.div_ceil(PAGE);
    double.clear_calls();
    // The first may have begun before the last object was in place.
    wait_for_pages(double, pages).await;
    tokio::time::sleep(RESYNC / 4).await;
    let versions = versions(alarms).await;
    double.clear_calls();
    wait_for_pages(double, resyncs * pages).await;
    let calls = double.calls();
    let reads = calls.iter().filter(|call| call.operation == "DescribeAlarms").count();
    let now = self::versions(alarms).await;
    AtRest {
        describe_alarms_per_resync: reads as f64 / resyncs as f64,
        writes: calls.iter().filter(|call| call.is_write()).count(),
        throttled: calls.iter().filter(|call| is_throttled(call)).count(),
        cluster_writes: now.iter().filter(|(name, version)| versions.get(*name) != Some(version)).count(),
    }
}

async fn wait_for_pages(double: &Double, pages: usize) {
    let limit = Instant::now() + RESYNC * 10;
    while double.calls_of("DescribeAnomalyDetectors").len() < pages {
        assert!(Instant::now() < limit, "no resync: {:?}", double.calls().last());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn versions(alarms: &Api<AnomalyAlarm>) -> BTreeMap<String, String> {
    let all = alarms.list_metadata(&ListParams::default()).await.unwrap().items;
    all.into_iter()
        .map(|alarm| (alarm.metadata.name.unwrap(), alarm.metadata.resource_version.unwrap()))
        .collect()
}

fn is_throttled(call: &Call) -> bool {
    serde_json::to_string(&call.outcome).unwrap().contains("Throttling")
}

/// The operator's process; ends with the value.
struct Operator {
    process: Child,
    files: tempfile::TempDir,
}

impl Operator {
    fn start(server: &ControlPlane, double: &Double) -> Self {
        let files = tempfile::tempdir().unwrap();
        let aws = files.path().join("aws.yaml");
        std::fs::write(&aws, format!("enabled: true\nresync: {}s\n", RESYNC.as_secs())).unwrap();
        let log = std::fs::File::create(files.path().join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_tidewatch"))
            .arg("operator")
            .args(["--http-listen", "127.0.0.1:0", "--collector-listen", "127.0.0.1:0", "--aws"])
            .arg(&aws)
            .env("KUBECONFIG", server.kubeconfig())
            .env("AWS_ENDPOINT_URL", double.url())
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, files }
    }

    async fn wait_until_it_leads(&self, server: &ControlPlane) {
        let limit = Instant::now() + Duration::from_secs(60);
        let arguments = ["get", "lease", "-n", "tidewatch-system", "-o", "name"];
        while !server.kubectl(&arguments, None).is_ok_and(|leases| !leases.is_empty()) {
            assert!(Instant::now() < limit, "the operator took no lease");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn terms(&self) -> usize {
        let log = std::fs::read_to_string(self.files.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains("\"message\":\"leading\"")).count()
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap()
    }

    fn memory(&self, field: &str) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        let after = stat.rsplit_once(") ").unwrap().1;
        let ticks = |index: usize| after.split(' ').nth(index).unwrap().parse::<f64>().unwrap();
        // utime and stime, fields 14 and 15 of proc(5), in hundredths of a second.
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.files.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the operator said last:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}
