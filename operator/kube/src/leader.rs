//! Leader election by a Lease, fenced: a replica stops writing a margin before another may start.
//!
//! The protocol is that of client-go's leaderelection: a candidate takes a lease over only when the lease hasn't
//! changed for its whole duration *by the candidate's own clock*, so that clocks needn't agree. A leader that can't renew
//! within `renew_deadline` of the start of its last successful renewal cancels its [`Leadership`]; since that is
//! shorter than the lease's duration, its last write ends before anybody else's first.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::jitter;

/// Times of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease holds after its last renewal.
    pub lease: Duration,
    /// How long after the start of the last successful renewal the leader goes on.
    pub renew_deadline: Duration,
    /// Time between renewals, and between a candidate's looks.
    pub period: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            period: Duration::from_secs(4),
        }
    }
}

impl Timing {
    /// When a leader tries again to renew. A try may fail late: then leadership ends before another period does.
    fn next_try(&self, renewed: Instant, now: Instant) -> Instant {
        (now + self.period).min(renewed + self.renew_deadline)
    }
}

/// Who this replica is and which lease it wants.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub namespace: String,
    pub lease: String,
    /// Name of the ConfigMap that the lease goes with.
    pub owner: String,
    /// Unique to this process: a restarted container is another candidate.
    pub identity: String,
    pub timing: Timing,
}

/// Proof of leadership. Everything that writes runs under it and stops when it ends.
#[derive(Debug, Clone)]
pub struct Leadership {
    /// Cancelled when leadership ended or the process is to stop.
    pub lost: CancellationToken,
}

/// What a candidate knows of the lease, without its clock: any change of it is a sign of life of the holder.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    holder: String,
    version: String,
    duration: Duration,
    at: Instant,
}

/// What to do about the lease that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Create,
    /// Ours: renew.
    Renew,
    /// Free, or its holder gave no sign of life for the whole duration.
    TakeOver,
    Wait,
}

/// The pure half: remembers what was seen of the lease, and decides.
#[derive(Debug, Default)]
struct Machine {
    seen: Option<Seen>,
}

impl Machine {
    fn decide(&mut self, identity: &str, lease: Option<&Lease>, now: Instant) -> Decision {
        let Some(lease) = lease else {
            self.seen = None;
            return Decision::Create;
        };
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|s| s.holder_identity.clone()).unwrap_or_default();
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let seconds = spec.and_then(|s| s.lease_duration_seconds).unwrap_or(0);
        let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        if holder == identity {
            return Decision::Renew;
        }
        if holder.is_empty() {
            return Decision::TakeOver;
        }
        match &self.seen {
            Some(seen) if seen.version == version && seen.holder == holder => {
                if now.duration_since(seen.at) > seen.duration { Decision::TakeOver } else { Decision::Wait }
            }
            _ => {
                self.seen = Some(Seen { holder, version, duration, at: now });
                Decision::Wait
            }
        }
    }
}

impl Candidate {
    /// Waits until this replica leads. Ends with `None` when `stop` is cancelled first.
    pub async fn acquire(&self, client: &Client, stop: &CancellationToken) -> Option<Held> {
        let api: Api<Lease> = Api::namespaced(client.clone(), &self.namespace);
        let mut machine = Machine::default();
        let mut last_error = String::new();
        loop {
            let attempt = tokio::time::timeout(self.timing.period, self.try_once(&api, &mut machine));
            match attempt.await {
                Ok(Ok(Some(held))) => return Some(held),
                Ok(Ok(None)) => last_error.clear(),
                Ok(Err(error)) => say_once(&mut last_error, &error.to_string()),
                Err(_) => say_once(&mut last_error, "the API server doesn't answer"),
            }
            // Candidates that look at the same moment collide for ever: spread them.
            let pause = self.timing.period.mul_f64(0.8 + 0.4 * jitter());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return None,
            }
        }
    }

    /// Takes the lease from whoever holds it and keeps it for as long as `timing.lease` says, without renewing it. Whoever
    /// led stops at its next renewal, `timing.renew_deadline` from now at the latest. False where nobody leads.
    pub async fn take_away(&self, client: &Client) -> Result<bool, kube::Error> {
        let api: Api<Lease> = Api::namespaced(client.clone(), &self.namespace);
        loop {
            let Some(lease) = api.get_opt(&self.lease).await? else { return Ok(false) };
            let was_held = holder(&lease).is_some_and(|holder| !holder.is_empty());
            let taken = self.taken(lease, Timestamp::now());
            match api.replace(&self.lease, &PostParams::default(), &taken).await {
                Ok(_) => return Ok(was_held),
                // The leader was faster with a renewal.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_once(&self, api: &Api<Lease>, machine: &mut Machine) -> Result<Option<Held>, kube::Error> {
        let started = Instant::now();
        let lease = api.get_opt(&self.lease).await?;
        let written = match machine.decide(&self.identity, lease.as_ref(), started) {
            Decision::Wait => return Ok(None),
            Decision::Create => {
                let mut first = self.first_lease(Timestamp::now());
                first.metadata.owner_references = self.owner(api.clone().into_client()).await?;
                api.create(&PostParams::default(), &first).await
            }
            Decision::Renew | Decision::TakeOver => {
                let Some(lease) = lease else { return Ok(None) };
                let taken = self.taken(lease, Timestamp::now());
                api.replace(&self.lease, &PostParams::default(), &taken).await
            }
        };
        match written {
            Ok(lease) => Ok(Some(Held { lease, renewed: started })),
            // Another candidate was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The chart's ConfigMap owns the lease, so that helm uninstall removes it though the operator made it (and might
    /// make it again while it is being removed).
    async fn owner(&self, client: Client) -> Result<Option<Vec<OwnerReference>>, kube::Error> {
        let api: Api<ConfigMap> = Api::namespaced(client, &self.namespace);
        let owner = api.get_metadata_opt(&self.owner).await?;
        Ok(owner.and_then(|owner| {
            Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "ConfigMap".to_owned(),
                name: self.owner.clone(),
                uid: owner.metadata.uid?,
                ..OwnerReference::default()
            }])
        }))
    }

    /// Renews until leadership is lost or `stop`; then `leadership` is over. Doesn't release.
    pub async fn keep(
        &self,
        client: &Client,
        held: &mut Held,
        leadership: &Leadership,
        stop: &CancellationToken,
    ) {
        let api: Api<Lease> = Api::namespaced(client.clone(), &self.namespace);
        let mut last_error = String::new();
        loop {
            let deadline = held.renewed + self.timing.renew_deadline;
            let next = tokio::time::sleep_until(self.timing.next_try(held.renewed, Instant::now()));
            tokio::select! {
                () = next => {}
                () = stop.cancelled() => return,
                () = leadership.lost.cancelled() => return,
            }
            let started = Instant::now();
            let (parameters, renewed) = (PostParams::default(), self.renewed(&held.lease, Timestamp::now()));
            let renewal = api.replace(&self.lease, &parameters, &renewed);
            match tokio::time::timeout_at(deadline, renewal).await {
                Ok(Ok(lease)) => {
                    *held = Held { lease, renewed: started };
                    last_error.clear();
                }
                Ok(Err(kube::Error::Api(status))) if status.code == 409 || status.code == 404 => {
                    if !self.still_ours(&api, held, deadline).await {
                        tracing::error!(
                            lease = self.lease,
                            "the lease is another's now: this replica stops leading"
                        );
                        leadership.lost.cancel();
                        return;
                    }
                }
                Ok(Err(error)) => say_once(&mut last_error, &error.to_string()),
                Err(_) => {}
            }
            if Instant::now() >= held.renewed + self.timing.renew_deadline {
                tracing::error!(
                    lease = self.lease,
                    "the lease couldn't be renewed in time: this replica stops leading"
                );
                leadership.lost.cancel();
                return;
            }
        }
    }

    /// After a conflict: somebody touched the lease. Ours still, if the holder is; then go on from what it is now.
    async fn still_ours(&self, api: &Api<Lease>, held: &mut Held, deadline: Instant) -> bool {
        match tokio::time::timeout_at(deadline, api.get_opt(&self.lease)).await {
            Ok(Ok(Some(lease))) => {
                let ours = holder(&lease) == Some(self.identity.as_str());
                held.lease = lease;
                ours
            }
            Ok(Ok(None)) => false,
            // Not known: the deadline decides.
            Ok(Err(_)) | Err(_) => true,
        }
    }

    /// Gives the lease back, so that a standby needn't wait for it to run out.
    pub async fn release(&self, client: &Client, held: Held) {
        let api: Api<Lease> = Api::namespaced(client.clone(), &self.namespace);
        let mut lease = held.lease;
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        let parameters = PostParams::default();
        let released = api.replace(&self.lease, &parameters, &lease);
        match tokio::time::timeout(Duration::from_secs(3), released).await {
            Ok(Ok(_)) => tracing::info!(lease = self.lease, "released the lease"),
            Ok(Err(error)) => {
                tracing::warn!(lease = self.lease, %error, "couldn't release the lease: it runs out by itself")
            }
            Err(_) => tracing::warn!(
                lease = self.lease,
                "couldn't release the lease in time: it runs out by itself"
            ),
        }
    }

    fn first_lease(&self, now: Timestamp) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.lease.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(self.spec(now, 0)),
        }
    }

    fn taken(&self, mut lease: Lease, now: Timestamp) -> Lease {
        let transitions = lease.spec.as_ref().and_then(|s| s.lease_transitions).unwrap_or(0);
        lease.spec = Some(self.spec(now, transitions.saturating_add(1)));
        lease
    }

    fn renewed(&self, lease: &Lease, now: Timestamp) -> Lease {
        let mut lease = lease.clone();
        lease.spec.get_or_insert_default().renew_time = Some(MicroTime(now));
        lease
    }

    fn spec(&self, now: Timestamp, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timing.lease.as_secs()).ok(),
            acquire_time: Some(MicroTime(now)),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }
}

/// A lease that is ours.
#[derive(Debug, Clone)]
pub struct Held {
    lease: Lease,
    /// When the last successful renewal was begun.
    renewed: Instant,
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

fn say_once(last: &mut String, error: &str) {
    if last != error {
        tracing::warn!(error, "the lease: trying again");
        error.clone_into(last);
    }
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
