//! What is remembered of an object between its passes. All of it may be lost: then more is read, and nothing else differs.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::jitter;
use crate::controllers::in_aws::{Taken, Written};

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

    pub(super) fn forget_write(&mut self, name: &str) {
        self.written.forget(name);
        self.created.remove(name);
    }
}
