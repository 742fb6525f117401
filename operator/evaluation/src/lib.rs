//! Who wants which evaluation windows, and the engines that judge them: one for each (length, sensitivity) in use.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Unit;
use tidewatch_health::{Memory, Sensitivity, Verdict};
use tidewatch_records::{Accounting, FlowWindow, Name, NodeWindow};
use tokio::sync::{mpsc, watch};

pub use self::judge::{Key, Memories};
use self::judge::{MakeJudge, engine};
use self::worker::Worker;

mod judge;
mod worker;

/// Baselines take long to learn: what nobody wants any more is kept for this long, in case someone does again (an
/// object that is replaced, a reconcile that starts over).
const LINGER: SignedDuration = SignedDuration::from_mins(5);

/// Closed windows that may wait for a slow engine; more are dropped, and counted.
const QUEUE: usize = 4;

/// A closed evaluation window of the whole cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterWindow {
    pub start: Timestamp,
    pub seconds: u32,
    /// Resolved.
    pub flows: Vec<FlowWindow>,
    /// How the nodes were, as their agents tell.
    pub nodes: Vec<NodeWindow>,
    /// What each node's agent saw, summed over its windows in this one: `window_start` is this window's, and
    /// `window_seconds` is how much of this window the node has reported. A node that reported nothing is absent.
    pub accounting: BTreeMap<Name, Accounting>,
    /// Nodes whose agent was ready at the close.
    pub expected: BTreeSet<Name>,
}

impl ClusterWindow {
    /// Connections seen and reported over all nodes that reported.
    pub fn connections(&self) -> (u64, u64) {
        self.accounting.values().fold((0, 0), |(seen, reported), a| {
            (seen.saturating_add(a.seen), reported.saturating_add(a.reported))
        })
    }
}

/// A judged window.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub window: Arc<ClusterWindow>,
    pub verdict: Verdict,
}

/// The latest evaluation of one (length, sensitivity); `None` until the first window closed.
pub type Evaluations = watch::Receiver<Option<Arc<Evaluation>>>;

/// What a recorder is told: which engine judged, and what it came to.
pub type Judged = (Key, Arc<Evaluation>);

/// What evaluation counts. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    seconds: Histogram,
    dropped: Counter,
    panics: Counter,
    engines: Gauge,
    unrecorded: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            seconds: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
            dropped: Counter::default(),
            panics: Counter::default(),
            engines: Gauge::default(),
            unrecorded: Counter::default(),
        }
    }
}

impl Metrics {
    pub fn register(&self, to: &mut prometheus_client::registry::Registry) {
        let to = to.sub_registry_with_prefix("evaluation");
        to.register_with_unit("duration", "Time to judge one window", Unit::Seconds, self.seconds.clone());
        to.register(
            "windows_dropped",
            "Windows not judged since the engine was behind",
            self.dropped.clone(),
        );
        to.register(
            "windows_unrecorded",
            "Judged windows that are in no recording since it was behind",
            self.unrecorded.clone(),
        );
        to.register("panics", "Engines that panicked, and lost their baselines", self.panics.clone());
        to.register(
            "engines",
            "Engines: distinct window lengths and sensitivities in use",
            self.engines.clone(),
        );
    }
}

struct Entry {
    evaluations: watch::Sender<Option<Arc<Evaluation>>>,
    /// To its worker, which starts with the first window and ends when this is dropped.
    windows: Option<mpsc::Sender<Arc<ClusterWindow>>>,
    unwanted_since: Option<Timestamp>,
}

/// Cheap to clone; all clones are one registry.
#[derive(Clone)]
pub struct Registry {
    entries: Arc<Mutex<BTreeMap<Key, Entry>>>,
    make_judge: Arc<MakeJudge>,
    metrics: Metrics,
    keeper: Option<mpsc::Sender<(Key, Memory)>>,
    recorder: Option<mpsc::Sender<Judged>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("wanted", &self.lock().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(Metrics::default())
    }
}

impl Registry {
    pub fn new(metrics: Metrics) -> Self {
        Self::remembering(metrics, Memories::default(), None)
    }

    /// Engines go on where their `memories` end, and tell `keeper` what they remember: now and then, and at their end.
    pub fn remembering(
        metrics: Metrics,
        memories: Memories,
        keeper: Option<mpsc::Sender<(Key, Memory)>>,
    ) -> Self {
        let memories = Arc::new(memories);
        let make_judge = Arc::new(move |key: Key| engine(key, memories.get(&key)));
        Self { metrics, keeper, ..Self::with_judges(make_judge) }
    }

    fn with_judges(make_judge: Arc<MakeJudge>) -> Self {
        Self {
            entries: Arc::default(),
            make_judge,
            metrics: Metrics::default(),
            keeper: None,
            recorder: None,
        }
    }

    /// Tells `recorder` of every window that is judged. It isn't waited for.
    pub fn recorded_by(self, recorder: mpsc::Sender<Judged>) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Asks for evaluations of windows of `window_seconds`, judged at `sensitivity`, until the last receiver (or clone
    /// of it) is dropped. The baselines that were learned for it go with it a few minutes later, so hold on to it.
    pub fn want(&self, window_seconds: u32, sensitivity: Sensitivity) -> Evaluations {
        let mut entries = self.lock();
        let entry = entries.entry(Key { window_seconds, sensitivity }).or_insert_with(|| Entry {
            evaluations: watch::Sender::new(None),
            windows: None,
            unwanted_since: None,
        });
        entry.evaluations.subscribe()
    }

    /// The window lengths wanted at `now`. Forgets what has been unwanted for long.
    pub fn lengths(&self, now: Timestamp) -> BTreeSet<u32> {
        let mut entries = self.lock();
        entries.retain(|_, entry| {
            if entry.evaluations.receiver_count() > 0 {
                entry.unwanted_since = None;
                return true;
            }
            now.duration_since(*entry.unwanted_since.get_or_insert(now)) < LINGER
        });
        self.metrics.engines.set(i64::try_from(entries.len()).unwrap_or(i64::MAX));
        entries.keys().map(|key| key.window_seconds).collect()
    }

    /// Engines as of the last [`Registry::lengths`].
    pub fn engines(&self) -> i64 {
        self.metrics.engines.get()
    }

    /// Has `window` judged by every engine of its length.
    pub fn publish(&self, window: Arc<ClusterWindow>) {
        let mut entries = self.lock();
        for (key, entry) in entries.iter_mut() {
            if key.window_seconds != window.seconds {
                continue;
            }
            let windows = entry.windows.get_or_insert_with(|| {
                let (to_worker, windows) = mpsc::channel(QUEUE);
                let worker = Worker {
                    make_judge: self.make_judge.clone(),
                    key: *key,
                    evaluations: entry.evaluations.clone(),
                    metrics: self.metrics.clone(),
                    keeper: self.keeper.clone(),
                    recorder: self.recorder.clone(),
                };
                tokio::spawn(worker.run(windows));
                to_worker
            });
            if windows.try_send(window.clone()).is_err() {
                self.metrics.dropped.inc();
                tracing::warn!(start = %window.start, engine = %key, "a window is not judged: the engine is behind");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
