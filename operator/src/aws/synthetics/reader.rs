//! Reads that all canaries of one account and Region share: canaries and their last runs, by name or by whole pages,
//! whichever is fewer calls.
//!
//! A resync reads every wanted canary once and wakes only the objects whose reading changed. An object that just wrote
//! asks for a reading younger than its write, and shares a batch with the others that wait.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::calls::{Pages, Synthetics};
use super::types::{CanarySeen, CanaryState, RunSeen, RuntimeSeen};
use crate::aws::Tuning;
use crate::aws::cloudwatch::Answer;
use crate::aws::error::{AwsError, ErrorKind};

/// "You can specify as many as five canary names" (API_DescribeCanaries).
const BATCH: usize = 5;
/// Canaries in a page, and last runs in one.
const CANARIES: usize = 20;
const LAST_RUNS: usize = 100;
/// Runtimes change a few times a year.
const RUNTIMES: Duration = Duration::from_secs(6 * 3600);

/// What there is of a canary.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CanaryReading {
    pub canary: Option<Arc<CanarySeen>>,
    /// The last attempt of a run, if there ever was one.
    pub last_run: Option<Arc<RunSeen>>,
}

struct Entry {
    read: Option<(Instant, CanaryReading)>,
    /// The object that is woken when the reading changes.
    object: String,
}

struct Waiting {
    name: String,
    newer_than: Instant,
    answer: oneshot::Sender<Result<CanaryReading, AwsError>>,
}

/// How many pages there were when they were last counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    canaries: Option<usize>,
    last_runs: Option<usize>,
}

#[derive(Default)]
struct State {
    canaries: HashMap<String, Entry>,
    waiting: Vec<Waiting>,
    counted: Counted,
}

type Runtimes = tokio::sync::Mutex<Option<(Instant, Arc<Vec<RuntimeSeen>>)>>;

/// The reads of one account and Region. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct CanaryReader {
    synthetics: Arc<dyn Synthetics>,
    state: Arc<Mutex<State>>,
    runtimes: Arc<Runtimes>,
    asked: Arc<Notify>,
    wake: UnboundedSender<String>,
    tuning: Tuning,
}

impl std::fmt::Debug for CanaryReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CanaryReader").field("canaries", &self.lock().canaries.len()).finish_non_exhaustive()
    }
}

impl CanaryReader {
    /// `wake` is told the objects whose readings changed.
    pub fn new(synthetics: Arc<dyn Synthetics>, wake: UnboundedSender<String>, tuning: Tuning) -> Self {
        Self {
            synthetics,
            state: Arc::default(),
            runtimes: Arc::default(),
            asked: Arc::default(),
            wake,
            tuning,
        }
    }

    /// What there is of `name` at `newer_than` or later, for `object`; from now on it is read at each resync.
    pub async fn canary(
        &self,
        object: &str,
        name: &str,
        newer_than: Instant,
    ) -> Result<CanaryReading, AwsError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.lock();
            state
                .canaries
                .entry(name.to_owned())
                .or_insert_with(|| Entry { read: None, object: object.to_owned() });
            if let Some(reading) = state.reading(name, newer_than) {
                return Ok(reading);
            }
            state.waiting.push(Waiting { name: name.to_owned(), newer_than, answer });
        }
        self.asked.notify_one();
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    /// The runtime versions, as they were some hours ago at most.
    pub async fn runtimes(&self) -> Result<Arc<Vec<RuntimeSeen>>, AwsError> {
        let mut list = self.runtimes.lock().await;
        if let Some((at, runtimes)) = list.as_ref()
            && at.elapsed() < RUNTIMES
        {
            return Ok(runtimes.clone());
        }
        let runtimes = Arc::new(self.synthetics.runtimes().await?);
        *list = Some((Instant::now(), runtimes.clone()));
        Ok(runtimes)
    }

    /// Nobody asks for others than `keep` any more.
    pub fn forget(&self, object: &str, keep: &BTreeSet<String>) {
        self.lock().canaries.retain(|name, entry| entry.object != object || keep.contains(name));
    }

    /// Reads until `cancel`, also in the midst of a read: a replica that no longer leads asks nothing more.
    pub async fn run(self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.read_on() => {}
        }
    }

    async fn read_on(&self) {
        let mut due = Instant::now() + self.tuning.resync;
        loop {
            tokio::select! {
                () = self.asked.notified() => {
                    tokio::time::sleep(self.tuning.gather).await;
                    self.answer_waiting().await;
                }
                () = tokio::time::sleep_until(due) => {
                    due = Instant::now() + self.tuning.resync;
                    self.resync().await;
                }
            }
        }
    }

    async fn answer_waiting(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        let names: BTreeSet<String> = {
            let state = self.lock();
            let open = waiting.iter().filter(|w| !w.answer.is_closed());
            open.filter(|w| state.reading(&w.name, w.newer_than).is_none()).map(|w| w.name.clone()).collect()
        };
        let failure = self.read(&names.into_iter().collect::<Vec<_>>(), false).await.err();
        let state = self.lock();
        for waiting in waiting {
            let answer = state
                .reading(&waiting.name, waiting.newer_than)
                .ok_or_else(|| failure.clone().unwrap_or_else(ended));
            let _ = waiting.answer.send(answer);
        }
    }

    async fn resync(&self) {
        let names: Vec<String> = self.lock().canaries.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        if let Err(error) = self.read(&names, true).await {
            tracing::warn!(%error, "couldn't read the canaries' states");
            // Each object says on itself that its state isn't known any more.
            let mut state = self.lock();
            for entry in state.canaries.values_mut() {
                entry.read = None;
                let _ = self.wake.unbounded_send(entry.object.clone());
            }
        }
    }

    /// Reads `names` and remembers what there is.
    async fn read(&self, names: &[String], wake: bool) -> Result<(), AwsError> {
        if names.is_empty() {
            return Ok(());
        }
        let at = Instant::now();
        let counted = self.lock().counted;
        let (canaries, pages) =
            fetch(names, CANARIES, counted.canaries, |names| self.synthetics.canaries(names)).await?;
        let canaries: HashMap<String, Arc<CanarySeen>> =
            canaries.into_iter().map(|canary| (canary.name.clone(), Arc::new(canary))).collect();
        let run: Vec<String> = names
            .iter()
            .filter(|name| canaries.get(*name).is_some_and(|canary| may_have_run(&canary.state)))
            .cloned()
            .collect();
        let (last_runs, run_pages) =
            fetch(&run, LAST_RUNS, counted.last_runs, |names| self.synthetics.last_runs(names)).await?;
        let mut last_runs: HashMap<String, Arc<RunSeen>> =
            last_runs.into_iter().map(|(name, run)| (name, Arc::new(run))).collect();
        let mut state = self.lock();
        state.counted.canaries = pages.or(state.counted.canaries);
        state.counted.last_runs = run_pages.or(state.counted.last_runs);
        for name in names {
            let Some(entry) = state.canaries.get_mut(name) else { continue };
            let reading =
                CanaryReading { canary: canaries.get(name).cloned(), last_run: last_runs.remove(name) };
            let changed = entry.read.as_ref().is_none_or(|(_, before)| *before != reading);
            entry.read = Some((at, reading));
            if changed && wake {
                let _ = self.wake.unbounded_send(entry.object.clone());
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended() -> AwsError {
    AwsError::local("DescribeCanaries", "", ErrorKind::Retry, "not read yet")
}

/// One that was only made has no runs.
fn may_have_run(state: &CanaryState) -> bool {
    !matches!(state, CanaryState::Creating | CanaryState::Ready | CanaryState::Starting)
}

/// What `read` has for `names`, in as few calls as are known to do; and the number of pages, if all were read. Pages hold
/// everybody's canaries, so that their number only shows by reading them.
async fn fetch<'a, T>(
    names: &'a [String],
    page: usize,
    pages: Option<usize>,
    read: impl Fn(&'a [String]) -> Answer<'a, Pages<T>>,
) -> Result<(Vec<T>, Option<usize>), AwsError> {
    let pages = pages.unwrap_or(0).max(names.len().div_ceil(page));
    if names.len().div_ceil(BATCH) > pages {
        let all = read(&[]).await?;
        return Ok((all.items, Some(all.pages)));
    }
    let mut items = Vec::new();
    for batch in names.chunks(BATCH) {
        items.extend(read(batch).await?.items);
    }
    Ok((items, None))
}

impl State {
    fn reading(&self, name: &str, newer_than: Instant) -> Option<CanaryReading> {
        let (at, reading) = self.canaries.get(name)?.read.as_ref()?;
        (*at >= newer_than).then(|| reading.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Calls that reading so many of ours takes, among so many in the account, the second time.
    fn calls(ours: usize, account: usize) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let names: Vec<String> = (0..ours).map(|index| index.to_string()).collect();
        let made = AtomicUsize::new(0);
        let read = |names: &[String]| -> Answer<'_, Pages<usize>> {
            let pages = if names.is_empty() { account.div_ceil(CANARIES) } else { 1 };
            made.fetch_add(pages, Ordering::Relaxed);
            Box::pin(async move { Ok(Pages { items: Vec::new(), pages }) })
        };
        runtime.block_on(async {
            let (_, pages) = fetch(&names, CANARIES, None, read).await.unwrap();
            made.store(0, Ordering::Relaxed);
            fetch(&names, CANARIES, pages, read).await.unwrap();
        });
        made.into_inner()
    }

    #[test]
    fn canaries_are_read_by_name_or_by_page_whichever_is_fewer_calls() {
        assert_eq!(calls(1, 500), 1);
        assert_eq!(calls(5, 500), 1);
        assert_eq!(calls(50, 500), 10);
        assert_eq!(calls(300, 300), 15);
        assert_eq!(calls(300, 500), 25);
    }
}
