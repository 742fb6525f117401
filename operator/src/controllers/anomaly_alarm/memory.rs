//! What is remembered of an object between its passes. All of it may be lost: then more is read, and nothing else differs.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::jitter;

/// Tags, and mute rules, can be changed by hand without a trace in what is read at each resync.
const CHECK: Duration = Duration::from_secs(3600);
/// What was written may be seen by reads only so much later.
const LAG: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Memory {
    /// Passes in a row that AWS refused, or that left something to be done.
    pub attempts: u32,
    /// When the last write to AWS ended, or was begun and may have happened.
    pub last_write: Option<Instant>,
    written: HashMap<String, (String, Instant)>,
    check_due: Instant,
    /// Names of alarms that this process created, with their tags, since the object was last in place.
    pub created: HashSet<String>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            attempts: 0,
            last_write: None,
            written: HashMap::new(),
            // A process that just started must not check a thousand objects at once.
            check_due: Instant::now() + CHECK.mul_f64(jitter()),
            created: HashSet::new(),
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

    /// `name` was written as what `hash` stands for.
    pub(super) fn wrote(&mut self, name: &str, hash: String) {
        self.written.insert(name.to_owned(), (hash, Instant::now()));
    }

    pub(super) fn forget_write(&mut self, name: &str) {
        self.written.remove(name);
        self.created.remove(name);
    }

    /// The same was written so lately that a read that doesn't show it may just be behind.
    pub(super) fn just_wrote(&self, name: &str, hash: &str) -> bool {
        self.written.get(name).is_some_and(|(written, at)| written == hash && at.elapsed() < LAG)
    }
}
