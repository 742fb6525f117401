//! The loop that every kind shares: capped concurrency, a time limit for each reconcile, exponential backoff for each
//! object, and a panic or an object that doesn't parse is that object's own problem.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt, stream};
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
use kube::runtime::controller::{self, Action, ReconcileRequest, applier, trigger_self};
use kube::runtime::reflector::{self, ObjectRef, Store, store::Writer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::passes::{Outcome, PassMetrics};
use crate::watch_health::{WatchHealth, Watched};

/// What kind of failure an error is, which decides when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Only a change of the object can help.
    Terminal,
    /// May pass by itself.
    Retry,
    /// We ask too often; the server may have said for how long to wait.
    Throttled(Option<Duration>),
    /// A right is missing: somebody must grant it.
    Denied,
    /// What was to be changed isn't there.
    NotFound,
    /// Somebody else changed it in between: look again.
    Conflict,
}

/// An error that knows its class.
pub trait Classify {
    fn class(&self) -> ErrorClass;
}

impl Classify for kube::Error {
    fn class(&self) -> ErrorClass {
        let Self::Api(status) = self else { return ErrorClass::Retry };
        let after = status
            .details
            .as_ref()
            .map(|details| u64::from(details.retry_after_seconds))
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        match status.code {
            401 | 403 => ErrorClass::Denied,
            404 | 410 => ErrorClass::NotFound,
            409 => ErrorClass::Conflict,
            429 => ErrorClass::Throttled(after),
            503 | 504 if after.is_some() => ErrorClass::Throttled(after),
            400 | 405 | 413 | 415 | 422 => ErrorClass::Terminal,
            _ => ErrorClass::Retry,
        }
    }
}

/// What reconciles one kind.
pub trait Reconciler: Send + Sync + 'static {
    type Object: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static;
    type Error: std::error::Error + Classify + Send + Sync + 'static;

    /// One pass; says when the next is due if nothing changes.
    fn reconcile(
        &self,
        object: &Self::Object,
    ) -> impl Future<Output = Result<Option<Duration>, Self::Error>> + Send;

    /// Stops showing an object that doesn't parse in metrics: what they said of it before would stand for ever.
    fn hide(&self, namespace: &str, name: &str);

    /// Reports on an object that doesn't parse, on the object itself.
    fn reject(&self, invalid: &InvalidObject) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The object isn't there any more.
    fn gone(&self, _namespace: &str, _name: &str) {}
}

/// Limits of the loop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Objects that are reconciled at the same time.
    pub concurrency: u16,
    /// Time that one reconcile may take.
    pub reconcile: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrency: 8, reconcile: Duration::from_secs(20) }
    }
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure<E: std::error::Error + 'static> {
    #[error(transparent)]
    Reconcile(E),
    #[error("took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("panicked: {0}")]
    Panicked(String),
}

impl<E: std::error::Error + Classify> Failure<E> {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Reconcile(error) => Outcome::Failed(error.class()),
            Self::TimedOut(_) => Outcome::TimedOut,
            Self::Panicked(_) => Outcome::Panicked,
        }
    }
}

impl<E: std::error::Error + Classify> Classify for Failure<E> {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Reconcile(error) => error.class(),
            Self::TimedOut(_) | Self::Panicked(_) => ErrorClass::Retry,
        }
    }
}

/// The objects of one kind, as the watch last saw them.
pub type Objects<K> = Store<DeserializeGuard<K>>;

/// A kind's loop before it runs: its store can be shared, and its triggers may need that.
#[allow(missing_debug_implementations, reason = "a reflector's writer has no Debug")]
pub struct Loop<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    api: Api<DeserializeGuard<K>>,
    objects: Objects<K>,
    writer: Writer<DeserializeGuard<K>>,
    metrics: PassMetrics,
    resource: Watched,
    watches: WatchHealth,
}

impl<K> Loop<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    /// Of the objects that `api` reads, which are `resource`.
    pub fn new(
        api: Api<DeserializeGuard<K>>,
        resource: Watched,
        metrics: PassMetrics,
        watches: WatchHealth,
    ) -> Self {
        let (objects, writer) = reflector::store();
        Self { api, objects, writer, metrics, resource, watches }
    }

    pub fn objects(&self) -> Objects<K> {
        self.objects.clone()
    }

    /// Reconciles until `cancel`; also the objects that `triggers` names, and all of them when a watch begins to fail or
    /// goes on.
    pub async fn run<R: Reconciler<Object = K>>(
        self,
        reconciler: Arc<R>,
        triggers: impl Stream<Item = ObjectRef<DeserializeGuard<K>>> + Send + 'static,
        limits: Limits,
        cancel: CancellationToken,
    ) {
        let context =
            Arc::new(Context { reconciler, limits, attempts: Attempts::default(), metrics: self.metrics });
        let config = watcher::Config::default().page_size(500);
        let watched = self.watches.watch(self.resource, self.api, config);
        // Who set which field is of no use here, and takes more room than the rest of an object.
        let watched = watched.modify(|object| object.meta_mut().managed_fields = None);
        let changed = trigger_self(reflector::reflector(self.writer, watched).touched_objects(), ());
        let known = self.objects.clone();
        let shaken = self.watches.changes().flat_map(move |()| {
            let all: Vec<_> = known.state().iter().map(|object| ObjectRef::from_obj(&**object)).collect();
            stream::iter(all)
        });
        let triggers = stream::select(triggers, shaken);
        let queue = stream::select(changed, triggers.map(|object| Ok(ReconcileRequest::from(object))));
        let passes = applier(
            |object, context| Box::pin(pass::<R>(object, context)),
            after_failure::<R>,
            Arc::clone(&context),
            self.objects,
            queue.take_until(cancel.cancelled_owned()),
            controller::Config::default().concurrency(limits.concurrency),
        );
        let mut passes = std::pin::pin!(passes);
        while let Some(result) = passes.next().await {
            match result {
                // Reported where it happened, with its object.
                Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
                Err(controller::Error::ObjectNotFound(object)) => {
                    gone(&context, object.namespace.as_deref().unwrap_or_default(), &object.name);
                }
                // The watch's own, which are told of there.
                Err(error) => tracing::debug!(kind = %K::kind(&()), %error, "the queue has an error"),
            }
        }
    }
}

struct Context<R> {
    reconciler: Arc<R>,
    limits: Limits,
    attempts: Attempts,
    metrics: PassMetrics,
}

/// Failed passes in a row, for each object.
#[derive(Default)]
struct Attempts(Mutex<HashMap<String, u32>>);

impl Attempts {
    fn failed(&self, key: &str) -> u32 {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(key.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// It succeeded, or is gone.
    fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn key<K: Resource>(object: &DeserializeGuard<K>) -> String {
    let meta = object.meta();
    format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

async fn pass<R: Reconciler>(
    object: Arc<DeserializeGuard<R::Object>>,
    context: Arc<Context<R>>,
) -> Result<Action, Failure<R::Error>> {
    let begun = Instant::now();
    let result = guarded(&object, &context).await;
    let outcome = result.as_ref().err().map_or(Outcome::Done, Failure::outcome);
    context.metrics.ended(&R::Object::kind(&()), outcome, begun.elapsed());
    let next = result?;
    context.attempts.forget(&key(&object));
    Ok(next.map_or_else(Action::await_change, Action::requeue))
}

fn gone<R: Reconciler>(context: &Context<R>, namespace: &str, name: &str) {
    context.attempts.forget(&format!("{namespace}/{name}"));
    context.reconciler.gone(namespace, name);
}

/// One pass under its time limit; a panic is a failure.
async fn guarded<R: Reconciler>(
    object: &DeserializeGuard<R::Object>,
    context: &Context<R>,
) -> Result<Option<Duration>, Failure<R::Error>> {
    let work = async {
        match &object.0 {
            Ok(object) => context.reconciler.reconcile(object).await,
            Err(invalid) => {
                let part = |part: &Option<String>| part.clone().unwrap_or_default();
                let (namespace, name) = (part(&invalid.metadata.namespace), part(&invalid.metadata.name));
                context.reconciler.hide(&namespace, &name);
                context.reconciler.reject(invalid).await.map(|()| None)
            }
        }
    };
    match tokio::time::timeout(context.limits.reconcile, AssertUnwindSafe(work).catch_unwind()).await {
        Err(_) => Err(Failure::TimedOut(context.limits.reconcile)),
        Ok(Err(panic)) => Err(Failure::Panicked(panic_text(&*panic))),
        Ok(Ok(result)) => result.map_err(Failure::Reconcile),
    }
}

fn after_failure<R: Reconciler>(
    object: Arc<DeserializeGuard<R::Object>>,
    error: &Failure<R::Error>,
    context: Arc<Context<R>>,
) -> Action {
    let key = key(&object);
    let attempt = context.attempts.failed(&key);
    let class = error.class();
    let delay = Backoff::default().delay(class, attempt, crate::backoff::jitter());
    let kind = R::Object::kind(&());
    match class {
        // Somebody else's write came first; the next pass sees it.
        ErrorClass::Conflict => tracing::debug!(%kind, object = key, %error, attempt, "looking again"),
        _ => {
            tracing::warn!(%kind, object = key, %error, ?class, attempt, next_try = ?delay, "reconcile failed")
        }
    }
    delay.map_or_else(Action::await_change, Action::requeue)
}

pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
