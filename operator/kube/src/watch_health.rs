//! Watches of the API server: tried again ever more rarely while they fail, and known to fail by everything that stands on
//! them. An operator that may not list nodes would else go on saying what it last knew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use kube::Api;
use kube::runtime::watcher::{self, Event, watcher};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use tokio::sync::watch as channel;
use tokio::time::Instant;

use crate::backoff::{Backoff, jitter};
use crate::reconcile::{Classify, ErrorClass};

/// When watches are tried again, and when it is told that they fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub backoff: Backoff,
    /// A watch that fails for less is only interrupted: an API server that restarts changes no status.
    pub patience: Duration,
    /// A retry that fails does so within this time (a connection may take 30 s): a failure that comes later is of a watch
    /// that worked in between.
    pub attempt: Duration,
    /// A watch that was refused and hasn't failed for this long after a new list works again.
    pub proof: Duration,
}

impl Default for Timing {
    /// The cap leaves time to tell of a failure within two minutes, and to see its end soon after.
    fn default() -> Self {
        let backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
        Self {
            backoff,
            patience: Duration::from_secs(45),
            attempt: Duration::from_secs(40),
            proof: Duration::from_secs(10),
        }
    }
}

/// What is watched, as people and RBAC name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watched {
    /// Such as `networkpolicies.networking.k8s.io`.
    pub name: &'static str,
    /// Without it the operator can't do its work; what only explains isn't needed.
    pub is_needed: bool,
}

impl Watched {
    pub const PODS: Self = Self::needed("pods");
    pub const NODES: Self = Self::needed("nodes");
    pub const SERVICES: Self = Self::needed("services");
    pub const NAMESPACES: Self = Self::needed("namespaces");
    pub const ENDPOINT_SLICES: Self = Self::needed("endpointslices.discovery.k8s.io");
    pub const NETWORK_POLICIES: Self = Self { name: "networkpolicies.networking.k8s.io", is_needed: false };
    pub const CONFIG_MAPS: Self = Self::needed("configmaps");
    pub const DAEMON_SETS: Self = Self::needed("daemonsets.apps");
    pub const NETWORK_MONITORS: Self = Self::needed("networkmonitors.tidewatch.dev");
    pub const ANOMALY_ALARMS: Self = Self::needed("anomalyalarms.tidewatch.dev");
    pub const CANARIES: Self = Self::needed("canaries.tidewatch.dev");
    /// They are created, not watched: without them no agent's reports are taken.
    pub const TOKEN_REVIEWS: Self = Self::needed("tokenreviews.authentication.k8s.io");

    const fn needed(name: &'static str) -> Self {
        Self { name, is_needed: true }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    resource: &'static str,
}

/// The watches of this process and how they go. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct WatchHealth(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    timing: Timing,
    watches: Mutex<BTreeMap<u64, Progress>>,
    changes: channel::Sender<u64>,
    failing: Family<Labels, Gauge>,
    failures: Family<Labels, Counter>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            watches: Mutex::default(),
            changes: channel::Sender::new(0),
            failing: Family::default(),
            failures: Family::default(),
        }
    }
}

impl WatchHealth {
    /// With other times than the operator's.
    pub fn with(timing: Timing) -> Self {
        Self(Arc::new(Shared { timing, ..Shared::default() }))
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "watch_failing",
            "1 while the resource can't be listed and watched (TokenReviews: created), so that what depends on it isn't known",
            self.0.failing.clone(),
        );
        registry.register(
            "watch_failures",
            "Failed tries to list, watch or create the resource",
            self.0.failures.clone(),
        );
    }

    /// Watches `resource` by `api`; what fails is tried again for as long as the stream is polled.
    pub fn watch<K>(
        &self,
        resource: Watched,
        api: Api<K>,
        config: watcher::Config,
    ) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
    where
        K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let watch = self.begin(resource);
        let begin = move || watcher(api.clone(), config.clone()).boxed();
        stream::unfold((begin(), watch, begin), |(mut events, watch, begin)| async move {
            let event = watch.next(&mut events).await?;
            if let Some(pause) = watch.saw(&event) {
                tokio::time::sleep(pause).await;
                // A watch that resumes gives no event; a new one begins with a list, whose end does.
                if watch.is_failing() {
                    events = begin();
                }
            }
            Some((event, (events, watch, begin)))
        })
    }

    /// Follows calls on `resource` that somebody else makes again and again.
    pub fn calls(&self, resource: Watched) -> Watch {
        self.begin(resource)
    }

    /// Why one of `resources` isn't known as it is now, if it isn't.
    pub fn failing(&self, resources: &[Watched]) -> Option<String> {
        let watches = self.lock();
        let mut failing = watches.values().filter(|it| resources.contains(&it.resource));
        failing.find_map(|it| it.failing.clone())
    }

    /// Why the operator can't do its work, if it can't.
    pub fn cant_work(&self) -> Option<String> {
        let watches = self.lock();
        let mut needed = watches.values().filter(|it| it.resource.is_needed);
        needed.find_map(|it| it.failing.clone())
    }

    /// Each time that [`WatchHealth::failing`] may say something else.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        stream::unfold(self.0.changes.subscribe(), |mut changes| async move {
            changes.changed().await.ok()?;
            Some(((), changes))
        })
    }

    /// Waits until one of `resources` is failing.
    pub async fn until_failing(&self, resources: &[Watched]) {
        let mut changes = self.0.changes.subscribe();
        while self.failing(resources).is_none() {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// A watch of `resource` begins; it ends when it is dropped.
    pub fn begin(&self, resource: Watched) -> Watch {
        let mut watches = self.lock();
        let id = watches.last_key_value().map_or(0, |(last, _)| last + 1);
        watches.insert(id, Progress::new(resource));
        Watch { health: self.clone(), id }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Progress>> {
        self.0.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the progress of a watch; when that changes what is failing, all who want to know are told.
    fn change<T>(&self, id: u64, change: impl FnOnce(&mut BTreeMap<u64, Progress>, u64) -> T) -> T {
        let mut watches = self.lock();
        let resource = watches.get(&id).map(|it| it.resource);
        let before = watches.get(&id).and_then(|it| it.failing.clone());
        let result = change(&mut watches, id);
        let after = watches.get(&id).and_then(|it| it.failing.clone());
        if let Some(resource) = resource {
            let is_failing = watches.values().any(|it| it.resource == resource && it.failing.is_some());
            self.0.failing.get_or_create(&Labels { resource: resource.name }).set(i64::from(is_failing));
        }
        drop(watches);
        if before != after {
            self.0.changes.send_modify(|version| *version += 1);
        }
        result
    }
}

/// One watch, which ends with its stream; or calls of one kind.
#[derive(Debug)]
pub struct Watch {
    health: WatchHealth,
    id: u64,
}

impl Watch {
    /// The next event; while none comes, a watch that was refused before is found to work.
    async fn next<K>(
        &self,
        events: &mut BoxStream<'_, watcher::Result<Event<K>>>,
    ) -> Option<watcher::Result<Event<K>>> {
        if self.progress(|progress| progress.is_listed) {
            match tokio::time::timeout(self.health.0.timing.proof, events.next()).await {
                Ok(event) => return event,
                Err(_) => self.health.change(self.id, |watches, id| {
                    if let Some(progress) = watches.get_mut(&id) {
                        progress.works();
                    }
                }),
            }
        }
        events.next().await
    }

    fn is_failing(&self) -> bool {
        self.progress(|progress| progress.failing.is_some())
    }

    fn progress(&self, is_so: impl FnOnce(&Progress) -> bool) -> bool {
        self.health.lock().get(&self.id).is_some_and(is_so)
    }

    /// Takes note of the answer to a call. Other failures than a refusal pass by themselves, and the watches tell of an API
    /// server that doesn't answer.
    pub fn answered<T>(&self, answer: &Result<T, kube::Error>) {
        let timing = self.health.0.timing;
        self.health.change(self.id, |watches, id| {
            let Some(progress) = watches.get_mut(&id) else { return };
            match answer {
                Ok(_) => progress.works(),
                Err(error) if error.class() == ErrorClass::Denied => {
                    let failure = Failure {
                        sentence: format!(
                            "the operator isn't allowed to create {}: grant it, as the chart's ClusterRole tidewatch-operator does",
                            progress.resource.name
                        ),
                        said: error.to_string(),
                        class: ErrorClass::Denied,
                        of_a_list: false,
                    };
                    progress.failed(failure, timing, Instant::now(), jitter());
                }
                Err(_) => {}
            }
        });
        self.count(answer.is_err());
    }

    fn count(&self, failed: bool) {
        let resource = self.health.lock().get(&self.id).map(|it| it.resource);
        if let (true, Some(resource)) = (failed, resource) {
            self.health.0.failures.get_or_create(&Labels { resource: resource.name }).inc();
        }
    }

    /// Takes note of what came; how long to wait, if that was a failure.
    pub fn saw<K>(&self, event: &watcher::Result<Event<K>>) -> Option<Duration> {
        let timing = self.health.0.timing;
        let pause = self.health.change(self.id, |watches, id| {
            let progress = watches.get_mut(&id)?;
            progress.saw(event, timing, Instant::now(), jitter())
        });
        self.count(event.is_err());
        pause
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.health.change(self.id, |watches, id| drop(watches.remove(&id)));
    }
}

/// How a watch goes.
#[derive(Debug)]
struct Progress {
    resource: Watched,
    /// Failures in a row, when the first one was, and when the last one is tried again.
    failures: u32,
    since: Option<Instant>,
    next_try: Option<Instant>,
    /// Why it fails, once it has failed for longer than an interruption lasts.
    failing: Option<String>,
    last_error: String,
    /// The last failure was of a list: the next list that ends shows that all is well.
    list_failed: bool,
    /// It failed for long, and a list has ended since: whether it can be watched too isn't known yet.
    is_listed: bool,
}

impl Progress {
    fn new(resource: Watched) -> Self {
        Self {
            resource,
            failures: 0,
            since: None,
            next_try: None,
            failing: None,
            last_error: String::new(),
            list_failed: false,
            is_listed: false,
        }
    }

    /// It lists and watches.
    fn works(&mut self) {
        if self.failing.is_some() {
            tracing::info!(resource = self.resource.name, "the watch goes on");
        }
        *self = Self::new(self.resource);
    }

    /// How long to wait before the next try, after a failure. That a list begins is no success: it is also what comes
    /// before each refusal of a list.
    fn saw<K>(
        &mut self,
        event: &watcher::Result<Event<K>>,
        timing: Timing,
        now: Instant,
        jitter: f64,
    ) -> Option<Duration> {
        let error = match event {
            Ok(Event::Init | Event::InitApply(_)) => return None,
            // To list may be allowed where to watch isn't.
            Ok(Event::InitDone) if self.failing.is_some() && !self.list_failed => {
                self.is_listed = true;
                return None;
            }
            Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => {
                self.works();
                return None;
            }
            Err(error) => error,
        };
        let failure = Failure {
            sentence: sentence(self.resource, error),
            said: error.to_string(),
            class: class(error),
            of_a_list: is_of_a_list(error),
        };
        Some(self.failed(failure, timing, now, jitter))
    }

    /// How long to wait before the next try.
    fn failed(&mut self, failure: Failure, timing: Timing, now: Instant, jitter: f64) -> Duration {
        let Failure { sentence, said, class, of_a_list } = failure;
        // Nothing is told of a watch that resumes: only the time shows that it did. A list that ends is told.
        let resumed = self.next_try.is_some_and(|next| now.duration_since(next) > timing.attempt);
        if resumed && !of_a_list && self.failing.is_none() {
            *self = Self::new(self.resource);
        }
        (self.list_failed, self.is_listed) = (of_a_list, false);
        self.failures = self.failures.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        if said != self.last_error {
            tracing::warn!(
                resource = self.resource.name,
                error = said,
                "refused or failed; it is tried again"
            );
            self.last_error = said;
        }
        if now.duration_since(since) >= timing.patience {
            self.failing = Some(sentence);
        }
        let Timing { backoff, .. } = timing;
        let pause = backoff.delay(class, self.failures, jitter).unwrap_or(backoff.cap);
        self.next_try = Some(now + pause);
        pause
    }
}

/// Why a try failed.
struct Failure {
    /// What is wrong and what to do, for a status.
    sentence: String,
    /// What the API server said.
    said: String,
    class: ErrorClass,
    of_a_list: bool,
}

/// Whether after this error all is listed anew, and fails or ends with an event.
fn is_of_a_list(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(_) | watcher::Error::NoResourceVersion => true,
        watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::WatchError(_) => false,
    }
}

fn class(error: &watcher::Error) -> ErrorClass {
    /// What the API server calls a version of the resource that it doesn't have any more.
    const EXPIRED: u16 = 410;
    let of = |error: &kube::Error| match error {
        kube::Error::Api(status) if status.code == EXPIRED => ErrorClass::Retry,
        error => error.class(),
    };
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => of(error),
        watcher::Error::WatchError(status) => of(&kube::Error::Api(status.clone())),
        watcher::Error::NoResourceVersion => ErrorClass::Retry,
    }
}

/// What is wrong and what to do, the same each time, since statuses say it.
fn sentence(resource: Watched, error: &watcher::Error) -> String {
    let name = resource.name;
    match class(error) {
        ErrorClass::Denied => format!(
            "the operator isn't allowed to list and watch {name}: grant it both, as the chart's roles named tidewatch-operator do"
        ),
        ErrorClass::NotFound => format!(
            "the API server doesn't serve {name}: install what defines it (chart tidewatch-crds for what is Tidewatch's own)"
        ),
        _ => format!(
            "the API server doesn't answer when {name} are listed or watched; see the operator's log for what it says"
        ),
    }
}

#[cfg(test)]
#[path = "watch_health_tests.rs"]
mod tests;
