//! The verdicts that are true at a given time, and a check for sentences that contradict themselves.

use tidewatch_crds::network_monitor::{ComponentKind, FaultCause, FaultyComponent};

use crate::expect::Expected;

/// The components that may be blamed.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowed {
    components: Vec<Component>,
    /// True if a service without a ready endpoint may be reported as down.
    pub(super) outages: bool,
}

#[derive(Debug, Clone)]
struct Component {
    kind: ComponentKind,
    /// A name, or its beginning followed by `*`.
    name: String,
    /// Empty: any cause.
    causes: Vec<FaultCause>,
}

impl Allowed {
    /// Nothing is wrong but for services that the cluster itself shows without endpoints.
    pub(super) fn ordinary_life() -> Self {
        Self { outages: true, ..Self::default() }
    }

    /// Nothing but what is expected.
    pub(super) fn only(expected: &Expected) -> Self {
        let components = expected.fault.iter().flat_map(|fault| &fault.components);
        let component = |it: &crate::expect::ExpectedComponent| Component {
            kind: it.kind,
            name: it.name.clone(),
            causes: it.causes.clone(),
        };
        Self { components: components.map(component).collect(), outages: false }
    }

    /// This component too; `name` may end with `*`.
    #[must_use]
    pub(super) fn and(mut self, kind: ComponentKind, name: &str, causes: &[FaultCause]) -> Self {
        self.components.push(Component { kind, name: name.to_owned(), causes: causes.to_vec() });
        self
    }

    pub(super) fn includes(&self, component: &FaultyComponent) -> bool {
        self.components.iter().any(|allowed| {
            let named = match allowed.name.strip_suffix('*') {
                Some(beginning) => component.name.starts_with(beginning),
                None => component.name == allowed.name,
            };
            let cause = allowed.causes.is_empty() || allowed.causes.contains(&component.cause);
            allowed.kind == component.kind && named && cause
        })
    }
}

/// The contradiction in a sentence, if it has one: the value that it blames isn't worse than usual, or none of the
/// attempts that it blames failed.
pub(super) fn contradicts_itself(sentence: &str) -> Option<String> {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    for (place, word) in words.iter().enumerate() {
        let before =
            |back: usize| place.checked_sub(back).and_then(|at| words.get(at)).copied().unwrap_or("");
        let after = |ahead: usize| words.get(place + ahead).copied().unwrap_or("");
        // `4.4 ms instead of 1.3 ms`, `0.02% instead of 0.01%`
        if *word == "instead" && after(1) == "of" {
            let now = number(before(2)).or_else(|| number(before(1)));
            let usual = number(after(2));
            let same_unit =
                before(1) == after(3).trim_end_matches([',', ';', '.']) || before(1).ends_with('%');
            if let (Some(now), Some(usual)) = (now, usual)
                && same_unit
                && now <= usual
            {
                return Some(format!("a sentence blames {now} instead of {usual}"));
            }
        }
        // `0 of 18 connection attempts failed`
        if *word == "0"
            && after(1) == "of"
            && sentence.contains("failed")
            && after(3).starts_with("connection")
        {
            return Some("a sentence blames attempts of which none failed".to_owned());
        }
    }
    None
}

fn number(word: &str) -> Option<f64> {
    word.trim_end_matches(['%', ',', ';', '.']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_blames_less_than_usual_is_untrue() {
        for wrong in [
            "round trips at zone zone-1 take 1.3 ms instead of 1.8 ms",
            "round trips take 1.3 ms instead of 1.3 ms, in 12 of 40 flows",
            "redis can't keep up: 0 of 18 connection attempts failed",
        ] {
            assert!(contradicts_itself(wrong).is_some(), "{wrong}");
        }
        for right in [
            "round trips at zone zone-1 take 4.4 ms instead of 1.3 ms",
            "redis can't keep up: 3 of 18 connection attempts failed",
            "packet loss between zone-1 and zone-2: 2.1% instead of 0.01%",
        ] {
            assert_eq!(contradicts_itself(right), None, "{right}");
        }
    }
}
