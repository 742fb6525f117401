//! The figures of runs that weren't written yet when the operator ends.
//!
//! Runs that only go on as before are written every five minutes; whoever leads next goes on from what is written.

use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::Api;
use tidewatch_crds::Canary;
use tidewatch_crds::canary::Provider;
use tidewatch_kube::object::Target;
use tidewatch_kube::reconcile::{Classify, ErrorClass};

use super::{Canaries, Error};

/// Statuses that are written at the same time: the term ends within seconds.
const WRITES: usize = 32;

/// Writes the figures of all canaries that are run in the cluster.
pub(super) async fn write_figures(canaries: &Canaries, objects: impl IntoIterator<Item = Canary>) {
    stream::iter(objects)
        .for_each_concurrent(WRITES, |canary| async move {
            if let Err(error) = write_latest(canaries, canary).await {
                tracing::warn!(%error, "the figures of the last runs of a canary weren't written");
            }
        })
        .await;
}

/// Writes those of one, as it is now where the watch was behind.
async fn write_latest(canaries: &Canaries, canary: Canary) -> Result<(), Error> {
    match write(canaries, &canary).await {
        Err(error) if error.class() == ErrorClass::Conflict => {
            let target = Target::of(&canary);
            let api: Api<Canary> = Api::namespaced(canaries.dependencies.client.clone(), &target.namespace);
            let now = api.get(&target.name).await.map_err(|source| Error::object(&target, source))?;
            write(canaries, &now).await
        }
        result => result,
    }
}

async fn write(canaries: &Canaries, canary: &Canary) -> Result<(), Error> {
    let mut target = Target::of(canary);
    let key = format!("{}/{}", target.namespace, target.name);
    let standing = canary.status.clone().unwrap_or_default();
    let is_ours =
        standing.provider == Some(Provider::Embedded) && canary.metadata.deletion_timestamp.is_none();
    let Some(history) = canaries.engine.history(&key).filter(|_| is_ours) else { return Ok(()) };
    let mut next = standing.clone();
    history.tell(&mut next, Timestamp::now());
    // Else there is nothing but what leaves the shares by the passing of time.
    if next.last_run == standing.last_run {
        return Ok(());
    }
    canaries.write(&mut target, &standing, &next).await
}
