//! What is known of an object during a pass, and why the pass may end early.

use tidewatch_aws::AwsError;
use tidewatch_crds::{Canary, CanaryStatus};
use tidewatch_kube::conditions::find;
use tidewatch_kube::events::Happened;
use tidewatch_kube::object::Target;
use tidewatch_managed::left_behind;

use super::apply::Stopped;
use super::plan::Plan;
use super::reason::Problem;
use crate::Error;
use crate::status::ConditionType;

/// Why a series of rounds ended early.
pub(super) enum Trouble {
    Problem(Problem),
    Refused(AwsError),
    Cluster(Error),
}

impl From<AwsError> for Trouble {
    fn from(error: AwsError) -> Self {
        Self::Refused(error)
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Stopped> for Trouble {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Refused(error) => Self::Refused(error),
            Stopped::Cluster(error) => Self::Cluster(error),
        }
    }
}

/// An object, and what is known of it during a pass.
pub(super) struct Case<'a> {
    pub canary: &'a Canary,
    pub key: String,
    pub target: Target,
    /// The one that stands, kept up.
    pub status: CanaryStatus,
    /// What is to be told at the end of the pass.
    pub told: Vec<Happened>,
}

impl<'a> Case<'a> {
    pub(super) fn new(canary: &'a Canary) -> Self {
        let target = Target::of(canary);
        Self {
            canary,
            key: format!("{}/{}", target.namespace, target.name),
            target,
            status: canary.status.clone().unwrap_or_default(),
            told: Vec::new(),
        }
    }

    /// What stays in AWS is to be told.
    pub(super) fn left_behind(&mut self, plan: &Plan) {
        self.told.extend(plan.left.iter().map(|what| left_behind(what)));
    }

    /// The status says that this generation is in place and runs.
    pub(super) fn ran(&self) -> bool {
        find(&self.status.conditions, ConditionType::Ready).is_some_and(|ready| {
            ready.status == "True"
                && ready.reason == "Running"
                && ready.observed_generation == self.canary.metadata.generation
        })
    }
}
