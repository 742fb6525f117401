//! The faults that a component may be suspected of: a size of harm, on all of its flows or on part of them, in one
//! direction or both.

use crate::evidence::likelihood::{HYPOTHESES, LOSSES, Ratios, UNANSWERED};
use crate::input::component::{Component, Direction};
use crate::input::topology::{Topology, half};
use crate::verdict::Class;

/// Shares of a component's flows that a fault may hurt: nearly all; or those of one queue or path among several.
const SHARES: [f64; 2] = [0.92, 0.4];

/// The least size (an index of [`LOSSES`], 1.5%) that part of a component's flows is suspected of: milder harm to some
/// flows is what benign unevenness looks like.
const PARTIAL_FROM: usize = 4;

/// Sizes times shares.
pub(crate) const COLUMNS: usize = HYPOTHESES * SHARES.len();

/// Support of one cell, or of one half of a component, for each column.
pub(crate) type Support<T> = [T; COLUMNS];

/// The support that one cell gives to a component that it crosses, where a fault hurts only a share of the component's
/// flows: ln(1 − share + share × likelihood ratio).
pub(crate) fn support(ratios: &Ratios) -> Support<f32> {
    let mut support = [0.0; COLUMNS];
    for (column, ratio) in support.chunks_exact_mut(SHARES.len()).zip(ratios) {
        if *ratio == 0.0 {
            continue;
        }
        let likelihood = ratio.exp();
        for (value, share) in column.iter_mut().zip(SHARES) {
            *value = (1.0 - share as f32 + share as f32 * likelihood).ln();
        }
    }
    support
}

pub(crate) fn add(sum: &mut Support<f64>, support: &Support<f32>) {
    for (sum, value) in sum.iter_mut().zip(support) {
        *sum += f64::from(*value);
    }
}

pub(crate) fn sum<'a>(supports: impl Iterator<Item = &'a Support<f32>>) -> Support<f64> {
    let mut sum = [0.0; COLUMNS];
    supports.for_each(|support| add(&mut sum, support));
    sum
}

/// A column of [`Support`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column(usize);

impl Column {
    /// Harm as large as that of common blips, 0.4%, to all flows.
    pub(crate) const COMMON_LOSS: Self = Self(2 * SHARES.len());

    /// All columns that a component of this class can be suspected of.
    pub(crate) fn of(class: Class) -> impl Iterator<Item = Self> {
        (0..COLUMNS).map(Self).filter(move |column| column.allowed(class))
    }

    /// New connections fail on all of a path or on none; nor does part of a service stand in for the service.
    fn allowed(self, class: Class) -> bool {
        match class {
            Class::Infrastructure => {
                !self.is_partial() || (!self.is_handshake() && self.size() >= PARTIAL_FROM)
            }
            Class::Workload | Class::External => !self.is_partial(),
        }
    }

    pub(crate) fn index(self) -> usize {
        self.0
    }

    pub(crate) fn size(self) -> usize {
        self.0 / SHARES.len()
    }

    /// About unanswered connection requests alone.
    pub(crate) fn is_handshake(self) -> bool {
        self.size() >= LOSSES.len()
    }

    pub(crate) fn is_partial(self) -> bool {
        !self.0.is_multiple_of(SHARES.len())
    }

    pub(crate) fn share(self) -> f64 {
        SHARES.get(self.0 % SHARES.len()).copied().unwrap_or(1.0)
    }

    /// The loss ratio or the unanswered share.
    pub(crate) fn amount(self) -> f64 {
        LOSSES.iter().chain(UNANSWERED.iter()).nth(self.size()).copied().unwrap_or(0.0)
    }
}

/// The directions of a component that are suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directions {
    Both,
    One(Direction),
}

impl Directions {
    pub(crate) const ALL: [Self; 3] = [Self::Both, Self::One(Direction::First), Self::One(Direction::Second)];

    pub(crate) fn iter(self) -> impl Iterator<Item = Direction> {
        [Direction::First, Direction::Second].into_iter().filter(move |way| match self {
            Self::Both => true,
            Self::One(only) => only == *way,
        })
    }
}

/// The supposition that a component does this much harm in these directions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hypothesis {
    /// Index of the component among the window's components.
    pub(crate) number: usize,
    pub(crate) component: Component,
    pub(crate) ways: Directions,
    pub(crate) column: Column,
}

impl Hypothesis {
    /// Cells that cross the component in the directions supposed.
    pub(crate) fn members(self, topology: &Topology) -> impl Iterator<Item = usize> + '_ {
        self.ways.iter().flat_map(move |way| topology.members(half(self.number, way)))
    }

    /// Cells that cross the component in either direction.
    pub(crate) fn members_of_both(self, topology: &Topology) -> impl Iterator<Item = usize> + '_ {
        Self { ways: Directions::Both, ..self }.members(topology)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learned::blips::COMMON_LOSS;

    #[test]
    fn the_common_harm_is_that_of_blips() {
        assert!((Column::COMMON_LOSS.amount() - COMMON_LOSS).abs() < 1e-9);
        assert!(!Column::COMMON_LOSS.is_partial() && !Column::COMMON_LOSS.is_handshake());
    }
}
