//! The end of a canary in AWS: its object is deleted, or is run elsewhere.

use std::time::Duration;

use tidewatch_aws::synthetics::types::CanaryState;
use tidewatch_crds::canary::{AwsCanary, CANARY_FINALIZER, DeletionPolicy, LastError};
use tidewatch_crds::{Canary, CanaryStatus};
use tidewatch_managed::again::{self, REFUSED, ROUNDS};
use tidewatch_managed::{Objects, Shared, left_behind};

use super::case::{Case, Trouble};
use super::memory::Memory;
use super::pass::AwsCanaries;
use super::plan::{Plan, Standing, plan};
use super::reason::{Problem, problem_of};
use super::report::BACKOFF;
use super::scripts::Scripts;
use super::status::fold;
use crate::Error;

/// What isn't deleted yet.
struct Remaining {
    aws: Option<AwsCanary>,
    /// The canary's state, where it was seen.
    state: Option<String>,
    why: Problem,
    error: Option<LastError>,
    next: Duration,
}

impl<O: Objects<CanaryStatus> + Scripts> AwsCanaries<O> {
    /// Deletes what an object has in AWS that is run elsewhere now. What is left of it, and when to go on.
    pub(crate) async fn leave(
        &self,
        canary: &Canary,
    ) -> Result<(Option<AwsCanary>, Option<Duration>), Error> {
        let mut case = Case::new(canary);
        let mut memory = self.take(&case.key);
        let result = self.clear(&mut case, &mut memory).await;
        self.tell(&mut case).await;
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                self.put(&case.key, memory);
                return Err(error);
            }
        };
        let (left, next) = match result {
            None => {
                self.forget(&case.key);
                if case.target.has_finalizer(CANARY_FINALIZER) {
                    self.let_go(&mut case).await?;
                }
                return Ok((None, None));
            }
            Some(Remaining { aws, error, next, .. }) => {
                (aws.map(|aws| AwsCanary { last_error: error, ..aws }), Some(next))
            }
        };
        self.put(&case.key, memory);
        Ok((left, next))
    }

    /// Deletes what was made, then lets the object go.
    pub(super) async fn delete(
        &self,
        case: &mut Case<'_>,
        memory: &mut Memory,
    ) -> Result<Option<Duration>, Error> {
        let retain = case.canary.spec.deletion_policy == DeletionPolicy::Retain;
        if case.target.has_finalizer(CANARY_FINALIZER) && !retain {
            if let Some(Remaining { aws, state, why, error, next }) = self.clear(case, memory).await? {
                let mut outcome = self.outcome(case, memory, Some(why));
                outcome.ending = state;
                outcome.aws = aws;
                outcome.error = error;
                self.write(case, memory, &fold(&case.status, &outcome)).await?;
                return Ok(Some(next));
            }
            if let Some(aws) = case.status.aws.as_ref().filter(|aws| !aws.functions.is_empty()) {
                let place = case.canary.spec.aws.as_ref().map(|aws| aws.artifacts.as_str());
                let place = place.unwrap_or("S3");
                case.told.insert(0, left_behind(&format!("the results of {}'s runs, in {place}", aws.name)));
            }
        }
        if case.target.has_finalizer(CANARY_FINALIZER) {
            self.let_go(case).await?;
        }
        self.forget(&case.key);
        Ok(None)
    }

    async fn let_go(&self, case: &mut Case<'_>) -> Result<(), Error> {
        self.objects
            .set_finalizer(&mut case.target, false)
            .await
            .map_err(|source| Error::object(&case.target, source))
    }

    /// Deletes all that is recorded. What is left, why, and when to go on; none once nothing is.
    async fn clear(&self, case: &mut Case<'_>, memory: &mut Memory) -> Result<Option<Remaining>, Error> {
        if case.status.aws.is_none() {
            return Ok(None);
        }
        if !self.aws_policy.enabled {
            return Ok(Some(Remaining {
                aws: case.status.aws.clone(),
                state: None,
                why: Problem::left_in_aws(),
                error: None,
                next: REFUSED,
            }));
        }
        match self.clear_rounds(case, memory).await {
            Ok((Plan { aws: None, .. }, _)) => Ok(None),
            Ok((plan, state)) => {
                let why = plan.waiting.unwrap_or_else(|| "it is still seen in AWS".to_owned());
                memory.attempts = memory.attempts.saturating_add(1);
                memory.called();
                let next = again::unfinished(memory.attempts, BACKOFF);
                Ok(Some(Remaining {
                    aws: plan.aws,
                    state: Some(state),
                    why: Problem::new(Shared::Deleting, why),
                    error: None,
                    next,
                }))
            }
            Err(Trouble::Refused(error)) => {
                let next = self.after(&error, memory);
                let last_error = Some(self.last_error(&case.status, &error, next));
                let aws = case.status.aws.clone();
                let why = problem_of(&error);
                Ok(Some(Remaining { aws, state: None, why, error: last_error, next }))
            }
            Err(Trouble::Problem(problem)) => {
                let aws = case.status.aws.clone();
                Ok(Some(Remaining { aws, state: None, why: problem, error: None, next: REFUSED }))
            }
            Err(Trouble::Cluster(error)) => Err(error),
        }
    }

    /// Deletes what can be deleted now: what is left to do, and the state of the canary.
    async fn clear_rounds(
        &self,
        case: &mut Case<'_>,
        memory: &mut Memory,
    ) -> Result<(Plan, String), Trouble> {
        let mut view = case.status.aws.clone();
        let mut round = 0;
        loop {
            round += 1;
            let observed = self.look(case, None, view.as_ref(), memory).await?;
            let standing =
                Standing { recorded: view.as_ref(), has_finalizer: true, ran: false, now: (self.clock)() };
            let plan = plan(None, &observed, standing, memory);
            case.left_behind(&plan);
            if plan.actions.is_empty() || round > ROUNDS {
                let seen = observed.leaving.iter().find_map(|(_, seen)| seen.usable());
                let state = seen.map_or(&CanaryState::Deleting, |canary| &canary.state);
                return Ok((plan, state.as_str().to_owned()));
            }
            self.apply(case, None, &plan, memory).await?;
            view = plan.aws;
        }
    }
}
