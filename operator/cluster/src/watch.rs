//! The watches that feed the index. They never give up: an API server that is away is asked again with backoff, and the
//! index keeps what it knew.

use std::fmt;
use std::time::Duration;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::ApiResource;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use tidewatch_kube::watch_health::{WatchHealth, Watched};
use tokio_util::sync::CancellationToken;

use super::Cluster;
use super::index::{Fact, Kind};
use super::intern::Interner;
use super::reduce::{self, AgentIdentity, SlimNode, SlimPod, SlimPolicy};

/// Interval at which the past is swept.
const SWEEP: Duration = Duration::from_secs(60);

/// The service account by which pods of agents are recognised.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    /// The operator's own namespace.
    pub namespace: String,
    pub agent_service_account: String,
}

/// Watches the cluster into `cluster` until `cancel`. Needs list and watch on pods, nodes, services and namespaces of the
/// core group, on endpointslices of discovery.k8s.io and on networkpolicies of networking.k8s.io.
pub async fn watch(
    client: Client,
    config: WatchConfig,
    cluster: Cluster,
    health: WatchHealth,
    cancel: CancellationToken,
) {
    let agent = AgentIdentity { namespace: config.namespace, service_account: config.agent_service_account };
    let (mut pods, mut nodes, mut services, mut slices, mut namespaces) =
        (Interner::new(), Interner::new(), Interner::new(), Interner::new(), Interner::new());
    let options = || watcher::Config::default().page_size(500);

    let pod_api: Api<SlimPod> = Api::all_with(client.clone(), &ApiResource::erase::<Pod>(&()));
    let node_api: Api<SlimNode> = Api::all_with(client.clone(), &ApiResource::erase::<Node>(&()));
    let service_api: Api<Service> = Api::all(client.clone());
    let slice_api: Api<EndpointSlice> = Api::all(client.clone());
    let namespace_api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let policy_api: Api<SlimPolicy> = Api::all_with(client, &ApiResource::erase::<NetworkPolicy>(&()));

    let watches = async {
        tokio::join!(
            follow(Kind::Pod, &cluster, health.watch(Watched::PODS, pod_api, options()), move |pod| {
                reduce::pod(pod, &agent, &mut pods).map(Fact::Pod)
            }),
            follow(Kind::Node, &cluster, health.watch(Watched::NODES, node_api, options()), move |node| {
                reduce::node(node, &mut nodes).map(Fact::Node)
            }),
            follow(
                Kind::Service,
                &cluster,
                health.watch(Watched::SERVICES, service_api, options()),
                move |service| { reduce::service(service, &mut services).map(Fact::Service) }
            ),
            follow(
                Kind::EndpointSlice,
                &cluster,
                health.watch(Watched::ENDPOINT_SLICES, slice_api, options()),
                move |slice| { reduce::slice(slice, &mut slices).map(Fact::EndpointSlice) }
            ),
            follow(
                Kind::Namespace,
                &cluster,
                health.watch(Watched::NAMESPACES, namespace_api, options()),
                move |namespace| {
                    reduce::namespace(namespace.metadata, &mut namespaces).map(Fact::Namespace)
                }
            ),
            follow(
                Kind::NetworkPolicy,
                &cluster,
                health.watch(Watched::NETWORK_POLICIES, policy_api, options()),
                |policy| { reduce::policy(policy).map(Fact::NetworkPolicy) }
            ),
            sweep(&cluster),
        )
    };
    tokio::select! {
        _ = watches => {}
        () = cancel.cancelled() => {}
    }
}

async fn follow<K>(
    kind: Kind,
    cluster: &Cluster,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    mut fact: impl FnMut(K) -> Option<Fact>,
) where
    K: Resource + fmt::Debug,
{
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let now = Timestamp::now();
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                if let Some(fact) = fact(object) {
                    cluster.update(|index| index.apply(fact, now));
                }
            }
            Ok(Event::Delete(object)) => {
                if let Some(fact) = fact(object) {
                    cluster.update(|index| {
                        index.depart(&fact, now);
                        true
                    });
                }
            }
            Ok(Event::Init) => cluster.update(|index| {
                index.begin_list(kind);
                false
            }),
            Ok(Event::InitDone) => cluster.update(|index| {
                index.end_list(kind, now);
                true
            }),
            // Told of by the watch's health; the index keeps what it knew until it goes on.
            Err(_) => {}
        }
    }
}

async fn sweep(cluster: &Cluster) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        cluster.update(|index| {
            index.forget(Timestamp::now());
            false
        });
    }
}
