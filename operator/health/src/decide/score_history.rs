//! The scores of windows against a component, added up over time. The rules are in seconds, so that shorter windows lead to faster verdicts but not to more false ones. Windows that begin
//! within the same half minute are added up, but count as one, since a single blip may have straddled them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The evidence of one window against a component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowScore {
    pub(crate) start: Timestamp,
    /// Log-odds.
    pub(crate) score: f64,
    /// Bound on the log-odds: how much rarer a blip of this size is than a fault.
    #[serde(rename = "most")]
    pub(crate) bound: f64,
    /// True if the harm is too large for a blip that straddles two windows. Such windows each count on their own,
    /// however short they are.
    pub(crate) severe: bool,
}

/// The scores of a component's last windows, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ScoreHistory(Vec<WindowScore>);

impl ScoreHistory {
    pub(crate) fn push(&mut self, window: WindowScore) {
        self.0.push(window);
    }

    /// Forgets the scores of windows that began before `first`.
    pub(crate) fn forget_before(&mut self, first: Timestamp) {
        self.0.retain(|window| window.start >= first);
    }

    pub(crate) fn last(&self) -> Option<&WindowScore> {
        self.0.last()
    }

    pub(crate) fn since(&self, first: Timestamp) -> impl Iterator<Item = &WindowScore> {
        self.0.iter().filter(move |window| window.start >= first)
    }

    /// Log-odds of the slot that ends with the last window; 0 where there is none.
    pub(crate) fn recent(&self, slot: SignedDuration) -> f64 {
        self.0.len().checked_sub(1).map_or(0.0, |last| self.sum(last, slot).0)
    }

    /// Number of slots since `first` that reach `threshold`, counting only slots that don't overlap.
    pub(crate) fn slots_that_show(&self, first: Timestamp, slot: SignedDuration, threshold: f64) -> u32 {
        let shows = |score: f64| if score >= threshold { 1.0 } else { 0.0 };
        let count = self.most_together(
            slot,
            |at| if self.is_since(at, first) { shows(self.sum(at, slot).0) } else { 0.0 },
            |at| if self.is_since(at, first) { shows(self.alone(at).score) } else { 0.0 },
        );
        count as u32
    }

    /// Sum of all windows' log-odds, each slot counted up to the bound that a blip sets.
    pub(crate) fn pooled(&self, slot: SignedDuration) -> f64 {
        self.most_together(
            slot,
            |at| {
                let (score, most) = self.sum(at, slot);
                score.min(most)
            },
            |at| self.alone(at).score.min(self.alone(at).bound),
        )
    }

    fn is_since(&self, at: usize, first: Timestamp) -> bool {
        self.0.get(at).is_some_and(|window| window.start >= first)
    }

    fn alone(&self, at: usize) -> WindowScore {
        self.0.get(at).copied().unwrap_or(WindowScore {
            start: Timestamp::UNIX_EPOCH,
            score: 0.0,
            bound: 0.0,
            severe: false,
        })
    }

    /// Score and bound of the slot that ends with the window `at`.
    fn sum(&self, at: usize, slot: SignedDuration) -> (f64, f64) {
        let end = self.alone(at).start;
        let within = self.0.iter().take(at + 1).filter(|window| end.duration_since(window.start) < slot);
        within.fold((0.0, 0.0), |(score, most), window| (score + window.score, f64::max(most, window.bound)))
    }

    /// The largest sum over windows that may count together: windows at least a slot apart, each with the rest of its slot,
    /// and severe windows in a row, each on its own.
    fn most_together(
        &self,
        slot: SignedDuration,
        with_slot: impl Fn(usize) -> f64,
        alone: impl Fn(usize) -> f64,
    ) -> f64 {
        let mut best: Vec<f64> = Vec::with_capacity(self.0.len());
        for (at, window) in self.0.iter().enumerate() {
            let before = self.0.iter().zip(&best);
            let apart = before
                .clone()
                .filter(|(other, _)| window.start.duration_since(other.start) >= slot)
                .map(|(_, sum)| *sum);
            let beside = before.filter(|(other, _)| window.severe && other.severe).map(|(_, sum)| *sum);
            let apart = apart.fold(0.0, f64::max) + with_slot(at);
            let beside = beside.fold(0.0, f64::max) + alone(at);
            best.push(apart.max(beside));
        }
        best.into_iter().fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use super::*;
    use crate::input::window::slot;

    /// Scores of 8, of which 7 count, at these seconds.
    fn scores(severe: bool, at: &[i64]) -> ScoreHistory {
        let window = |second: &i64| WindowScore {
            start: Timestamp::from_second(*second).unwrap(),
            score: 8.0,
            bound: 7.0,
            severe,
        };
        ScoreHistory(at.iter().map(window).collect())
    }

    fn shows(scores: &ScoreHistory, threshold: f64) -> u32 {
        scores.slots_that_show(Timestamp::UNIX_EPOCH, slot(15), threshold)
    }

    #[test]
    fn windows_a_slot_apart_speak_for_themselves() {
        for (at, expected) in [
            (&[0][..], 1),
            (&[0, 15], 1),
            (&[0, 30], 2),
            (&[0, 15, 30], 2),
            (&[0, 15, 30, 45], 2),
            (&[0, 20, 40, 60], 2),
        ] {
            assert_eq!(shows(&scores(false, at), 8.0), expected, "{at:?}");
            assert!((scores(false, at).pooled(slot(15)) - 7.0 * f64::from(expected)).abs() < 1e-9, "{at:?}");
        }
    }

    #[test]
    fn what_a_slot_says_adds_up() {
        assert_eq!(shows(&scores(false, &[0]), 10.0), 0);
        assert_eq!(shows(&scores(false, &[0, 15]), 10.0), 1);
        assert_eq!(shows(&scores(false, &[0, 30]), 10.0), 0);
        assert_eq!(shows(&scores(false, &[0, 15, 30, 45]), 10.0), 2);
        assert!((scores(false, &[0, 15]).recent(slot(15)) - 16.0).abs() < 1e-9);
    }

    #[test]
    fn severe_windows_speak_for_themselves() {
        assert_eq!(shows(&scores(true, &[0, 15]), 8.0), 2);
        assert_eq!(shows(&scores(true, &[0, 5, 10]), 8.0), 3);
        assert!((scores(true, &[0, 15]).pooled(slot(15)) - 14.0).abs() < 1e-9);
    }

    #[test]
    fn windows_as_long_as_a_slot_are_counted_one_by_one() {
        for seconds in [30, 60, 600] {
            let at: Vec<i64> = (0..4).map(|n| n * i64::from(seconds)).collect();
            let all = scores(false, &at).slots_that_show(Timestamp::UNIX_EPOCH, slot(seconds), 8.0);
            assert_eq!(all, 4, "{seconds} s");
        }
    }

    #[test]
    fn only_what_is_recent_is_counted() {
        let recent = Timestamp::from_second(60).unwrap();
        assert_eq!(scores(false, &[0, 30, 60, 90]).slots_that_show(recent, slot(30), 8.0), 2);
        let mut forgetful = scores(false, &[0, 30, 60, 90]);
        forgetful.forget_before(recent);
        assert_eq!(forgetful.since(Timestamp::UNIX_EPOCH).count(), 2);
    }
}
