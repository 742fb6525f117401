//! Receives flow-window records from the agents, resolves their endpoints and keeps them until their evaluation window
//! closes; then hands the window to [`tidewatch_evaluation`]. One collector runs, on the replica that leads.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use kube::Client;
use tidewatch_cluster::{Cluster, Remotes};
use tidewatch_evaluation::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use tidewatch_kube::watch_health::WatchHealth;
mod auth;
mod clock;
mod driver;
mod endpoint;
mod ingest;
mod limits;
mod metrics;
mod patience;
mod reject;
mod server;
mod service;
mod tls;
mod windows;

pub use endpoint::publish_endpoint;
pub use limits::Limits;
pub use metrics::Metrics;
pub use tls::TlsError;

use clock::{Clock, SystemClock};
use windows::Windows;

/// The Service by which agents reach the collector.
const SERVICE: &str = "tidewatch-collector";

/// Configuration of the collector.
#[derive(Debug, Clone)]
pub struct Config {
    /// 0.0.0.0:4317
    pub listen: SocketAddr,
    /// The operator's own namespace: of the TLS Secret, the CA ConfigMap, the Service and the agents.
    pub namespace: String,
    /// `tidewatch-agent`
    pub agent_service_account: String,
    pub remotes: Remotes,
    pub limits: Limits,
    pub metrics: Metrics,
}

/// A running collector. Dropping it doesn't stop it: cancel the token it was started with, and wait for [`Self::ended`].
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't listen on {listen}: {source}")]
    Listen { listen: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("TLS can't be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

impl Collector {
    /// Makes sure of the TLS material (and keeps it fresh), then listens. Call it as the leader only, since it writes
    /// the TLS Secret and ConfigMap; cancel `cancel` when leadership is lost.
    pub async fn start(
        client: Client,
        config: Config,
        cluster: Cluster,
        registry: Registry,
        health: &WatchHealth,
        cancel: CancellationToken,
    ) -> Result<Self, Error> {
        let clock = Arc::new(SystemClock);
        let certificate = Arc::new(tls::CurrentCertificate::default());
        let keeper = tls::Keeper {
            client: client.clone(),
            namespace: config.namespace.clone(),
            certificate: certificate.clone(),
            metrics: config.metrics.clone(),
        };
        keeper.ensure(clock.now()).await?;
        let reviewer = Box::new(auth::KubeReviewer::new(client, health));
        let mut collector =
            Self::listen(config, certificate, reviewer, clock.clone(), cluster, registry, &cancel).await?;
        collector.tasks.push(tokio::spawn(async move { keeper.keep(clock.as_ref(), &cancel).await }));
        Ok(collector)
    }

    /// Starts all tasks but the one that keeps the TLS material, which needs a cluster.
    async fn listen(
        config: Config,
        certificate: Arc<tls::CurrentCertificate>,
        reviewer: Box<dyn auth::Reviewer>,
        clock: Arc<dyn Clock>,
        cluster: Cluster,
        registry: Registry,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let Config { listen, namespace, agent_service_account, remotes, limits, metrics } = config;
        let remotes = Arc::new(remotes);
        let windows = Arc::new(Mutex::new(Windows::new(limits)));
        let authenticator = Arc::new(auth::Authenticator::new(
            reviewer,
            &namespace,
            &agent_service_account,
            cluster.clone(),
            clock.clone(),
            metrics.clone(),
        ));
        let ingest = ingest::Ingest {
            cluster: cluster.clone(),
            remotes: remotes.clone(),
            windows: windows.clone(),
            metrics: metrics.clone(),
        };
        let driver = driver::Driver { windows, cluster, remotes, registry, metrics: metrics.clone() };
        let service = service::service(ingest, clock.clone(), authenticator, &limits);
        let tls = Arc::new(tls::server_config(certificate)?);
        let failed = |source| Error::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (of_server, of_driver) = (cancel.clone(), cancel.clone());
        let serving = tokio::spawn(async move {
            if let Err(error) = server::serve(listener, tls, service, limits, metrics, of_server).await {
                tracing::error!(%error, "the collector stopped serving");
            }
        });
        let driving = tokio::spawn(async move { driver.run(clock.as_ref(), &of_driver).await });
        tracing::info!(%address, "the collector listens");
        Ok(Self { address, tasks: vec![serving, driving] })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until everything that [`Self::start`] started has ended.
    pub async fn ended(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the collector failed");
            }
        }
    }
}

#[cfg(test)]
mod tests;
