//! What is remembered of an object between its passes. All of it may be lost: then more is read or one thing is tried
//! once more, and nothing else differs.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::place::Place;
use crate::aws::synthetics::types::CanaryState;
use crate::controllers::in_aws::{Taken, Written, written};
use crate::embedded::History;

/// Something that is tried again and again, ever more rarely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    /// Of what was wanted.
    pub hash: String,
    pub times: u32,
    pub at: Timestamp,
}

impl Tried {
    fn again(before: Option<&Self>, hash: &str, now: Timestamp) -> Self {
        let times = before.filter(|before| before.hash == hash).map_or(0, |before| before.times);
        Self { hash: hash.to_owned(), times: times.saturating_add(1), at: now }
    }

    /// Whether it is time to try again: first after `base`, then ever later, at most after `cap`.
    pub(super) fn is_due(&self, base: Duration, cap: Duration, now: Timestamp) -> bool {
        let since = Duration::try_from(now.duration_since(self.at)).unwrap_or_default();
        since >= self.pause(base, cap)
    }

    fn pause(&self, base: Duration, cap: Duration) -> Duration {
        base.saturating_mul(1 << self.times.saturating_sub(1).min(16)).min(cap)
    }
}

/// An update, from its call to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Update {
    pub tried: Tried,
    place: Place,
    /// AWS was seen working on it.
    begun: bool,
}

impl Update {
    /// AWS has gone through with it. One that was over before anybody looked was never seen.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.begun || !written::is_late(self.tried.at, now)
    }
}

#[derive(Debug)]
pub(super) struct Memory {
    /// Passes in a row that AWS refused, or that left something to be done.
    pub attempts: u32,
    /// When the last write to AWS ended, or was begun and may have happened.
    pub last_write: Option<Instant>,
    /// The last operation that was begun of each canary, and the tags that were written.
    pub written: Written,
    pub creation: Option<Tried>,
    /// What came of it was seen.
    creation_is_over: bool,
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
            written: Written::default(),
            creation: None,
            creation_is_over: false,
            update: None,
            history: None,
            run: None,
            failure_artifacts: None,
            status_written: now,
        }
    }

    pub(super) fn from_taken(taken: Taken<Self>, now: Timestamp) -> Self {
        match taken {
            Taken::Kept(memory) => memory,
            Taken::Never => Self::new(now),
            Taken::Interrupted => Self { last_write: Some(Instant::now()), ..Self::new(now) },
        }
    }

    /// Something was called; also if it failed, since a time-out may have come after the effect.
    pub(super) fn called(&mut self) {
        self.last_write = Some(Instant::now());
    }

    /// `operation` began something at `place` that states will tell of. What led to the state before is over.
    pub(super) fn began(&mut self, place: &Place, operation: &str, now: Timestamp) {
        self.written.wrote(&place.to_string(), operation, now);
    }

    /// The same was begun so lately that a state that doesn't tell of it may just be behind.
    pub(super) fn just_began(&self, place: &Place, operation: &str, now: Timestamp) -> bool {
        self.written.just_wrote(&place.to_string(), operation, now)
    }

    pub(super) fn created(&mut self, hash: &str, now: Timestamp) {
        self.creation = Some(Tried::again(self.creation.as_ref(), hash, now));
        self.creation_is_over = false;
        self.update = None;
    }

    /// It was seen to have failed: the pause before the next one begins now, however long AWS took.
    pub(super) fn creation_failed(&mut self, now: Timestamp) {
        if let Some(tried) = self.creation.as_mut().filter(|_| !self.creation_is_over) {
            tried.at = now;
        }
        self.creation_is_over = true;
    }

    pub(super) fn updated(&mut self, place: &Place, hash: &str, now: Timestamp) {
        let before = self.update.as_ref().map(|update| &update.tried);
        let tried = Tried::again(before, hash, now);
        self.update = Some(Update { tried, place: place.clone(), begun: false });
    }

    /// A state was read: what AWS is seen working on was begun and shows.
    pub(super) fn saw(&mut self, place: &Place, state: &CanaryState) {
        let works = match state {
            CanaryState::Updating => {
                if let Some(update) = self.update.as_mut().filter(|update| update.place == *place) {
                    update.begun = true;
                }
                true
            }
            CanaryState::Creating | CanaryState::Starting | CanaryState::Stopping | CanaryState::Deleting => {
                true
            }
            CanaryState::Ready
            | CanaryState::Running
            | CanaryState::Stopped
            | CanaryState::Error
            | CanaryState::Other(_) => false,
        };
        if works {
            self.written.forget(&place.to_string());
        }
    }

    /// What AWS doesn't tell of `hash` was written, and AWS has gone through with it.
    pub(super) fn update_ended(&self, hash: &str, now: Timestamp) -> bool {
        self.update.as_ref().is_some_and(|update| update.tried.hash == hash && update.has_ended(now))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::aws::Scope;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn place(name: &str) -> Place {
        Place { scope: Scope { region: "eu-west-1".to_owned(), role: None }, name: name.to_owned() }
    }

    #[test]
    fn what_fails_is_tried_ever_more_rarely() {
        let (base, cap) = (Duration::from_secs(10), Duration::from_secs(600));
        for (times, seconds) in [(1, 10), (2, 20), (4, 80), (20, 600)] {
            let tried = Tried { hash: "a".to_owned(), times, at: NOW };
            let at = |second| NOW + SignedDuration::from_secs(second);
            assert!(!tried.is_due(base, cap, at(seconds - 1)), "{times}");
            assert!(tried.is_due(base, cap, at(seconds)), "{times}");
        }
    }

    #[test]
    fn another_spec_begins_anew() {
        let mut memory = Memory::new(NOW);
        for _ in 0..3 {
            memory.updated(&place("a"), "a", NOW);
        }
        assert_eq!(memory.update.as_ref().map(|update| update.tried.times), Some(3));
        memory.updated(&place("a"), "b", NOW);
        assert_eq!(memory.update.as_ref().map(|update| update.tried.times), Some(1));
    }

    #[test]
    fn an_update_has_ended_once_aws_was_seen_working_on_it_or_must_have() {
        let (mut memory, here) = (Memory::new(NOW), place("a"));
        memory.updated(&here, "a", NOW);
        memory.began(&here, "update", NOW);
        assert!(memory.just_began(&here, "update", NOW) && !memory.update_ended("a", NOW));
        assert!(memory.update_ended("a", NOW + SignedDuration::from_secs(20)), "it was never seen");
        // Another canary of the object, which is on its way out.
        memory.saw(&place("b"), &CanaryState::Updating);
        assert!(memory.just_began(&here, "update", NOW) && !memory.update_ended("a", NOW));
        memory.saw(&here, &CanaryState::Updating);
        assert!(!memory.just_began(&here, "update", NOW));
        assert!(memory.update_ended("a", NOW) && !memory.update_ended("b", NOW));
    }
}
