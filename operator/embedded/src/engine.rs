//! Runs canaries when they are due: a task each, so that none overlaps with itself and none waits for another.
//!
//! A time that passes while a run goes on, or while no operator leads, isn't made up for: what a canary tells is how
//! things are now.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::mpsc::UnboundedSender;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tidewatch_prober::{FailureReport, PhaseTimes, Plan, Prober, RunReport, TargetPolicy};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

use super::history::{Change, History};
use super::metrics::{ProbeMetrics, Shown};
use super::schedule::Schedule;
use tidewatch_kube::reconcile::panic_text;

/// Runs that go on at the same time: more than 1,000 canaries need when each of them waits for its time-out.
const RUNS: usize = 512;
/// The longest sleep in one go, so that a clock that was set is noticed.
const NAP: Duration = Duration::from_secs(300);
/// Times that passed unused are counted up to here.
const COUNTED: usize = 1000;
/// How often the figures of runs that only go on as before are told.
const TELL_EVERY: Duration = Duration::from_secs(300);
/// How often another sentence about the same failure is told.
const REWORD_EVERY: Duration = Duration::from_secs(60);
/// What is almost due is told: runs come at full minutes more or less, and the next may be a long way off.
const NEARLY: Duration = Duration::from_secs(5);

/// What a canary does, and when.
#[derive(Debug, Clone)]
pub struct Job {
    pub plan: Arc<Plan>,
    pub schedule: Schedule,
    /// Names of the plan's checks.
    pub checks: Arc<[String]>,
}

/// Carries a plan out.
pub trait Runner: Send + Sync {
    /// Runs the checks of `plan`. Dropping the future ends the run.
    fn run<'a>(&'a self, plan: &'a Plan) -> BoxFuture<'a, RunReport>;

    /// Which addresses may be reached, from the next connection on.
    fn allow(&self, targets: TargetPolicy);
}

impl Runner for Prober {
    fn run<'a>(&'a self, plan: &'a Plan) -> BoxFuture<'a, RunReport> {
        Box::pin(self.run(plan))
    }

    fn allow(&self, targets: TargetPolicy) {
        self.allow(targets);
    }
}

/// Cheap to clone; all clones run the same canaries.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "a prober has none")]
pub struct Engine {
    shared: Arc<Shared>,
    canaries: Arc<Mutex<HashMap<String, Canary>>>,
}

struct Shared {
    prober: Box<dyn Runner>,
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
    pub fn new(prober: impl Runner + 'static, metrics: ProbeMetrics, wake: UnboundedSender<String>) -> Self {
        let prober = Box::new(prober);
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

    /// Ends it, also in the middle of a run.
    pub fn remove(&self, namespace: &str, name: &str) {
        let removed = self.canaries().remove(&format!("{namespace}/{name}"));
        drop(removed);
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
        let mut telling = Telling::default();
        let mut shown = Shown::new(&self.shared.metrics, &self.namespace, &self.name);
        loop {
            let job = self.given(&mut shown);
            let due = job.as_ref().and_then(|job| job.schedule.next_after(Timestamp::now().max(used)));
            let from = tokio::select! {
                biased;
                changed = self.jobs.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    continue;
                }
                // What passed before, while it was suspended or had another schedule, it didn't miss.
                () = self.asked.notified() => used.max(Timestamp::now()),
                () = until(due) => {
                    used = due.unwrap_or(used);
                    used
                }
            };
            // Who gives a job and asks for a run means a run of that job.
            let Some(job) = self.given(&mut shown) else { continue };
            let change = self.run(&job, &shown).await;
            let now = Timestamp::now();
            shown.missed(missed(&job.schedule, from, now));
            if telling.is_due(change, now) {
                let _ = self.shared.wake.unbounded_send(format!("{}/{}", self.namespace, self.name));
            }
        }
    }

    /// The job as it is now; of checks that it doesn't have, nothing is shown any more.
    fn given(&mut self, shown: &mut Shown) -> Option<Job> {
        let job = self.jobs.borrow_and_update().clone();
        shown.only(job.as_ref().map(|job| &job.checks));
        job
    }

    async fn run(&self, job: &Job, shown: &Shown) -> Change {
        // Closed only with the process.
        let Ok(_turn) = self.shared.runs.acquire().await else { return Change::Figures };
        let at = Timestamp::now();
        // Nobody waits for this task: a panic would end the canary for good, and nothing would tell.
        let run = AssertUnwindSafe(self.shared.prober.run(&job.plan)).catch_unwind().await;
        let report = run.unwrap_or_else(|panic| self.broken(job, at, &panic_text(&*panic)));
        shown.ran(&report);
        lock(&self.history).record(&report)
    }

    /// The report of a run that panicked: it failed, and the fault is ours.
    fn broken(&self, job: &Job, at: Timestamp, panic: &str) -> RunReport {
        tracing::error!(namespace = self.namespace, name = self.name, panic, "a run of a canary panicked");
        let failure = FailureReport {
            check: job.checks.join(", "),
            // The panic's own text may quote what the run worked on, secrets among it.
            message: "the run broke off by a fault of tidewatch's own, which the operator's log names"
                .to_owned(),
            expected: None,
            got: None,
            phases: PhaseTimes::default(),
        };
        RunReport {
            at,
            duration: Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default(),
            attempts: 1,
            trace_id: None,
            checks: Vec::new(),
            failure: Some(failure),
        }
    }
}

/// Times of `schedule` that passed after `from`, since a run took so long.
fn missed(schedule: &Schedule, from: Timestamp, now: Timestamp) -> usize {
    let passed = std::iter::successors(schedule.next_after(from), |at| schedule.next_after(*at));
    passed.take_while(|at| *at <= now).take(COUNTED).count()
}

/// When there is something to tell of runs.
#[derive(Debug, Default)]
struct Telling {
    told: Option<Timestamp>,
    untold: Change,
}

impl Telling {
    /// Whether to tell, after a run that changed so much.
    fn is_due(&mut self, change: Change, now: Timestamp) -> bool {
        self.untold = self.untold.max(change);
        let due = self.told.is_none_or(|told| is_due(self.untold, now.duration_since(told)));
        if due {
            *self = Self { told: Some(now), untold: Change::Figures };
        }
        due
    }
}

/// Whether what changed is worth telling, so long after something was told.
pub fn is_due(change: Change, since: SignedDuration) -> bool {
    let since = Duration::try_from(since).unwrap_or_default().saturating_add(NEARLY);
    match change {
        Change::Result => true,
        Change::Words => since >= REWORD_EVERY,
        Change::Figures => since >= TELL_EVERY,
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
