//! Readings of things by their names, which all objects of one account and Region share.
//!
//! A resync reads every wanted name once and wakes only the objects whose reading changed, so that objects at rest cost a
//! few calls together. An object that just wrote asks for a reading younger than its write, and shares a batch with the
//! others that wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Tuning;
use super::cloudwatch::Answer;
use super::error::{AwsError, ErrorKind};

/// Where readings come from.
pub(super) trait Source: Send + Sync + 'static {
    /// What there is of a name; the default is that there is nothing.
    type Reading: Clone + Default + PartialEq + Send + Sync + 'static;
    /// The operation that reads, as errors name it.
    const OPERATION: &'static str;
    /// So many names are read at a time.
    const BATCH: usize;

    /// What there is of `names`, of which there is at least one. What isn't in the answer isn't there.
    fn read<'a>(&'a self, names: &'a [String]) -> Answer<'a, HashMap<String, Self::Reading>>;

    /// What else is read at each resync.
    fn resynced(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Readings by name.
pub(super) type Found<R> = BTreeMap<String, R>;

struct Entry<R> {
    read: Option<(Instant, R)>,
    /// The object that is woken when the reading changes.
    object: String,
}

struct Waiting<R> {
    names: Vec<String>,
    newer_than: Instant,
    answer: oneshot::Sender<Result<Found<R>, AwsError>>,
}

struct State<R> {
    entries: HashMap<String, Entry<R>>,
    waiting: Vec<Waiting<R>>,
}

/// Cheap to clone; all clones are one.
pub(super) struct Readings<S: Source>(Arc<Shared<S>>);

struct Shared<S: Source> {
    source: S,
    state: Mutex<State<S::Reading>>,
    asked: Notify,
    wake: UnboundedSender<String>,
    tuning: Tuning,
}

impl<S: Source> Clone for Readings<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Source> Readings<S> {
    /// `wake` is told the objects whose readings changed.
    pub(super) fn new(source: S, wake: UnboundedSender<String>, tuning: Tuning) -> Self {
        let state = Mutex::new(State { entries: HashMap::new(), waiting: Vec::new() });
        Self(Arc::new(Shared { source, state, asked: Notify::new(), wake, tuning }))
    }

    pub(super) fn source(&self) -> &S {
        &self.0.source
    }

    /// How many names are wanted.
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Readings of `names` taken at `newer_than` or later, for `object`; from now on these are read at each resync.
    pub(super) async fn get(
        &self,
        object: &str,
        names: &[String],
        newer_than: Instant,
    ) -> Result<Found<S::Reading>, AwsError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.lock();
            for name in names {
                let new = || Entry { read: None, object: object.to_owned() };
                state.entries.entry(name.clone()).or_insert_with(new);
            }
            if let Some(found) = state.found(names, newer_than) {
                return Ok(found);
            }
            state.waiting.push(Waiting { names: names.to_vec(), newer_than, answer });
        }
        self.0.asked.notify_one();
        answered.await.unwrap_or_else(|_| Err(unread::<S>("the reader has ended")))
    }

    /// Nobody asks for others than `keep` for `object` any more.
    pub(super) fn forget(&self, object: &str, keep: &BTreeSet<String>) {
        self.lock().entries.retain(|name, entry| entry.object != object || keep.contains(name));
    }

    /// Reads until `cancel`, also in the midst of a read: a replica that no longer leads asks nothing more.
    pub(super) async fn run(self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&self) {
        let Tuning { resync, gather, .. } = self.0.tuning;
        let mut due = Instant::now() + resync;
        loop {
            tokio::select! {
                () = self.0.asked.notified() => {
                    tokio::time::sleep(gather).await;
                    self.answer_waiting().await;
                }
                () = tokio::time::sleep_until(due) => {
                    due = Instant::now() + resync;
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
            let stale =
                open.flat_map(|w| w.names.iter().filter(|name| state.get(name, w.newer_than).is_none()));
            stale.cloned().collect()
        };
        let failure = self.read(&names.into_iter().collect::<Vec<_>>(), false).await.err();
        let state = self.lock();
        for Waiting { names, newer_than, answer } in waiting {
            let found = state.found(&names, newer_than);
            let found = found.ok_or_else(|| failure.clone().unwrap_or_else(|| unread::<S>("not read yet")));
            let _ = answer.send(found);
        }
    }

    async fn resync(&self) {
        let names: Vec<String> = self.lock().entries.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        if let Err(error) = self.read(&names, true).await {
            tracing::warn!(%error, "couldn't read the states of what is in AWS");
            // Each object says on itself that its state isn't known any more.
            let mut state = self.lock();
            for entry in state.entries.values_mut() {
                entry.read = None;
                let _ = self.0.wake.unbounded_send(entry.object.clone());
            }
            return;
        }
        self.source().resynced().await;
    }

    /// Reads `names` and remembers what there is; the first batch that fails ends it.
    async fn read(&self, names: &[String], wake: bool) -> Result<(), AwsError> {
        for batch in names.chunks(S::BATCH) {
            let at = Instant::now();
            let mut found = self.source().read(batch).await?;
            let mut state = self.lock();
            for name in batch {
                let reading = found.remove(name).unwrap_or_default();
                let Some(entry) = state.entries.get_mut(name) else { continue };
                let changed = entry.read.as_ref().is_none_or(|(_, before)| *before != reading);
                entry.read = Some((at, reading));
                if changed && wake {
                    let _ = self.0.wake.unbounded_send(entry.object.clone());
                }
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State<S::Reading>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unread<S: Source>(why: &str) -> AwsError {
    AwsError::local(S::OPERATION, "", ErrorKind::Retry, why)
}

impl<R: Clone> State<R> {
    fn get(&self, name: &str, newer_than: Instant) -> Option<&R> {
        let (at, reading) = self.entries.get(name)?.read.as_ref()?;
        (*at >= newer_than).then_some(reading)
    }

    fn found(&self, names: &[String], newer_than: Instant) -> Option<Found<R>> {
        names.iter().map(|name| Some((name.clone(), self.get(name, newer_than)?.clone()))).collect()
    }
}
