//! CloudWatch Synthetics in one account and Region, and what it leaves in Lambda and CloudWatch Logs.

mod canary;
mod config;
mod groups;
mod lifecycle;
pub(crate) mod package;
mod runs;
pub(crate) mod runtimes;
pub(crate) mod schedule;
mod surroundings;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;

pub(crate) use canary::Happening;
pub use canary::{Canary, CanaryState, DryRun, Replica, Status, Timeline};
pub use config::{
    ArtifactConfig, BrowserConfig, CanaryConfig, CanarySchedule, Change, Cleanup, Code, ReplicaLocation,
    RetryConfig, RunConfig, S3Encryption, VpcConfig,
};
pub use groups::Group;
use jiff::{SignedDuration, Timestamp};
pub(crate) use lifecycle::Proposal;
pub use runs::{Outcome, Run, RunPlan, RunState};
pub use runtimes::Runtime;
use sha2::{Digest, Sha256};
pub use surroundings::{Bucket, LogGroup, Surroundings};

use super::Region;

/// What exists of Synthetics, and what its canaries find around them.
#[derive(Debug, Clone)]
pub struct Synthetics {
    /// By name.
    pub canaries: BTreeMap<String, Canary>,
    /// By id.
    pub groups: BTreeMap<String, Group>,
    pub surroundings: Surroundings,
    pub runtimes: Vec<Runtime>,
    pub delays: Delays,
    /// Canaries that the Region may have; none is AWS's default.
    pub quota: Option<usize>,
    /// How many things were given an id.
    made: u64,
}

/// How long a canary stays in the states in which AWS works on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    pub create: SignedDuration,
    pub start: SignedDuration,
    pub stop: SignedDuration,
    pub update: SignedDuration,
    pub delete: SignedDuration,
}

impl Default for Delays {
    /// The order of magnitude that AWS takes.
    fn default() -> Self {
        Self {
            create: SignedDuration::from_secs(20),
            start: SignedDuration::from_secs(5),
            stop: SignedDuration::from_secs(5),
            update: SignedDuration::from_secs(15),
            delete: SignedDuration::from_secs(10),
        }
    }
}

impl Delays {
    /// The same for all.
    pub fn all(delay: SignedDuration) -> Self {
        Self { create: delay, start: delay, stop: delay, update: delay, delete: delay }
    }
}

impl Default for Synthetics {
    fn default() -> Self {
        Self {
            canaries: BTreeMap::new(),
            groups: BTreeMap::new(),
            surroundings: Surroundings::default(),
            runtimes: runtimes::known(),
            delays: Delays::default(),
            quota: None,
            made: 0,
        }
    }
}

impl Region {
    pub(crate) fn canary_arn(&self, name: &str) -> String {
        self.arn_of("synthetics", "canary", name)
    }

    /// A UUID that a replay of the same writes gives again.
    pub(crate) fn uuid(&mut self) -> String {
        self.synthetics.made += 1;
        let seed = format!("{} {} {}", self.account, self.name, self.synthetics.made);
        let digits: String = Sha256::digest(seed).iter().map(|byte| format!("{byte:02x}")).collect();
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }

    /// How many canaries the Region may have (cloudwatch_limits).
    pub(crate) fn canary_quota(&self) -> usize {
        self.synthetics.quota.unwrap_or(match self.name.as_str() {
            "us-east-1" | "ap-northeast-1" => 300,
            _ => 500,
        })
    }

    pub(crate) fn runtime(&self, name: &str) -> Option<&Runtime> {
        self.synthetics.runtimes.iter().find(|runtime| runtime.version_name == name)
    }

    /// Adds a runtime, or changes the dates of one.
    pub fn set_runtime(&mut self, runtime: Runtime) {
        self.synthetics.runtimes.retain(|known| known.version_name != runtime.version_name);
        self.synthetics.runtimes.push(runtime);
    }
}

/// A canary was named that doesn't exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no canary {0}")]
pub struct NoSuchCanary(pub String);

impl Region {
    /// What a canary's next runs come to, after what was planned before; a plan without `times` stays.
    pub fn plan_runs(&mut self, canary: &str, plan: RunPlan) -> Result<(), NoSuchCanary> {
        let canary = self.named(canary)?;
        canary.plans.retain(|plan| plan.times.is_some());
        canary.plans.push(plan);
        Ok(())
    }

    /// Makes a canary's next update fail, with this reason; `rolled_back` says whether AWS managed to undo it.
    pub fn fail_next_update(
        &mut self,
        canary: &str,
        reason: &str,
        rolled_back: bool,
    ) -> Result<(), NoSuchCanary> {
        self.named(canary)?.failing_update = Some((reason.to_owned(), rolled_back));
        Ok(())
    }

    fn named(&mut self, name: &str) -> Result<&mut Canary, NoSuchCanary> {
        self.synthetics.canaries.get_mut(name).ok_or_else(|| NoSuchCanary(name.to_owned()))
    }

    /// Lets canaries change state and run as far as the clock has come.
    pub(crate) fn run_canaries(&mut self) {
        let names: Vec<String> = self.synthetics.canaries.keys().cloned().collect();
        for name in names {
            // Out of the Region while it acts on it; a canary that is gone isn't put back.
            let Some(mut canary) = self.synthetics.canaries.remove(&name) else { continue };
            let mut exists = true;
            while let Some((at, happening)) = canary.next(self.now).filter(|_| exists) {
                exists = self.happen(&mut canary, at, happening);
            }
            if exists {
                self.synthetics.canaries.insert(name, canary);
            }
        }
    }

    fn happen(&mut self, canary: &mut Canary, at: Timestamp, happening: Happening) -> bool {
        match happening {
            Happening::Transition => return self.finish_transition(canary, at),
            Happening::RunEnds => self.end_run(canary, at),
            Happening::RunStarts => self.start_run(canary, at),
            Happening::DryRunEnds => self.end_dry_run(canary, at),
            Happening::ScheduleEnds => canary.stop(at),
        }
        true
    }
}
