//! Which components explain the evidence: the best one first, then what is left over once it is allowed for.

use std::collections::HashSet;

use crate::breadth::Breadth;
use crate::evidence::Ratios;
use crate::hypothesis::{COLUMNS, Column, Support, Ways, support};
use crate::peers::{Peers, Told, Totals};
use crate::reduce::Cell;
use crate::space::{Component, Space, Way, half};
use crate::verdict::Class;

/// Components found in one window at most; more than this at once is no localisation.
const MOST_FOUND: usize = 8;
/// Candidates looked at, the best first, before it is concluded that none of them will do.
const MOST_TRIED: usize = 40;

/// Components whose scores differ by less, and of whose cells at least so large a share is the same, are ambiguous.
const AMBIGUOUS: f64 = 1.0;
const SAME: f64 = 0.95;

/// One kind of evidence about cells, which can be told what has been explained.
pub(crate) trait Channel {
    fn ratios(&self, cell: usize) -> Ratios;
    /// What the cell tells of how its service does in this window, if anything.
    fn told(&self, _cell: usize) -> Told {
        Told::default()
    }
    /// As [`Channel::ratios`], if all of its service does so many times as badly as usual.
    fn ratios_if(&self, cell: usize, _times: f64) -> Ratios {
        self.ratios(cell)
    }
    /// The component found harms this cell to this degree: from now on that is to be expected.
    fn explain(&mut self, cell: usize, column: Column);
    /// Nothing more is to be concluded from this cell.
    fn silence(&mut self, cell: usize);
    /// Whether the cell would show harm of this degree if it suffered it: 1 and above is yes.
    fn power(&self, cell: usize, column: Column) -> f64;
    /// Whether this degree of harm is enough to blame a workload or an outside path for.
    fn is_substantial(&self, class: Class, column: Column) -> bool;
    /// Whether it is known what this cell was used to.
    fn is_known(&self, cell: usize, column: Column) -> bool;
}

/// What support is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    pub(crate) infrastructure: f64,
    pub(crate) workload: f64,
}

impl Thresholds {
    fn of(&self, class: Class) -> f64 {
        match class {
            Class::Infrastructure => self.infrastructure,
            Class::Workload | Class::External => self.workload,
        }
    }
}

/// A component that explains evidence.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) component: Component,
    pub(crate) ways: Ways,
    pub(crate) column: Column,
    /// Log-odds against no fault, the choice among many components paid for.
    pub(crate) score: f64,
    /// The score that a harm of [`Column::COMMON`] would have: what the evidence says for more than that is the difference.
    pub(crate) common_score: f64,
    /// A component of another class that explains the same cells as well.
    pub(crate) rival: Option<Component>,
    /// Cells that cross the component in its guilty ways, and whether each is more likely hurt than not.
    pub(crate) cells: Vec<(usize, bool)>,
    /// What each of them adds to the two scores.
    says: Vec<(f32, f32)>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    number: usize,
    component: Component,
    ways: Ways,
    column: Column,
    score: f64,
}

/// Finds the components at fault.
pub(crate) fn localise(
    cells: &[&Cell],
    space: &Space,
    channel: &mut impl Channel,
    thresholds: &Thresholds,
) -> Vec<Found> {
    let mut supports: Vec<Support<f32>> =
        (0..cells.len()).map(|cell| support(&channel.ratios(cell))).collect();
    let peers = Peers::of(cells);
    let prices = Prices::of(space);
    let mut found = Vec::new();
    // Cells that a workload or a remote turned out to answer for.
    let mut answered = vec![false; cells.len()];
    while found.len() < MOST_FOUND {
        let halves = sum(space, &supports);
        let candidates = candidates(space, &halves, channel, thresholds, &prices);
        let totals = peers.totals(|cell| channel.told(cell));
        let look = Look { cells, space, channel, supports: &supports, totals: &totals };
        let mut standing = candidates
            .into_iter()
            .take(MOST_TRIED)
            .filter_map(|candidate| look.closer(candidate, thresholds, &prices))
            .filter(|suspect| look.stands(suspect));
        let Some(best) = standing.next() else { break };
        let rival = standing
            .take_while(|other| other.candidate.score >= best.candidate.score - AMBIGUOUS)
            .find(|other| {
                other.candidate.component.class() != best.candidate.component.class()
                    && same_cells(&best.candidate, &other.candidate, space)
            });
        let mut next = best.settle();
        if let Some(rival) = rival {
            next.rival = Some(rival.candidate.component);
            found.push(Found { rival: Some(next.component), ..rival.settle() });
        }
        let best = best.candidate;
        let changed = allow_for(&next, space, best.number, channel, &mut supports);
        if best.component.class() != Class::Infrastructure {
            for cell in changed {
                if let Some(answered) = answered.get_mut(cell) {
                    *answered = true;
                }
            }
        }
        found.push(next);
    }
    found.iter_mut().for_each(|found| found.leave_to_others(&answered));
    found.retain(|found| !is_path_alone(found) || found.score >= thresholds.infrastructure);
    found
}

fn is_path_alone(found: &Found) -> bool {
    found.component.class() == Class::Infrastructure && found.rival.is_none()
}

impl Found {
    /// A path that was found first may have been found by what a workload, found later, does to flows that cross it.
    fn leave_to_others(&mut self, answered: &[bool]) {
        if !is_path_alone(self) {
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

fn sum(space: &Space, supports: &[Support<f32>]) -> Vec<Support<f64>> {
    let mut halves = vec![[0.0; COLUMNS]; space.halves()];
    for (crossings, support) in space.crossings.iter().zip(supports) {
        for half in crossings.iter() {
            if let Some(sum) = halves.get_mut(half) {
                add(sum, support);
            }
        }
    }
    halves
}

fn add(sum: &mut Support<f64>, support: &Support<f32>) {
    for (sum, value) in sum.iter_mut().zip(support) {
        *sum += f64::from(*value);
    }
}

/// Components with support enough, the best first; ties go to the smaller kind.
fn candidates(
    space: &Space,
    halves: &[Support<f64>],
    channel: &impl Channel,
    thresholds: &Thresholds,
    prices: &Prices,
) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = space
        .components
        .iter()
        .zip(halves.chunks_exact(2))
        .enumerate()
        .filter_map(|(number, (component, ways))| {
            let (column, ways, score) = best_of(*component, ways, channel)?;
            let score = score - prices.of_component(*component);
            (score >= thresholds.of(component.class())).then_some(Candidate {
                number,
                component: *component,
                ways,
                column,
                score,
            })
        })
        .collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.component.cmp(&b.component)));
    candidates
}

fn best_of(
    component: Component,
    ways: &[Support<f64>],
    channel: &impl Channel,
) -> Option<(Column, Ways, f64)> {
    let [first, second] = ways else { return None };
    let mut best: Option<(Column, Ways, f64)> = None;
    for column in Column::of(component.class()) {
        let at = |half: &Support<f64>| half.get(column.index()).copied().unwrap_or(0.0);
        let price = if column.is_partial() { 1.5 } else { 0.0 };
        for way in Ways::ALL {
            let score = match way {
                Ways::Both => at(first) + at(second),
                Ways::One(Way::First) => at(first) - 0.7,
                Ways::One(Way::Second) => at(second) - 0.7,
            } - price;
            if best.is_none_or(|(.., least)| score > least) {
                best = Some((column, way, score));
            }
        }
    }
    best.filter(|(column, ..)| {
        component.class() == Class::Infrastructure || channel.is_substantial(component.class(), *column)
    })
}

/// What suspecting one component among many costs.
struct Prices {
    nodes: f64,
    pairs: f64,
    zones: f64,
    services: f64,
    pods: f64,
    outside: f64,
}

impl Prices {
    fn of(space: &Space) -> Self {
        let log = |is: fn(&Component) -> bool| {
            let count = space.components.iter().filter(|component| is(component)).count();
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

    fn of_component(&self, component: Component) -> f64 {
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

/// One look at the cells, with what has been found allowed for.
struct Look<'a, C> {
    cells: &'a [&'a Cell],
    space: &'a Space,
    channel: &'a C,
    supports: &'a [Support<f32>],
    totals: &'a Totals<'a>,
}

/// A candidate, with the cells that cross it in its guilty ways and what each says.
struct Suspect {
    candidate: Candidate,
    says: Vec<(usize, Support<f32>)>,
}

impl<C: Channel> Look<'_, C> {
    /// The candidate once its cells are compared with how their services do elsewhere, if that leaves enough. A
    /// workload or a remote has no elsewhere.
    fn closer(&self, candidate: Candidate, thresholds: &Thresholds, prices: &Prices) -> Option<Suspect> {
        if candidate.component.class() != Class::Infrastructure {
            let says = members(candidate.number, candidate.ways, self.space)
                .filter_map(|cell| Some((cell, *self.supports.get(cell)?)));
            return Some(Suspect { says: says.collect(), candidate });
        }
        let by_way = [Way::First, Way::Second]
            .map(|way| self.space.members(half(candidate.number, way)).collect::<Vec<usize>>());
        let all: Vec<usize> = by_way.iter().flatten().copied().collect();
        let mut times = self.totals.elsewhere(&all).into_iter();
        let says = by_way.map(|cells| {
            let says = cells.into_iter().zip(&mut times).filter_map(|(cell, times)| {
                let as_usual = self.supports.get(cell)?;
                let says =
                    if times > 1.0 { support(&self.channel.ratios_if(cell, times)) } else { *as_usual };
                Some((cell, says))
            });
            says.collect::<Vec<_>>()
        });
        let sums = says.each_ref().map(|says| {
            let mut sum = [0.0; COLUMNS];
            for (_, support) in says {
                add(&mut sum, support);
            }
            sum
        });
        let (column, ways, score) = best_of(candidate.component, &sums, self.channel)?;
        let score = score - prices.of_component(candidate.component);
        let [first, second] = says;
        let says = match ways {
            Ways::Both => first.into_iter().chain(second).collect(),
            Ways::One(Way::First) => first,
            Ways::One(Way::Second) => second,
        };
        let candidate = Candidate { column, ways, score, ..candidate };
        (score >= thresholds.of(Class::Infrastructure)).then_some(Suspect { candidate, says })
    }

    fn stands(&self, suspect: &Suspect) -> bool {
        let candidate = &suspect.candidate;
        if candidate.component.class() != Class::Infrastructure {
            // A newcomer's ways aren't known: it can't have changed them.
            let is_known = |(cell, _): &&(usize, _)| self.channel.is_known(*cell, candidate.column);
            let known = suspect.says.iter().filter(is_known).count();
            return 2 * known >= suspect.says.len() && !self.is_one_address(suspect);
        }
        let crossing = suspect.says.iter().filter_map(|(cell, support)| {
            let says = support.get(candidate.column.index())?;
            Some((*self.cells.get(*cell)?, f64::from(*says), self.channel.power(*cell, candidate.column)))
        });
        Breadth::of(crossing).is_of_infrastructure(candidate.column)
    }

    /// Whether the internet as a whole would be blamed for what one address does.
    fn is_one_address(&self, suspect: &Suspect) -> bool {
        if suspect.candidate.component != Component::Internet {
            return false;
        }
        let mut hurt = suspect.says.iter().filter_map(|(cell, support)| {
            let says = support.get(suspect.candidate.column.index())?;
            (*says > 0.0).then_some(self.cells.get(*cell)?.flow.remote)
        });
        let first = hurt.next();
        hurt.all(|remote| Some(remote) == first)
    }
}

fn members(number: usize, ways: Ways, space: &Space) -> impl Iterator<Item = usize> + '_ {
    ways.iter().flat_map(move |way| space.members(half(number, way)))
}

/// Whether two components are crossed by nearly the same cells, so that nothing can tell them apart.
fn same_cells(one: &Candidate, other: &Candidate, space: &Space) -> bool {
    let of =
        |candidate: &Candidate| members(candidate.number, candidate.ways, space).collect::<HashSet<usize>>();
    let (one, other) = (of(one), of(other));
    let shared = one.intersection(&other).count() as f64;
    shared >= SAME * one.len().max(other.len()) as f64
}

impl Suspect {
    fn settle(&self) -> Found {
        let candidate = &self.candidate;
        // A cell is more likely hurt than not where share × ratio > 1 − share, that is where its support is above
        // ln(2 (1 − share)).
        let hurt_above = (2.0 * (1.0 - candidate.column.share())).ln() as f32;
        let (mut cells, mut says) = (Vec::new(), Vec::new());
        let (mut sum, mut common_sum) = (0.0, 0.0);
        for (cell, support) in &self.says {
            let of = |column: Column| support.get(column.index()).copied().unwrap_or(0.0);
            let (value, common) = (of(candidate.column), of(Column::COMMON));
            cells.push((*cell, value > hurt_above));
            says.push((value, common));
            sum += f64::from(value);
            common_sum += f64::from(common);
        }
        Found {
            component: candidate.component,
            ways: candidate.ways,
            column: candidate.column,
            score: candidate.score,
            common_score: candidate.score - sum + common_sum,
            rival: None,
            cells,
            says,
        }
    }
}

/// What the component found does to its cells is no longer evidence for another; the cells that this concerns.
fn allow_for(
    found: &Found,
    space: &Space,
    number: usize,
    channel: &mut impl Channel,
    supports: &mut [Support<f32>],
) -> Vec<usize> {
    let changed: Vec<usize> = if found.component.class() == Class::Infrastructure {
        let hurt: Vec<usize> = found.cells.iter().filter(|(_, hurt)| *hurt).map(|(cell, _)| *cell).collect();
        hurt.iter().for_each(|cell| channel.explain(*cell, found.column));
        hurt
    } else {
        let all: Vec<usize> = members(number, Ways::Both, space).collect();
        all.iter().for_each(|cell| channel.silence(*cell));
        all
    };
    for cell in &changed {
        if let Some(slot) = supports.get_mut(*cell) {
            *slot = support(&channel.ratios(*cell));
        }
    }
    changed
}
