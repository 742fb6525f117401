//! What the service served and what became of its calls, as `/stats` prints them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    Resolve,
    ConnectTimeout,
    Refused,
    Reset,
    RequestTimeout,
    /// Not sent: too many requests to this upstream were waiting already.
    Shed,
    Other,
}

#[derive(Debug)]
pub struct Stats {
    started: Instant,
    pub served: AtomicU64,
    pub accepted: AtomicU64,
    pub server_errors: AtomicU64,
    upstreams: BTreeMap<String, Mutex<Calls>>,
}

#[derive(Debug, Default)]
struct Calls {
    requests: u64,
    connections: u64,
    failures: BTreeMap<Failure, u64>,
    latency: Histogram,
}

impl Stats {
    pub fn new<'a>(upstreams: impl Iterator<Item = &'a str>) -> Self {
        Self {
            started: Instant::now(),
            served: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            server_errors: AtomicU64::new(0),
            upstreams: upstreams.map(|name| (name.to_owned(), Mutex::default())).collect(),
        }
    }

    pub fn connected(&self, upstream: &str) {
        self.with(upstream, |calls| calls.connections += 1);
    }

    pub fn answered(&self, upstream: &str, took: Duration) {
        self.with(upstream, |calls| {
            calls.requests += 1;
            calls.latency.record(took);
        });
    }

    pub fn failed(&self, upstream: &str, failure: Failure) {
        self.with(upstream, |calls| *calls.failures.entry(failure).or_default() += 1);
    }

    fn with(&self, upstream: &str, change: impl FnOnce(&mut Calls)) {
        if let Some(calls) = self.upstreams.get(upstream) {
            change(&mut calls.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        let upstreams = self.upstreams.iter().map(|(name, calls)| {
            let calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
            let summary = CallSummary {
                requests: calls.requests,
                connections: calls.connections,
                errors: calls.failures.values().sum(),
                failures: calls.failures.clone(),
                latency_p50_us: calls.latency.quantile_us(0.5),
                latency_p99_us: calls.latency.quantile_us(0.99),
            };
            (name.clone(), summary)
        });
        Snapshot {
            uptime_seconds: self.started.elapsed().as_secs(),
            accepted: self.accepted.load(Relaxed),
            served: self.served.load(Relaxed),
            server_errors: self.server_errors.load(Relaxed),
            upstreams: upstreams.collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Snapshot {
    pub uptime_seconds: u64,
    pub accepted: u64,
    pub served: u64,
    pub server_errors: u64,
    pub upstreams: BTreeMap<String, CallSummary>,
}

#[derive(Debug, Serialize)]
pub struct CallSummary {
    /// Answered requests.
    pub requests: u64,
    pub connections: u64,
    pub errors: u64,
    pub failures: BTreeMap<Failure, u64>,
    /// Upper bound of the power of two that holds the quantile.
    pub latency_p50_us: Option<u64>,
    pub latency_p99_us: Option<u64>,
}

/// Durations by power of two of microseconds.
#[derive(Debug, Default)]
struct Histogram {
    by_log2: BTreeMap<u32, u64>,
}

impl Histogram {
    fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        *self.by_log2.entry(micros.ilog2()).or_default() += 1;
    }

    fn quantile_us(&self, quantile: f64) -> Option<u64> {
        let total: u64 = self.by_log2.values().sum();
        let mut below = 0;
        for (log2, count) in &self.by_log2 {
            below += count;
            if below as f64 >= quantile * total as f64 {
                return Some(2u64.saturating_pow(log2 + 1));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_tells_answered_from_failed() {
        let stats = Stats::new(["payments"].into_iter());
        for _ in 0..99 {
            stats.answered("payments", Duration::from_micros(700));
        }
        stats.answered("payments", Duration::from_millis(300));
        stats.failed("payments", Failure::Refused);
        let snapshot = stats.snapshot();
        let payments = &snapshot.upstreams["payments"];
        assert_eq!((payments.requests, payments.errors), (100, 1));
        assert_eq!(payments.latency_p50_us, Some(1024));
        assert_eq!(payments.latency_p99_us, Some(1024));
    }
}
