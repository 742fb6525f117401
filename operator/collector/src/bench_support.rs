//! A collector without a cluster, for the benchmark only: real TLS and the real service, but whom a token belongs to is
//! told by a table instead of by TokenReview. Nothing in the operator calls it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tidewatch_cluster::Cluster;
use tidewatch_evaluation::Registry;
use tokio_util::sync::CancellationToken;

use super::auth::{AUDIENCE, Review, ReviewError, Reviewer};
use super::clock::SystemClock;
use super::{Collector, Config, Error, tls};

/// Tokens by node, in the form of the API server's but for their signatures.
pub fn tokens(nodes: &[String]) -> HashMap<String, String> {
    let expires = Timestamp::now().as_second() + 3600;
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let claims = format!(r#"{{"exp":{expires},"aud":["{AUDIENCE}"]}}"#);
    nodes
        .iter()
        .map(|node| {
            // As long as an RS256 signature.
            let signature = format!("{node:->256}");
            (
                node.clone(),
                format!("{}.{}.{}", encode(r#"{"alg":"RS256"}"#), encode(&claims), encode(&signature)),
            )
        })
        .collect()
}

/// A collector that lets in the holders of `tokens` (by node), and the authority to trust.
pub async fn start(
    config: Config,
    cluster: Cluster,
    registry: Registry,
    tokens: &HashMap<String, String>,
    cancel: &CancellationToken,
) -> Result<(Collector, String), Error> {
    let certificate = Arc::new(tls::CurrentCertificate::default());
    let ca = tls::ephemeral(&certificate, &config.namespace, Timestamp::now())?;
    let user = format!("system:serviceaccount:{}:{}", config.namespace, config.agent_service_account);
    let nodes = tokens.iter().map(|(node, token)| (token.clone(), node.clone())).collect();
    let reviewer = Box::new(Table { nodes, user });
    let clock = Arc::new(SystemClock);
    let collector =
        Collector::listen(config, certificate, reviewer, clock, cluster, registry, cancel).await?;
    Ok((collector, ca))
}

struct Table {
    nodes: HashMap<String, String>,
    user: String,
}

impl Reviewer for Table {
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Review, ReviewError>> {
        let node = self.nodes.get(token).cloned();
        Box::pin(async move {
            let extra = node.map(|node| ("authentication.kubernetes.io/node-name".to_owned(), vec![node]));
            Ok(Review {
                authenticated: extra.is_some(),
                username: self.user.clone(),
                audiences: vec![AUDIENCE.to_owned()],
                extra: extra.into_iter().collect::<BTreeMap<_, _>>(),
                error: None,
            })
        })
    }
}
