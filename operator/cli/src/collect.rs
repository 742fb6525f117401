//! Reads from the API server what the reports are made of.

mod doctor;

use anyhow::Context;
use http::Request;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::objects::{Kind, Objects, Unreadable, Watched};

pub use doctor::collect as doctor;

/// Number of objects that are listed at one time.
const PAGE: u32 = 500;

/// All objects of Tidewatch in one namespace, or in all.
///
/// # Errors
/// When a kind can't be listed; the message says what to do.
pub async fn objects(client: &Client, namespace: Option<&str>) -> anyhow::Result<Objects> {
    let mut objects = Objects::default();
    let Objects { monitors, alarms, canaries, unreadable } = &mut objects;
    *monitors = of_kind(client, namespace, unreadable).await?;
    *alarms = of_kind(client, namespace, unreadable).await?;
    *canaries = of_kind(client, namespace, unreadable).await?;
    Ok(objects)
}

async fn of_kind<K>(
    client: &Client,
    namespace: Option<&str>,
    unreadable: &mut Vec<Unreadable>,
) -> anyhow::Result<Vec<K>>
where
    K: Watched
        + Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<DeserializeGuard<K>> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut read = Vec::new();
    let listed =
        pages(&api, &ListParams::default()).await.map_err(|error| advised(error, K::KIND, namespace))?;
    for object in listed {
        match object.0 {
            Ok(object) => read.push(object),
            Err(invalid) => unreadable.push(Unreadable {
                kind: K::KIND,
                namespace: invalid.metadata.namespace.unwrap_or_default(),
                name: invalid.metadata.name.unwrap_or_default(),
                error: invalid.error,
            }),
        }
    }
    Ok(read)
}

/// Every page of a list.
async fn pages<K>(api: &Api<K>, parameters: &ListParams) -> kube::Result<Vec<K>>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let mut page = parameters.clone().limit(PAGE);
    let mut all = Vec::new();
    loop {
        let listed = api.list(&page).await?;
        all.extend(listed.items);
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(all),
        }
    }
}

/// The error, with what helps against it.
fn advised(error: kube::Error, kind: Kind, namespace: Option<&str>) -> anyhow::Error {
    let what = match namespace {
        Some(namespace) => format!("list {}s of namespace {namespace}", kind.as_str()),
        None => format!("list {}s of all namespaces", kind.as_str()),
    };
    let help = match (&error, namespace) {
        (kube::Error::Api(status), None) if status.code == 403 => {
            "; name a namespace that you may read with -n"
        }
        (kube::Error::Api(status), _) if status.code == 404 => "; install the chart tidewatch-crds",
        _ => "",
    };
    anyhow::Error::msg(format!("{what}: {error}{help}"))
}

/// The events of one object.
///
/// # Errors
/// When they can't be listed.
pub async fn events(client: &Client, kind: Kind, namespace: &str, name: &str) -> anyhow::Result<Vec<Event>> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let selector = format!("involvedObject.kind={},involvedObject.name={name}", kind.as_str());
    let listed = pages(&api, &ListParams::default().fields(&selector)).await;
    let listed = listed.with_context(|| format!("list the events of namespace {namespace}"))?;
    let of_it = |event: &Event| {
        let object = &event.involved_object;
        object.name.as_deref() == Some(name) && object.kind.as_deref() == Some(kind.as_str())
    };
    Ok(listed.into_iter().filter(of_it).collect())
}

/// What the API server's clock shows, and this machine's at that moment.
async fn server_time(client: &Client) -> (Timestamp, Result<Timestamp, String>) {
    let asked = async {
        let request = Request::get("/version").body(kube::client::Body::empty())?;
        let answer = client.send(request).await?;
        let date = answer.headers().get(http::header::DATE).context("its answers have no header Date")?;
        let date = rfc2822::DateTimeParser::new().parse_timestamp(date.as_bytes())?;
        anyhow::Ok(date)
    };
    let time = asked.await.map_err(|error| format!("{error:#}"));
    (Timestamp::now(), time)
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
