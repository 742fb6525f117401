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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use tidewatch_records::Role;

    use super::*;
    use crate::names::{Id, Names};
    use crate::reduce::{Data, Flow, Handshakes, Reach, RoundTrips, Subject};

    /// A cell of `service`, that lost so many of 1,000 segments.
    fn cell(names: &mut Names, service: &str, lost: u64) -> Cell {
        let id: Id = names.intern(&service.into());
        let flow = Flow {
            subject: Subject::Service(id),
            role: Role::Client,
            reach: Reach::Cluster,
            local: id,
            remote: id,
            local_pod: None,
            remote_pod: None,
            local_node: None,
            remote_node: None,
            local_zone: None,
            remote_zone: None,
        };
        let data = Data { segments: 1_000, retransmissions: lost, timeouts: 0 };
        Cell { flow, data, handshakes: Handshakes::default(), round_trips: RoundTrips::default() }
    }

    /// How the series of the first cells do elsewhere; of each 1,000 segments one was expected to be lost.
    fn elsewhere(cells: &[Cell], here: &[usize]) -> Vec<f64> {
        let cells: Vec<&Cell> = cells.iter().collect();
        let told = |cell: usize| {
            let observed = cells.get(cell).unwrap().data.retransmissions as f64;
            Told { observed, expected: 1.0 }
        };
        Peers::of(&cells).totals(told).elsewhere(here)
    }

    #[test]
    fn a_service_is_compared_with_its_own_flows_elsewhere_alone() {
        let mut names = Names::default();
        let bad: Vec<Cell> = (0..5).map(|_| cell(&mut names, "bad", 8)).collect();
        let good: Vec<Cell> = (0..5).map(|_| cell(&mut names, "good", 1)).collect();
        let cells = [bad, good].concat();
        // Of the bad one 32 were lost elsewhere and 4 expected: (32 + 2) / (4 + 2).
        assert_eq!(elsewhere(&cells, &[0, 9]), [34.0 / 6.0, 1.0]);
    }

    #[test]
    fn where_there_is_no_elsewhere_or_it_does_well_all_is_as_usual() {
        let mut names = Names::default();
        let cells: Vec<Cell> = [9, 9, 0, 0].into_iter().map(|lost| cell(&mut names, "a", lost)).collect();
        assert_eq!(elsewhere(&cells, &[0, 1, 2, 3]), [1.0; 4]);
        assert_eq!(elsewhere(&cells, &[0, 1]), [1.0; 2]);
        assert_eq!(elsewhere(&[], &[]), Vec::<f64>::new());
    }
}
