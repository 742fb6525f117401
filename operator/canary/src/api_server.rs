//! Where the API server is: canaries may not reach it with the operator's place in the network. It moves: managed control
//! planes get other addresses when they are scaled or upgraded.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};

/// How often its addresses are read again.
const EVERY: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(10);

pub(super) struct ApiServer {
    endpoints: Api<EndpointSlice>,
    known: BTreeSet<IpAddr>,
}

#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("{0}")]
    Refused(#[from] kube::Error),
    #[error("no answer within {} s", LIMIT.as_secs())]
    Late(#[from] tokio::time::error::Elapsed),
}

impl ApiServer {
    pub(super) async fn find(client: Client) -> Self {
        let mut found = Self { endpoints: Api::namespaced(client, "default"), known: BTreeSet::new() };
        match found.read().await {
            Ok(addresses) => found.known = addresses,
            Err(error) => tracing::warn!(
                %error,
                "the API server's endpoints can't be read: until they can, canaries are kept from its Service only"
            ),
        }
        found
    }

    /// Those of its endpoints, and of its Service.
    pub(super) fn addresses(&self) -> Vec<IpNet> {
        let service = std::env::var("KUBERNETES_SERVICE_HOST").ok().and_then(|address| address.parse().ok());
        let all: BTreeSet<IpAddr> = self.known.iter().copied().chain(service).collect();
        all.into_iter().map(IpNet::from).collect()
    }

    /// Tells `moved` of its addresses whenever they are others. What can't be read is as it was.
    pub(super) async fn follow(mut self, moved: impl Fn(Vec<IpNet>)) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            match self.read().await {
                Ok(addresses) if addresses != self.known => {
                    self.known = addresses;
                    moved(self.addresses());
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the API server's endpoints can't be read now"),
            }
        }
    }

    async fn read(&self) -> Result<BTreeSet<IpAddr>, Untold> {
        let of_service = ListParams::default().labels("kubernetes.io/service-name=kubernetes");
        let slices = tokio::time::timeout(LIMIT, self.endpoints.list(&of_service)).await??;
        let endpoints = slices.items.into_iter().flat_map(|slice| slice.endpoints);
        let addresses = endpoints.flat_map(|endpoint| endpoint.addresses);
        Ok(addresses.filter_map(|address| address.parse().ok()).collect())
    }
}
