//! The API server, as far as a controller in AWS sees it: a map, whose writes fail or hang when they are told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::Resource;
use kube::core::object::HasStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidewatch_kube::events::Happened;
use tidewatch_kube::object::Target;
use tidewatch_managed::Objects;
use tokio::sync::Notify;

/// When a write of the cluster fails, or its writer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Before,
    After,
}

/// What becomes of a write of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Fails,
    /// It has no answer: its writer waits for one until it ends.
    Hangs,
}

/// A kind, as far as the cluster must know it.
pub trait Kind:
    Resource<DynamicType = ()>
    + HasStatus<Status: Serialize + DeserializeOwned + Default + Clone + Send + Sync>
    + Clone
    + DeserializeOwned
    + Send
    + 'static
{
    const FINALIZER: &'static str;

    fn conditions(status: &Self::Status) -> &[Condition];

    /// Takes over the spec of what was applied.
    fn respecify(&mut self, applied: Self);
}

struct Inner<K> {
    objects: BTreeMap<String, K>,
    config_maps: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    events: Vec<(String, String)>,
    version: u64,
    writes: usize,
    /// What becomes of the n-th write from now, and before or after its effect.
    fate: Option<(usize, Effect, Fate)>,
    hanging: bool,
}

/// The objects of one kind, all in namespace shop.
pub struct Cluster<K> {
    inner: Arc<Mutex<Inner<K>>>,
    hangs: Arc<Notify>,
}

impl<K> Clone for Cluster<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), hangs: Arc::clone(&self.hangs) }
    }
}

impl<K> Default for Cluster<K> {
    fn default() -> Self {
        let inner = Inner {
            objects: BTreeMap::new(),
            config_maps: BTreeMap::new(),
            events: Vec::new(),
            version: 0,
            writes: 0,
            fate: None,
            hanging: false,
        };
        Self { inner: Arc::new(Mutex::new(inner)), hangs: Arc::default() }
    }
}

impl<K: Kind> Cluster<K> {
    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap()
    }

    /// As `kubectl apply` does: creates, or changes the spec. Each is created a second after the one before.
    pub fn apply(&self, name: &str, spec: &Value, annotations: &Value) {
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version.to_string();
        let created = 1_790_000_000 + i64::try_from(inner.version).unwrap();
        let applied: K = serde_json::from_value(json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {
                "namespace": "shop", "name": name, "uid": format!("uid-{name}"), "generation": 1,
                "resourceVersion": version, "annotations": annotations,
                "creationTimestamp": Timestamp::from_second(created).unwrap(),
            },
            "spec": spec,
        }))
        .unwrap();
        match inner.objects.get_mut(&format!("shop/{name}")) {
            Some(object) => {
                let meta = object.meta_mut();
                meta.annotations.clone_from(&applied.meta().annotations);
                meta.generation = meta.generation.map(|generation| generation + 1);
                meta.resource_version = Some(version);
                object.respecify(applied);
            }
            None => drop(inner.objects.insert(format!("shop/{name}"), applied)),
        }
    }

    /// As `kubectl delete` does.
    pub fn delete(&self, name: &str) {
        let mut inner = self.lock();
        inner.version += 1;
        let (version, key) = (inner.version.to_string(), format!("shop/{name}"));
        let meta = inner.objects.get_mut(&key).unwrap().meta_mut();
        if meta.finalizers.as_ref().is_none_or(Vec::is_empty) {
            inner.objects.remove(&key);
            return;
        }
        meta.deletion_timestamp = Some(Time(Timestamp::from_second(1_790_000_000).unwrap()));
        meta.resource_version = Some(version);
    }

    /// The object is gone without its finalizer having been minded.
    pub fn forget(&self, name: &str) {
        self.lock().objects.remove(&format!("shop/{name}"));
    }

    pub fn get(&self, name: &str) -> Option<K> {
        self.lock().objects.get(&format!("shop/{name}")).cloned()
    }

    /// What `pick` makes of each object of which it makes something.
    pub fn pick<T>(&self, pick: impl Fn(&K) -> Option<T>) -> Vec<T> {
        self.lock().objects.values().filter_map(pick).collect()
    }

    pub fn names(&self) -> Vec<String> {
        self.lock().objects.keys().map(|key| key.trim_start_matches("shop/").to_owned()).collect()
    }

    pub fn status(&self, name: &str) -> K::Status {
        self.get(name).and_then(|object| object.status().cloned()).unwrap_or_default()
    }

    /// Writes a status as somebody else would.
    pub fn set_status(&self, name: &str, status: K::Status) {
        let mut inner = self.lock();
        *inner.objects.get_mut(&format!("shop/{name}")).unwrap().status_mut() = Some(status);
    }

    /// Makes a ConfigMap, or changes it.
    pub fn set_config_map(&self, name: &str, files: BTreeMap<String, Vec<u8>>) {
        self.lock().config_maps.insert(format!("shop/{name}"), files);
    }

    pub fn config_map(&self, namespace: &str, name: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        self.lock().config_maps.get(&format!("{namespace}/{name}")).cloned()
    }

    /// Status, reason and message of a condition.
    pub fn condition(&self, name: &str, kind: &str) -> (String, String, String) {
        let status = self.status(name);
        let found = K::conditions(&status).iter().find(|condition| condition.type_ == kind);
        found.map(|c| (c.status.clone(), c.reason.clone(), c.message.clone())).unwrap_or_default()
    }

    pub fn events(&self, name: &str) -> Vec<String> {
        let inner = self.lock();
        inner.events.iter().filter(|(of, _)| of == name).map(|(_, said)| said.clone()).collect()
    }

    pub fn writes(&self) -> usize {
        self.lock().writes
    }

    /// Decides what becomes of the write after so many others.
    pub fn decide(&self, skip: usize, effect: Effect, fate: Fate) {
        self.lock().fate = Some((skip, effect, fate));
    }

    /// Whether what was decided of a write came to pass.
    pub fn fate_met(&self) -> bool {
        self.lock().fate.is_none()
    }

    /// Until a write hangs.
    pub async fn hangs(&self) {
        self.hangs.notified().await;
    }

    /// Whoever hung has ended.
    pub fn answers_again(&self) {
        self.lock().hanging = false;
    }

    /// Every object is in place, or refused for good; none is being deleted.
    pub fn at_rest(&self) -> bool {
        self.lock().objects.values().all(|object| {
            let conditions = object.status().map(K::conditions).unwrap_or_default();
            let meta = object.meta();
            meta.deletion_timestamp.is_none()
                && conditions.iter().any(|ready| {
                    ready.type_ == "Ready"
                        && ready.status != "Unknown"
                        && ready.observed_generation == meta.generation
                })
        })
    }

    /// All that there is, for a person.
    pub fn describe(&self) -> String {
        let inner = self.lock();
        let objects = inner.objects.iter().map(|(key, object)| {
            let status = serde_json::to_string_pretty(&object.status()).unwrap();
            format!("{key}: {:?}\n{status}\n", object.meta())
        });
        format!("{}{:#?}", objects.collect::<String>(), inner.events)
    }

    /// One write: refused for an old version, and failing when it is told to.
    fn write(&self, target: &mut Target, change: impl FnOnce(&mut K)) -> Result<(), kube::Error> {
        let mut inner = self.lock();
        let key = format!("{}/{}", target.namespace, target.name);
        inner.writes += 1;
        let fate = match &mut inner.fate {
            Some((0, effect, fate)) => Some((*effect, *fate)),
            Some((left, ..)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if let Some((_, fate)) = fate {
            inner.fate = None;
            inner.hanging = fate == Fate::Hangs;
        }
        if fate.is_some_and(|(effect, _)| effect == Effect::Before) {
            return Err(api_error(500));
        }
        inner.version += 1;
        let version = inner.version.to_string();
        let Some(object) = inner.objects.get_mut(&key) else { return Err(api_error(404)) };
        if target.resource_version.is_some() && object.meta().resource_version != target.resource_version {
            return Err(api_error(409));
        }
        change(object);
        let meta = object.meta_mut();
        meta.resource_version = Some(version.clone());
        if meta.deletion_timestamp.is_some() && meta.finalizers.as_ref().is_none_or(Vec::is_empty) {
            inner.objects.remove(&key);
        }
        if fate.is_some() {
            return Err(api_error(504));
        }
        target.resource_version = Some(version);
        Ok(())
    }

    /// The answer to a write, if there is one.
    async fn answer(&self, written: Result<(), kube::Error>) -> Result<(), kube::Error> {
        if self.lock().hanging {
            self.hangs.notify_one();
            std::future::pending::<()>().await;
        }
        written
    }
}

fn api_error(code: u16) -> kube::Error {
    kube::Error::Api(Box::new(kube::core::Status { code, ..kube::core::Status::default() }))
}

impl<K: Kind> Objects<K::Status> for Cluster<K> {
    async fn set_finalizer(&self, target: &mut Target, wanted: bool) -> Result<(), kube::Error> {
        let finalizers = if wanted { vec![K::FINALIZER.to_owned()] } else { Vec::new() };
        target.finalizers.clone_from(&finalizers);
        let written = self.write(target, |object| object.meta_mut().finalizers = Some(finalizers));
        self.answer(written).await
    }

    async fn write_status(&self, target: &mut Target, status: &K::Status) -> Result<(), kube::Error> {
        // As it would come back from the API server.
        let status = serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
        let written = self.write(target, |object| *object.status_mut() = Some(status));
        self.answer(written).await
    }

    async fn tell(&self, target: &Target, happened: &Happened) {
        self.lock().events.push((target.name.clone(), format!("{}: {}", happened.reason, happened.note)));
    }
}
