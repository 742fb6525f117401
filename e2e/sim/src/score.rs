//! From what a method said in a trial to the figures of the table. `docs/nhi-bench.md` defines each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use tidewatch_health::{Attribution, Class, ComponentId};

use crate::fault::FaultKind;
use crate::methods::Blamed;
use crate::truth::Culprit;

/// The results of one method in one trial.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seed: u64,
    pub kind: FaultKind,
    pub culprits: Vec<Culprit>,
    /// Blamed in the last window of the fault: what the person on call reads after two (hard) or five (easy) minutes.
    pub last: Vec<Blamed>,
    /// Windows without a fault before its onset (and in a healthy trial all from there on), and in how many of them
    /// anything was blamed.
    pub quiet: usize,
    pub quiet_alarming: usize,
    pub quiet_blamed: Vec<Blamed>,
    /// Of the quiet windows, those in which infrastructure was blamed.
    pub quiet_infrastructure: usize,
    /// Infrastructure blamed from the onset on, though only a workload (or a remote) was at fault.
    pub slanders: Vec<Slander>,
    /// Named after the fault's end, though neither at fault nor named in its last window.
    pub afterwards: Vec<Blamed>,
    /// Attribution in the last window of the fault, where the method states one.
    pub attribution: Option<Attribution>,
    /// The sentence of that window's verdict.
    pub sentence: String,
    /// Named in any window of the fault (where nothing is at fault: or after) without being at fault.
    pub wrongly: Vec<Named>,
    /// Seconds from the onset to the end of the first window that blamed a culprit.
    pub detected_after: Option<u32>,
    /// Seconds from the fault's end to the end of the first window from which no culprit was blamed any more.
    pub recovered_after: Option<u32>,
    pub insufficient: usize,
}

/// Infrastructure blamed for what isn't its fault, in one window.
#[derive(Debug, Clone)]
pub struct Slander {
    /// Windows since the onset: 0 is the first of the fault.
    pub window: u32,
    pub blamed: Blamed,
}

/// Named in one window, with the sentence that said so.
#[derive(Debug, Clone)]
pub struct Named {
    /// Windows since the onset: 0 is the first of the fault.
    pub window: u32,
    pub blamed: Blamed,
    pub sentence: String,
}

/// True if blaming `component` means `culprit`. An internet address is also named by a range that contains it.
pub fn means(component: &ComponentId, culprit: &ComponentId) -> bool {
    match (component, culprit) {
        (ComponentId::Internet(named), ComponentId::Internet(address)) => {
            named == address
                || matches!((named.parse::<IpNet>(), address.parse::<IpAddr>()), (Ok(net), Ok(ip)) if net.contains(&ip))
        }
        _ => component == culprit,
    }
}

impl Outcome {
    pub fn is_culprit(&self, component: &ComponentId) -> bool {
        self.culprits.iter().any(|culprit| means(component, &culprit.component))
    }

    /// Culprits that are named at the end.
    pub fn found(&self) -> usize {
        let named = |culprit: &&Culprit| self.last.iter().any(|b| means(&b.component, &culprit.component));
        self.culprits.iter().filter(named).count()
    }

    /// Names at the end that are no culprits.
    pub fn wrong(&self) -> usize {
        self.last.iter().filter(|blamed| !self.is_culprit(&blamed.component)).count()
    }

    /// The classes blamed are those at fault: infrastructure, a workload, something outside, or two of them.
    pub fn verdict_is_right(&self) -> bool {
        let blamed: BTreeSet<Class> = self.last.iter().map(|blamed| blamed.component.class()).collect();
        let truly: BTreeSet<Class> = self.culprits.iter().map(|culprit| culprit.class).collect();
        blamed == truly
    }

    /// The attribution is exactly that of what is at fault. Where a method states none, it is what its components say.
    pub fn attribution_is_right(&self) -> bool {
        let truly: BTreeSet<Class> = self.culprits.iter().map(|culprit| culprit.class).collect();
        let expected = match truly.iter().copied().collect::<Vec<Class>>().as_slice() {
            [] => Attribution::None,
            [Class::Infrastructure] => Attribution::Infrastructure,
            [Class::Workload] => Attribution::Workload,
            [Class::External] => Attribution::External,
            _ => Attribution::Mixed,
        };
        self.attribution.map_or_else(|| self.verdict_is_right(), |stated| stated == expected)
    }

    /// Culprits that are named at the end with the cause that is theirs.
    pub fn causes_right(&self) -> usize {
        let right = |culprit: &&Culprit| {
            self.last
                .iter()
                .any(|b| means(&b.component, &culprit.component) && b.cause == Some(culprit.cause))
        };
        self.culprits.iter().filter(right).count()
    }

    pub fn is_miss(&self) -> bool {
        self.wrong() > 0
            || self.found() < self.culprits.len()
            || self.quiet_alarming > 0
            || !self.attribution_is_right()
            || !self.slanders.is_empty()
            || !self.afterwards.is_empty()
    }
}

/// Figures over many trials.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    pub trials: usize,
    pub precision: f64,
    pub recall: f64,
    /// Over trials with a fault.
    pub verdict: f64,
    /// Share of trials whose attribution is exactly right in the fault's last window.
    pub attribution: f64,
    /// Share of guilty components named whose cause is right.
    pub cause: f64,
    /// Trials in which anything not at fault was named in any window of the fault.
    pub wrongly: usize,
    /// Share of quiet windows in which anything was blamed.
    pub healthy_alarming: f64,
    pub quiet: usize,
    /// Trials in which infrastructure was blamed for what wasn't its fault.
    pub slandered: usize,
    /// Trials after whose fault something else was named.
    pub afterwards: usize,
    pub detect: Times,
    pub recover: Times,
}

/// Durations in seconds, and how many never came to an end.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Times {
    pub median: Option<u32>,
    pub p95: Option<u32>,
    pub never: usize,
}

impl Times {
    /// `never` counts as longer than any.
    fn of(times: impl Iterator<Item = Option<u32>>) -> Self {
        let mut all: Vec<u32> = times.map(|time| time.unwrap_or(u32::MAX)).collect();
        all.sort_unstable();
        let at = |quantile: f64| {
            let rank = ((all.len() as f64 * quantile).ceil() as usize).saturating_sub(1);
            all.get(rank).copied().filter(|time| *time != u32::MAX)
        };
        Self { median: at(0.5), p95: at(0.95), never: all.iter().filter(|time| **time == u32::MAX).count() }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

pub fn score<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Score {
    let outcomes: Vec<&Outcome> = outcomes.collect();
    let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(|outcome| of(outcome)).sum::<usize>();
    let faulty: Vec<&&Outcome> = outcomes.iter().filter(|outcome| !outcome.culprits.is_empty()).collect();
    let named = sum(|outcome| outcome.last.len());
    let quiet = sum(|outcome| outcome.quiet);
    let recovering = faulty.iter().filter(|outcome| outcome.detected_after.is_some());
    Score {
        trials: outcomes.len(),
        precision: share(named - sum(Outcome::wrong), named),
        recall: share(sum(Outcome::found), sum(|outcome| outcome.culprits.len())),
        verdict: share(faulty.iter().filter(|outcome| outcome.verdict_is_right()).count(), faulty.len()),
        attribution: share(outcomes.iter().filter(|o| o.attribution_is_right()).count(), outcomes.len()),
        cause: share(sum(Outcome::causes_right), sum(Outcome::found)),
        wrongly: outcomes.iter().filter(|outcome| !outcome.wrongly.is_empty()).count(),
        healthy_alarming: if quiet == 0 { 0.0 } else { sum(|o| o.quiet_alarming) as f64 / quiet as f64 },
        quiet,
        slandered: outcomes.iter().filter(|outcome| !outcome.slanders.is_empty()).count(),
        afterwards: outcomes.iter().filter(|outcome| !outcome.afterwards.is_empty()).count(),
        detect: Times::of(faulty.iter().map(|outcome| outcome.detected_after)),
        recover: Times::of(recovering.map(|outcome| outcome.recovered_after)),
    }
}

/// One line of the reliability table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    pub stated: f64,
    pub right: usize,
    pub all: usize,
}

const EDGES: [f64; 8] = [0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.000_001];

/// A component that was named, with how sure the method was, and whether it was at fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statement {
    pub class: Class,
    pub confidence: f64,
    pub log_odds: f64,
    pub right: bool,
}

/// Components named in each trial's last fault window, and falsely in quiet windows. A component counts once a trial,
/// however many windows it is named in, with the highest confidence that was stated.
pub fn statements<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Vec<Statement> {
    let mut statements = Vec::new();
    for outcome in outcomes {
        let last = outcome.last.iter().map(|blamed| (blamed, outcome.is_culprit(&blamed.component)));
        let all = last.chain(outcome.quiet_blamed.iter().map(|blamed| (blamed, false)));
        let mut once: BTreeMap<(&ComponentId, bool), Statement> = BTreeMap::new();
        for (blamed, right) in all {
            let Some(confidence) = blamed.confidence else { continue };
            let log_odds = blamed.log_odds.unwrap_or_default();
            let stated = Statement { class: blamed.component.class(), confidence, log_odds, right };
            let most = once.entry((&blamed.component, right)).or_insert(stated);
            if stated.log_odds > most.log_odds {
                *most = stated;
            }
        }
        statements.extend(once.into_values());
    }
    statements
}

/// The share of components named with a given confidence that were at fault.
pub fn reliability<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Vec<Bin> {
    let stated = statements(outcomes);
    let bins = EDGES.iter().zip(EDGES.iter().skip(1));
    bins.map(|(from, to)| {
        let within: Vec<&Statement> =
            stated.iter().filter(|s| s.confidence >= *from && s.confidence < *to).collect();
        let all = within.len();
        Bin {
            from: *from,
            to: to.min(1.0),
            stated: within.iter().map(|s| s.confidence).sum::<f64>() / all.max(1) as f64,
            right: within.iter().filter(|s| s.right).count(),
            all,
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use tidewatch_health::Cause;

    use super::*;

    fn blamed(component: ComponentId, confidence: f64) -> Blamed {
        Blamed { component, confidence: Some(confidence), log_odds: None, cause: None, note: String::new() }
    }

    fn node(name: &str) -> ComponentId {
        ComponentId::Node(name.to_owned())
    }

    fn outcome(culprits: &[ComponentId], last: &[ComponentId]) -> Outcome {
        Outcome {
            seed: 1,
            kind: FaultKind::Node,
            culprits: culprits
                .iter()
                .map(|c| Culprit { component: c.clone(), class: c.class(), cause: Cause::PacketLoss })
                .collect(),
            last: last.iter().map(|c| blamed(c.clone(), 0.92)).collect(),
            quiet: 10,
            quiet_alarming: 0,
            quiet_blamed: Vec::new(),
            quiet_infrastructure: 0,
            slanders: Vec::new(),
            afterwards: Vec::new(),
            attribution: None,
            sentence: String::new(),
            wrongly: Vec::new(),
            detected_after: None,
            recovered_after: None,
            insufficient: 0,
        }
    }

    #[test]
    fn precision_and_recall_count_components_over_trials() {
        let pod = ComponentId::Pod { namespace: "a".into(), name: "b".into() };
        let outcomes = [
            outcome(&[node("x")], &[node("x"), pod.clone()]),
            outcome(&[node("x"), pod], &[node("x")]),
            outcome(&[node("x")], &[node("y")]),
            outcome(&[], &[]),
        ];
        let score = score(outcomes.iter());
        assert!((score.precision - 0.5).abs() < 1e-9, "2 of 4 named are guilty");
        assert!((score.recall - 0.5).abs() < 1e-9, "2 of 4 guilty are named");
        assert!((score.verdict - 1.0 / 3.0).abs() < 1e-9, "only the third has the right classes");
    }

    #[test]
    fn a_range_that_holds_the_address_names_it() {
        let address = ComponentId::Internet("203.0.113.10".into());
        assert!(means(&ComponentId::Internet("203.0.113.0/24".into()), &address));
        assert!(means(&address, &address));
        assert!(!means(&ComponentId::Internet("198.51.100.0/24".into()), &address));
    }

    #[test]
    fn a_fault_never_found_counts_as_longer_than_any() {
        let times = Times::of([Some(30), None, Some(60)].into_iter());
        assert_eq!(times, Times { median: Some(60), p95: None, never: 1 });
    }

    #[test]
    fn confidence_is_compared_with_how_often_it_was_right() {
        let outcomes = [outcome(&[node("x")], &[node("x")]), outcome(&[node("x")], &[node("y")])];
        let bin = reliability(outcomes.iter()).into_iter().find(|bin| bin.all > 0);
        assert_eq!(bin.map(|bin| (bin.right, bin.all)), Some((1, 2)));
    }
}
