//! Canary: who runs it decides. In the cluster: desired → engine → status; in AWS: see `aws`.
//!
//! `desired` makes of the spec what the prober does; the engine (`embedded`) does it on its schedule and wakes the
//! controller when there is something to tell; `status` folds what is known into the status and says whether it is worth
//! a write.

#![forbid(unsafe_code)]

mod api_server;
mod aws;
mod desired;
mod policy;
mod secrets;
mod shutdown;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use jiff::Timestamp;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use serde_json::json;
use tidewatch_aws::{Aws, CallMetrics, SdkConfig, Tuning};
use tidewatch_crds::canary::{AwsCanary, CANARY_FINALIZER, Provider, RUN_NOW_ANNOTATION};
use tidewatch_crds::{Canary, CanaryStatus};
use tidewatch_embedded::{Engine, History, ProbeMetrics};
use tidewatch_kube::events;
use tidewatch_kube::leader::Leadership;
use tidewatch_kube::object::{Target, apply_status};
use tidewatch_kube::passes::PassMetrics;
use tidewatch_kube::reconcile::{Classify, ErrorClass, Limits, Loop, Reconciler};
use tidewatch_kube::unreadable;
use tidewatch_kube::watch_health::{WatchHealth, Watched};
use tidewatch_managed::{AwsPolicy, KubeObjects};
use tidewatch_prober::{Prober, ProberConfig, secrets_of};
use tokio_util::sync::CancellationToken;

use self::api_server::ApiServer;
use self::aws::{AwsCanaries, Surroundings};
use self::desired::Problem;
use self::secrets::Unfetched;
use self::status::Known;

pub use self::policy::Policy;
pub use self::status::STOPPED;

/// How often Secrets are read again.
const SECRETS_EVERY: Duration = Duration::from_secs(60);
/// How often what something else must mend is tried again.
const MENDED_EVERY: Duration = Duration::from_secs(30);

/// Most passes over canaries of AWS wait for their turn there.
const LIMITS: Limits = Limits { concurrency: 32, reconcile: Duration::from_secs(150) };

/// What the controller stands on.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube's Client has no Debug")]
pub struct Dependencies {
    pub client: Client,
    pub policy: Policy,
    pub leadership: Leadership,
    pub passes: PassMetrics,
    /// Name of this pod.
    pub instance: String,
    pub metrics: ProbeMetrics,
    pub aws_policy: AwsPolicy,
    pub calls: CallMetrics,
    pub config: SdkConfig,
    pub watches: WatchHealth,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("write Canary {object}: {source}")]
    Object { object: String, source: kube::Error },
    #[error("read Secret {secret} for Canary {object}, which goes on with what was read before: {source}")]
    Secret { object: String, secret: String, source: kube::Error },
    #[error("this replica no longer leads: nothing was written")]
    NotLeading,
}

impl Error {
    fn object(target: &Target, source: kube::Error) -> Self {
        Self::Object { object: format!("{}/{}", target.namespace, target.name), source }
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            // Deleted in between: there is nothing to write to, and its deletion is seen by the watch.
            Self::Object { source, .. } => match source.class() {
                ErrorClass::NotFound => ErrorClass::Terminal,
                class => class,
            },
            Self::Secret { source, .. } => source.class(),
            Self::NotLeading => ErrorClass::Terminal,
        }
    }
}

/// Reconciles every canary until `cancel`.
pub async fn run(dependencies: Dependencies, cancel: CancellationToken) -> anyhow::Result<()> {
    let (wake, woken) = mpsc::unbounded();
    let api_server = ApiServer::find(dependencies.client.clone()).await;
    let targets = dependencies.policy.targets(api_server.addresses());
    let prober = Prober::new(ProberConfig { allow: targets, ..ProberConfig::default() })?;
    let engine = Engine::new(prober, dependencies.metrics.clone(), wake.clone());
    let controller = Loop::new(
        Api::all(dependencies.client.clone()),
        Watched::CANARIES,
        dependencies.passes.clone(),
        dependencies.watches.clone(),
    );
    let objects = controller.objects();
    let in_aws = in_aws(&dependencies, wake, &cancel);
    let (policy, follower) = (dependencies.policy.clone(), engine.clone());
    let following = api_server.follow(|addresses| follower.allow(policy.targets(addresses)));
    let canaries = Arc::new(Canaries { dependencies, engine, in_aws, known: Mutex::default() });
    let triggers = woken.filter_map(|key| async move {
        let (namespace, name) = key.split_once('/')?;
        Some(ObjectRef::new(name).within(namespace))
    });
    tokio::select! {
        () = controller.run(Arc::clone(&canaries), triggers, LIMITS, cancel) => {}
        never = following => match never {},
    }
    let known = objects.state().into_iter().filter_map(|object| object.0.as_ref().ok().cloned());
    shutdown::write_figures(&canaries, known).await;
    Ok(())
}

fn in_aws(
    dependencies: &Dependencies,
    wake: mpsc::UnboundedSender<String>,
    cancel: &CancellationToken,
) -> AwsCanaries<KubeObjects<Canary>> {
    let Dependencies { client, policy, leadership, instance, aws_policy, calls, config, watches, .. } =
        dependencies.clone();
    let tuning = Tuning::every(aws_policy.resync);
    AwsCanaries::new(Surroundings {
        objects: KubeObjects::new(client, instance, "tidewatch.dev/canary", CANARY_FINALIZER),
        aws: Aws::new(config, calls, tuning, wake, cancel.child_token()),
        policy,
        aws_policy,
        lost: leadership.lost,
        clock: Arc::new(Timestamp::now),
        watches,
    })
}

struct Canaries {
    dependencies: Dependencies,
    engine: Engine,
    in_aws: AwsCanaries<KubeObjects<Canary>>,
    known: Mutex<HashMap<String, Remembered>>,
}

/// What is remembered of a canary between passes.
#[derive(Debug, Clone, Default)]
struct Remembered {
    /// The object.
    uid: String,
    /// What the engine was last given: the object's generation and the versions of its Secrets.
    given: Option<(Option<i64>, BTreeMap<String, String>)>,
    /// The value of the annotation by which the engine was last asked to run now.
    asked: Option<String>,
    written: Option<Timestamp>,
}

impl Remembered {
    /// Whether the engine runs it as it is declared now, as far as Secrets don't matter.
    fn runs(&self, canary: &Canary) -> bool {
        self.given.as_ref().is_some_and(|(generation, _)| *generation == canary.metadata.generation)
    }
}

impl Canaries {
    async fn pass(&self, canary: &Canary) -> Result<Option<Duration>, Error> {
        let target = Target::of(canary);
        let provider = desired::provider(&canary.spec, &self.dependencies.policy);
        let in_aws = target.has_finalizer(CANARY_FINALIZER)
            || canary.status.as_ref().is_some_and(|status| status.aws.is_some());
        if canary.metadata.deletion_timestamp.is_some() {
            self.forget(&target.namespace, &target.name);
            return if in_aws { self.in_aws.pass(canary).await } else { Ok(None) };
        }
        if provider == Provider::Aws {
            self.forget(&target.namespace, &target.name);
            return self.in_aws.pass(canary).await;
        }
        if !in_aws {
            return self.probe(canary, None).await;
        }
        // The prober doesn't wait until what it takes over from is gone.
        let (left, leaving) = self.in_aws.leave(canary).await?;
        let probed = self.probe(canary, left).await?;
        Ok(leaving.into_iter().chain(probed).min())
    }

    /// A pass over a canary that is run in the cluster. `left` is what it still has in AWS.
    async fn probe(&self, canary: &Canary, left: Option<AwsCanary>) -> Result<Option<Duration>, Error> {
        let mut target = Target::of(canary);
        let key = format!("{}/{}", target.namespace, target.name);
        let standing = canary.status.clone().unwrap_or_default();
        let mut remembered = self.remembered(canary, &key);
        let secrets = secrets_of(&canary.spec);
        let uses_secrets = !secrets.is_empty();
        let Dependencies { client, policy, .. } = &self.dependencies;
        let fetched = match secrets::fetch(client, policy, &target.namespace, secrets).await {
            Err(Unfetched::NoAnswer { secret, source }) if remembered.runs(canary) => {
                return Err(Error::Secret { object: key, secret, source });
            }
            fetched => fetched.map_err(Problem::from),
        };
        let problem = self.set(canary, fetched, &standing, &mut remembered).err();
        let run_now = canary.metadata.annotations.as_ref().and_then(|all| all.get(RUN_NOW_ANNOTATION));
        let heeded = match &problem {
            Some(_) => standing.run_now.as_ref(),
            None => run_now,
        };
        if heeded.is_some() && heeded != standing.run_now.as_ref() && heeded != remembered.asked.as_ref() {
            self.engine.run_now(&key);
            remembered.asked = heeded.cloned();
        }
        let history = self.engine.history(&key).unwrap_or_else(|| History::of(Provider::Embedded, &standing));
        let now = Timestamp::now();
        let known = Known {
            generation: canary.metadata.generation,
            provider: Provider::Embedded,
            suspended: canary.spec.suspend,
            problem: problem.as_ref(),
            unwatched: self.dependencies.watches.failing(&[Watched::CANARIES]),
            history: &history,
            run_now: heeded.map(String::as_str),
            aws: left,
            now,
        };
        let next = status::status(&standing, &known);
        lock(&self.known).insert(key.clone(), remembered.clone());
        if status::is_due(&standing, &next, remembered.written, now) {
            self.write(&mut target, &standing, &next).await?;
            remembered.written = Some(now);
            lock(&self.known).insert(key, remembered);
        }
        Ok(match problem {
            // Secrets aren't watched: what is wrong in one may be mended without a change of the object.
            Some(problem) => (problem.may_pass || uses_secrets).then_some(MENDED_EVERY),
            None => uses_secrets.then_some(SECRETS_EVERY),
        })
    }

    /// Gives the engine what is new.
    fn set(
        &self,
        canary: &Canary,
        fetched: Result<secrets::Fetched, Problem>,
        standing: &CanaryStatus,
        remembered: &mut Remembered,
    ) -> Result<(), Problem> {
        let (namespace, name) = (
            canary.metadata.namespace.as_deref().unwrap_or_default(),
            canary.metadata.name.as_deref().unwrap_or_default(),
        );
        let restored = || History::of(Provider::Embedded, standing);
        let job = fetched.and_then(|fetched| {
            let job = desired::job(&canary.spec, &remembered.uid, &fetched.values)?;
            Ok((job, (canary.metadata.generation, fetched.versions)))
        });
        let (job, given) = match job {
            Ok((job, given)) => (job, given),
            Err(problem) => {
                remembered.given = None;
                self.engine.set(namespace, name, None, restored);
                return Err(problem);
            }
        };
        if remembered.given.as_ref() == Some(&given) {
            return Ok(());
        }
        // What no run was made of yet is tried at once; after a restart of the operator the schedule goes on.
        let is_new = standing.provider != Some(Provider::Embedded)
            || standing.last_run.is_none()
            || standing.observed_generation != canary.metadata.generation
            || standing.state.as_deref() == Some(status::STOPPED);
        let at_once = job.is_some() && is_new;
        self.engine.set(namespace, name, job, restored);
        if at_once {
            self.engine.run_now(&format!("{namespace}/{name}"));
        }
        remembered.given = Some(given);
        Ok(())
    }

    async fn write(
        &self,
        target: &mut Target,
        standing: &CanaryStatus,
        next: &CanaryStatus,
    ) -> Result<(), Error> {
        let Dependencies { client, leadership, instance, .. } = &self.dependencies;
        if leadership.lost.is_cancelled() {
            return Err(Error::NotLeading);
        }
        apply_status::<Canary, _>(client, target, next)
            .await
            .map_err(|source| Error::object(target, source))?;
        for event in status::happened(standing, next) {
            events::publish(client, "tidewatch.dev/canary", instance, &target.reference, &event).await;
        }
        Ok(())
    }

    /// What is remembered of the object; another one of the same name has a history of its own.
    fn remembered(&self, canary: &Canary, key: &str) -> Remembered {
        let uid = canary.metadata.uid.clone().unwrap_or_default();
        let remembered = lock(&self.known).get(key).cloned();
        if let Some(remembered) = remembered {
            if remembered.uid == uid {
                return remembered;
            }
            let target = Target::of(canary);
            self.forget(&target.namespace, &target.name);
        }
        Remembered { uid, ..Remembered::default() }
    }

    fn forget(&self, namespace: &str, name: &str) {
        self.engine.remove(namespace, name);
        lock(&self.known).remove(&format!("{namespace}/{name}"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reconciler for Canaries {
    type Object = Canary;
    type Error = Error;

    async fn reconcile(&self, canary: &Canary) -> Result<Option<Duration>, Error> {
        self.pass(canary).await
    }

    /// One that doesn't parse isn't run either.
    fn hide(&self, namespace: &str, name: &str) {
        self.forget(namespace, name);
    }

    /// One that doesn't parse can only have been stored past the CRD (an older or newer version of it).
    async fn reject(&self, invalid: &InvalidObject) -> Result<(), Error> {
        let object = Target::unread(&invalid.metadata);
        let stale = json!({"state": null, "result": null, "since": null, "success": null});
        unreadable::write::<Canary>(&self.dependencies.client, invalid, &stale)
            .await
            .map_err(|source| Error::object(&object, source))
    }

    fn gone(&self, namespace: &str, name: &str) {
        self.forget(namespace, name);
        self.in_aws.forget(&format!("{namespace}/{name}"));
    }
}
