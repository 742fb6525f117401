//! Reads what `tidewatch doctor` checks. What can't be read is a finding, not an error.

use std::fmt::Debug;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tidewatch_crds::all_crds;

use super::{clocks, objects, pages};
use crate::doctor::rights::{SERVICE_ACCOUNT, needed};
use crate::doctor::{Certificates, Collected, Right, RightAnswer, names};
use crate::objects::Read;
use crate::request_error::in_words;

/// Labels of all that the chart makes.
const OURS: &str = "app.kubernetes.io/name=tidewatch";
/// Reviews at one time.
const CONCURRENCY: usize = 8;

/// Reads all that is checked. The operator is looked for in all namespaces, and then in `namespace`.
///
/// # Errors
/// When the API server doesn't answer.
pub async fn collect(client: &Client, namespace: &str) -> anyhow::Result<Collected> {
    let (now, server_time) = clocks(client).await?;
    let operator = ListParams::default().labels(&format!("{OURS},app.kubernetes.io/component=operator"));
    let operators: Read<Vec<Deployment>> = list(&Api::all(client.clone()), &operator).await;
    let found = operators.as_ref().ok().and_then(|all| all.first()).and_then(ResourceExt::namespace);
    let namespace = found.unwrap_or_else(|| namespace.to_owned());
    let operators = match operators {
        Ok(operators) => Ok(operators),
        Err(_) => list(&Api::namespaced(client.clone(), &namespace), &operator).await,
    };
    let (every_node, our_pods) = (ListParams::default(), ListParams::default().labels(OURS));
    let (all_nodes, pods): (Api<Node>, Api<Pod>) =
        (Api::all(client.clone()), Api::namespaced(client.clone(), &namespace));
    let (definitions, pods, daemon_set, lease, nodes, certificates, rights, binding, objects) = tokio::join!(
        definitions(client),
        list(&pods, &our_pods),
        get::<DaemonSet>(client, &namespace, names::DAEMON_SET),
        get::<Lease>(client, &namespace, names::LEASE),
        list(&all_nodes, &every_node),
        certificates(client, &namespace),
        rights(client, &namespace),
        binding(client, &namespace),
        objects(client, None),
    );
    Ok(Collected {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now,
        server_time,
        definitions,
        operators,
        pods,
        daemon_set,
        lease,
        nodes,
        certificates,
        rights,
        binding,
        objects: objects.map_err(|error| format!("{error:#}")),
        namespace,
    })
}

async fn list<K>(api: &Api<K>, parameters: &ListParams) -> Read<Vec<K>>
where
    K: Clone + Debug + DeserializeOwned,
{
    pages(api, parameters).await.map_err(|error| in_words(&error))
}

async fn get<K>(client: &Client, namespace: &str, name: &str) -> Read<Option<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    api.get_opt(name).await.map_err(|error| in_words(&error))
}

async fn definitions(client: &Client) -> Read<Vec<CustomResourceDefinition>> {
    // By name: a cluster may have hundreds of definitions, each of a hundred kilobytes.
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let names = all_crds().into_iter().filter_map(|definition| definition.metadata.name);
    let found = futures::future::try_join_all(names.map(async |name| api.get_opt(&name).await)).await;
    Ok(found.map_err(|error| in_words(&error))?.into_iter().flatten().collect())
}

/// The certificates alone: the keys beside them are dropped at once.
async fn certificates(client: &Client, namespace: &str) -> Read<Certificates> {
    let secret: Option<Secret> = get(client, namespace, names::SECRET).await?;
    let bundle: Option<ConfigMap> = get(client, namespace, names::CONFIG_MAP).await?;
    let data = secret.as_ref().and_then(|secret| secret.data.as_ref());
    let text = |key: &str| {
        let ByteString(bytes) = data?.get(key)?;
        String::from_utf8(bytes.clone()).ok()
    };
    Ok(Certificates {
        authority: text("ca.crt"),
        serving: text("tls.crt"),
        secret_exists: secret.is_some(),
        bundle_exists: bundle.is_some(),
        bundle: bundle.and_then(|bundle| bundle.data?.remove("ca.crt")),
    })
}

/// Asks for each right whether the operator's service account has it.
async fn rights(client: &Client, namespace: &str) -> Read<Vec<RightAnswer>> {
    let reviews = needed().into_iter().map(|right| review(client, namespace, right));
    futures::stream::iter(reviews).buffered(CONCURRENCY).try_collect().await
}

async fn review(client: &Client, namespace: &str, right: Right) -> Read<RightAnswer> {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource, None),
    };
    let attributes = ResourceAttributes {
        group: Some(right.group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(right.verb.to_owned()),
        name: right.name.map(str::to_owned),
        namespace: right.own_namespace.then(|| namespace.to_owned()),
        ..ResourceAttributes::default()
    };
    let account = format!("system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}");
    let groups = ["system:serviceaccounts", "system:authenticated"].map(str::to_owned);
    let spec = SubjectAccessReviewSpec {
        user: Some(account),
        groups: Some(groups.into_iter().chain([format!("system:serviceaccounts:{namespace}")]).collect()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = api.create(&PostParams::default(), &review).await.map_err(|error| in_words(&error))?;
    Ok(RightAnswer { right, allowed: answer.status.is_some_and(|status| status.allowed) })
}

/// True where the operator's service account is bound to its role.
async fn binding(client: &Client, namespace: &str) -> Read<bool> {
    let api: Api<ClusterRoleBinding> = Api::all(client.clone());
    let binding = api.get_opt(SERVICE_ACCOUNT).await.map_err(|error| in_words(&error))?;
    let subjects = binding.and_then(|binding| binding.subjects).unwrap_or_default();
    let is_it = |it: &k8s_openapi::api::rbac::v1::Subject| {
        it.name == SERVICE_ACCOUNT && it.namespace.as_deref() == Some(namespace)
    };
    Ok(subjects.iter().any(is_it))
}
