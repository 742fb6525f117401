//! Everything that the monitors say while something goes on, on one time line with what was done, and whether it was true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;
use tidewatch_crds::network_monitor::{FaultClass, FaultyComponent, NetworkMonitorStatus};

use super::allowed::{Allowed, contradicts_itself};
use crate::bed::Bed;
use crate::cluster::name_of;
use crate::expect::{FalseVerdict, verdict_of};
use crate::interrupt::interrupted;

const INTERVAL: Duration = Duration::from_secs(1);
/// A service without a ready endpoint for this long is really down for its clients.
const DOWN: Duration = Duration::from_secs(4);
/// Time after an outage in which it may still be reported.
const AFTERMATH: Duration = Duration::from_secs(120);
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// Listens to all monitors of a bed's workload.
#[derive(Debug)]
pub(super) struct Listener<'a> {
    bed: &'a Bed,
    heard: Mutex<Heard>,
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct Heard {
    /// The last verdict of each monitor.
    last: BTreeMap<String, String>,
    /// Sentences that weren't true, each once.
    wrong: BTreeSet<String>,
    statements: usize,
    /// The nodes that each monitor showed as short of something.
    short: BTreeMap<String, String>,
    /// Services without a ready endpoint: since when.
    down: BTreeMap<String, Instant>,
    /// Services that were really down: until when at least.
    was_down: BTreeMap<String, Instant>,
}

/// The statements of all monitors while the work ran.
#[derive(Debug)]
pub(super) struct Account {
    /// Number of times that a monitor changed its verdict.
    pub(super) statements: usize,
    wrong: BTreeSet<String>,
}

impl Account {
    /// Fails if anything was said that isn't true.
    pub(super) fn is_true(&self) -> anyhow::Result<()> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = self.wrong.iter().map(String::as_str).collect();
        Err(FalseVerdict(format!("{} untrue statements:\n    {}", list.len(), list.join("\n    "))).into())
    }
}

impl<'a> Listener<'a> {
    /// Listens while `work` runs; `allowed` is what may be said in that time.
    pub(super) fn while_running<T>(
        bed: &'a Bed,
        allowed: &Allowed,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, Account)> {
        let listener = Self { bed, heard: Mutex::default(), over: AtomicBool::new(false) };
        let result = std::thread::scope(|scope| {
            let listening = scope.spawn(|| listener.listen(allowed));
            let result = work();
            listener.over.store(true, Relaxed);
            listening.join().map_err(|_| anyhow!("the listener panicked"))?;
            result
        });
        let heard = listener.heard.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let account = Account { statements: heard.statements, wrong: heard.wrong };
        match result {
            Ok(value) => Ok((value, account)),
            // What was said wrongly explains a failure better than the failure itself.
            Err(error) if account.wrong.is_empty() => Err(error),
            Err(error) => Err(account.is_true().err().unwrap_or(error)),
        }
    }

    fn listen(&self, allowed: &Allowed) {
        while !self.over.load(Relaxed) && !interrupted() {
            let begun = Instant::now();
            if let Err(error) = self.look(allowed) {
                self.bed.report.note(&format!("not heard: {error:#}"));
            }
            std::thread::sleep(INTERVAL.saturating_sub(begun.elapsed()));
        }
    }

    fn look(&self, allowed: &Allowed) -> anyhow::Result<()> {
        let (cluster, namespace) = (&self.bed.cluster, self.bed.workload.namespace());
        let slices: Api<EndpointSlice> = Api::namespaced(cluster.client(), namespace);
        let monitors = cluster.monitors(namespace)?;
        let slices = cluster.call("the endpoints", slices.list(&ListParams::default()))?;
        let mut heard = self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        heard.note_ready(&slices.items);
        for monitor in &monitors {
            let status = monitor.status.clone().unwrap_or_default();
            self.hear(&mut heard, name_of(&monitor.metadata), &status, allowed);
        }
        Ok(())
    }

    fn hear(&self, heard: &mut Heard, monitor: &str, status: &NetworkMonitorStatus, allowed: &Allowed) {
        self.hear_shortages(heard, monitor, status);
        let verdict = verdict_of(status);
        if heard.last.get(monitor) == Some(&verdict) {
            return;
        }
        let summary = status.degradation.as_ref().map(|degradation| degradation.summary.as_str());
        let text = match summary {
            Some(summary) => format!("{monitor}: {verdict}: {summary}"),
            None => format!("{monitor}: {verdict}"),
        };
        let untrue = untrue_in(status, |component| {
            allowed.includes(component)
                || component.class == FaultClass::Workload
                    && allowed.outages
                    && heard.is_down(&component.name)
        });
        // The first look at a monitor tells what was said before this began.
        if heard.last.insert(monitor.to_owned(), verdict).is_some() || !untrue.is_empty() {
            heard.statements += 1;
        }
        if untrue.is_empty() {
            self.bed.report.note(&text);
        } else {
            self.bed.report.wrong(&text);
            heard.wrong.extend(untrue.into_iter().map(|why| format!("{why} ({text})")));
        }
    }
}

impl Listener<'_> {
    /// Reports changes of the nodes that are short of CPU or memory. They stand beside the verdict and are nobody's
    /// fault.
    fn hear_shortages(&self, heard: &mut Heard, monitor: &str, status: &NetworkMonitorStatus) {
        let mut short: Vec<_> =
            status.node_shortages.iter().map(|it| format!("{} ({:?})", it.node, it.resource)).collect();
        short.sort();
        let short = short.join(", ");
        let before = heard.short.get(monitor).map_or("", String::as_str);
        if before != short {
            let told = if short.is_empty() { "no node is short of anything" } else { &short };
            self.bed.report.note(&format!("{monitor}: shortages: {told}"));
            heard.short.insert(monitor.to_owned(), short);
        }
    }
}

/// The components that are blamed though `is_right` doesn't hold of them, and sentences that can't be.
fn untrue_in(status: &NetworkMonitorStatus, is_right: impl Fn(&FaultyComponent) -> bool) -> Vec<String> {
    let Some(degradation) = &status.degradation else { return Vec::new() };
    let mut untrue: Vec<_> = degradation
        .components
        .iter()
        .filter(|component| !is_right(component))
        .map(|it| format!("{:?} {:?} {} ({:?})", it.class, it.kind, it.name, it.cause))
        .collect();
    untrue.extend(contradicts_itself(&degradation.summary));
    untrue
}

impl Heard {
    fn note_ready(&mut self, slices: &[EndpointSlice]) {
        let now = Instant::now();
        let mut ready: BTreeMap<String, usize> = BTreeMap::new();
        for slice in slices {
            let labels = slice.metadata.labels.as_ref();
            let Some(service) = labels.and_then(|labels| labels.get(SERVICE_LABEL)) else { continue };
            let is_ready = |endpoint: &&k8s_openapi::api::discovery::v1::Endpoint| {
                endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
            };
            *ready.entry(service.clone()).or_default() += slice.endpoints.iter().filter(is_ready).count();
        }
        for (service, count) in ready {
            if count > 0 {
                self.down.remove(&service);
                continue;
            }
            let since = *self.down.entry(service.clone()).or_insert(now);
            if now.duration_since(since) >= DOWN {
                self.was_down.insert(service, now);
            }
        }
    }

    /// True if a service, named NAMESPACE/NAME, was without an endpoint a short time ago.
    fn is_down(&self, component: &str) -> bool {
        let service = component.split_once('/').map_or(component, |(_, name)| name);
        self.was_down.get(service).is_some_and(|until| until.elapsed() <= AFTERMATH)
    }
}
