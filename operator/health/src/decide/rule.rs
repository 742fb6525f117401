//! The rule by which a component is named and cleared: how often and how plainly it must show, and how long be quiet.

use jiff::{SignedDuration, Timestamp};

use crate::config::Sensitivity;
use crate::locate::candidate::Thresholds;
use crate::verdict::Class;

/// Least time for which a component must be quiet to be cleared, besides the number of quiet windows that the rule demands.
pub(super) const QUIET_SECONDS: u32 = 45;

/// The rule for naming a component and for clearing it. A slot is half a minute, or a window where windows are longer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    /// It must show in this many …
    pub(super) shows: u32,
    /// … of this many slots.
    pub(super) of: i32,
    /// Quiet windows in a row that clear it, of [`QUIET_SECONDS`] at least.
    pub(super) clears: u32,
    /// Log-odds against blips that the windows against a path must reach together, on top of the logarithm of the
    /// number of paths, each of which can blip in every slot. e^12 is the number of slots in a week and a half, each
    /// combined with the five before it.
    pub(super) sure: Option<f64>,
    pub(super) thresholds: Thresholds,
}

impl Rule {
    pub(crate) fn of(sensitivity: Sensitivity) -> Self {
        let thresholds = Thresholds::at(sensitivity);
        match sensitivity {
            // Sure by one more blip than is usual.
            Sensitivity::Low => Self { shows: 3, of: 4, clears: 3, sure: Some(19.0), thresholds },
            Sensitivity::Standard => Self { shows: 2, of: 4, clears: 2, sure: Some(12.0), thresholds },
            Sensitivity::High => Self { shows: 1, of: 1, clears: 2, sure: None, thresholds },
        }
    }

    /// Start of the first window whose showing still counts.
    pub(super) fn counts_from(self, window: Timestamp, slot: SignedDuration) -> Timestamp {
        after(window, slot, self.of)
    }

    /// Slots in which a component must show.
    pub(crate) fn shows(self) -> u32 {
        self.shows
    }

    /// Log-odds that it takes to suspect a component of this class.
    pub(crate) fn threshold(self, class: Class) -> f64 {
        self.thresholds.of(class)
    }
}

/// The first moment after what lies `slots` before `window`.
pub(super) fn after(window: Timestamp, slot: SignedDuration, slots: i32) -> Timestamp {
    let moment = SignedDuration::from_nanos(1);
    window.saturating_sub(slot.saturating_mul(slots).saturating_sub(moment)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use super::*;

    /// A page of the documentation, with any white space as one space.
    fn page(name: &str) -> String {
        let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn assert_says(name: &str, sentence: &str) {
        assert!(page(name).contains(sentence), "docs/{name} doesn't say {sentence:?}, as the rule does");
    }

    #[test]
    fn the_documentation_states_the_rule_as_it_is() {
        let Rule { shows, of, clears, .. } = Rule::of(Sensitivity::Standard);
        let m_of_n = format!(
            "when it showed in {shows} of {of} *slots*, cleared after {clears} quiet windows that make {QUIET_SECONDS} s"
        );
        assert_says("health.md", &m_of_n);
        let word = |number: u32| *["no", "one", "two", "three", "four"].get(number as usize).unwrap();
        let (shows, of, clears) = (word(shows), word(of.unsigned_abs()), word(clears));
        assert_says("concepts.md", &format!("when it shows in {shows} of {of} half-minutes"));
        assert_says("concepts.md", &format!("after {clears} quiet windows that make {QUIET_SECONDS} s"));
    }

    #[test]
    fn the_documentation_has_each_sensitivity_as_it_is() {
        for sensitivity in [Sensitivity::Low, Sensitivity::Standard, Sensitivity::High] {
            let Rule { shows, of, thresholds, .. } = Rule::of(sensitivity);
            let slots = if of == 1 { "1 window".to_owned() } else { format!("{shows} of {of} slots") };
            let Thresholds { infrastructure, workload } = thresholds;
            let evidence = if infrastructure == workload {
                infrastructure.to_string()
            } else {
                format!("{infrastructure} for a path, {workload} for others")
            };
            assert_says("health.md", &format!("| `{sensitivity:?}` | {slots} | {evidence} |"));
        }
    }
}
