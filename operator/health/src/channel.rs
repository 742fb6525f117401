//! The kinds of evidence that the localisation is run on: refusals, then loss with unanswered requests, then latency.

use crate::baseline::{Baselines, Expected};
use crate::common;
use crate::evidence::{self, HYPOTHESES, LOSSES, Null, Ratios};
use crate::hypothesis::Column;
use crate::peers::Told;
use crate::reduce::Cell;
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
}

const SILENT: Ratios = [0.0; HYPOTHESES];

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

/// Microseconds that a path may add, in the places of [`LOSSES`].
const ADDED_US: [f64; LOSSES.len()] = [1e3, 1.5e3, 2.2e3, 3.3e3, 5e3, 8e3, 16e3, 40e3, 150e3];
/// Half a step of [`ADDED_US`], as a logarithm, and a margin.
const GRID_STEP: f64 = 0.5;
/// Factors by which a workload or an outside path may slow round trips, in the places of the handshake columns.
const FACTORS: [f64; HYPOTHESES - LOSSES.len()] = [5.0, 2.0];
/// A rise smaller than either is a busy machine's, not a network's: with both cores taken, medians on one machine were
/// seen to move by 0.3 ms.
const LEAST_RISE_US: f64 = 800.0;
const LEAST_RISE_FACTOR: f64 = 1.4;

/// Round-trip times above those learned, over what they rose everywhere. A path adds the same time to all flows,
/// whatever they took before; a service that is slow multiplies.
#[derive(Debug)]
pub(crate) struct Delays {
    rises: Vec<Option<Rise>>,
}

/// A cell's round-trip time against what is expected of it.
#[derive(Debug, Clone, Copy)]
struct Rise {
    usual_us: f64,
    /// ln(now / usual)
    above: f64,
    spread: f64,
}

impl Delays {
    pub(crate) fn new(cells: &[&Cell], baselines: &Baselines, silent: &[bool]) -> Self {
        let samples: Vec<Option<Sample>> = cells
            .iter()
            .zip(silent)
            .map(|(cell, silent)| if *silent { None } else { Sample::of(cell, baselines) })
            .collect();
        let added = samples.iter().flatten().map(|sample| sample.rtt_us - sample.usual_us).collect();
        let everywhere_us = common::quietest(added).max(0.0);
        Self { rises: samples.iter().map(|sample| Some(sample.as_ref()?.rise(everywhere_us))).collect() }
    }
}

/// A cell's round-trip time, and what it is used to.
#[derive(Debug, Clone, Copy)]
struct Sample {
    rtt_us: f64,
    usual_us: f64,
    spread: f64,
}

impl Sample {
    fn of(cell: &Cell, baselines: &Baselines) -> Option<Self> {
        let path = baselines.path(&cell.flow)?;
        let rtt_us = cell.round_trips.p50_us().filter(|rtt| *rtt > 0.0)?;
        Some(Self { rtt_us, usual_us: path.mean_ln_us.exp(), spread: path.spread() })
    }

    /// The rise that is left without what all paths suffer.
    fn rise(&self, everywhere_us: f64) -> Rise {
        let rtt_us = (self.rtt_us - everywhere_us).max(self.rtt_us.min(self.usual_us));
        let above = (rtt_us / self.usual_us).ln();
        let noticeable =
            rtt_us - self.usual_us >= LEAST_RISE_US && rtt_us >= self.usual_us * LEAST_RISE_FACTOR;
        let above = if noticeable { above } else { above.min(0.0) };
        Rise { usual_us: self.usual_us, above, spread: self.spread }
    }
}

impl Channel for Delays {
    fn ratios(&self, cell: usize) -> Ratios {
        let Some(Some(rise)) = self.rises.get(cell) else { return SILENT };
        let added = ADDED_US.iter().map(|added| (1.0 + added / rise.usual_us).ln());
        let mut ratios = [0.0; HYPOTHESES];
        for (ratio, tried) in ratios.iter_mut().zip(added.chain(FACTORS.iter().map(|factor| factor.ln()))) {
            *ratio = (rise.above * tried - tried * tried / 2.0) / rise.spread.powi(2);
        }
        evidence::bounded(ratios)
    }

    fn explain(&mut self, cell: usize, column: Column) {
        if let (Some(Some(rise)), Some(added)) = (self.rises.get_mut(cell), ADDED_US.get(column.size())) {
            // The times tried are a factor of two apart: what is left within that isn't left over.
            let left = rise.above - (1.0 + added / rise.usual_us).ln();
            rise.above = left.signum() * (left.abs() - GRID_STEP).max(0.0);
            rise.usual_us += added;
        }
    }

    fn silence(&mut self, cell: usize) {
        if let Some(rise) = self.rises.get_mut(cell) {
            *rise = None;
        }
    }

    fn power(&self, cell: usize, _column: Column) -> f64 {
        if matches!(self.rises.get(cell), Some(Some(_))) { 1.0 } else { 0.0 }
    }

    fn is_substantial(&self, _class: Class, _column: Column) -> bool {
        true
    }

    fn is_known(&self, cell: usize, _column: Column) -> bool {
        matches!(self.rises.get(cell), Some(Some(_)))
    }
}
