//! The components with enough support to be examined more closely.

use crate::config::Sensitivity;
use crate::evidence::hypothesis::{COLUMNS, Column, Directions, Hypothesis, Support, add};
use crate::evidence::source::EvidenceSource;
use crate::input::component::{Component, Direction};
use crate::input::topology::Topology;
use crate::verdict::Class;

/// The log-odds that a component must reach, by class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Thresholds {
    pub(crate) infrastructure: f64,
    pub(crate) workload: f64,
}

/// Windows shorter than this say less each: what they say adds up.
const FULL_SECONDS: f64 = 30.0;
/// However short they are, a window must say this part of what is needed to say anything.
const LEAST_PART: f64 = 0.5;

impl Thresholds {
    pub(crate) fn at(sensitivity: Sensitivity) -> Self {
        match sensitivity {
            Sensitivity::Low => Self { infrastructure: 14.0, workload: 14.0 },
            Sensitivity::Standard => Self { infrastructure: 10.0, workload: 8.0 },
            Sensitivity::High => Self { infrastructure: 6.0, workload: 6.0 },
        }
    }

    /// The log-odds that a window of so many seconds must reach to be added up with the windows beside it.
    pub(crate) fn for_part(&self, seconds: u32) -> Self {
        let part = (f64::from(seconds) / FULL_SECONDS).clamp(LEAST_PART, 1.0);
        Self { infrastructure: self.infrastructure * part, workload: self.workload * part }
    }

    pub(crate) fn of(&self, class: Class) -> f64 {
        match class {
            Class::Infrastructure => self.infrastructure,
            Class::Workload | Class::External => self.workload,
        }
    }
}

/// The hypothesis about a component that has most support.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) hypothesis: Hypothesis,
    /// Log-odds against no fault, the choice among many components paid for.
    pub(crate) score: f64,
}

/// Components with support enough, the best first; ties go to the smaller kind.
pub(crate) fn candidates(
    topology: &Topology,
    supports: &[Support<f32>],
    source: &impl EvidenceSource,
    thresholds: &Thresholds,
    penalties: &Penalties,
) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = topology
        .components
        .iter()
        .zip(by_half(topology, supports).chunks_exact(2))
        .enumerate()
        .filter_map(|(number, (component, ways))| {
            let (column, ways, score) = best_of(*component, ways, source)?;
            let score = with_prior(score - penalties.of_component(*component), *component, source);
            (score >= thresholds.of(component.class())).then_some(Candidate {
                hypothesis: Hypothesis { number, component: *component, ways, column },
                score,
            })
        })
        .collect();
    candidates.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(a.hypothesis.component.cmp(&b.hypothesis.component))
    });
    candidates
}

/// The score with the component's prior, which counts only where the cells are evidence against the component too.
pub(crate) fn with_prior(score: f64, component: Component, source: &impl EvidenceSource) -> f64 {
    if score > 0.0 { score + source.prior(component) } else { score }
}

/// The size of harm and the ways that explain a component's cells best, with their log-odds.
pub(crate) fn best_of(
    component: Component,
    ways: &[Support<f64>],
    source: &impl EvidenceSource,
) -> Option<(Column, Directions, f64)> {
    let [first, second] = ways else { return None };
    let mut best: Option<(Column, Directions, f64)> = None;
    for column in Column::of(component.class()) {
        let at = |half: &Support<f64>| half.get(column.index()).copied().unwrap_or(0.0);
        let penalty = if column.is_partial() { 1.5 } else { 0.0 };
        for way in Directions::ALL.into_iter().filter(|ways| source.is_possible(component, column, *ways)) {
            let score = match way {
                Directions::Both => at(first) + at(second),
                Directions::One(Direction::First) => at(first) - 0.7,
                Directions::One(Direction::Second) => at(second) - 0.7,
            } - penalty;
            if best.is_none_or(|(.., least)| score > least) {
                best = Some((column, way, score));
            }
        }
    }
    best.filter(|(column, ..)| {
        component.class() == Class::Infrastructure || source.is_substantial(component.class(), *column)
    })
}

/// The support of each half of each component.
fn by_half(topology: &Topology, supports: &[Support<f32>]) -> Vec<Support<f64>> {
    let mut halves = vec![[0.0; COLUMNS]; topology.halves()];
    for (crossings, support) in topology.crossings.iter().zip(supports) {
        for half in crossings.iter() {
            if let Some(sum) = halves.get_mut(half) {
                add(sum, support);
            }
        }
    }
    halves
}

/// Log-odds that are subtracted because a component is one of many that could have been suspected.
#[derive(Debug)]
pub(crate) struct Penalties {
    nodes: f64,
    pairs: f64,
    zones: f64,
    services: f64,
    pods: f64,
    outside: f64,
}

impl Penalties {
    pub(crate) fn of(topology: &Topology) -> Self {
        let log = |is: fn(&Component) -> bool| {
            let count = topology.components.iter().filter(|component| is(component)).count();
            (count.max(1) as f64).ln()
        };
        Self {
            nodes: log(|c| matches!(c, Component::Node(_))),
            pairs: log(|c| matches!(c, Component::ZonePair(..))) + 0.2,
            zones: log(|c| matches!(c, Component::Zone(_))) + 1.5,
            services: log(|c| matches!(c, Component::Service(_))),
            pods: log(|c| matches!(c, Component::Pod(_))) + 0.5,
            outside: log(|c| matches!(c, Component::Aws(_) | Component::Address(_))),
        }
    }

    pub(crate) fn of_component(&self, component: Component) -> f64 {
        match component {
            Component::Node(_) => self.nodes,
            Component::ZonePair(..) => self.pairs,
            Component::Zone(_) => self.zones,
            Component::Service(_) => self.services,
            Component::Pod(_) => self.pods,
            Component::Aws(_) | Component::Address(_) => self.outside,
            Component::Internet => self.outside + 1.5,
        }
    }
}
