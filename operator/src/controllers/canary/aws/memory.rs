//! What is remembered of an object between its passes. All of it may be lost: then more is read or one thing is tried
//! once more, and nothing else differs.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::synthetics::types::CanaryState;
use crate::embedded::History;

/// What was written may be seen by reads only so much later.
const LAG: Duration = Duration::from_secs(20);

/// Something that is tried again and again, ever more rarely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    /// Of what was wanted.
    pub hash: String,
    pub times: u32,
    pub at: Instant,
}

impl Tried {
    fn again(before: Option<&Self>, hash: &str) -> Self {
        let times = before.filter(|before| before.hash == hash).map_or(0, |before| before.times);
        Self { hash: hash.to_owned(), times: times.saturating_add(1), at: Instant::now() }
    }

    /// Whether it is time to try again: first after `base`, then ever later, at most after `cap`.
    pub(super) fn is_due(&self, base: Duration, cap: Duration) -> bool {
        self.at.elapsed() >= self.pause(base, cap)
    }

    fn pause(&self, base: Duration, cap: Duration) -> Duration {
        base.saturating_mul(1 << self.times.saturating_sub(1).min(16)).min(cap)
    }
}

/// An update, from its call to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Update {
    pub tried: Tried,
    /// AWS was seen working on it.
    pub begun: bool,
}

#[derive(Debug)]
pub(super) struct Memory {
    /// Passes in a row that AWS refused, or that left something to be done.
    pub attempts: u32,
    /// When the last write to AWS ended, or was begun and may have happened.
    pub last_write: Option<Instant>,
    written: HashMap<&'static str, Instant>,
    pub creation: Option<Tried>,
    pub update: Option<Update>,
    /// What is known of its runs.
    pub history: Option<History>,
    /// The attempt of a run that was last read.
    pub run: Option<String>,
    /// Where the results of the last failed run are.
    pub failure_artifacts: Option<String>,
    /// When the status was last written, or first seen.
    pub status_written: Timestamp,
}

impl Memory {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            attempts: 0,
            last_write: None,
            written: HashMap::new(),
            creation: None,
            update: None,
            history: None,
            run: None,
            failure_artifacts: None,
            status_written: now,
        }
    }

    /// `operation` was called; also if it failed, since a time-out may have come after the effect.
    pub(super) fn called(&mut self) {
        self.last_write = Some(Instant::now());
    }

    /// `operation` began something that states will tell of.
    pub(super) fn began(&mut self, operation: &'static str) {
        // What it leads to is another state: what led to the one before is over.
        self.written.clear();
        self.written.insert(operation, Instant::now());
    }

    /// The same was begun so lately that a state that doesn't tell of it may just be behind.
    pub(super) fn just_began(&self, operation: &str) -> bool {
        self.written.get(operation).is_some_and(|at| at.elapsed() < LAG)
    }

    pub(super) fn created(&mut self, hash: &str) {
        self.creation = Some(Tried::again(self.creation.as_ref(), hash));
        self.update = None;
    }

    pub(super) fn updated(&mut self, hash: &str) {
        let before = self.update.as_ref().map(|update| &update.tried);
        self.update = Some(Update { tried: Tried::again(before, hash), begun: false });
    }

    /// A state was read.
    pub(super) fn saw(&mut self, state: Option<&CanaryState>) {
        if let (Some(update), Some(CanaryState::Updating)) = (&mut self.update, state) {
            update.begun = true;
            self.written.clear();
        }
        // Whatever was begun shows.
        let works = |state: &CanaryState| {
            matches!(
                state,
                CanaryState::Creating | CanaryState::Starting | CanaryState::Stopping | CanaryState::Deleting
            )
        };
        if state.is_some_and(works) {
            self.written.clear();
        }
    }

    /// What AWS doesn't tell of `hash` was written, and AWS has gone through with it.
    pub(super) fn update_ended(&self, hash: &str) -> bool {
        let update = self.update.as_ref().filter(|update| update.tried.hash == hash);
        update.is_some_and(|update| update.begun || update.tried.at.elapsed() >= LAG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_ever_more_rarely() {
        let (base, cap) = (Duration::from_secs(10), Duration::from_secs(600));
        for (times, seconds) in [(1, 10), (2, 20), (4, 80), (20, 600)] {
            let tried = Tried { hash: "a".to_owned(), times, at: Instant::now() };
            assert_eq!(tried.pause(base, cap), Duration::from_secs(seconds), "{times}");
        }
    }

    #[test]
    fn another_spec_begins_anew() {
        let mut memory = Memory::new(Timestamp::UNIX_EPOCH);
        for _ in 0..3 {
            memory.updated("a");
        }
        assert_eq!(memory.update.as_ref().map(|update| update.tried.times), Some(3));
        memory.updated("b");
        assert_eq!(memory.update.as_ref().map(|update| update.tried.times), Some(1));
    }

    #[test]
    fn an_update_has_ended_once_aws_was_seen_working_on_it() {
        let mut memory = Memory::new(Timestamp::UNIX_EPOCH);
        memory.updated("a");
        memory.began("update");
        assert!(memory.just_began("update") && !memory.update_ended("a"));
        memory.saw(Some(&CanaryState::Updating));
        assert!(!memory.just_began("update") && memory.update_ended("a") && !memory.update_ended("b"));
    }
}
