//! Reads from the API server what the reports are made of.

mod doctor;

use anyhow::anyhow;
use http::Request;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::objects::{Kind, Objects, Read, TidewatchObject, Unreadable};
use crate::request_error::in_words;

pub use doctor::collect as doctor;

/// Number of objects that are listed at one time.
const PAGE: u32 = 500;

/// All objects of Tidewatch in one namespace, or in all.
///
/// # Errors
/// When a kind can't be listed; the message says what to do.
pub async fn objects(client: &Client, namespace: Option<&str>) -> anyhow::Result<Objects> {
    let (monitors, alarms, canaries) =
        tokio::try_join!(of_kind(client, namespace), of_kind(client, namespace), of_kind(client, namespace))?;
    let mut unreadable = monitors.unreadable;
    unreadable.extend(alarms.unreadable);
    unreadable.extend(canaries.unreadable);
    Ok(Objects { monitors: monitors.read, alarms: alarms.read, canaries: canaries.read, unreadable })
}

/// The objects of one kind, those that don't parse apart.
struct Listed<K> {
    read: Vec<K>,
    unreadable: Vec<Unreadable>,
}

async fn of_kind<K>(client: &Client, namespace: Option<&str>) -> anyhow::Result<Listed<K>>
where
    K: TidewatchObject
        + Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<DeserializeGuard<K>> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let objects =
        pages(&api, &ListParams::default()).await.map_err(|error| advised(error, K::KIND, namespace))?;
    let (mut read, mut unreadable) = (Vec::new(), Vec::new());
    for object in objects {
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
    Ok(Listed { read, unreadable })
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
        Some(namespace) => format!("list {} of namespace {namespace}", kind.plural()),
        None => format!("list {} of all namespaces", kind.plural()),
    };
    let help = match (&error, namespace) {
        (kube::Error::Api(status), None) if status.code == 403 => {
            "; name a namespace that you may read with -n"
        }
        (kube::Error::Api(status), _) if status.code == 404 => "; install the chart tidewatch-crds",
        (kube::Error::Api(status), _) if status.code == 401 => {
            "; log in again, or name another context with --context"
        }
        _ => "",
    };
    anyhow!("{what}: {}{help}", in_words(&error))
}

/// The events of one object, or why they couldn't be listed.
pub async fn events(client: &Client, kind: Kind, namespace: &str, name: &str) -> Read<Vec<Event>> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let selector = format!("involvedObject.kind={},involvedObject.name={name}", kind.as_str());
    let listed = pages(&api, &ListParams::default().fields(&selector)).await;
    let listed = listed.map_err(|error| in_words(&error))?;
    let of_it = |event: &Event| {
        let object = &event.involved_object;
        object.name.as_deref() == Some(name) && object.kind.as_deref() == Some(kind.as_str())
    };
    Ok(listed.into_iter().filter(of_it).collect())
}

/// This machine's clock, and the API server's at that moment as the header of an answer has it.
///
/// # Errors
/// When the API server doesn't answer.
async fn clocks(client: &Client) -> anyhow::Result<(Timestamp, Read<Timestamp>)> {
    let request = Request::get("/version").body(kube::client::Body::empty())?;
    let answer = client.send(request).await;
    let answer = answer.map_err(|error| anyhow!("reach the API server: {}", in_words(&error)))?;
    let now = Timestamp::now();
    let date = answer.headers().get(http::header::DATE);
    let date = date.ok_or_else(|| "its answers have no header Date".to_owned()).and_then(|date| {
        let parsed = rfc2822::DateTimeParser::new().parse_timestamp(date.as_bytes());
        parsed.map_err(|error| format!("its header Date: {error}"))
    });
    Ok((now, date))
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
