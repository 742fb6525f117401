//! From the attempts that AWS tells of to runs, as the status counts them. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidewatch_aws::synthetics::types::{RunSeen, RunState};
use tidewatch_prober::{FailureReport, PhaseTimes, RunReport};

/// What a failure is called that names none of the canary's checks.
const WHOLE: &str = "canary";

/// What the runs of a canary are told by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runs {
    /// How often a failed run is tried again.
    pub max_retries: u32,
    /// Names that AWS's reasons may have in them: of checks, or addresses of pages.
    pub names: Vec<String>,
    /// Time between two runs; none where it differs.
    pub interval: Option<SignedDuration>,
}

impl Runs {
    /// Whether runs may have ended between the one at `known` and `newest` that only AWS's list of runs tells of.
    pub(super) fn missed(&self, known: Option<Timestamp>, newest: &RunSeen) -> bool {
        let (Some(known), Some(interval)) = (known, self.interval) else { return true };
        let gap = newest.scheduled.duration_since(known);
        gap > interval + interval / 2
    }

    /// The runs after `known` that are over, the oldest first.
    pub(super) fn ended(&self, attempts: &[RunSeen], known: Option<Timestamp>) -> Vec<RunReport> {
        let mut runs: BTreeMap<(Timestamp, &str), Vec<&RunSeen>> = BTreeMap::new();
        for attempt in attempts {
            runs.entry((attempt.scheduled, attempt.scheduled_id.as_str())).or_default().push(attempt);
        }
        let newest = runs.keys().next_back().copied();
        let new = runs.iter().filter(|((at, _), _)| known.is_none_or(|known| *at > known));
        new.filter_map(|(key, attempts)| self.run(attempts, Some(*key) == newest)).collect()
    }

    /// A run, if it is over. One that failed may be tried again, unless another run began since.
    fn run(&self, attempts: &[&RunSeen], newest: bool) -> Option<RunReport> {
        let last = attempts.iter().max_by_key(|attempt| attempt.attempt)?;
        let failed = match last.state {
            RunState::Running => return None,
            RunState::Passed => false,
            RunState::Failed => true,
        };
        if failed && newest && last.attempt < self.max_retries {
            return None;
        }
        let completed = last.completed.unwrap_or(last.started);
        Some(RunReport {
            at: last.scheduled,
            duration: Duration::try_from(completed.duration_since(last.started)).unwrap_or_default(),
            attempts: last.attempt.saturating_add(1),
            trace_id: None,
            checks: Vec::new(),
            failure: failed.then(|| self.failure(last)),
        })
    }

    fn failure(&self, attempt: &RunSeen) -> FailureReport {
        let message = attempt.reason.clone().unwrap_or_else(|| "failed; AWS gave no reason".to_owned());
        let named = self.names.iter().filter(|name| names(&message, name));
        // Of home and home-page the longer is meant.
        let check = named.max_by_key(|name| name.len()).cloned().unwrap_or_else(|| WHOLE.to_owned());
        FailureReport { check, message, expected: None, got: None, phases: PhaseTimes::default() }
    }
}

/// Whether `text` has `name` as a word.
fn names(text: &str, name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

/// Where the results of the newest failed run are.
pub(super) fn failure_artifacts(attempts: &[RunSeen]) -> Option<String> {
    let failed = attempts.iter().filter(|attempt| attempt.state == RunState::Failed);
    let newest = failed.max_by_key(|attempt| attempt.started)?;
    newest.artifacts.as_ref().map(|place| format!("s3://{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn attempt(scheduled: i64, attempt: u32, state: RunState, reason: Option<&str>) -> RunSeen {
        let started = at(scheduled + i64::from(attempt) * 10);
        RunSeen {
            id: format!("{scheduled}-{attempt}"),
            scheduled_id: format!("{scheduled}-0"),
            attempt,
            state,
            reason: reason.map(str::to_owned),
            started,
            completed: (state != RunState::Running).then(|| started + SignedDuration::from_secs(5)),
            scheduled: at(scheduled),
            artifacts: Some(format!("bucket/{scheduled}")),
        }
    }

    fn runs(max_retries: u32) -> Runs {
        Runs {
            max_retries,
            names: vec!["home".to_owned(), "home-page".to_owned()],
            interval: Some(SignedDuration::from_secs(60)),
        }
    }

    #[test]
    fn attempts_of_one_run_count_once_by_their_last() {
        let attempts = [
            attempt(120, 0, RunState::Running, None),
            attempt(60, 1, RunState::Passed, None),
            attempt(60, 0, RunState::Failed, Some("no")),
            attempt(0, 2, RunState::Failed, Some("step home-page: status 500")),
            attempt(0, 1, RunState::Failed, Some("no")),
            attempt(0, 0, RunState::Failed, Some("no")),
        ];
        let ended = runs(2).ended(&attempts, None);
        let seen: Vec<_> = ended
            .iter()
            .map(|run| (run.at, run.attempts, run.failure.as_ref().map(|failure| failure.check.as_str())))
            .collect();
        assert_eq!(seen, [(at(0), 3, Some("home-page")), (at(60), 2, None)]);
        assert_eq!(ended[0].duration, Duration::from_secs(5));
        // What is known isn't told again.
        assert_eq!(runs(2).ended(&attempts, Some(at(0))).len(), 1);
        assert_eq!(runs(2).ended(&attempts, Some(at(60))).len(), 0);
    }

    #[test]
    fn a_failed_attempt_that_may_be_tried_again_is_no_run_yet() {
        let first = attempt(0, 0, RunState::Failed, Some("no"));
        assert!(runs(1).ended(std::slice::from_ref(&first), None).is_empty());
        assert_eq!(runs(0).ended(std::slice::from_ref(&first), None).len(), 1);
        // Another run began: it wasn't tried again, for whichever reason.
        let both = [attempt(60, 0, RunState::Passed, None), first];
        assert_eq!(runs(1).ended(&both, None).len(), 2);
    }

    #[test]
    fn a_gap_asks_for_the_list_of_runs() {
        let newest = attempt(60, 0, RunState::Passed, None);
        assert!(!runs(0).missed(Some(at(0)), &newest));
        assert!(!runs(0).missed(Some(at(60)), &newest));
        assert!(runs(0).missed(Some(at(-60)), &newest));
        assert!(runs(0).missed(None, &newest));
        assert!(Runs { interval: None, ..runs(0) }.missed(Some(at(0)), &newest));
    }

    #[test]
    fn a_check_is_named_if_the_reason_has_it_as_a_word() {
        for (text, name, named) in [
            ("Step home failed", "home", true),
            ("Step home-page failed", "home", false),
            ("homes", "home", false),
            ("https://a.example/: 500", "https://a.example/", true),
        ] {
            assert_eq!(names(text, name), named, "{text} {name}");
        }
    }
}
