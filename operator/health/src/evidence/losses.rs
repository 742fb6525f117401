//! Retransmissions and unanswered connection requests as evidence.

use std::collections::HashSet;

use crate::evidence::background::{self, LateRequests};
use crate::evidence::hypothesis::{Column, Directions};
use crate::evidence::likelihood;
use crate::evidence::likelihood::{LOSSES, Null, Ratios};
use crate::evidence::peers::{Counts, Elsewhere};
use crate::evidence::refusals::is_served;
use crate::evidence::source::{EvidenceSource, SILENT};
use crate::input::cell::{Cell, Handshakes};
use crate::input::component::Component;
use crate::input::names::Id;
use crate::learned::baseline::Expected;
use crate::learned::node_pressure::Shortages;
use crate::verdict::Class;

/// The least loss that a workload is blamed for, of those that are tried: services burst. And an outside path.
const WORKLOAD_LOSS: f64 = 0.015;
const EXTERNAL_LOSS: f64 = 0.008;
/// Retransmissions that a short flow may have within that.
const STRAY_RETRANSMISSIONS: f64 = 4.0;
/// Retransmissions more than usual by which a flow shows a loss.
const SHOWING_RETRANSMISSIONS: f64 = 2.0;

/// Share of refused requests from which nothing else is concluded from a flow.
const MOSTLY_REFUSED: f64 = 0.5;

fn is_mostly_refused(cell: &Cell) -> bool {
    let decided = cell.handshakes.decided();
    decided > 0 && cell.handshakes.refused as f64 >= MOSTLY_REFUSED * decided as f64
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
    /// Cells whose connection requests say nothing, or nothing more.
    deaf: Vec<bool>,
    /// Loss of each cell that components found so far explain.
    explained: Vec<f64>,
    /// Loss that its two nodes make themselves, which have no CPU in time: acknowledgements come late, and what had arrived
    /// is sent again.
    own: Vec<f64>,
    /// Nodes that say that they turned packets away, since a limit of theirs was reached.
    turning_away: HashSet<Id>,
}

/// Log-odds for a node being at fault that reports packets turned away. What its flows have to show is that they are hurt.
const TURNS_AWAY: f64 = 4.0;

/// Retransmission ratio that is put down to a node's own shortage of CPU, on top of the retransmissions that its peers'
/// DSACKs show to be needless. With both cores busy and nothing lost, 0.007% of segments were left in the lab; this
/// value leaves room for peers that send no DSACK.
const SHORT_LOSS: f64 = 0.001;
/// Times as much that a fault must be, to single a component out by.
const MORE_THAN_OWN: f64 = 1.5;

/// Loss of a path from which what is left over counts only where it is plain. Heavy loss is uneven: by luck, by how long
/// flows are, by what TCP does with it.
const HEAVY_LOSS: f64 = 0.01;
/// Times as much as is explained that is far beyond it.
const FAR_BEYOND: f64 = 2.0;
/// Share of unanswered requests that is, beside the explained one.
const FAR_BEYOND_UNANSWERED: f64 = 0.15;
/// The loss found is one of those that are tried: what the cells suffer may be this much less or more.
const WITHIN_GRID: f64 = 2.0;

impl<'a> Losses<'a> {
    pub(crate) fn new(
        cells: &'a [&'a Cell],
        expected: &'a [Expected],
        mut silent: Vec<bool>,
        shortages: &Shortages,
        turning_away: HashSet<Id>,
    ) -> Self {
        let everywhere = background::cluster_excess(cells, expected);
        let within = background::node_excess(cells, expected);
        let at_ends = |cell: &Cell, of: &dyn Fn(Id) -> f64| {
            [cell.flow.local_node, cell.flow.remote_node].into_iter().flatten().map(of).fold(0.0, f64::max)
        };
        let nodes_own = |cell: &Cell| {
            let short = |node: Id| if shortages.is_short(node) { SHORT_LOSS } else { 0.0 };
            at_ends(cell, &|node| within.get(&node).copied().unwrap_or(0.0).max(short(node)))
        };
        let late = LateRequests::of(cells);
        let late_at = |node: Id| late.within.get(&node).copied().unwrap_or(0.0);
        let own: Vec<f64> = cells.iter().map(|cell| nodes_own(cell)).collect();
        let nulls = expected
            .iter()
            .zip(&own)
            .zip(cells)
            .map(|((expected, own), cell)| {
                let null = Null::healthy(expected, everywhere.max(*own));
                // A node that turns packets away does so within itself as well.
                let at = |node: Id| if turning_away.contains(&node) { 0.0 } else { late_at(node) };
                Null { request_lost: null.request_lost.max(late.everywhere).max(at_ends(cell, &at)), ..null }
            })
            .collect();
        for (silent, cell) in silent.iter_mut().zip(cells) {
            // Whom nobody lets in has little to lose, and it isn't the path that loses it.
            *silent |= is_mostly_refused(cell);
        }
        let deaf = cells.iter().zip(expected).map(|(cell, expected)| !is_served(cell, expected)).collect();
        Self {
            cells,
            expected,
            nulls,
            everywhere,
            silent,
            deaf,
            explained: vec![0.0; cells.len()],
            own,
            turning_away,
        }
    }

    /// The cell, without its connection requests where they say nothing.
    fn heard(&self, number: usize, cell: &Cell) -> Cell {
        let is_deaf = self.deaf.get(number).copied().unwrap_or(false);
        Cell { handshakes: if is_deaf { Handshakes::default() } else { cell.handshakes }, ..*cell }
    }

    fn explain_loss(&mut self, cell: usize, loss: f64) {
        if let Some(null) = self.nulls.get_mut(cell) {
            *null = null.with_loss(loss);
        }
        if let Some(explained) = self.explained.get_mut(cell) {
            *explained += loss;
        }
    }

    fn request_counts(&self, number: usize, cell: &Cell) -> Counts {
        let requests = self.heard(number, cell).handshakes;
        let lost = requests.lost_before_answer();
        Counts {
            attempts: requests.decided().saturating_add(lost) as f64,
            unanswered: requests.unanswered.saturating_add(lost) as f64,
            ..Counts::default()
        }
    }

    pub(crate) fn everywhere(&self) -> f64 {
        self.everywhere
    }

    pub(crate) fn silent(self) -> Vec<bool> {
        self.silent
    }
}

impl EvidenceSource for Losses<'_> {
    fn ratios(&self, cell: usize) -> Ratios {
        self.ratios_if(cell, Elsewhere::as_usual())
    }

    fn counts(&self, number: usize) -> Counts {
        match (self.cells.get(number), self.nulls.get(number), self.silent.get(number)) {
            (Some(cell), Some(null), Some(false)) => {
                if self.explained.get(number).is_some_and(|loss| *loss > 0.0) {
                    // What a component at fault does to it drowns what its service does.
                    return self.request_counts(number, cell);
                }
                let expected = cell.data.segments as f64 * null.ratio;
                // What is worse than services are without being blamed for it isn't a bad minute, but somebody's fault.
                let most = STRAY_RETRANSMISSIONS + WORKLOAD_LOSS * cell.data.segments as f64;
                let observed = (cell.data.retransmissions as f64).min(most);
                Counts { observed, expected, ..self.request_counts(number, cell) }
            }
            _ => Counts::default(),
        }
    }

    fn ratios_if(&self, number: usize, elsewhere: Elsewhere) -> Ratios {
        let mut ratios = match (self.cells.get(number), self.nulls.get(number), self.silent.get(number)) {
            (Some(cell), Some(null), Some(false)) => {
                let null = Null {
                    ratio: (null.ratio * elsewhere.times).min(0.5),
                    unanswered: null.unanswered.max(elsewhere.unanswered).min(0.95),
                    request_lost: null.request_lost.max(elsewhere.unanswered).min(0.95),
                    ..*null
                };
                likelihood::ratios(&self.heard(number, cell), &null)
            }
            _ => return SILENT,
        };
        let own = MORE_THAN_OWN * self.own.get(number).copied().unwrap_or(0.0);
        let least = self.everywhere.max(own);
        for (ratio, _) in ratios.iter_mut().zip(LOSSES).filter(|(_, loss)| *loss < least) {
            *ratio = ratio.min(0.0);
        }
        ratios
    }

    fn prior(&self, component: Component) -> f64 {
        match component {
            Component::Node(node) if self.turning_away.contains(&node) => TURNS_AWAY,
            _ => 0.0,
        }
    }

    fn explain(&mut self, cell: usize, column: Column) {
        if column.is_handshake() {
            if let Some(deaf) = self.deaf.get_mut(cell) {
                *deaf = true;
            }
        } else {
            self.explain_loss(cell, column.amount());
        }
    }

    fn explain_all(&mut self, cells: &[usize], column: Column) {
        if column.is_handshake() {
            cells.iter().for_each(|cell| self.explain(*cell, column));
            return;
        }
        let (mut sent, mut lost) = (0.0, 0.0);
        for (cell, null) in
            cells.iter().filter_map(|cell| Some((self.cells.get(*cell)?, self.nulls.get(*cell)?)))
        {
            sent += cell.data.segments as f64;
            lost += cell.data.retransmissions as f64 - cell.data.segments as f64 * null.ratio;
        }
        let tried = column.amount();
        let loss =
            if sent > 0.0 { (lost / sent).clamp(tried / WITHIN_GRID, tried * WITHIN_GRID) } else { tried };
        cells.iter().for_each(|cell| self.explain_loss(*cell, loss.min(0.9)));
    }

    fn is_heavily_explained(&self, cell: usize) -> bool {
        self.explained.get(cell).is_some_and(|loss| *loss >= HEAVY_LOSS)
    }

    fn is_far_beyond(&self, cells: &[usize], column: Column) -> bool {
        let (mut sent, mut lost, mut expected) = (0.0, 0.0, 0.0);
        let (mut attempts, mut unanswered, mut unanswered_expected) = (0.0, 0.0, 0.0);
        for number in cells {
            let (Some(cell), Some(null)) = (self.cells.get(*number), self.nulls.get(*number)) else {
                continue;
            };
            let requests = self.heard(*number, cell).handshakes;
            sent += cell.data.segments as f64;
            lost += cell.data.retransmissions as f64;
            expected += cell.data.segments as f64 * null.ratio;
            attempts += requests.decided() as f64;
            unanswered += requests.unanswered as f64;
            unanswered_expected += requests.decided() as f64 * null.unanswered;
        }
        if column.is_handshake() {
            unanswered >= FAR_BEYOND * unanswered_expected + FAR_BEYOND_UNANSWERED * attempts
        } else {
            sent > 0.0 && lost >= FAR_BEYOND * expected
        }
    }

    fn silence(&mut self, cell: usize) {
        if let Some(silent) = self.silent.get_mut(cell) {
            *silent = true;
        }
    }

    fn power(&self, cell: usize, column: Column) -> f64 {
        let Some(cell) = self.cells.get(cell) else { return 0.0 };
        if column.is_handshake() {
            return cell.handshakes.decided() as f64 * column.amount();
        }
        cell.data.segments as f64 * column.amount() / SHOWING_RETRANSMISSIONS
    }

    /// A pod whose own requests fail is told apart from one that can't be reached. Both at once is not a fault that a
    /// pod can have.
    fn is_possible(&self, component: Component, column: Column, ways: Directions) -> bool {
        !matches!(component, Component::Pod(_)) || !column.is_handshake() || ways != Directions::Both
    }

    fn is_substantial(&self, class: Class, column: Column) -> bool {
        let least = if class == Class::External { EXTERNAL_LOSS } else { WORKLOAD_LOSS };
        column.is_handshake() || column.amount() >= least
    }

    fn is_known(&self, cell: usize, column: Column) -> bool {
        column.is_handshake() || self.expected.get(cell).is_some_and(|expected| expected.known)
    }
}
