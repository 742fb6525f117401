//! What was written so lately that reads may not show it yet.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tidewatch_aws::types::Tags;

use super::owner::Retag;

/// What was written may be seen by reads only so much later.
pub const LAG: Duration = Duration::from_secs(20);

/// The last thing that was written of each, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written(HashMap<String, (String, Timestamp)>);

impl Written {
    /// `name` was written as what `what` stands for.
    pub fn wrote(&mut self, name: &str, what: impl Into<String>, now: Timestamp) {
        self.0.insert(name.to_owned(), (what.into(), now));
    }

    /// What was written of `name` shows, or is gone.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The same was written so lately that a read that doesn't show it may just be behind.
    pub fn just_wrote(&self, name: &str, what: &str, now: Timestamp) -> bool {
        self.0.get(name).is_some_and(|(written, at)| written == what && is_late(*at, now))
    }

    /// Tags of `arn` were set.
    pub fn tagged(&mut self, arn: &str, tags: &Tags, now: Timestamp) {
        self.wrote(&setting(arn), format!("{tags:?}"), now);
    }

    /// Tags of `arn` were removed.
    pub fn untagged(&mut self, arn: &str, keys: &[String], now: Timestamp) {
        self.wrote(&removing(arn), keys.join(" "), now);
    }

    /// What is still to be done of `retag`, without what was done just now; and whether there is something of that.
    pub fn due(&self, arn: &str, retag: Retag, now: Timestamp) -> (Retag, bool) {
        let Retag { mut set, mut remove } = retag;
        let was_set = !set.is_empty() && self.just_wrote(&setting(arn), &format!("{set:?}"), now);
        let was_removed = !remove.is_empty() && self.just_wrote(&removing(arn), &remove.join(" "), now);
        if was_set {
            set.clear();
        }
        if was_removed {
            remove.clear();
        }
        (Retag { set, remove }, was_set || was_removed)
    }

    /// Something was.
    pub fn just_wrote_any(&self, name: &str, now: Timestamp) -> bool {
        self.0.get(name).is_some_and(|(_, at)| is_late(*at, now))
    }
}

fn setting(arn: &str) -> String {
    format!("tags of {arn}")
}

fn removing(arn: &str) -> String {
    format!("tags away from {arn}")
}

/// A read may not show yet what was written `at` that time.
pub fn is_late(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < LAG.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_counts_until_another_thing_is_or_until_reads_must_have_caught_up() {
        let mut written = Written::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        written.wrote("a", "1", at(100));
        assert!(written.just_wrote("a", "1", at(119)) && !written.just_wrote("a", "1", at(120)));
        written.wrote("a", "2", at(110));
        assert!(!written.just_wrote("a", "1", at(111)) && written.just_wrote_any("a", at(129)));
        written.forget("a");
        assert!(!written.just_wrote_any("a", at(111)));
    }
}
