//! What is remembered of an object between its passes. All of it may be lost: then more is read or one thing is tried
//! once more, and nothing else differs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tidewatch_aws::synthetics::types::{CanaryState, Field};
use tidewatch_embedded::History;
use tidewatch_managed::again::REFUSED;
use tidewatch_managed::{Taken, Written, written};
use tokio::time::Instant;

use super::place::Place;

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
    /// What was written of what was wanted, by this call and those before it.
    fields: BTreeSet<Field>,
    /// AWS was seen working on it.
    begun: bool,
}

impl Update {
    /// AWS has gone through with it. One that was over before anybody looked was never seen.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.begun || !written::is_late(self.tried.at, now)
    }
}

/// What AWS refused for good of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedUpdate {
    /// Of what was wanted.
    hash: String,
    /// Several fields were refused together: they are tried one by one, since one of them alone may be to blame.
    pub is_apart: bool,
    /// Those that were refused alone, with what AWS said.
    pub fields: BTreeMap<Field, String>,
    at: Timestamp,
}

impl RefusedUpdate {
    fn of(hash: &str, now: Timestamp) -> Self {
        Self { hash: hash.to_owned(), is_apart: false, fields: BTreeMap::new(), at: now }
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
    refused: Option<RefusedUpdate>,
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
            refused: None,
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

    pub(super) fn updated(&mut self, place: &Place, hash: &str, fields: &BTreeSet<Field>, now: Timestamp) {
        let before = self.update.take();
        let tried = Tried::again(before.as_ref().map(|update| &update.tried), hash, now);
        let mut fields = fields.clone();
        if fields.contains(&Field::Runtime) {
            // AWS takes it with the code only.
            fields.insert(Field::Code);
        }
        fields.extend(before.filter(|update| update.tried.hash == hash).into_iter().flat_map(|it| it.fields));
        self.update = Some(Update { tried, place: place.clone(), fields, begun: false });
    }

    /// AWS refused to change these fields for good.
    pub(super) fn update_refused(
        &mut self,
        hash: &str,
        fields: &BTreeSet<Field>,
        said: &str,
        now: Timestamp,
    ) {
        let refused = self.refused.take().filter(|refused| refused.hash == hash);
        let mut refused = refused.unwrap_or_else(|| RefusedUpdate::of(hash, now));
        match fields.first() {
            Some(only) if fields.len() == 1 => drop(refused.fields.insert(*only, said.to_owned())),
            _ => refused.is_apart = true,
        }
        self.refused = Some(refused);
    }

    /// What AWS refused of this, unless that is so long ago that it may be tried again.
    pub(super) fn refused_update(&self, hash: &str, now: Timestamp) -> Option<&RefusedUpdate> {
        let is_old = |at: Timestamp| now.duration_since(at).unsigned_abs() >= REFUSED;
        self.refused.as_ref().filter(|refused| refused.hash == hash && !is_old(refused.at))
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

    /// What was written of `hash`, once AWS has gone through with it.
    pub(super) fn written_fields(&self, hash: &str, now: Timestamp) -> BTreeSet<Field> {
        let update = self.update.as_ref();
        let update = update.filter(|update| update.tried.hash == hash && update.has_ended(now));
        update.map(|update| update.fields.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use tidewatch_aws::Scope;

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
        let (mut memory, code) = (Memory::new(NOW), BTreeSet::from([Field::Code]));
        for _ in 0..3 {
            memory.updated(&place("a"), "a", &code, NOW);
        }
        assert_eq!(memory.update.as_ref().map(|update| update.tried.times), Some(3));
        memory.updated(&place("a"), "b", &code, NOW);
        assert_eq!(memory.update.as_ref().map(|update| update.tried.times), Some(1));
    }

    #[test]
    fn an_update_has_ended_once_aws_was_seen_working_on_it_or_must_have() {
        let (mut memory, here) = (Memory::new(NOW), place("a"));
        let code = BTreeSet::from([Field::Code]);
        memory.updated(&here, "a", &code, NOW);
        memory.began(&here, "update", NOW);
        assert!(memory.just_began(&here, "update", NOW) && memory.written_fields("a", NOW).is_empty());
        assert_eq!(
            memory.written_fields("a", NOW + SignedDuration::from_secs(20)),
            code,
            "it was never seen"
        );
        // Another canary of the object, which is on its way out.
        memory.saw(&place("b"), &CanaryState::Updating);
        assert!(memory.just_began(&here, "update", NOW) && memory.written_fields("a", NOW).is_empty());
        memory.saw(&here, &CanaryState::Updating);
        assert!(!memory.just_began(&here, "update", NOW));
        assert_eq!(memory.written_fields("a", NOW), code);
        assert!(memory.written_fields("b", NOW).is_empty());
    }

    #[test]
    fn a_runtime_is_written_with_the_code_and_parts_of_one_update_add_up() {
        let (mut memory, here) = (Memory::new(NOW), place("a"));
        let later = NOW + SignedDuration::from_secs(60);
        memory.updated(&here, "a", &[Field::Schedule].into(), NOW);
        memory.updated(&here, "a", &[Field::Runtime].into(), NOW);
        assert_eq!(memory.written_fields("a", later), [Field::Runtime, Field::Code, Field::Schedule].into());
        memory.updated(&here, "b", &[Field::Run].into(), NOW);
        assert_eq!(memory.written_fields("b", later), [Field::Run].into());
    }

    #[test]
    fn what_was_refused_is_known_until_it_is_tried_again_or_something_else_is_wanted() {
        let mut memory = Memory::new(NOW);
        memory.update_refused("a", &[Field::Runtime, Field::Schedule].into(), "no", NOW);
        let refused = memory.refused_update("a", NOW).unwrap();
        assert!(refused.is_apart && refused.fields.is_empty(), "{refused:?}");
        memory.update_refused("a", &[Field::Runtime].into(), "no", NOW);
        let refused = memory.refused_update("a", NOW).unwrap();
        assert!(refused.is_apart && refused.fields.contains_key(&Field::Runtime), "{refused:?}");
        assert_eq!(memory.refused_update("b", NOW), None);
        assert_eq!(memory.refused_update("a", NOW + SignedDuration::from_secs(600)), None);
    }
}
