//! The TokenReview request to the API server.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::AUDIENCE;
use tidewatch_kube::watch_health::{Watch, WatchHealth, Watched};

/// The API server's answer about a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Review {
    pub(in super::super) authenticated: bool,
    pub(in super::super) username: String,
    pub(in super::super) audiences: Vec<String>,
    pub(in super::super) extra: BTreeMap<String, Vec<String>>,
    pub(in super::super) error: Option<String>,
}

/// The API server gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TokenReview failed: {0}")]
pub(in super::super) struct ReviewError(pub(in super::super) String);

pub(in super::super) trait Reviewer: Send + Sync + 'static {
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Review, ReviewError>>;
}

/// Asks by TokenReview. Needs create on tokenreviews of authentication.k8s.io.
pub(in super::super) struct KubeReviewer {
    api: Api<TokenReview>,
    health: Watch,
}

impl KubeReviewer {
    /// Tells `health` when this isn't allowed.
    pub(in super::super) fn new(client: Client, health: &WatchHealth) -> Self {
        Self { api: Api::all(client), health: health.calls(Watched::TOKEN_REVIEWS) }
    }
}

impl Reviewer for KubeReviewer {
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Review, ReviewError>> {
        Box::pin(async move {
            let question = TokenReview {
                spec: TokenReviewSpec {
                    token: Some(token.to_owned()),
                    audiences: Some(vec![AUDIENCE.to_owned()]),
                },
                ..TokenReview::default()
            };
            let answer = self.api.create(&PostParams::default(), &question).await;
            self.health.answered(&answer);
            let answer = answer.map_err(|error| ReviewError(error.to_string()))?;
            let status = answer.status.unwrap_or_default();
            let user = status.user.unwrap_or_default();
            Ok(Review {
                authenticated: status.authenticated.unwrap_or(false),
                username: user.username.unwrap_or_default(),
                audiences: status.audiences.unwrap_or_default(),
                extra: user.extra.unwrap_or_default(),
                error: status.error,
            })
        })
    }
}
