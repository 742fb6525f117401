//! What the agents' controller watches: that there are monitors, the template and the DaemonSet, each by name.

use std::collections::HashSet;
use std::pin::Pin;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use tidewatch_crds::NetworkMonitor;
use tidewatch_kube::watch_health::{WatchHealth, Watched};
use tokio::time::Instant;

use super::{DAEMON_SET, TEMPLATE_CONFIG_MAP};

/// Changes that come together are answered together.
const SETTLE: Duration = Duration::from_millis(200);

/// What there is.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub monitors: usize,
    pub template: Option<ConfigMap>,
    pub daemon_set: Option<DaemonSet>,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, and never kept")]
enum Change {
    Monitor(Event<String>),
    Template(Event<ConfigMap>),
    DaemonSet(Event<DaemonSet>),
}

pub(super) struct Watches {
    changes: Pin<Box<dyn Stream<Item = Result<Change, watcher::Error>> + Send>>,
    monitors: HashSet<String>,
    relisted: HashSet<String>,
    template: Option<ConfigMap>,
    daemon_set: Option<DaemonSet>,
    listed: Listed,
    again: Option<Instant>,
}

#[derive(Default)]
struct Listed {
    monitors: bool,
    template: bool,
    daemon_set: bool,
}

impl Watches {
    pub(super) fn start(client: &Client, namespace: &str, health: &WatchHealth) -> Self {
        let by_name = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let monitors: Api<PartialObjectMeta<NetworkMonitor>> = Api::all(client.clone());
        let templates: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
        let monitors = health
            .watch(Watched::NETWORK_MONITORS, monitors, watcher::Config::default().page_size(500))
            .map(|event| event.map(|event| Change::Monitor(named(event))));
        let templates = health
            .watch(Watched::CONFIG_MAPS, templates, by_name(TEMPLATE_CONFIG_MAP))
            .map(|event| event.map(Change::Template));
        let daemon_sets = health
            .watch(Watched::DAEMON_SETS, daemon_sets, by_name(DAEMON_SET))
            .map(|event| event.map(Change::DaemonSet));
        Self {
            changes: Box::pin(stream::select(monitors, stream::select(templates, daemon_sets))),
            monitors: HashSet::new(),
            relisted: HashSet::new(),
            template: None,
            daemon_set: None,
            listed: Listed::default(),
            again: None,
        }
    }

    /// Makes [`Watches::next`] return after `delay` though nothing changed.
    pub(super) fn again_after(&mut self, delay: Duration) {
        self.again = Some(Instant::now() + delay);
    }

    /// What there is, once something changed (or is to be tried again) and all is known. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Seen> {
        let mut settled: Option<Instant> = None;
        loop {
            let due = [settled, self.again].into_iter().flatten().min();
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                change = self.changes.next() => match change {
                    None => return None,
                    Some(Ok(change)) => {
                        self.take(change);
                        if self.all_listed() {
                            settled.get_or_insert(Instant::now() + SETTLE);
                        }
                    }
                    // Told of by the watch's health.
                    Some(Err(_)) => {}
                },
                () = timer => {
                    settled = None;
                    self.again = None;
                    // In the middle of a list: its end settles anew.
                    if !self.all_listed() {
                        continue;
                    }
                    return Some(self.seen());
                }
            }
        }
    }

    fn seen(&self) -> Seen {
        Seen {
            monitors: self.monitors.len(),
            template: self.template.clone(),
            daemon_set: self.daemon_set.clone(),
        }
    }

    fn all_listed(&self) -> bool {
        self.listed.monitors && self.listed.template && self.listed.daemon_set
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Monitor(event) => match event {
                Event::Apply(key) => drop(self.monitors.insert(key)),
                Event::Delete(key) => drop(self.monitors.remove(&key)),
                // What was known counts until the new list is complete: the agents must not go for a relist.
                Event::Init => self.relisted.clear(),
                Event::InitApply(key) => drop(self.relisted.insert(key)),
                Event::InitDone => {
                    self.monitors = std::mem::take(&mut self.relisted);
                    self.listed.monitors = true;
                }
            },
            Change::Template(event) => take_one(event, &mut self.template, &mut self.listed.template),
            Change::DaemonSet(event) => take_one(event, &mut self.daemon_set, &mut self.listed.daemon_set),
        }
    }
}

fn named<K: ResourceExt>(event: Event<K>) -> Event<String> {
    let key = |object: K| format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    match event {
        Event::Apply(object) => Event::Apply(key(object)),
        Event::Delete(object) => Event::Delete(key(object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(key(object)),
        Event::InitDone => Event::InitDone,
    }
}

/// Of a watch on one name: the object, if it is there. A list that doesn't have it says so by ending.
fn take_one<K>(event: Event<K>, slot: &mut Option<K>, listed: &mut bool) {
    match event {
        Event::Apply(object) | Event::InitApply(object) => *slot = Some(object),
        Event::Delete(_) => *slot = None,
        Event::Init => {
            *slot = None;
            *listed = false;
        }
        Event::InitDone => *listed = true,
    }
}
