//! The sources of evidence that localisation runs on, one after the other: refusals, losses and delays.

use crate::evidence::hypothesis::{Column, Directions, Hypothesis};
use crate::evidence::likelihood::{HYPOTHESES, Ratios};
use crate::evidence::peers::{Counts, Elsewhere};
use crate::input::component::Component;
use crate::input::topology::Topology;
use crate::verdict::Class;

/// One source of evidence about cells. What components found so far explain is taken off its evidence.
pub(crate) trait EvidenceSource {
    /// Log-likelihood ratios of the cell, by hypothesis.
    fn ratios(&self, cell: usize) -> Ratios;
    /// The cell's contribution to the totals of its service in this window, if it has one.
    fn counts(&self, _cell: usize) -> Counts {
        Counts::default()
    }
    /// As [`EvidenceSource::ratios`], if it is no worse for the cell than it is elsewhere.
    fn ratios_if(&self, cell: usize, _elsewhere: Elsewhere) -> Ratios {
        self.ratios(cell)
    }
    /// True if the component can do such harm in these directions.
    fn is_possible(&self, _component: Component, _column: Column, _ways: Directions) -> bool {
        true
    }
    /// Log-odds for the component being at fault that don't come from its cells, such as what a node reports of itself.
    fn prior(&self, _component: Component) -> f64 {
        0.0
    }
    /// The component found harms this cell to this degree: from now on that is to be expected.
    fn explain(&mut self, cell: usize, column: Column);
    /// As [`EvidenceSource::explain`], of all cells that the component found hurts.
    fn explain_all(&mut self, cells: &[usize], column: Column) {
        for cell in cells {
            self.explain(*cell, column);
        }
    }
    /// True if components found before explain so much of the cell's loss that the remainder counts only where it is
    /// large.
    fn is_heavily_explained(&self, _cell: usize) -> bool {
        false
    }
    /// True if cells that are heavily explained do much worse than the components found before explain.
    fn is_far_beyond(&self, _cells: &[usize], _column: Column) -> bool {
        true
    }
    /// Excludes the cell: nothing more is concluded from it.
    fn silence(&mut self, cell: usize);
    /// The cell's power to show harm of this degree if it suffered it; from 1 on it would show.
    fn power(&self, cell: usize, column: Column) -> f64;
    /// True if this degree of harm is large enough to blame a workload or an outside path for it.
    fn is_substantial(&self, class: Class, column: Column) -> bool;
    /// True if the usual behaviour of this cell is known.
    fn is_known(&self, cell: usize, column: Column) -> bool;
    /// True if the cells that cross the component, and those that don't, look as they would if the hypothesis were true.
    fn bears_out(&self, _hypothesis: &Hypothesis, _topology: &Topology) -> bool {
        true
    }
}

/// Ratios of a cell that is evidence of nothing.
pub(crate) const SILENT: Ratios = [0.0; HYPOTHESES];
