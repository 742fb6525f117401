//! How a service does in this window where a suspected path isn't crossed. A service that has a bad minute has it on all
//! its flows, those over the path among them: only what it does worse there than elsewhere speaks against the path.

use std::collections::HashMap;

use crate::baseline::SeriesKey;
use crate::reduce::Cell;

/// Expected retransmissions by which a service's being as usual is taken for granted. Few flows' luck isn't a bad minute.
const PRIOR: f64 = 2.0;

/// What flows did, and what they were expected to do.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) observed: f64,
    pub(crate) expected: f64,
}

impl Told {
    fn add(&mut self, other: Self) {
        self.observed += other.observed;
        self.expected += other.expected;
    }

    /// So many times as badly as usual; better than usual is as usual.
    fn times(self) -> f64 {
        ((self.observed + PRIOR) / (self.expected + PRIOR)).max(1.0)
    }
}

/// Cells by what they have a baseline in common with.
#[derive(Debug)]
pub(crate) struct Peers {
    series: Vec<usize>,
}

impl Peers {
    /// `cells` are sorted, those of one series beside each other.
    pub(crate) fn of(cells: &[&Cell]) -> Self {
        let (mut series, mut last, mut number) = (Vec::with_capacity(cells.len()), None, 0);
        for cell in cells {
            let key = SeriesKey::of(&cell.flow);
            if last.is_some_and(|last| last != key) {
                number += 1;
            }
            last = Some(key);
            series.push(number);
        }
        Self { series }
    }

    pub(crate) fn totals(&self, told: impl Fn(usize) -> Told) -> Totals<'_> {
        let mut by_series = vec![Told::default(); self.series.last().map_or(0, |last| last + 1)];
        let by_cell: Vec<Told> = (0..self.series.len()).map(told).collect();
        for (series, told) in self.series.iter().zip(&by_cell) {
            if let Some(total) = by_series.get_mut(*series) {
                total.add(*told);
            }
        }
        Totals { peers: self, by_series, by_cell }
    }
}

/// What each series did altogether.
#[derive(Debug)]
pub(crate) struct Totals<'a> {
    peers: &'a Peers,
    by_series: Vec<Told>,
    by_cell: Vec<Told>,
}

impl Totals<'_> {
    /// For each of `cells`, how many times as badly as usual the rest of its series does.
    pub(crate) fn elsewhere(&self, cells: &[usize]) -> Vec<f64> {
        let mut here: HashMap<usize, Told> = HashMap::new();
        for cell in cells {
            if let (Some(series), Some(told)) = (self.peers.series.get(*cell), self.by_cell.get(*cell)) {
                here.entry(*series).or_default().add(*told);
            }
        }
        let times = |cell: &usize| {
            let series = self.peers.series.get(*cell)?;
            let (all, here) = (self.by_series.get(*series)?, here.get(series)?);
            Some(
                Told { observed: all.observed - here.observed, expected: all.expected - here.expected }
                    .times(),
            )
        };
        cells.iter().map(|cell| times(cell).unwrap_or(1.0)).collect()
    }
}
