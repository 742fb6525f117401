//! What the loops do, as metrics: passes by kind and how they ended, and how long they took. What AWS refused an object is
//! no failed pass, since its status says it: see `tidewatch_aws_calls_total`.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::reconcile::ErrorClass;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    kind: String,
    outcome: &'static str,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed(ErrorClass),
    TimedOut,
    Panicked,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed(ErrorClass::Terminal) => "terminal",
            Self::Failed(ErrorClass::Retry) => "retry",
            Self::Failed(ErrorClass::Throttled(_)) => "throttled",
            Self::Failed(ErrorClass::Denied) => "denied",
            Self::Failed(ErrorClass::NotFound) => "not_found",
            Self::Failed(ErrorClass::Conflict) => "conflict",
            Self::TimedOut => "timed_out",
            Self::Panicked => "panicked",
        }
    }
}

/// Cheap to clone; all clones are the same metrics.
#[derive(Debug, Clone)]
pub struct PassMetrics {
    ended: Family<Ended, Counter>,
    seconds: Family<OfKind, Histogram, fn() -> Histogram>,
}

impl Default for PassMetrics {
    fn default() -> Self {
        // From 1 ms to 4 min: a pass may wait for its turn at AWS.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 4.0, 10));
        Self { ended: Family::default(), seconds: Family::new_with_constructor(histogram) }
    }
}

impl PassMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "reconciles",
            "Passes over objects, by how they ended: done, or the class of the failure",
            self.ended.clone(),
        );
        registry.register("reconcile_duration_seconds", "How long a pass took", self.seconds.clone());
    }

    pub(crate) fn ended(&self, kind: &str, outcome: Outcome, took: Duration) {
        self.ended.get_or_create(&Ended { kind: kind.to_owned(), outcome: outcome.as_str() }).inc();
        self.seconds.get_or_create(&OfKind { kind: kind.to_owned() }).observe(took.as_secs_f64());
    }

    #[cfg(test)]
    pub(crate) fn so_far(&self, kind: &str, outcome: &'static str) -> u64 {
        self.ended.get(&Ended { kind: kind.to_owned(), outcome }).map_or(0, |counter| counter.get())
    }
}
