use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidewatch_health::{Attribution, Coverage, HealthIndicator, Traffic};

use super::judge::Judge;
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn window(second: i64, seconds: u32) -> Arc<ClusterWindow> {
    Arc::new(ClusterWindow {
        start: at(second),
        seconds,
        flows: Vec::new(),
        nodes: Vec::new(),
        accounting: BTreeMap::new(),
        expected: BTreeSet::new(),
    })
}

fn verdict(window: &ClusterWindow, reason: String) -> Verdict {
    Verdict {
        window_start: window.start,
        window_seconds: window.seconds,
        nhi: HealthIndicator::InsufficientData,
        attribution: Attribution::None,
        components: Vec::new(),
        shortages: Vec::new(),
        coverage: Coverage::default(),
        traffic: Traffic::default(),
        reason,
    }
}

/// A judge without a memory.
struct Forgetful<F>(F);

impl<F: FnMut(&ClusterWindow) -> Verdict + Send> Judge for Forgetful<F> {
    fn judge(&mut self, window: &ClusterWindow) -> Verdict {
        (self.0)(window)
    }

    fn memory(&self) -> Option<Memory> {
        None
    }
}

/// Judges that count their windows, and panic at the third.
fn counting() -> Registry {
    Registry::with_judges(Arc::new(|_| {
        let count = AtomicU32::new(0);
        Box::new(Forgetful(move |window: &ClusterWindow| {
            let n = count.fetch_add(1, Ordering::Relaxed) + 1;
            assert_ne!(n, 3, "told to");
            verdict(window, n.to_string())
        }))
    }))
}

async fn next(evaluations: &mut Evaluations) -> Arc<Evaluation> {
    let changed = tokio::time::timeout(Duration::from_secs(10), evaluations.changed());
    changed.await.expect("no evaluation within 10 s").unwrap();
    evaluations.borrow_and_update().clone().unwrap()
}

#[tokio::test]
async fn each_length_and_sensitivity_is_judged_by_one_engine_of_its_own() {
    let registry = counting();
    let mut short = registry.want(10, Sensitivity::Standard);
    let mut same = registry.want(10, Sensitivity::Standard);
    let mut high = registry.want(10, Sensitivity::High);
    let long = registry.want(60, Sensitivity::Standard);
    assert_eq!(registry.lengths(at(0)), [10, 60].into());
    registry.publish(window(0, 10));
    let first = next(&mut short).await;
    assert!(Arc::ptr_eq(&first, &next(&mut same).await));
    assert_eq!(next(&mut high).await.verdict.reason, "1");
    registry.publish(window(10, 10));
    let second = next(&mut short).await;
    assert_eq!((second.window.start, second.verdict.reason.as_str()), (at(10), "2"));
    assert!(!long.has_changed().unwrap());
}

#[tokio::test]
async fn an_engine_that_panics_starts_afresh_and_the_others_go_on() {
    let registry = counting();
    let mut standard = registry.want(10, Sensitivity::Standard);
    for n in 0..2 {
        registry.publish(window(n * 10, 10));
        next(&mut standard).await;
    }
    let mut high = registry.want(10, Sensitivity::High);
    registry.publish(window(20, 10));
    assert_eq!(next(&mut high).await.verdict.reason, "1");
    registry.publish(window(30, 10));
    let after = next(&mut standard).await;
    assert_eq!((after.window.start, after.verdict.reason.as_str()), (at(30), "1"));
    assert_eq!(registry.metrics.panics.get(), 1);
}

#[tokio::test]
async fn what_nobody_wants_is_forgotten_after_a_while_and_not_before() {
    let registry = counting();
    let mut evaluations = registry.want(10, Sensitivity::Standard);
    registry.publish(window(0, 10));
    next(&mut evaluations).await;
    drop(evaluations);
    assert_eq!(registry.lengths(at(0)), [10].into());
    assert_eq!(registry.lengths(at(200)), [10].into());
    let mut again = registry.want(10, Sensitivity::Standard);
    assert_eq!(registry.lengths(at(250)), [10].into());
    registry.publish(window(10, 10));
    assert_eq!(next(&mut again).await.verdict.reason, "2", "its baselines were kept");
    drop(again);
    assert_eq!(registry.lengths(at(260)), [10].into());
    assert_eq!(registry.lengths(at(260 + 300)), [].into());
}

#[tokio::test]
async fn an_engine_that_is_behind_drops_windows_and_counts_them() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let registry = Registry::with_judges(Arc::new(move |_| {
        let gate = gate.clone();
        Box::new(Forgetful(move |window: &ClusterWindow| {
            let _ = gate.lock().unwrap().recv_timeout(Duration::from_secs(10));
            verdict(window, String::new())
        }))
    }));
    let _evaluations = registry.want(10, Sensitivity::Standard);
    for n in 0..20 {
        registry.publish(window(n * 10, 10));
    }
    assert!(registry.metrics.dropped.get() >= 15);
    drop(release);
}

/// The memories that are sent until no engine runs any more.
async fn kept(mut memories: mpsc::Receiver<(Key, Memory)>) -> Memories {
    let mut kept = Memories::new();
    let all = async {
        while let Some((key, memory)) = memories.recv().await {
            kept.insert(key, memory);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("engines didn't end within 10 s");
    kept
}

#[tokio::test]
async fn an_engine_s_memory_is_kept_at_its_end_and_its_successor_goes_on_with_it() {
    let key = Key { window_seconds: 10, sensitivity: Sensitivity::Standard };
    let (keeper, memories) = mpsc::channel(1);
    let registry = Registry::remembering(Metrics::default(), Memories::new(), Some(keeper));
    let mut evaluations = registry.want(key.window_seconds, key.sensitivity);
    let mut lab = window(0, 10);
    Arc::get_mut(&mut lab).unwrap().flows = flows();
    registry.publish(lab);
    next(&mut evaluations).await;
    drop((registry, evaluations));
    let kept = kept(memories).await;
    assert!(!kept[&key].is_empty());

    let (keeper, memories) = mpsc::channel(1);
    let registry = Registry::remembering(Metrics::default(), kept.clone(), Some(keeper));
    let mut evaluations = registry.want(key.window_seconds, key.sensitivity);
    registry.publish(window(10, 10));
    next(&mut evaluations).await;
    drop((registry, evaluations));
    let again = self::kept(memories).await;
    assert_eq!(again[&key].len(), kept[&key].len(), "an empty window taught nothing and lost nothing");
}

fn flows() -> Vec<FlowWindow> {
    let line = r#"{"window_start":"2026-11-22T12:00:00Z","window_seconds":10,"reporter":"node-a","role":"client",
        "local":{"ip":"198.18.11.50","pod":"shop/web","node":"node-a","zone":"zone-1"},
        "remote":{"ip":"198.18.12.51","port":80,"pod":"shop/db","service":"shop/db","node":"node-b","zone":"zone-2","kind":"pod"},
        "connections":{"attempted":1,"established":1,"refused":0,"timed_out":0,"reset":0,"aborted":0,"closed":1,"open":0},
        "data_segments_out":100,"retransmissions":0,"timeouts":0,"bytes_out":1000,"bytes_in":1000,
        "rtt_us":{"count":1,"min":400,"p50":400,"p90":400,"p99":400,"max":400}}"#;
    vec![serde_json::from_str(line).unwrap()]
}
