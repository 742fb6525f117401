//! The engine against a real server.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
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
    let (wake, woken) = unbounded();
    let allow = TargetPolicy { loopback: true, ..TargetPolicy::default() };
    let prober = Prober::new(ProberConfig { allow, ..ProberConfig::default() }).unwrap();
    (Engine::new(prober, ProbeMetrics::default(), wake), woken)
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
