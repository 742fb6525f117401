//! Refused connection requests as evidence against services and pods.

use crate::evidence::hypothesis::{Column, Directions};
use crate::evidence::likelihood;
use crate::evidence::likelihood::{HYPOTHESES, LOSSES, Ratios};
use crate::evidence::source::{EvidenceSource, SILENT};
use crate::input::cell::Cell;
use crate::input::component::{Component, Direction};
use crate::learned::baseline::Expected;
use crate::verdict::Class;

/// To be refused is nobody's fault who dials: only whom they dial can refuse.
const TOWARDS_POD: Directions = Directions::One(Direction::Second);
/// True if something can be expected to answer. A port that never answered and that no Service has isn't served: the
/// client that dials it is misconfigured, and nobody is at fault.
pub(super) fn is_served(cell: &Cell, expected: &Expected) -> bool {
    cell.flow.subject.is_declared() || expected.answers
}

/// Connection requests answered by RST. A refusal has passed the network, so it says nothing against a path.
#[derive(Debug)]
pub(crate) struct Refusals<'a> {
    cells: &'a [&'a Cell],
    expected: &'a [Expected],
    silent: Vec<bool>,
}

impl<'a> Refusals<'a> {
    pub(crate) fn new(cells: &'a [&'a Cell], expected: &'a [Expected]) -> Self {
        Self { cells, expected, silent: vec![false; cells.len()] }
    }

    pub(crate) fn silent(self) -> Vec<bool> {
        self.silent
    }
}

impl EvidenceSource for Refusals<'_> {
    fn ratios(&self, cell: usize) -> Ratios {
        let silent = self.silent.get(cell).copied().unwrap_or(true);
        let (Some(cell), Some(expected)) = (self.cells.get(cell), self.expected.get(cell)) else {
            return SILENT;
        };
        if silent || cell.handshakes.decided() == 0 || !is_served(cell, expected) {
            return SILENT;
        }
        let mut ratios = [0.0; HYPOTHESES];
        for (ratio, share) in ratios.iter_mut().skip(LOSSES.len()).zip([0.9, 0.4]) {
            *ratio = likelihood::refusals(cell, expected.refused, share);
        }
        likelihood::bounded(ratios)
    }

    fn explain(&mut self, cell: usize, _column: Column) {
        self.silence(cell);
    }

    fn silence(&mut self, cell: usize) {
        if let Some(silent) = self.silent.get_mut(cell) {
            *silent = true;
        }
    }

    fn power(&self, _cell: usize, _column: Column) -> f64 {
        0.0
    }

    fn is_possible(&self, component: Component, _column: Column, ways: Directions) -> bool {
        !matches!(component, Component::Pod(_)) || ways == TOWARDS_POD
    }

    fn is_substantial(&self, _class: Class, column: Column) -> bool {
        column.is_handshake()
    }

    fn is_known(&self, _cell: usize, _column: Column) -> bool {
        true
    }
}
