//! The engine against a real server.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tidewatch_crds::CanarySpec;
use tidewatch_crds::CanaryStatus;
use tidewatch_crds::canary::{RunResult, ScheduleSpec};
use tidewatch_prober::{ProberConfig, Secrets, TargetPolicy};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

/// Greets after a while; counts connections, and how many there are at most at a time.
struct Greeter {
    port: u16,
    taken: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
}

impl Greeter {
    async fn start(after: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (taken, at_once) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (counted, most, open) = (Arc::clone(&taken), Arc::clone(&at_once), Arc::<AtomicUsize>::default());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let open = Arc::clone(&open);
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    // Before the greeting, after which the next run may come.
                    open.fetch_sub(1, Ordering::SeqCst);
                    let _ = stream.write_all(b"220 ready\r\n").await;
                });
            }
        });
        Self { port, taken, at_once }
    }

    fn job(&self, every: &str) -> Job {
        let spec: CanarySpec = serde_json::from_value(serde_json::json!({
            "checks": [{"name": "port", "tcp": {"host": "127.0.0.1", "port": self.port, "expect": {"startsWith": "220"}}}],
        }))
        .unwrap();
        let schedule = ScheduleSpec { every: Some(every.to_owned()), cron: None, time_zone: None };
        Job {
            plan: Arc::new(Plan::new(&spec, &Secrets::default()).unwrap()),
            schedule: Schedule::new(&schedule, "uid").unwrap(),
            checks: ["port".to_owned()].into(),
        }
    }
}

fn engine() -> (Engine, UnboundedReceiver<String>) {
    measured(ProbeMetrics::default())
}

fn measured(metrics: ProbeMetrics) -> (Engine, UnboundedReceiver<String>) {
    let (wake, woken) = unbounded();
    (Engine::new(prober(), metrics, wake), woken)
}

fn prober() -> Prober {
    let allow = TargetPolicy { loopback: true, ..TargetPolicy::default() };
    Prober::new(ProberConfig { allow, ..ProberConfig::default() }).unwrap()
}

/// What is scraped: ours, then the blackbox exporter's.
fn scraped(metrics: &ProbeMetrics) -> impl Fn() -> String + use<> {
    let (mut own, mut plain) = (Registry::default(), Registry::default());
    metrics.register(&mut own, &mut plain);
    move || {
        let mut text = String::new();
        encode(&mut text, &own).unwrap();
        encode(&mut text, &plain).unwrap();
        text
    }
}

fn told(engine: &Engine) -> CanaryStatus {
    let mut status = CanaryStatus::default();
    engine.history("shop/db").unwrap().tell(&mut status, Timestamp::now());
    status
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(tokio::time::Instant::now() < limit, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for so many runs; says how many there are.
async fn until_runs(engine: &Engine, at_least: u32) -> u32 {
    let runs = || told(engine).hours.iter().map(|hour| hour.runs).sum::<u32>();
    until(&format!("{at_least} runs"), || runs() >= at_least).await;
    runs()
}

#[tokio::test]
async fn a_canary_runs_once_at_once_when_asked_and_tells_of_it() {
    let (engine, mut woken) = engine();
    let server = Greeter::start(Duration::ZERO).await;
    engine.set("shop", "db", Some(server.job("24h")), History::default);
    engine.run_now("shop/db");
    assert_eq!(woken.next().await.as_deref(), Some("shop/db"));
    let status = told(&engine);
    assert_eq!((status.result, status.runs.len()), (Some(RunResult::Passed), 1));
    assert_eq!(server.taken.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_run_that_takes_longer_than_the_interval_is_followed_not_overtaken() {
    let (engine, _woken) = engine();
    let server = Greeter::start(Duration::from_millis(250)).await;
    engine.set("shop", "db", Some(server.job("100ms")), History::default);
    until_runs(&engine, 5).await;
    assert_eq!(server.at_once.load(Ordering::SeqCst), 1);
}

/// Panics in its first run, as a library might at what a server sends.
struct Panicking {
    prober: Prober,
    runs: AtomicUsize,
}

impl Runner for Panicking {
    fn run<'a>(&'a self, plan: &'a Plan) -> BoxFuture<'a, RunReport> {
        let is_first = self.runs.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            assert!(!is_first, "out of bounds");
            self.prober.run(plan).await
        })
    }

    fn allow(&self, _: TargetPolicy) {}
}

#[tokio::test]
async fn a_run_that_panics_has_failed_and_the_canary_goes_on() {
    let (wake, mut woken) = unbounded();
    let metrics = ProbeMetrics::default();
    let scraped = scraped(&metrics);
    let engine = Engine::new(Panicking { prober: prober(), runs: AtomicUsize::new(0) }, metrics, wake);
    let server = Greeter::start(Duration::ZERO).await;
    engine.set("shop", "db", Some(server.job("24h")), History::default);
    engine.run_now("shop/db");
    assert_eq!(woken.next().await.as_deref(), Some("shop/db"));
    let status = told(&engine);
    let failure = status.last_failure.unwrap();
    assert_eq!((status.result, failure.check.as_str()), (Some(RunResult::Failed), "port"));
    assert!(failure.message.contains("a fault of tidewatch's own"), "{}", failure.message);
    assert!(!failure.message.contains("out of bounds"), "a panic may quote a secret: {}", failure.message);
    let failed = r#"canary_runs_total{namespace="shop",canary="db",result="failed"} 1"#;
    assert!(scraped().contains(failed), "{}", scraped());
    engine.run_now("shop/db");
    assert_eq!(woken.next().await.as_deref(), Some("shop/db"));
    assert_eq!(told(&engine).result, Some(RunResult::Passed));
}

#[tokio::test]
async fn a_suspended_canary_doesn_t_run_and_goes_on_where_it_was() {
    let (engine, _woken) = engine();
    let server = Greeter::start(Duration::ZERO).await;
    engine.set("shop", "db", Some(server.job("50ms")), History::default);
    until_runs(&engine, 3).await;
    engine.set("shop", "db", None, History::default);
    // What was under way when it was suspended ends.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let taken = server.taken.load(Ordering::SeqCst);
    engine.run_now("shop/db");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.taken.load(Ordering::SeqCst), taken);
    let runs = until_runs(&engine, 3).await;
    engine.set("shop", "db", Some(server.job("50ms")), History::default);
    until_runs(&engine, runs + 2).await;
}

#[tokio::test]
async fn a_removed_canary_ends_in_the_middle_of_a_run() {
    let (engine, _woken) = engine();
    let server = Greeter::start(Duration::from_secs(3600)).await;
    engine.set("shop", "db", Some(server.job("24h")), History::default);
    engine.run_now("shop/db");
    until("it connected", || server.taken.load(Ordering::SeqCst) == 1).await;
    engine.remove("shop", "db");
    assert!(engine.history("shop/db").is_none() && engine.keys().is_empty());
    until("the task let go of what it shared", || Arc::strong_count(&engine.shared) == 1).await;
}

#[tokio::test]
async fn a_canary_that_is_changed_and_asked_runs_as_it_is_now() {
    let (engine, mut woken) = engine();
    let (before, after) = (Greeter::start(Duration::ZERO).await, Greeter::start(Duration::ZERO).await);
    for round in 1..=20 {
        engine.set("shop", "db", Some(before.job("24h")), History::default);
        // Its task waits for what comes next.
        tokio::task::yield_now().await;
        engine.set("shop", "db", Some(after.job("24h")), History::default);
        engine.run_now("shop/db");
        woken.next().await;
        assert_eq!(after.taken.load(Ordering::SeqCst), round);
        engine.remove("shop", "db");
    }
    assert_eq!(before.taken.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn of_checks_that_aren_t_made_any_more_nothing_is_shown() {
    let metrics = ProbeMetrics::default();
    let scraped = scraped(&metrics);
    let (engine, mut woken) = measured(metrics);
    let server = Greeter::start(Duration::ZERO).await;
    let success = r#"probe_success{namespace="shop",canary="db",check="port"} 1"#;
    let runs = r#"canary_runs_total{namespace="shop",canary="db",result="passed"} 1"#;
    engine.set("shop", "db", Some(server.job("24h")), History::default);
    engine.run_now("shop/db");
    woken.next().await;
    assert!(scraped().contains(success) && scraped().contains(runs), "{}", scraped());
    engine.set("shop", "db", None, History::default);
    until("a suspended canary shows no check", || !scraped().contains("probe_success{")).await;
    assert!(scraped().contains(runs), "{}", scraped());
    engine.remove("shop", "db");
    until("a removed canary shows nothing", || !scraped().contains("shop")).await;
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

#[test]
fn only_what_passes_after_the_time_that_was_used_is_missed() {
    let spec = ScheduleSpec { every: Some("1m".to_owned()), cron: None, time_zone: None };
    let schedule = Schedule::new(&spec, "uid").unwrap();
    let due = schedule.next_after(at(0)).unwrap();
    let after = |seconds| due + SignedDuration::from_secs(seconds);
    for (from, ended, count) in [(0, 59, 0), (0, 60, 1), (2, 185, 3), (59, 61, 1), (61, 62, 0)] {
        assert_eq!(missed(&schedule, after(from), after(ended)), count, "{from} {ended}");
    }
    assert_eq!(missed(&schedule, at(0), after(10_000_000)), COUNTED);
}

#[test]
fn runs_are_told_of_as_soon_as_what_they_changed_is_worth_it() {
    use Change::{Figures, Result, Words};
    // A run each minute, more or less; which of them are told.
    for (changes, told) in [
        (
            vec![(0, Result), (60, Figures), (120, Figures), (239, Figures), (299, Figures), (361, Figures)],
            vec![0, 299],
        ),
        (vec![(0, Result), (60, Result), (120, Result)], vec![0, 60, 120]),
        // The words that came too soon are told with the next run.
        (vec![(0, Result), (20, Words), (40, Figures), (59, Figures), (119, Figures)], vec![0, 59]),
        (vec![(0, Figures), (86_400, Figures)], vec![0, 86_400]),
    ] {
        let mut telling = Telling::default();
        let mut said = changes.clone();
        said.retain(|(second, change)| telling.is_due(*change, at(*second)));
        assert_eq!(said.iter().map(|(second, _)| *second).collect::<Vec<_>>(), told, "{changes:?}");
    }
}
