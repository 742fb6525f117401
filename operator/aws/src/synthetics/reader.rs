//! Reads that all canaries of one account and Region share: canaries and their last runs, by name or by whole pages,
//! whichever is fewer calls.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::calls::{Pages, Synthetics};
use super::types::{CanarySeen, CanaryState, RunSeen, RuntimeSeen};
use crate::Tuning;
use crate::cloudwatch::Answer;
use crate::error::AwsError;
use crate::readings::{Readings, Source};

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

/// How many pages there were when they were last counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    canaries: Option<usize>,
    last_runs: Option<usize>,
}

/// The reads of one account and Region. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct CanaryReader {
    canaries: Readings<Canaries>,
}

/// Where they come from.
struct Canaries {
    synthetics: Arc<dyn Synthetics>,
    counted: Mutex<Counted>,
    runtimes: tokio::sync::Mutex<Option<(Instant, Arc<Vec<RuntimeSeen>>)>>,
}

impl Source for Canaries {
    type Reading = CanaryReading;
    const OPERATION: &'static str = "DescribeCanaries";
    /// All at once: how many calls that is depends on how many they are.
    const BATCH: usize = usize::MAX;

    fn read<'a>(&'a self, names: &'a [String]) -> Answer<'a, HashMap<String, CanaryReading>> {
        Box::pin(async move {
            let counted = *self.counted();
            let (canaries, pages) =
                fetch(names, CANARIES, counted.canaries, |names| self.synthetics.canaries(names)).await?;
            let wanted: BTreeSet<&String> = names.iter().collect();
            let canaries: Vec<CanarySeen> =
                canaries.into_iter().filter(|canary| wanted.contains(&canary.name)).collect();
            let run = canaries.iter().filter(|canary| may_have_run(&canary.state));
            let run: Vec<String> = run.map(|canary| canary.name.clone()).collect();
            let (last_runs, run_pages) =
                fetch(&run, LAST_RUNS, counted.last_runs, |names| self.synthetics.last_runs(names)).await?;
            {
                let mut counted = self.counted();
                counted.canaries = pages.or(counted.canaries);
                counted.last_runs = run_pages.or(counted.last_runs);
            }
            let mut last_runs: HashMap<String, Arc<RunSeen>> =
                last_runs.into_iter().map(|(name, run)| (name, Arc::new(run))).collect();
            let reading = |canary: CanarySeen| {
                let name = canary.name.clone();
                let last_run = last_runs.remove(&name);
                (name, CanaryReading { canary: Some(Arc::new(canary)), last_run })
            };
            Ok(canaries.into_iter().map(reading).collect())
        })
    }
}

impl Canaries {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for CanaryReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CanaryReader").field("canaries", &self.canaries.len()).finish_non_exhaustive()
    }
}

impl CanaryReader {
    /// `wake` is told the objects whose readings changed.
    pub fn new(synthetics: Arc<dyn Synthetics>, wake: UnboundedSender<String>, tuning: Tuning) -> Self {
        let source =
            Canaries { synthetics, counted: Mutex::default(), runtimes: tokio::sync::Mutex::default() };
        Self { canaries: Readings::new(source, wake, tuning) }
    }

    /// What there is of `name` at `newer_than` or later, for `object`; from now on it is read at each resync.
    pub async fn canary(
        &self,
        object: &str,
        name: &str,
        newer_than: Instant,
    ) -> Result<CanaryReading, AwsError> {
        let mut found = self.canaries.get(object, &[name.to_owned()], newer_than).await?;
        Ok(found.remove(name).unwrap_or_default())
    }

    /// The runtime versions, as they were some hours ago at most.
    pub async fn runtimes(&self) -> Result<Arc<Vec<RuntimeSeen>>, AwsError> {
        let source = self.canaries.source();
        let mut list = source.runtimes.lock().await;
        if let Some((at, runtimes)) = list.as_ref()
            && at.elapsed() < RUNTIMES
        {
            return Ok(runtimes.clone());
        }
        let runtimes = Arc::new(source.synthetics.runtimes().await?);
        *list = Some((Instant::now(), runtimes.clone()));
        Ok(runtimes)
    }

    /// Nobody asks for others than `keep` for `object` any more.
    pub fn forget(&self, object: &str, keep: &BTreeSet<String>) {
        self.canaries.forget(object, keep);
    }

    /// Reads until `cancel`, also in the midst of a read: a replica that no longer leads asks nothing more.
    pub async fn run(self, cancel: CancellationToken) {
        self.canaries.run(cancel).await;
    }
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
