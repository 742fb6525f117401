//! Authentication of agents by their projected service-account token, which the API server reviews once; the answer is
//! remembered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tidewatch_cluster::{Cluster, Uid};
use tidewatch_records::Name;
use tokio::sync::Semaphore;

use super::clock::Clock;
use super::metrics::Metrics;

mod cache;
mod claims;
mod review;

use cache::Cache;
pub(super) use review::{KubeReviewer, Review, ReviewError, Reviewer};

/// The audience that agents' tokens are projected for.
pub(super) const AUDIENCE: &str = "tidewatch-collector";

/// A pod that was deleted, or a token that was revoked, is let in for this long at most.
const TRUST: SignedDuration = SignedDuration::from_mins(5);

/// A token that was refused isn't asked about again for this long.
const DISTRUST: SignedDuration = SignedDuration::from_secs(30);

/// TokenReviews under way at one time; a flood of forged tokens queues here, not at the API server.
const REVIEWS: usize = 8;

const REVIEW_TIMEOUT: Duration = Duration::from_secs(5);

/// No token of the API server's is longer.
const TOKEN_BYTES: usize = 16 << 10;

/// An agent, known by its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) node: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denial {
    #[error("no bearer token")]
    Missing,
    #[error("the token is not one of the API server's for this collector: {0}")]
    Forged(&'static str),
    #[error("the API server refused the token: {0}")]
    Refused(String),
    #[error("the token is for {found}, not for the agents' service account {expected}")]
    WrongAccount { found: String, expected: String },
    #[error("the token is not for audience {AUDIENCE}")]
    WrongAudience,
    #[error("the token is not bound to a pod on a node")]
    Unbound,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AuthError {
    /// Asking again with the same token is no use.
    Denied(Denial),
    /// The API server couldn't be asked: try again.
    Unavailable(String),
}

/// The node of the agent that a reviewed token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Bound {
    Node(Name),
    /// The review names the pod only (Kubernetes before 1.30): its node is looked up.
    Pod(Uid),
}

/// Decides from `review` whether the caller is an agent, and on which node. Pure.
fn decide(review: &Review, expected_user: &str) -> Result<Bound, Denial> {
    if !review.authenticated {
        return Err(Denial::Refused(review.error.clone().unwrap_or_else(|| "not authenticated".to_owned())));
    }
    if !review.audiences.iter().any(|audience| audience == AUDIENCE) {
        return Err(Denial::WrongAudience);
    }
    if review.username != expected_user {
        return Err(Denial::WrongAccount {
            found: review.username.clone(),
            expected: expected_user.to_owned(),
        });
    }
    let extra = |key: &str| review.extra.get(key).and_then(|values| values.first()).map(String::as_str);
    // Set for tokens bound to a pod since Kubernetes 1.30 (ServiceAccountTokenPodNodeInfo, KEP-4193).
    if let Some(node) = extra("authentication.kubernetes.io/node-name").filter(|node| !node.is_empty()) {
        return Ok(Bound::Node(node.into()));
    }
    extra("authentication.kubernetes.io/pod-uid").and_then(Uid::parse).map(Bound::Pod).ok_or(Denial::Unbound)
}

type Digest256 = [u8; 32];

/// Authenticates bearer tokens. Only digests of tokens are kept.
pub(super) struct Authenticator {
    reviewer: Box<dyn Reviewer>,
    expected_user: String,
    cluster: Cluster,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    trusted: Mutex<Cache<Digest256, Agent>>,
    distrusted: Mutex<Cache<Digest256, Denial>>,
    reviews: Semaphore,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("expected_user", &self.expected_user).finish_non_exhaustive()
    }
}

impl Authenticator {
    pub(super) fn new(
        reviewer: Box<dyn Reviewer>,
        namespace: &str,
        service_account: &str,
        cluster: Cluster,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self {
            reviewer,
            expected_user: format!("system:serviceaccount:{namespace}:{service_account}"),
            cluster,
            clock,
            metrics,
            // Twice the nodes that are designed for, since a token is replaced while the old one still holds.
            trusted: Mutex::new(Cache::new(20_000)),
            // Apart, so that a flood of forged tokens can't push the good ones out.
            distrusted: Mutex::new(Cache::new(2_000)),
            reviews: Semaphore::new(REVIEWS),
        }
    }

    /// The agent that `authorization` (the header's value) belongs to.
    pub(super) async fn authenticate(&self, authorization: Option<&[u8]>) -> Result<Agent, AuthError> {
        let token = bearer(authorization).map_err(AuthError::Denied)?;
        let now = self.clock.now();
        let digest: Digest256 = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.known(&digest, now) {
            return known.map_err(AuthError::Denied);
        }
        // The token's own claims prove nothing, but a token for another audience needs no review.
        let claims = match claims::read(token, AUDIENCE, now) {
            Ok(claims) => claims,
            Err(why) => return Err(self.deny(digest, Denial::Forged(why), now)),
        };
        let review = self.review(token).await.map_err(AuthError::Unavailable)?;
        let agent = match decide(&review, &self.expected_user) {
            Ok(Bound::Node(node)) => Agent { node },
            Ok(Bound::Pod(uid)) => {
                let node = self.cluster.read().pod(uid).and_then(|pod| pod.node.clone());
                // The watch will tell soon, or the pod is gone and its agent with it.
                Agent {
                    node: node.ok_or_else(|| {
                        AuthError::Unavailable("the agent's pod isn't known yet".to_owned())
                    })?,
                }
            }
            Err(denial) => return Err(self.deny(digest, denial, now)),
        };
        let until = now.saturating_add(TRUST).unwrap_or(now).min(claims.expires);
        lock(&self.trusted).insert(digest, agent.clone(), until, now);
        Ok(agent)
    }

    fn known(&self, digest: &Digest256, now: Timestamp) -> Option<Result<Agent, Denial>> {
        if let Some(agent) = lock(&self.trusted).get(digest, now) {
            return Some(Ok(agent));
        }
        lock(&self.distrusted).get(digest, now).map(Err)
    }

    async fn review(&self, token: &str) -> Result<Review, String> {
        let asked = async {
            let _permit =
                self.reviews.acquire().await.map_err(|_| ReviewError("shutting down".to_owned()))?;
            self.reviewer.review(token).await
        };
        let result = match tokio::time::timeout(REVIEW_TIMEOUT, asked).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("the API server didn't answer the TokenReview within {REVIEW_TIMEOUT:?}")),
        };
        self.metrics.review(match &result {
            Ok(review) if review.authenticated => "authenticated",
            Ok(_) => "refused",
            Err(_) => "error",
        });
        result
    }

    fn deny(&self, digest: Digest256, denial: Denial, now: Timestamp) -> AuthError {
        let until = now.saturating_add(DISTRUST).unwrap_or(now);
        lock(&self.distrusted).insert(digest, denial.clone(), until, now);
        AuthError::Denied(denial)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bearer(authorization: Option<&[u8]>) -> Result<&str, Denial> {
    let value = std::str::from_utf8(authorization.ok_or(Denial::Missing)?).map_err(|_| Denial::Missing)?;
    let (scheme, token) = value.split_once(' ').ok_or(Denial::Missing)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Denial::Missing);
    }
    if token.len() > TOKEN_BYTES {
        return Err(Denial::Forged("it is too long"));
    }
    Ok(token)
}

#[cfg(test)]
#[path = "../auth_tests.rs"]
mod tests;
