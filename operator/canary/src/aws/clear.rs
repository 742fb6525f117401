//! What is to be done next about canaries that are recorded and no longer wanted. Pure.

use jiff::Timestamp;
use tidewatch_aws::synthetics::types::CanaryState;
use tidewatch_crds::canary::{AwsCanary, FormerCanary};
use tidewatch_managed::owner::Whose;

use super::memory::Memory;
use super::observe::{Observed, Seen};
use super::place::Place;
use super::plan::{Action, Plan, with_function, working};

impl Plan {
    /// What is no longer wanted: stopped, deleted, and its log groups after it.
    pub(super) fn clear_away(
        &mut self,
        observed: &Observed,
        recorded: Option<&AwsCanary>,
        memory: &Memory,
        now: Timestamp,
    ) {
        let (mut left, mut unwritten) = (Vec::new(), false);
        for (former, seen) in &observed.leaving {
            let known = with_function(former, seen);
            // The name of its function is recorded before it is gone.
            let written = recorded.is_some_and(|recorded| knows(recorded, &known));
            if self.leave(&known, seen, written, (memory, now)) {
                unwritten |= !written;
                left.push(known);
            }
        }
        match &mut self.aws {
            Some(aws) => aws.leaving = left,
            None => {
                self.aws = recorded.and_then(|recorded| remaining(recorded, left));
                if let Some(aws) = self.aws.as_ref().filter(|_| unwritten) {
                    self.actions.insert(0, Action::Record(Box::new(aws.clone())));
                }
            }
        }
    }

    /// One of those; whether it is still to be known.
    fn leave(
        &mut self,
        former: &FormerCanary,
        seen: &Seen,
        written: bool,
        (memory, now): (&Memory, Timestamp),
    ) -> bool {
        let place = Place::of_former(former);
        let canary = match seen {
            Seen::Absent if memory.just_began(&place, "create", now) => {
                self.wait("the canary was made and isn't seen yet");
                return true;
            }
            Seen::Absent => {
                let logs = former.functions.iter();
                self.actions.extend(logs.map(|function| Action::DeleteLogs(place.clone(), function.clone())));
                return false;
            }
            Seen::There { owner: Whose::Other(whose), .. } => {
                let (name, region) = (&place.name, &place.scope.region);
                self.left.push(format!("canary {name} in {region} stays in AWS: {whose}"));
                return false;
            }
            Seen::There { owner: Whose::Adoptable, .. } => return false,
            Seen::There { canary, owner: Whose::Ours } => canary,
        };
        match canary.state {
            _ if !written => {}
            CanaryState::Running => self.begin(&place, "stop", Action::Stop(place.clone()), memory, now),
            CanaryState::Ready | CanaryState::Stopped | CanaryState::Error if !canary.replicas.is_empty() => {
                let remove = Action::RemoveReplicas(place.clone(), canary.replicas.clone());
                self.begin(&place, "remove the replicas of", remove, memory, now);
            }
            CanaryState::Ready | CanaryState::Stopped | CanaryState::Error => {
                self.begin(&place, "delete", Action::Delete(place.clone()), memory, now);
            }
            CanaryState::Creating
            | CanaryState::Starting
            | CanaryState::Updating
            | CanaryState::Stopping
            | CanaryState::Deleting
            | CanaryState::Other(_) => {}
        }
        self.wait(&working(canary));
        true
    }
}

/// What is left to record of an object that wants nothing any more; none if nothing is.
fn remaining(recorded: &AwsCanary, mut left: Vec<FormerCanary>) -> Option<AwsCanary> {
    let current = left.iter().position(|former| Place::of_former(former) == Place::of(recorded));
    let current = current.map(|index| left.remove(index));
    match current {
        Some(current) => Some(AwsCanary { functions: current.functions, leaving: left, ..recorded.clone() }),
        None if left.is_empty() => None,
        None => Some(AwsCanary {
            leaving: left,
            read_every: recorded.read_every.clone(),
            last_error: recorded.last_error.clone(),
            ..AwsCanary::default()
        }),
    }
}

/// Whether `former` is recorded with its functions, as the current canary or as one that leaves.
fn knows(recorded: &AwsCanary, former: &FormerCanary) -> bool {
    let current = Place::of(recorded) == Place::of_former(former) && recorded.functions == former.functions;
    current || recorded.leaving.contains(former)
}
