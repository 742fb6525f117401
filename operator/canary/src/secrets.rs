//! The Secrets that a canary's checks use.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tidewatch_crds::canary::{SECRET_LABEL, SecretKey};
use tidewatch_kube::reconcile::{Classify, ErrorClass};
use tidewatch_prober::Secrets;

use super::desired::Problem;
use super::policy::Policy;

/// Why they weren't fetched.
#[derive(Debug)]
pub(super) enum Unfetched {
    /// Somebody must mend something.
    Problem(Problem),
    /// The API server didn't say: it may next time.
    NoAnswer { secret: String, source: kube::Error },
}

impl From<Problem> for Unfetched {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Unfetched> for Problem {
    fn from(unfetched: Unfetched) -> Self {
        match unfetched {
            Unfetched::Problem(problem) => problem,
            Unfetched::NoAnswer { secret, source } => unreadable(&secret, &source),
        }
    }
}

/// The values, and the versions of the Secrets that they are from.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub values: Secrets,
    pub versions: BTreeMap<String, String>,
}

/// Reads `keys` in `namespace`.
pub(super) async fn fetch(
    client: &Client,
    policy: &Policy,
    namespace: &str,
    keys: BTreeSet<SecretKey>,
) -> Result<Fetched, Unfetched> {
    let mut fetched = Fetched::default();
    if keys.is_empty() {
        return Ok(fetched);
    }
    if !policy.allows_secrets(namespace) {
        let mend = format!(
            "the operator may not read Secrets of namespace {namespace}: add it to the chart's canary.secretNamespaces"
        );
        return Err(Problem::of_surroundings("SecretsNotAllowed", mend).into());
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut secrets: BTreeMap<String, Secret> = BTreeMap::new();
    for key in keys {
        let name = key.name.clone();
        if !secrets.contains_key(&name) {
            let secret = api.get_opt(&name).await.map_err(|error| unfetched(&name, error))?;
            let secret = usable(&name, secret)?;
            let version = secret.metadata.resource_version.clone().unwrap_or_default();
            fetched.versions.insert(name.clone(), version);
            secrets.insert(name.clone(), secret);
        }
        let data = secrets.get(&name).and_then(|secret| secret.data.as_ref());
        let Some(value) = data.and_then(|data| data.get(&key.key)) else {
            let known = data.map(|data| data.keys().cloned().collect::<Vec<_>>().join(", "));
            let known = known.filter(|known| !known.is_empty()).unwrap_or_else(|| "none".to_owned());
            let message = format!("Secret {name} has no key {}; its keys: {known}", key.key);
            return Err(Problem::of_surroundings("SecretKeyNotFound", message).into());
        };
        fetched.values.insert(key, value.0.clone());
    }
    Ok(fetched)
}

fn unfetched(name: &str, source: kube::Error) -> Unfetched {
    match source.class() {
        ErrorClass::Retry | ErrorClass::Throttled(_) | ErrorClass::Conflict => {
            Unfetched::NoAnswer { secret: name.to_owned(), source }
        }
        ErrorClass::Terminal | ErrorClass::Denied | ErrorClass::NotFound => unreadable(name, &source).into(),
    }
}

fn unreadable(name: &str, error: &kube::Error) -> Problem {
    Problem::of_surroundings("SecretUnreadable", format!("Secret {name} can't be read: {error}"))
}

/// Its owner must have allowed its use: who may write a Canary isn't always one who may read Secrets.
fn usable(name: &str, secret: Option<Secret>) -> Result<Secret, Problem> {
    let Some(secret) = secret else {
        return Err(Problem::of_surroundings(
            "SecretNotFound",
            format!("Secret {name} isn't there: create it, with the label {SECRET_LABEL}: \"true\""),
        ));
    };
    let allowed = secret.metadata.labels.as_ref().and_then(|labels| labels.get(SECRET_LABEL));
    if allowed.is_none_or(|value| value != "true") {
        return Err(Problem::of_surroundings(
            "SecretNotAllowed",
            format!(
                "Secret {name} isn't meant for canaries: put the label {SECRET_LABEL}: \"true\" on it to allow what checks send to contain it"
            ),
        ));
    }
    Ok(secret)
}
