//! The collector's TLS material: made, kept in the cluster, renewed, and handed to the listener.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tokio_util::sync::CancellationToken;

use super::SERVICE;
use super::clock::Clock;
use super::metrics::Metrics;

mod material;
mod resolver;
mod store;

pub(super) use resolver::{CurrentCertificate, server_config};

/// Interval between checks for renewal.
const CHECK: Duration = Duration::from_secs(3600);
/// Interval after a failed check.
const RETRY: Duration = Duration::from_secs(30);
/// A write that lost against another is tried again on what the other wrote.
const ATTEMPTS: usize = 3;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS material of the collector: {0}")]
    Material(String),
    #[error(
        "Secret or ConfigMap of the collector's TLS material in namespace {namespace}: {source}{}",
        hint(source)
    )]
    Api { namespace: String, source: Box<kube::Error> },
}

fn hint(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            " (the chart makes it: `helm upgrade`, or a sync, makes it again)"
        }
        _ => "",
    }
}

/// The names that agents may reach the collector by.
fn names(namespace: &str) -> Vec<String> {
    [
        SERVICE.to_owned(),
        format!("{SERVICE}.{namespace}"),
        format!("{SERVICE}.{namespace}.svc"),
        format!("{SERVICE}.{namespace}.svc.cluster.local"),
    ]
    .to_vec()
}

/// Keeps the material in the cluster and the listener's certificate fresh.
pub(super) struct Keeper {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) certificate: Arc<CurrentCertificate>,
    pub(super) metrics: Metrics,
}

impl Keeper {
    /// Renews what is due, publishes the authorities, then installs the certificate: in this order, so that agents know
    /// an authority before they meet it.
    pub(super) async fn ensure(&self, now: Timestamp) -> Result<(), TlsError> {
        let material = self.renewed(now).await?;
        if store::publish(&self.client, &self.namespace, &material.bundle()).await.map_err(|e| self.api(e))? {
            tracing::info!(
                namespace = self.namespace,
                config_map = store::CONFIG_MAP,
                "published the collector's CA"
            );
        }
        self.certificate.install(&material.serving).map_err(|error| TlsError::Material(error.to_string()))?;
        if let Some(expires) = material::serving_expires(&material) {
            self.metrics.certificate_expires(expires);
        }
        Ok(())
    }

    async fn renewed(&self, now: Timestamp) -> Result<material::Material, TlsError> {
        let mut attempt = 1;
        loop {
            let stored = store::read(&self.client, &self.namespace).await.map_err(|e| self.api(e))?;
            let material = material::renew(stored.material.as_ref(), &names(&self.namespace), now)
                .map_err(|error| TlsError::Material(error.to_string()))?;
            if stored.material.as_ref() == Some(&material) {
                return Ok(material);
            }
            match store::write(&self.client, &self.namespace, stored, &material).await {
                Ok(()) => {
                    tracing::info!(
                        namespace = self.namespace,
                        secret = store::SECRET,
                        "renewed the collector's TLS material"
                    );
                    return Ok(material);
                }
                Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(self.api(error)),
            }
        }
    }

    fn api(&self, source: kube::Error) -> TlsError {
        TlsError::Api { namespace: self.namespace.clone(), source: Box::new(source) }
    }

    /// Goes on ensuring until `cancel`.
    pub(super) async fn keep(&self, clock: &dyn Clock, cancel: &CancellationToken) {
        let mut pause = CHECK;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            // Not beyond the leader's term: the next one's may have written by then.
            let ensured = tokio::select! {
                () = cancel.cancelled() => return,
                ensured = self.ensure(clock.now()) => ensured,
            };
            pause = match ensured {
                Ok(()) => CHECK,
                Err(error) => {
                    self.metrics.tls_errors.inc();
                    tracing::warn!(%error, "the collector's TLS material is not renewed; trying again in 30 s");
                    RETRY
                }
            };
        }
    }
}

/// Installs a certificate that isn't kept anywhere, and returns its authority.
#[cfg(test)]
pub(super) fn ephemeral(
    certificate: &CurrentCertificate,
    namespace: &str,
    now: Timestamp,
) -> Result<String, TlsError> {
    let failed = |error: &dyn std::fmt::Display| TlsError::Material(error.to_string());
    let material = material::renew(None, &names(namespace), now).map_err(|error| failed(&error))?;
    certificate.install(&material.serving).map_err(|error| failed(&error))?;
    Ok(material.bundle())
}
