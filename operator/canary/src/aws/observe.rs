//! What is in AWS now, as far as the object is concerned.

use std::sync::Arc;
use std::time::Duration;

use tidewatch_aws::synthetics::CanaryReading;
use tidewatch_aws::synthetics::types::{CanarySeen, RunSeen};
use tidewatch_aws::{Aws, AwsError, Connection};
use tidewatch_crds::canary::{AwsCanary, FormerCanary};
use tidewatch_managed::again;
use tidewatch_managed::owner::{self, Claim, Owner, Whose};
use tokio::time::Instant;

use super::place::{Place, Wanted};

/// What is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Observed {
    /// Where the canary should be.
    pub current: Seen,
    pub last_run: Option<Arc<RunSeen>>,
    /// What is recorded and no longer wanted.
    pub leaving: Vec<(FormerCanary, Seen)>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Seen {
    #[default]
    Absent,
    There {
        canary: Arc<CanarySeen>,
        owner: Whose,
    },
}

impl Seen {
    /// The canary, if it is the object's own, or to be.
    pub(super) fn usable(&self) -> Option<&CanarySeen> {
        match self {
            Self::There { canary, owner: Whose::Ours | Whose::Adoptable } => Some(canary),
            _ => None,
        }
    }
}

/// What an observation starts from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// `namespace/name`
    pub key: &'a str,
    pub object: Owner<'a>,
    pub resync: Duration,
    /// Readings must be of after that.
    pub last_write: Option<Instant>,
}

impl Subject<'_> {
    /// Looks at what is wanted and at what the status names.
    pub(super) async fn observe(
        &self,
        aws: &Aws,
        wanted: Option<&Wanted>,
        recorded: Option<&AwsCanary>,
    ) -> Result<Observed, AwsError> {
        let mut observed = Observed::default();
        if let Some(wanted) = wanted {
            let known = recorded.filter(|recorded| Place::of(recorded) == wanted.place);
            let known = known.map(|known| known.functions.as_slice()).unwrap_or_default();
            let (seen, last_run) = self.look(aws, &wanted.place, wanted.adopts, known).await?;
            observed.current = seen;
            observed.last_run = last_run;
        }
        for former in leaving(wanted, recorded) {
            let (seen, _) = self.look(aws, &Place::of_former(&former), false, &former.functions).await?;
            observed.leaving.push((former, seen));
        }
        Ok(observed)
    }

    /// The canary at `place`, whose functions are recorded as these.
    async fn look(
        &self,
        aws: &Aws,
        place: &Place,
        adopts: bool,
        functions: &[String],
    ) -> Result<(Seen, Option<Arc<RunSeen>>), AwsError> {
        let connection = aws.connection(&place.scope).await;
        let newer_than = again::newer_than(self.last_write, self.resync);
        let CanaryReading { canary, last_run } =
            connection.canaries.canary(self.key, &place.name, newer_than).await?;
        let canary = match canary {
            Some(canary) => tagged(&connection, canary).await?,
            // The pages of a list that changes meanwhile may miss one. What isn't there is made, or let go of: so it is
            // asked for by its name.
            None => connection.synthetics.canary(&place.name).await?.map(Arc::new),
        };
        let owner = canary.as_ref().map(|canary| {
            // The name of a function is of one canary alone: it has the canary's id in it.
            let recorded = canary.function.as_ref().is_some_and(|function| functions.contains(function));
            self.object.whose(&canary.tags, Claim { adopts, recorded })
        });
        Ok(match canary.zip(owner) {
            Some((canary, owner)) => (Seen::There { canary, owner }, last_run),
            None => (Seen::Absent, None),
        })
    }
}

/// What is recorded elsewhere than it is wanted.
fn leaving(wanted: Option<&Wanted>, recorded: Option<&AwsCanary>) -> Vec<FormerCanary> {
    let Some(recorded) = recorded else { return Vec::new() };
    let current = Place::of(recorded);
    let mut leaving = recorded.leaving.clone();
    if !recorded.name.is_empty() && wanted.is_none_or(|wanted| wanted.place != current) {
        leaving.push(FormerCanary {
            name: recorded.name.clone(),
            region: recorded.region.clone(),
            role_arn: recorded.role_arn.clone(),
            functions: recorded.functions.clone(),
        });
    }
    leaving.retain(|former| wanted.is_none_or(|wanted| wanted.place != Place::of_former(former)));
    leaving
}

/// DescribeCanaries gives "full details about each canary", of which the tags are those that must not be missing: without
/// them our own would be taken for a stranger's.
async fn tagged(
    connection: &Connection,
    canary: Arc<CanarySeen>,
) -> Result<Option<Arc<CanarySeen>>, AwsError> {
    if owner::is_owned(&canary.tags) {
        return Ok(Some(canary));
    }
    Ok(connection.synthetics.canary(&canary.name).await?.map(Arc::new))
}
