//! A candidate looked at more closely: compared with how its services do elsewhere, and with whom it shares the misery.

use std::collections::HashMap;

use crate::evidence::hypothesis::{Column, Directions, Hypothesis, Support, sum, support};
use crate::evidence::peers::{Elsewhere, Totals};
use crate::evidence::source::EvidenceSource;
use crate::input::cell::{Cell, Subject};
use crate::input::component::{Component, Direction};
use crate::input::topology::{Topology, half};
use crate::locate::breadth::{Breadth, HURT};
use crate::locate::candidate::{Candidate, Penalties, Thresholds, best_of};
use crate::verdict::Class;

/// One look at the cells, with what has been found allowed for.
pub(crate) struct Examination<'a, C> {
    pub(crate) cells: &'a [&'a Cell],
    pub(crate) topology: &'a Topology,
    pub(crate) source: &'a C,
    pub(crate) supports: &'a [Support<f32>],
    pub(crate) totals: &'a Totals<'a>,
    pub(crate) thresholds: &'a Thresholds,
    pub(crate) penalties: &'a Penalties,
}

/// Services that must leave a pod without an answer, while they answer others, before it is the pod's fault.
const SERVICES_DIALLED: usize = 2;

/// A candidate, with the cells that cross it in its guilty ways and what each says.
#[derive(Debug)]
pub(crate) struct Suspect {
    pub(crate) candidate: Candidate,
    says: Vec<(usize, Support<f32>)>,
}

impl<C: EvidenceSource> Examination<'_, C> {
    /// The candidate, if it stands when its cells are compared with how their services do elsewhere. A workload or a
    /// remote has no elsewhere.
    pub(crate) fn closer(&self, candidate: Candidate) -> Option<Suspect> {
        let suspect = match candidate.hypothesis.component.class() {
            Class::Infrastructure => self.beside_others(candidate)?,
            Class::Workload | Class::External => {
                let says = candidate.hypothesis.members(self.topology);
                let says = says.filter_map(|cell| Some((cell, *self.supports.get(cell)?)));
                Suspect { says: says.collect(), candidate }
            }
        };
        self.stands(&suspect).then_some(suspect)
    }

    fn beside_others(&self, candidate: Candidate) -> Option<Suspect> {
        let cells =
            |way| self.topology.members(half(candidate.hypothesis.number, way)).collect::<Vec<usize>>();
        let (first, second) = (cells(Direction::First), cells(Direction::Second));
        let mut elsewhere = self.totals.elsewhere(&[&*first, &*second].concat()).into_iter();
        let mut say = |cells: Vec<usize>| self.say(cells.into_iter().zip(&mut elsewhere));
        let (mut first, second) = (say(first), say(second));
        let sums = [&first, &second].map(|says| sum(says.iter().map(|(_, support)| support)));
        let (column, ways, score) = best_of(candidate.hypothesis.component, &sums, self.source)?;
        let score = score - self.penalties.of_component(candidate.hypothesis.component);
        let says = match ways {
            Directions::One(Direction::First) => first,
            Directions::One(Direction::Second) => second,
            Directions::Both => {
                first.extend(second);
                first
            }
        };
        let candidate = Candidate { hypothesis: Hypothesis { column, ways, ..candidate.hypothesis }, score };
        (score >= self.thresholds.of(Class::Infrastructure)).then_some(Suspect { candidate, says })
    }

    /// The support of cells, compared with the flows of their services elsewhere.
    fn say(&self, cells: impl Iterator<Item = (usize, Elsewhere)>) -> Vec<(usize, Support<f32>)> {
        let say = |(cell, elsewhere): (usize, Elsewhere)| {
            let as_usual = *self.supports.get(cell)?;
            let says = if elsewhere.is_as_usual() {
                as_usual
            } else {
                support(&self.source.ratios_if(cell, elsewhere))
            };
            Some((cell, says))
        };
        cells.filter_map(say).collect()
    }

    fn stands(&self, suspect: &Suspect) -> bool {
        self.is_more_than_explained(suspect)
            && self.is_broad(suspect)
            && self.source.bears_out(&suspect.candidate.hypothesis, self.topology)
    }

    /// True if the suspect stands without the flows that a heavy fault found before explains, or does much worse on
    /// them than that fault does. The remainder of a heavy fault is no fault of its own.
    fn is_more_than_explained(&self, suspect: &Suspect) -> bool {
        let candidate = &suspect.candidate;
        let mut explained = Vec::new();
        let mut by_explained = 0.0;
        for (cell, support) in &suspect.says {
            if self.source.is_heavily_explained(*cell) {
                explained.push(*cell);
                by_explained +=
                    f64::from(support.get(candidate.hypothesis.column.index()).copied().unwrap_or(0.0));
            }
        }
        explained.is_empty()
            || candidate.score - by_explained >= self.thresholds.of(candidate.hypothesis.component.class())
            || self.source.is_far_beyond(&explained, candidate.hypothesis.column)
    }

    fn is_broad(&self, suspect: &Suspect) -> bool {
        let candidate = &suspect.candidate;
        if candidate.hypothesis.component.class() != Class::Infrastructure {
            // A newcomer's ways aren't known: it can't have changed them.
            let is_known = |(cell, _): &&(usize, _)| self.source.is_known(*cell, candidate.hypothesis.column);
            let known = suspect.says.iter().filter(is_known).count();
            return 2 * known >= suspect.says.len()
                && !self.is_one_address(suspect)
                && (!suspect.dials_in_vain() || self.dials_in_vain_alone(suspect));
        }
        let crossing = suspect.says.iter().filter_map(|(cell, support)| {
            let says = support.get(candidate.hypothesis.column.index())?;
            Some((
                *self.cells.get(*cell)?,
                f64::from(*says),
                self.source.power(*cell, candidate.hypothesis.column),
            ))
        });
        Breadth::of(crossing).is_of_infrastructure(candidate.hypothesis.column)
    }

    /// True if several services that answer other clients leave the pod without an answer.
    fn dials_in_vain_alone(&self, suspect: &Suspect) -> bool {
        let column = suspect.candidate.hypothesis.column;
        let cells: Vec<usize> = suspect.says.iter().map(|(cell, _)| *cell).collect();
        let elsewhere = self.totals.elsewhere(&cells);
        let mut services: HashMap<Option<Subject>, f64> = HashMap::new();
        for (cell, support) in self.say(cells.into_iter().zip(elsewhere)) {
            let says = support.get(column.index()).copied().unwrap_or(0.0);
            let service = self.cells.get(cell).and_then(|cell| cell.flow.subject.service());
            *services.entry(service).or_default() += f64::from(says);
        }
        let score = services.values().sum::<f64>()
            - self.penalties.of_component(suspect.candidate.hypothesis.component);
        let hurt = services.values().filter(|says| **says >= HURT).count();
        hurt >= SERVICES_DIALLED && score >= self.thresholds.of(Class::Workload)
    }

    /// True if the internet as a whole would be blamed for a single address.
    fn is_one_address(&self, suspect: &Suspect) -> bool {
        if suspect.candidate.hypothesis.component != Component::Internet {
            return false;
        }
        let mut hurt = suspect.says.iter().filter_map(|(cell, support)| {
            let says = support.get(suspect.candidate.hypothesis.column.index())?;
            (*says > 0.0).then_some(self.cells.get(*cell)?.flow.remote)
        });
        let first = hurt.next();
        hurt.all(|remote| Some(remote) == first)
    }
}

/// A component that explains evidence.
#[derive(Debug, Clone)]
pub(crate) struct Explanation {
    pub(crate) component: Component,
    pub(crate) ways: Directions,
    pub(crate) column: Column,
    /// Log-odds against no fault, the choice among many components paid for.
    pub(crate) score: f64,
    /// The score that a harm of [`Column::COMMON_LOSS`] would have: what the evidence says for more than that is the difference.
    pub(crate) common_score: f64,
    /// A component of another class that explains the same cells as well.
    pub(crate) rival: Option<Component>,
    /// Cells that cross the component in its guilty ways, and whether each is more likely hurt than not.
    pub(crate) cells: Vec<(usize, bool)>,
    /// Contribution of each cell to the two scores.
    says: Vec<(f32, f32)>,
}

impl Suspect {
    /// True if it is a pod whose own connection requests go unanswered.
    fn dials_in_vain(&self) -> bool {
        let Hypothesis { component, column, ways, .. } = self.candidate.hypothesis;
        matches!(component, Component::Pod(_))
            && column.is_handshake()
            && ways == Directions::One(Direction::First)
    }

    pub(crate) fn settle(&self) -> Explanation {
        let candidate = &self.candidate;
        // A cell is more likely hurt than not where share × ratio > 1 − share, that is where its support is above
        // ln(2 (1 − share)).
        let hurt_above = (2.0 * (1.0 - candidate.hypothesis.column.share())).ln() as f32;
        let (mut cells, mut says) = (Vec::new(), Vec::new());
        let (mut sum, mut common_sum) = (0.0, 0.0);
        for (cell, support) in &self.says {
            let of = |column: Column| support.get(column.index()).copied().unwrap_or(0.0);
            let (value, common) = (of(candidate.hypothesis.column), of(Column::COMMON_LOSS));
            cells.push((*cell, value > hurt_above));
            says.push((value, common));
            sum += f64::from(value);
            common_sum += f64::from(common);
        }
        Explanation {
            component: candidate.hypothesis.component,
            ways: candidate.hypothesis.ways,
            column: candidate.hypothesis.column,
            score: candidate.score,
            common_score: candidate.score - sum + common_sum,
            rival: None,
            cells,
            says,
        }
    }
}

impl Explanation {
    pub(crate) fn is_path_alone(&self) -> bool {
        self.component.class() == Class::Infrastructure && self.rival.is_none()
    }

    /// A path that was found first may have been found by what a workload, found later, does to flows that cross it.
    pub(crate) fn leave_to_others(&mut self, answered: &[bool]) {
        if !self.is_path_alone() {
            return;
        }
        for ((cell, _), (says, common)) in self.cells.iter().zip(&self.says) {
            if answered.get(*cell) == Some(&true) {
                self.score -= f64::from(*says);
                self.common_score -= f64::from(*common);
            }
        }
    }
}
