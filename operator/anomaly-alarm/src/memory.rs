//! What is remembered of an object between its passes. All of it may be lost: then more is read, and nothing else differs.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tidewatch_aws::Scope;
use tidewatch_aws::types::Alarm;
use tidewatch_kube::backoff::jitter;
use tidewatch_managed::{Taken, Written};
use tokio::time::Instant;

use super::desired::spec_hash;
use super::facts::ChildFact;

/// Tags, and mute rules, can be changed by hand without a trace in what is read at each resync.
const CHECK: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Memory {
    /// Passes in a row that AWS refused, or that left something to be done.
    pub attempts: u32,
    /// When the last write to AWS ended, or was begun and may have happened.
    pub last_write: Option<Instant>,
    pub written: Written,
    check_due: Instant,
    /// Names of alarms that this process created, with their tags, since the object was last in place.
    pub created: HashSet<String>,
    /// The object as those that combine it were last told of it.
    pub told_parents: Option<ChildFact>,
    /// What AWS refused to delete in this pass, since something else refers to it, with AWS's sentence.
    pub in_use: HashMap<(Scope, String), String>,
    /// Alarms that were ours by their tags: when that was looked at, and the hash of what they were then, by ARN.
    looked_at: HashMap<String, (Instant, String)>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            attempts: 0,
            last_write: None,
            written: Written::default(),
            // A process that just started must not check a thousand objects at once.
            check_due: Instant::now() + CHECK.mul_f64(jitter()),
            created: HashSet::new(),
            told_parents: None,
            in_use: HashMap::new(),
            looked_at: HashMap::new(),
        }
    }
}

impl From<Taken<Self>> for Memory {
    fn from(taken: Taken<Self>) -> Self {
        match taken {
            Taken::Kept(memory) => memory,
            Taken::Never => Self::default(),
            Taken::Interrupted => Self { last_write: Some(Instant::now()), ..Self::default() },
        }
    }
}

impl Memory {
    /// What can't be seen at a resync must be looked at again.
    pub(super) fn check_is_due(&self) -> bool {
        Instant::now() >= self.check_due
    }

    pub(super) fn checked(&mut self) {
        self.check_due = Instant::now() + CHECK;
    }

    /// The tags of an alarm said that it is ours.
    pub(super) fn was_ours(&mut self, alarm: &Alarm) {
        self.looked_at.insert(alarm.arn.clone(), (Instant::now(), spec_hash(&alarm.config)));
    }

    /// It was ours when its tags were last looked at, which is no longer ago than they are looked at anyway, and it is
    /// still what it was then: whoever made it anew would hardly have made the same.
    pub(super) fn is_ours_still(&self, alarm: &Alarm) -> bool {
        self.looked_at
            .get(&alarm.arn)
            .is_some_and(|(at, hash)| at.elapsed() < CHECK && *hash == spec_hash(&alarm.config))
    }

    pub(super) fn forget_write(&mut self, name: &str) {
        self.written.forget(name);
        self.created.remove(name);
    }
}
