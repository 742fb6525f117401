//! The kinds of evidence that the localisation is run on: refusals, then loss with unanswered requests; then latency,
//! which is in [`crate::delays`].

use crate::baseline::Expected;
use crate::candidate::Candidate;
use crate::common;
use crate::evidence::{self, HYPOTHESES, LOSSES, Null, Ratios};
use crate::hypothesis::Column;
use crate::peers::Told;
use crate::reduce::Cell;
use crate::space::Space;
use crate::verdict::Class;

/// The least loss that a workload is blamed for, of those that are tried: services burst. And an outside path.
const WORKLOAD_LOSS: f64 = 0.015;
const EXTERNAL_LOSS: f64 = 0.008;
/// Retransmissions that a short flow may have within that.
const STRAY_RETRANSMISSIONS: f64 = 4.0;
/// Retransmissions more than usual by which a flow shows a loss.
const SHOWING_RETRANSMISSIONS: f64 = 2.0;

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
    /// Whether all that crosses the candidate, and what doesn't, is as it would be if it were at fault.
    fn bears_out(&self, _candidate: &Candidate, _space: &Space) -> bool {
        true
    }
}

pub(crate) const SILENT: Ratios = [0.0; HYPOTHESES];

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

impl Channel for Refusals<'_> {
    fn ratios(&self, cell: usize) -> Ratios {
        let silent = self.silent.get(cell).copied().unwrap_or(true);
        let (Some(cell), Some(expected)) = (self.cells.get(cell), self.expected.get(cell)) else {
            return SILENT;
        };
        if silent || cell.handshakes.decided() == 0 {
            return SILENT;
        }
        let mut ratios = [0.0; HYPOTHESES];
        for (ratio, share) in ratios.iter_mut().skip(LOSSES.len()).zip([0.9, 0.4]) {
            *ratio = evidence::refusals(cell, expected.refused, share);
        }
        evidence::bounded(ratios)
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

    fn is_substantial(&self, _class: Class, column: Column) -> bool {
        column.is_handshake()
    }

    fn is_known(&self, _cell: usize, _column: Column) -> bool {
        true
    }
}

/// Retransmissions and unanswered connection requests.
#[derive(Debug)]
pub(crate) struct Losses<'a> {
    cells: &'a [&'a Cell],
    expected: &'a [Expected],
    nulls: Vec<Null>,
    /// Loss that the whole cluster suffers; less than that is nothing to single a component out by.
    everywhere: f64,
    silent: Vec<bool>,
}

impl<'a> Losses<'a> {
    pub(crate) fn new(cells: &'a [&'a Cell], expected: &'a [Expected], silent: Vec<bool>) -> Self {
        let everywhere = common::excess(cells, expected);
        let nulls = expected.iter().map(|expected| Null::healthy(expected, everywhere)).collect();
        Self { cells, expected, nulls, everywhere, silent }
    }

    pub(crate) fn everywhere(&self) -> f64 {
        self.everywhere
    }

    pub(crate) fn silent(self) -> Vec<bool> {
        self.silent
    }
}

impl Channel for Losses<'_> {
    fn ratios(&self, cell: usize) -> Ratios {
        self.ratios_if(cell, 1.0)
    }

    fn told(&self, cell: usize) -> Told {
        match (self.cells.get(cell), self.nulls.get(cell), self.silent.get(cell)) {
            (Some(cell), Some(null), Some(false)) => {
                let expected = cell.data.segments as f64 * null.ratio;
                // What is worse than services are without being blamed for it isn't a bad minute, but somebody's fault.
                let most = STRAY_RETRANSMISSIONS + WORKLOAD_LOSS * cell.data.segments as f64;
                let observed = (cell.data.retransmissions as f64).min(most);
                Told { observed, expected }
            }
            _ => Told::default(),
        }
    }

    fn ratios_if(&self, cell: usize, times: f64) -> Ratios {
        let mut ratios = match (self.cells.get(cell), self.nulls.get(cell), self.silent.get(cell)) {
            (Some(cell), Some(null), Some(false)) => {
                evidence::ratios(cell, &Null { ratio: (null.ratio * times).min(0.5), ..*null })
            }
            _ => return SILENT,
        };
        for (ratio, _) in ratios.iter_mut().zip(LOSSES).filter(|(_, loss)| *loss < self.everywhere) {
            *ratio = ratio.min(0.0);
        }
        ratios
    }

    fn explain(&mut self, cell: usize, column: Column) {
        if let Some(null) = self.nulls.get_mut(cell) {
            *null = null.with_loss(column.amount());
        }
    }

    fn silence(&mut self, cell: usize) {
        if let Some(silent) = self.silent.get_mut(cell) {
            *silent = true;
        }
    }

    fn power(&self, cell: usize, column: Column) -> f64 {
        self.cells
            .get(cell)
            .map_or(0.0, |cell| cell.data.segments as f64 * column.amount() / SHOWING_RETRANSMISSIONS)
    }

    fn is_substantial(&self, class: Class, column: Column) -> bool {
        let least = if class == Class::External { EXTERNAL_LOSS } else { WORKLOAD_LOSS };
        column.is_handshake() || column.amount() >= least
    }

    fn is_known(&self, cell: usize, column: Column) -> bool {
        column.is_handshake() || self.expected.get(cell).is_some_and(|expected| expected.known)
    }
}
