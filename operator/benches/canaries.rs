//! What embedded canaries cost: 1,000 of them each minute, against real servers in a process of their own, so that this
//! process's CPU time is the prober's alone. Each run must have happened once.
//!
//! `TIDEWATCH_BENCH_MINUTES` is how long (10), `TIDEWATCH_BENCH_CANARIES` how many (1000).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidewatch_crds::{CanarySpec, CanaryStatus};
use tidewatch_embedded::{Engine, History, Job, ProbeMetrics, Schedule};
use tidewatch_prober::{Plan, Prober, ProberConfig, Secrets, TargetPolicy};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The operator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVERS: &str = "TIDEWATCH_BENCH_SERVERS";

fn main() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if std::env::var_os(SERVERS).is_some() {
        return runtime().block_on(serve());
    }
    let (servers, ports) = start_servers();
    let outcome = runtime().block_on(measure(ports, number("TIDEWATCH_BENCH_MINUTES", 10)));
    stop(servers);
    outcome.print();
    assert_eq!(
        (outcome.lost, outcome.twice, outcome.failed),
        (0, 0, 0),
        "a run was lost, made twice, or failed"
    );
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number")))
}

#[derive(Clone, Copy)]
struct Ports {
    http: u16,
    https: u16,
    tcp: u16,
}

struct Outcome {
    canaries: usize,
    seconds: f64,
    runs: u64,
    due: u64,
    lost: u64,
    twice: u64,
    failed: u64,
    cpu_seconds: f64,
    rss_mib: f64,
}

impl Outcome {
    fn print(&self) {
        let share = 100.0 * self.cpu_seconds / self.seconds;
        println!("canaries, each once a minute (50% http, 30% https, 20% tcp)  {:>8}", self.canaries);
        println!("seconds                                                      {:>8.0}", self.seconds);
        println!("runs due / made                                   {:>8} / {:>8}", self.due, self.runs);
        println!(
            "lost / twice / failed                       {:>6} / {:>6} / {:>6}",
            self.lost, self.twice, self.failed
        );
        println!("CPU of one core, percent (target 10)                         {share:>8.2}");
        println!("RSS, MiB (target 100)                                        {:>8.1}", self.rss_mib);
        println!(
            "BENCH {{\"bench\":\"canaries\",\"canaries\":{},\"runs\":{},\"lost\":{},\"twice\":{},\"cpu_percent\":{share:.2},\"rss_mib\":{:.1}}}",
            self.canaries, self.runs, self.lost, self.twice, self.rss_mib
        );
    }
}

async fn measure(ports: Ports, minutes: u64) -> Outcome {
    let allow = TargetPolicy { loopback: true, ..TargetPolicy::default() };
    let prober = Prober::new(ProberConfig { allow, ..ProberConfig::default() }).unwrap();
    let (wake, mut woken) = futures::channel::mpsc::unbounded();
    let engine = Engine::new(prober, ProbeMetrics::default(), wake);
    let canaries: Vec<(String, Schedule, Arc<Plan>)> = (0..number("TIDEWATCH_BENCH_CANARIES", 1000))
        .map(|n| {
            let spec = spec(n, ports);
            let schedule = Schedule::new(&spec.schedule, &format!("uid-{n}")).unwrap();
            (format!("canary-{n}"), schedule, Arc::new(Plan::new(&spec, &Secrets::default()).unwrap()))
        })
        .collect();
    let (begun, cpu) = (Timestamp::now(), cpu_seconds());
    let mut began = Vec::new();
    for (name, schedule, plan) in &canaries {
        began.push(Timestamp::now());
        let job =
            Job { plan: Arc::clone(plan), schedule: schedule.clone(), checks: ["it".to_owned()].into() };
        engine.set("bench", name, Some(job), History::default);
    }
    for minute in 1..=minutes {
        tokio::time::sleep(Duration::from_secs(60)).await;
        while woken.try_recv().is_ok() {}
        eprintln!("{minute} of {minutes} minutes");
    }
    let mut ended = Vec::new();
    for (name, ..) in &canaries {
        ended.push(Timestamp::now());
        engine.set("bench", name, None, History::default);
    }
    let seconds = Timestamp::now().duration_since(begun).as_secs_f64();
    let (cpu_seconds, rss_mib) = (cpu_seconds() - cpu, rss_mib());
    // What is under way ends.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut outcome = Outcome {
        canaries: canaries.len(),
        seconds,
        runs: 0,
        due: 0,
        lost: 0,
        twice: 0,
        failed: 0,
        cpu_seconds,
        rss_mib,
    };
    for ((name, schedule, _), (began, ended)) in canaries.iter().zip(began.into_iter().zip(ended)) {
        let due = std::iter::successors(schedule.next_after(began), |at| schedule.next_after(*at))
            .take_while(|at| *at <= ended)
            .count() as u64;
        let mut status = CanaryStatus::default();
        engine.history(&format!("bench/{name}")).unwrap().tell(&mut status, ended);
        let made: u64 = status.hours.iter().map(|hour| u64::from(hour.runs)).sum();
        outcome.failed += status.hours.iter().map(|hour| u64::from(hour.failed)).sum::<u64>();
        outcome.runs += made;
        outcome.due += due;
        outcome.lost += due.saturating_sub(made);
        outcome.twice += made.saturating_sub(due);
    }
    outcome
}

fn spec(n: u64, ports: Ports) -> CanarySpec {
    let check = match n % 10 {
        0..5 => {
            serde_json::json!({"http": {"url": format!("http://127.0.0.1:{}/", ports.http), "expect": {"bodyContains": "ok"}}})
        }
        5..8 => {
            serde_json::json!({"http": {"url": format!("https://127.0.0.1:{}/", ports.https), "tls": {"verify": false}}})
        }
        _ => {
            serde_json::json!({"tcp": {"host": "127.0.0.1", "port": ports.tcp, "expect": {"startsWith": "220"}}})
        }
    };
    let mut check = check;
    check["name"] = "it".into();
    serde_json::from_value(serde_json::json!({"schedule": {"every": "60s"}, "checks": [check]})).unwrap()
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit_once(") ").unwrap().1;
    let ticks = |index: usize| after.split(' ').nth(index).unwrap().parse::<f64>().unwrap();
    // utime and stime, fields 14 and 15 of proc(5), in hundredths of a second.
    (ticks(11) + ticks(12)) / 100.0
}

fn rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn start_servers() -> (Child, Ports) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(SERVERS, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ports: Vec<u16> = line.split_whitespace().map(|port| port.parse().unwrap()).collect();
    (child, Ports { http: ports[0], https: ports[1], tcp: ports[2] })
}

/// The servers end when their input does.
fn stop(mut servers: Child) {
    drop(servers.stdin.take());
    servers.wait().unwrap();
}

async fn serve() {
    let listen = || async { TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap() };
    let (http, https, tcp) = (listen().await, listen().await, listen().await);
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    println!("{} {} {}", port(&http), port(&https), port(&tcp));
    std::io::stdout().flush().unwrap();
    let tls = acceptor();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = http.accept().await else { continue };
            tokio::spawn(answer(stream));
        }
    });
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = https.accept().await else { continue };
            let tls = tls.clone();
            tokio::spawn(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    answer(stream).await;
                }
            });
        }
    });
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = tcp.accept().await else { continue };
            tokio::spawn(async move {
                let _ = stream.write_all(b"220 ready\r\n").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    let _ = ended.await;
}

/// One request, one answer.
async fn answer(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    use tokio::io::AsyncReadExt;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
    let _ = stream.shutdown().await;
}

fn acceptor() -> TlsAcceptor {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
