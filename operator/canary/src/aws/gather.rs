//! What a pass reads besides the canary itself: the script, and the runs that ended since.

use jiff::{SignedDuration, Timestamp};
use tidewatch_aws::AwsError;
use tidewatch_crds::canary::Provider;
use tidewatch_crds::{Canary, CanaryStatus};
use tidewatch_embedded::History;
use tidewatch_managed::Objects;

use super::desired::Desired;
use super::memory::Memory;
use super::observe::Observed;
use super::pass::AwsCanaries;
use super::reason::{Problem, Reason};
use super::runs;
use super::scripts::{Files, Scripts};

/// Runs that are older don't count any more.
const DAY: SignedDuration = SignedDuration::from_hours(24);

impl<O: Objects<CanaryStatus> + Scripts> AwsCanaries<O> {
    /// The files of the script's ConfigMap.
    pub(super) async fn script(&self, canary: &Canary) -> Result<Option<Files>, Problem> {
        let Some(reference) = canary.spec.script.as_ref().and_then(|script| script.config_map_ref.as_ref())
        else {
            return Ok(None);
        };
        let namespace = canary.metadata.namespace.as_deref().unwrap_or_default();
        if !self.policy.allows_scripts(namespace) {
            return Err(Problem::new(
                Reason::ScriptsNotAllowed,
                format!(
                    "the operator may not read ConfigMaps of namespace {namespace}: add it to the chart's canary.scriptNamespaces"
                ),
            ));
        }
        let name = &reference.name;
        match self.objects.files(namespace, name).await {
            Ok(Some(files)) => Ok(Some(files)),
            Ok(None) => Err(Problem::new(
                Reason::ScriptNotFound,
                format!("ConfigMap {name} isn't there: create it, with the script's files as its keys"),
            )),
            Err(error) => Err(Problem::new(
                Reason::ScriptUnreadable,
                format!("ConfigMap {name} can't be read: {error}"),
            )),
        }
    }

    /// Takes in the runs that ended since.
    pub(super) async fn runs(
        &self,
        desired: &Desired,
        observed: &Observed,
        status: &CanaryStatus,
        memory: &mut Memory,
    ) -> Result<(), AwsError> {
        let history = memory.history.get_or_insert_with(|| History::of(Provider::Aws, status));
        let Some(last) = observed.last_run.as_ref().filter(|_| observed.current.usable().is_some()) else {
            return Ok(());
        };
        let reading = format!("{} {:?}", last.id, last.state);
        if memory.run.as_ref() == Some(&reading) {
            return Ok(());
        }
        let known = history.last_at();
        let attempts = if desired.runs.missed(known, last) {
            let day_ago = (self.clock)().saturating_sub(DAY).unwrap_or(Timestamp::MIN);
            let after = known.map_or(day_ago, |known| known.max(day_ago));
            let connection = self.aws.connection(&desired.place.scope).await;
            connection.synthetics.runs(&desired.place.name, after).await?
        } else {
            vec![last.as_ref().clone()]
        };
        for run in desired.runs.ended(&attempts, known) {
            history.record(&run);
        }
        memory.failure_artifacts = runs::failure_artifacts(&attempts).or(memory.failure_artifacts.take());
        memory.run = Some(reading);
        Ok(())
    }
}
