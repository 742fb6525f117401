//! Runs canaries when they are due: a task each, so that none overlaps with itself and none waits for another.
//!
//! A time that passes while a run goes on, or while no operator leads, isn't made up for: what a canary tells is how
//! things are now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use jiff::Timestamp;
use tidewatch_prober::{Plan, Prober, TargetPolicy};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

use super::history::History;
use super::metrics::ProbeMetrics;
use super::schedule::Schedule;

/// Runs that go on at the same time: more than 1,000 canaries need when each of them waits for its time-out.
const RUNS: usize = 512;
/// The longest sleep in one go, so that a clock that was set is noticed.
const NAP: Duration = Duration::from_secs(300);
/// Times that passed unused are counted up to here.
const COUNTED: u64 = 1000;
/// How often the figures of runs that only go on as before are told.
pub const TELL_EVERY: Duration = Duration::from_secs(300);

/// What a canary does, and when.
#[derive(Debug, Clone)]
pub struct Job {
    pub plan: Arc<Plan>,
    pub schedule: Schedule,
    /// Names of the plan's checks.
    pub checks: Arc<[String]>,
}

/// Cheap to clone; all clones run the same canaries.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "a prober has none")]
pub struct Engine {
    shared: Arc<Shared>,
    canaries: Arc<Mutex<HashMap<String, Canary>>>,
}

struct Shared {
    prober: Prober,
    metrics: ProbeMetrics,
    runs: Semaphore,
    /// Takes the keys (namespace/name) of canaries that there is something to tell of.
    wake: UnboundedSender<String>,
}

struct Canary {
    jobs: watch::Sender<Option<Job>>,
    asked: Arc<Notify>,
    history: Arc<Mutex<History>>,
    task: JoinHandle<()>,
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Engine {
    pub fn new(prober: Prober, metrics: ProbeMetrics, wake: UnboundedSender<String>) -> Self {
        let shared = Shared { prober, metrics, runs: Semaphore::new(RUNS), wake };
        Self { shared: Arc::new(shared), canaries: Arc::default() }
    }

    /// What may be reached, from the next connection on.
    pub fn allow(&self, targets: TargetPolicy) {
        self.shared.prober.allow(targets);
    }

    /// Runs `job` from now on, or nothing. `history` is what is known of a canary that is new to this engine.
    pub fn set(&self, namespace: &str, name: &str, job: Option<Job>, history: impl FnOnce() -> History) {
        let mut canaries = self.canaries();
        let key = format!("{namespace}/{name}");
        if let Some(canary) = canaries.get(&key) {
            canary.jobs.send_replace(job);
            return;
        }
        let (jobs, taken) = watch::channel(job);
        let (asked, history) = (Arc::new(Notify::new()), Arc::new(Mutex::new(history())));
        let tending = Tending {
            shared: Arc::clone(&self.shared),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            jobs: taken,
            asked: Arc::clone(&asked),
            history: Arc::clone(&history),
        };
        let task = tokio::spawn(tending.tend());
        canaries.insert(key, Canary { jobs, asked, history, task });
    }

    /// Runs it once, at once, if it isn't suspended.
    pub fn run_now(&self, key: &str) {
        if let Some(canary) = self.canaries().get(key) {
            canary.asked.notify_one();
        }
    }

    /// What is remembered of its runs.
    pub fn history(&self, key: &str) -> Option<History> {
        self.canaries().get(key).map(|canary| lock(&canary.history).clone())
    }

    pub fn remove(&self, namespace: &str, name: &str) {
        let removed = self.canaries().remove(&format!("{namespace}/{name}"));
        drop(removed);
        self.shared.metrics.forget(namespace, name);
    }

    /// Keys of all that are known.
    pub fn keys(&self) -> Vec<String> {
        self.canaries().keys().cloned().collect()
    }

    fn canaries(&self) -> MutexGuard<'_, HashMap<String, Canary>> {
        lock(&self.canaries)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One canary's task.
struct Tending {
    shared: Arc<Shared>,
    namespace: String,
    name: String,
    jobs: watch::Receiver<Option<Job>>,
    asked: Arc<Notify>,
    history: Arc<Mutex<History>>,
}

impl Tending {
    async fn tend(mut self) {
        // The last time that was used; the clock alone could name it twice.
        let mut used = Timestamp::MIN;
        let mut told: Option<Timestamp> = None;
        loop {
            let job = self.jobs.borrow_and_update().clone();
            let due = job.as_ref().and_then(|job| job.schedule.next_after(Timestamp::now().max(used)));
            tokio::select! {
                changed = self.jobs.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    continue;
                }
                () = self.asked.notified() => {}
                () = until(due) => used = due.unwrap_or(used),
            }
            let Some(job) = job else { continue };
            let changed = self.run(&job).await;
            let now = Timestamp::now();
            self.count_missed(&job.schedule, used, now);
            if changed
                || told
                    .is_none_or(|told| now.duration_since(told) >= TELL_EVERY.try_into().unwrap_or_default())
            {
                told = Some(now);
                let _ = self.shared.wake.unbounded_send(format!("{}/{}", self.namespace, self.name));
            }
        }
    }

    async fn run(&self, job: &Job) -> bool {
        // Closed only with the process.
        let Ok(_turn) = self.shared.runs.acquire().await else { return false };
        let report = self.shared.prober.run(&job.plan).await;
        self.shared.metrics.ran(&self.namespace, &self.name, &job.checks, &report);
        lock(&self.history).record(&report)
    }

    fn count_missed(&self, schedule: &Schedule, used: Timestamp, now: Timestamp) {
        if used == Timestamp::MIN {
            return;
        }
        let passed = std::iter::successors(schedule.next_after(used), |at| schedule.next_after(*at));
        let missed = passed.take_while(|at| *at <= now).take(usize::try_from(COUNTED).unwrap_or(0)).count();
        self.shared.metrics.missed(&self.namespace, &self.name, missed);
    }
}

/// Sleeps until the clock shows `due`; for ever without.
async fn until(due: Option<Timestamp>) {
    let Some(due) = due else { return std::future::pending().await };
    while let Ok(left) = Duration::try_from(due.duration_since(Timestamp::now()))
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(NAP)).await;
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
