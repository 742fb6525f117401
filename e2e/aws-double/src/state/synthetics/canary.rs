//! One canary: what it is, what it is doing, and what happens to it next.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::config::{CanaryConfig, ReplicaLocation};
use super::runs::{Run, RunPlan};
use super::schedule::Frequency;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CanaryState {
    Creating,
    Ready,
    Starting,
    Running,
    Updating,
    Stopping,
    Stopped,
    Error,
    Deleting,
}

impl CanaryState {
    pub const ALL: [Self; 9] = [
        Self::Creating,
        Self::Ready,
        Self::Starting,
        Self::Running,
        Self::Updating,
        Self::Stopping,
        Self::Stopped,
        Self::Error,
        Self::Deleting,
    ];
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Status {
    pub state: CanaryState,
    pub state_reason: Option<String>,
    pub state_reason_code: Option<&'static str>,
}

impl Status {
    pub(crate) fn of(state: CanaryState) -> Self {
        Self { state, state_reason: None, state_reason_code: None }
    }

    pub(crate) fn coded(state: CanaryState, code: &'static str) -> Self {
        Self { state, state_reason: None, state_reason_code: Some(code) }
    }

    pub(crate) fn explained(state: CanaryState, code: &'static str, reason: String) -> Self {
        Self { state, state_reason: Some(reason), state_reason_code: Some(code) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Timeline {
    pub created: Timestamp,
    pub last_modified: Timestamp,
    pub last_started: Option<Timestamp>,
    pub last_stopped: Option<Timestamp>,
}

/// A canary in another Region. It is shown, but the double doesn't run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    pub wanted: ReplicaLocation,
    pub in_sync: bool,
    pub last_modified: Timestamp,
}

/// A trial of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRun {
    pub id: String,
    pub config: CanaryConfig,
    pub(crate) package: Option<Vec<u8>>,
    /// `RUNNING`, then `PASSED` or `FAILED`.
    pub status: &'static str,
    pub(crate) started: Timestamp,
    pub(crate) ends: Timestamp,
}

#[derive(Debug, Clone)]
pub struct Canary {
    pub name: String,
    pub id: String,
    pub config: CanaryConfig,
    pub tags: BTreeMap<String, String>,
    pub status: Status,
    pub timeline: Timeline,
    /// Of its function and layer.
    pub version: u32,
    pub replicas: Vec<Replica>,
    /// Oldest first.
    pub runs: Vec<Run>,
    /// What its next runs come to.
    pub plans: Vec<RunPlan>,
    pub dry_run: Option<DryRun>,
    /// Since when its schedule counts; every update begins it anew.
    pub schedule_began: Option<Timestamp>,
    /// Its package; none if nobody knows.
    pub(crate) package: Option<Vec<u8>>,
    /// What is wrong with the package, if anything.
    pub(crate) defect: Option<String>,
    pub(crate) failing_update: Option<(String, bool)>,
    pub(crate) next_run: Option<Timestamp>,
    /// When the run that is under way, the last of `runs`, ends.
    pub(crate) run_ends: Option<Timestamp>,
    pub(crate) pending: Option<(Timestamp, Pending)>,
}

/// What a state in which AWS works on a canary leads to.
#[derive(Debug, Clone)]
pub(crate) enum Pending {
    Create,
    Start,
    Stop,
    Delete { with_function: bool },
    Update(Box<Update>),
}

/// An update under way.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    pub(crate) before: Status,
    pub(crate) config: CanaryConfig,
    pub(crate) package: Result<Option<Vec<u8>>, String>,
    pub(crate) replicas: Vec<Replica>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    Transition,
    RunEnds,
    DryRunEnds,
    ScheduleEnds,
    RunStarts,
}

impl Canary {
    pub(crate) fn state(&self) -> CanaryState {
        self.status.state
    }

    /// The name that its function and layer share.
    pub(crate) fn engine(&self) -> String {
        format!("cwsyn-{}-{}", self.name, self.id)
    }

    pub(crate) fn log_group(&self) -> String {
        format!("/aws/lambda/{}", self.engine())
    }

    /// The expression was parsed before it was taken.
    pub(crate) fn frequency(&self) -> Frequency {
        Frequency::parse(&self.config.schedule.expression).unwrap_or(Frequency::Once)
    }

    /// What happens next, if it is due.
    pub(crate) fn next(&self, now: Timestamp) -> Option<(Timestamp, Happening)> {
        let running = self.state() == CanaryState::Running;
        let candidates = [
            (self.pending.as_ref().map(|(at, _)| *at), Happening::Transition),
            (self.run_ends, Happening::RunEnds),
            (
                self.dry_run.as_ref().filter(|dry| dry.status == "RUNNING").map(|dry| dry.ends),
                Happening::DryRunEnds,
            ),
            (self.schedule_ends().filter(|_| running), Happening::ScheduleEnds),
            (self.next_run.filter(|_| running && self.run_ends.is_none()), Happening::RunStarts),
        ];
        let due = candidates.into_iter().filter_map(|(at, what)| Some((at.filter(|at| *at <= now)?, what)));
        // The first of what is due at once: an end comes before a beginning.
        due.min_by_key(|(at, _)| *at)
    }

    /// "The canary stops after this" (DurationInSeconds); 0 is for ever.
    fn schedule_ends(&self) -> Option<Timestamp> {
        let seconds = self.config.schedule.duration_in_seconds.filter(|seconds| *seconds > 0)?;
        self.schedule_began?.saturating_add(jiff::SignedDuration::from_secs(seconds)).ok()
    }

    /// Starts the schedule from its beginning.
    pub(crate) fn schedule_from(&mut self, at: Timestamp) {
        self.schedule_began = Some(at);
        self.next_run = self.frequency().first(at);
    }

    pub(crate) fn stop(&mut self, at: Timestamp) {
        self.status = Status::of(CanaryState::Stopped);
        self.timeline.last_stopped = Some(at);
        self.schedule_began = None;
        self.next_run = None;
    }
}
