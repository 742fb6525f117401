//! Compares a service's and a client's flows over a suspected path with their other flows in the same window. A service
//! that has a bad minute has it on all of its flows, a blocked service is blocked for all, and a client under a policy
//! may not connect anywhere. Only flows that do worse over the path than elsewhere count against the path.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::input::cell::Cell;
use crate::input::names::Id;
use crate::learned::baseline::SeriesKey;

/// Expected retransmissions by which a service's being as usual is taken for granted. Few flows' luck isn't a bad minute.
const PRIOR: f64 = 2.0;
/// Part of the flows elsewhere, those that are answered best, by which requests are judged. A second path that fails at the
/// same time hurts a part of them too; a service that is blocked, or a client that may not dial, none of them the less.
const ANSWERED_BEST: f64 = 0.5;
/// Attempts, all answered, that are thought of beside those.
const PRIOR_ATTEMPTS: f64 = 0.5;

/// Observed and expected retransmissions and connection attempts of some flows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) observed: f64,
    pub(crate) expected: f64,
    /// Connection requests, and how many of them went unanswered.
    pub(crate) attempts: f64,
    pub(crate) unanswered: f64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.observed += other.observed;
        self.expected += other.expected;
        self.attempts += other.attempts;
        self.unanswered += other.unanswered;
    }

    /// So many times as badly as usual; better than usual is as usual.
    fn times(self) -> f64 {
        ((self.observed + PRIOR) / (self.expected + PRIOR)).max(1.0)
    }

    fn unanswered_share(self) -> f64 {
        self.unanswered / (self.attempts + PRIOR_ATTEMPTS)
    }
}

/// The state of comparable flows elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Elsewhere {
    /// So many times as many retransmissions as usual.
    pub(crate) times: f64,
    /// Share of connection requests that go unanswered.
    pub(crate) unanswered: f64,
}

impl Elsewhere {
    pub(crate) const fn as_usual() -> Self {
        Self { times: 1.0, unanswered: 0.0 }
    }

    pub(crate) fn is_as_usual(self) -> bool {
        self.times <= 1.0 && self.unanswered <= 0.0
    }
}

/// Cells by what they have in common.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Number of the series whose baseline a cell has.
    series: Vec<usize>,
    by_series: Vec<Vec<usize>>,
    /// Namespace of the client.
    clients: Vec<Option<Id>>,
    by_client: BTreeMap<Id, Vec<usize>>,
}

impl Peers {
    /// `cells` are sorted, those of one series beside each other.
    pub(crate) fn of(cells: &[&Cell]) -> Self {
        let mut peers = Self {
            series: Vec::with_capacity(cells.len()),
            by_series: Vec::new(),
            clients: Vec::with_capacity(cells.len()),
            by_client: BTreeMap::new(),
        };
        let mut last = None;
        for (number, cell) in cells.iter().enumerate() {
            let key = SeriesKey::of(&cell.flow);
            if last != Some(key) {
                peers.by_series.push(Vec::new());
            }
            last = Some(key);
            if let Some(members) = peers.by_series.last_mut() {
                members.push(number);
            }
            peers.series.push(peers.by_series.len() - 1);
            peers.clients.push(cell.flow.client_namespace);
            if let Some(client) = cell.flow.client_namespace {
                peers.by_client.entry(client).or_default().push(number);
            }
        }
        peers
    }

    pub(crate) fn totals(&self, counts: impl Fn(usize) -> Counts) -> Totals<'_> {
        let mut by_series = vec![Counts::default(); self.by_series.len()];
        let by_cell: Vec<Counts> = (0..self.series.len()).map(counts).collect();
        for (series, told) in self.series.iter().zip(&by_cell) {
            if let Some(total) = by_series.get_mut(*series) {
                total.add(*told);
            }
        }
        Totals { peers: self, by_series, by_cell }
    }
}

/// Totals of each series.
#[derive(Debug)]
pub(crate) struct Totals<'a> {
    peers: &'a Peers,
    by_series: Vec<Counts>,
    by_cell: Vec<Counts>,
}

impl Totals<'_> {
    /// For each of `cells`, how flows of its service, and of its client's namespace, do that aren't among them.
    pub(crate) fn elsewhere(&self, cells: &[usize]) -> Vec<Elsewhere> {
        let mut here: HashMap<usize, Counts> = HashMap::new();
        for cell in cells {
            if let (Some(series), Some(told)) = (self.peers.series.get(*cell), self.by_cell.get(*cell)) {
                here.entry(*series).or_default().add(*told);
            }
        }
        let requests = self.requests_elsewhere(cells);
        let times = |cell: &usize| {
            let series = self.peers.series.get(*cell)?;
            let (all, here) = (self.by_series.get(*series)?, here.get(series)?);
            let (observed, expected) = (all.observed - here.observed, all.expected - here.expected);
            Some(Counts { observed, expected, ..Counts::default() }.times())
        };
        let of = |cell: &usize| Elsewhere {
            times: times(cell).unwrap_or(1.0),
            unanswered: requests.get(cell).copied().unwrap_or(0.0),
        };
        cells.iter().map(of).collect()
    }

    /// For those of `cells` that have unanswered requests, the share that is unanswered elsewhere.
    fn requests_elsewhere(&self, cells: &[usize]) -> HashMap<usize, f64> {
        let is_unanswered =
            |cell: &&usize| self.by_cell.get(**cell).is_some_and(|told| told.unanswered > 0.0);
        let unanswered: Vec<usize> = cells.iter().filter(is_unanswered).copied().collect();
        if unanswered.is_empty() {
            return HashMap::new();
        }
        let here: HashSet<usize> = cells.iter().copied().collect();
        let (mut of_series, mut of_client) = (HashMap::new(), HashMap::new());
        let mut share = |cell: usize| {
            let series = self.peers.series.get(cell).copied()?;
            let by_service = *of_series.entry(series).or_insert_with(|| {
                self.unanswered_share(self.peers.by_series.get(series).map_or(&[], Vec::as_slice), &here)
            });
            let client = self.peers.clients.get(cell).copied().flatten();
            let by_client = client.map_or(0.0, |client| {
                *of_client.entry(client).or_insert_with(|| {
                    self.unanswered_share(self.peers.by_client.get(&client).map_or(&[], Vec::as_slice), &here)
                })
            });
            Some(f64::max(by_service, by_client))
        };
        unanswered.into_iter().filter_map(|cell| Some((cell, share(cell)?))).collect()
    }

    /// Share of requests unanswered of those of `peers` that aren't `here`, and that are answered best.
    fn unanswered_share(&self, peers: &[usize], here: &HashSet<usize>) -> f64 {
        let told =
            peers.iter().filter(|cell| !here.contains(cell)).filter_map(|cell| self.by_cell.get(*cell));
        let mut told: Vec<Counts> = told.filter(|told| told.attempts > 0.0).copied().collect();
        told.sort_by(|a, b| a.unanswered_share().total_cmp(&b.unanswered_share()));
        let best = (told.len() as f64 * ANSWERED_BEST).ceil() as usize;
        let mut sum = Counts::default();
        told.iter().take(best).for_each(|told| sum.add(*told));
        sum.unanswered_share()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use tidewatch_records::Role;

    use super::*;
    use crate::input::cell::{Data, Flow, Handshakes, Reach, RoundTrips, Subject};
    use crate::input::names::{Id, Names};

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
            client_namespace: None,
        };
        let data = Data { segments: 1_000, retransmissions: lost, timeouts: 0 };
        Cell { flow, data, handshakes: Handshakes::default(), round_trips: RoundTrips::default() }
    }

    /// The factor by which each series does worse elsewhere. Of each 1,000 segments one was expected to be lost.
    fn elsewhere(cells: &[Cell], here: &[usize]) -> Vec<f64> {
        let cells: Vec<&Cell> = cells.iter().collect();
        let told = |cell: usize| {
            let observed = cells.get(cell).unwrap().data.retransmissions as f64;
            Counts { observed, expected: 1.0, ..Counts::default() }
        };
        Peers::of(&cells).totals(told).elsewhere(here).iter().map(|elsewhere| elsewhere.times).collect()
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
