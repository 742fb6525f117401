//! Round trips that take longer than usual. What the network adds, it adds to every trip, the quickest among them; a node
//! short of CPU, a full queue at one end or a slow process lengthens many trips, even the median, and leaves the quickest
//! nearly as they were. So it is the quickest of a window that is judged, and the median has to agree.
//!
//! The rise that round trips within a node show isn't the network's, since they cross none: it is subtracted from the rise
//! of the node's trips to others. So is the rise that even the quietest third of all flows shows.

use std::collections::{BTreeMap, HashSet};

use crate::evidence::effect_size::least_delay;
use crate::evidence::hypothesis::{Column, Hypothesis};
use crate::evidence::likelihood::{HYPOTHESES, LOSSES, Ratios};
use crate::evidence::source::{EvidenceSource, SILENT};
use crate::evidence::{background, likelihood};
use crate::input::cell::{Cell, Flow};
use crate::input::names::Id;
use crate::input::topology::Topology;
use crate::learned::baseline::{Baselines, UsualTrips};
use crate::learned::node_pressure::Shortages;
use crate::verdict::{Class, Evidence};

/// Microseconds that a path may add, in the places of [`LOSSES`].
const ADDED_US: [f64; LOSSES.len()] = [1e3, 1.5e3, 2.2e3, 3.3e3, 5e3, 8e3, 16e3, 40e3, 150e3];
/// Half a step of [`ADDED_US`], as a logarithm, and a margin.
const GRID_STEP: f64 = 0.5;
/// Factors by which a workload or an outside path may slow round trips, in the places of the handshake columns.
const FACTORS: [f64; HYPOTHESES - LOSSES.len()] = [5.0, 2.0];

/// Share of a component's flows that need not show the delay: what is added on the way is added to all of them, but a
/// window of few trips tells little.
const UNAFFECTED: f64 = 0.15;
/// The others show at least this share of what the middle one shows. A busy end lengthens some trips a lot and some hardly.
const ALIKE: f64 = 0.5;
/// Share of that which flows elsewhere may show: what everybody suffers is nobody's fault.
const ELSEWHERE: f64 = 0.5;
/// Flows elsewhere that it takes to compare a path with them.
const ENOUGH_ELSEWHERE: usize = 3;

/// Round trips of one window against those learned.
#[derive(Debug)]
pub(crate) struct Delays<'a> {
    cells: &'a [&'a Cell],
    rises: Vec<Option<Rise>>,
    short: Vec<bool>,
}

/// A cell's quickest round trip against what is expected of it.
#[derive(Debug, Clone, Copy)]
struct Rise {
    usual_us: f64,
    /// Time that both the quickest and the median gained.
    added_us: f64,
    /// ln((usual + added) / usual); nothing where it is too little to matter.
    above: f64,
    spread: f64,
}

/// A cell's round trips, and what they are used to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    quickest_us: f64,
    median_us: f64,
    usual: UsualTrips,
}

/// Time added to round trips, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Added {
    quickest_us: f64,
    median_us: f64,
}

impl Sample {
    pub(crate) fn of(cell: &Cell, baselines: &Baselines) -> Option<Self> {
        let usual = baselines.usual_trips(&cell.flow)?;
        let median_us = cell.round_trips.p50_us().filter(|rtt| *rtt > 0.0)?;
        let quickest_us = cell.round_trips.quickest_us().unwrap_or(median_us).min(median_us);
        Some(Self { quickest_us, median_us, usual })
    }

    /// True if both the quickest and the median round trip are slower than usual.
    pub(crate) fn is_slower(&self) -> bool {
        let added = self.added();
        added.quickest_us > 0.0 && added.median_us > 0.0
    }

    fn added(&self) -> Added {
        Added {
            quickest_us: self.quickest_us - self.usual.quickest_us,
            median_us: self.median_us - self.usual.median_us,
        }
    }

    /// The rise that is left without what isn't the way's.
    fn rise(&self, not_its: Added) -> Rise {
        let added = self.added();
        let less = |added: f64, off: f64| if added > 0.0 { (added - off.max(0.0)).max(0.0) } else { added };
        let added_us =
            less(added.quickest_us, not_its.quickest_us).min(less(added.median_us, not_its.median_us));
        Rise::new(self.usual.quickest_us, added_us, self.usual.spread)
    }
}

/// Round trips of several cells, told as those of the one in the middle.
#[derive(Debug, Default)]
pub(crate) struct Trips {
    quickest: Vec<f64>,
    usual_quickest: Vec<f64>,
    median: Vec<f64>,
    usual_median: Vec<f64>,
}

impl Trips {
    pub(crate) fn add(&mut self, sample: &Sample) {
        self.quickest.push(sample.quickest_us);
        self.usual_quickest.push(sample.usual.quickest_us);
        self.median.push(sample.median_us);
        self.usual_median.push(sample.usual.median_us);
    }

    pub(crate) fn tell(&self, evidence: &mut Evidence) {
        let middle = |us: &Vec<f64>| (!us.is_empty()).then(|| quantile(us.clone(), 0.5).round() as u64);
        evidence.rtt_min_us = middle(&self.quickest);
        evidence.baseline_rtt_min_us = middle(&self.usual_quickest);
        evidence.rtt_p50_us = middle(&self.median);
        evidence.baseline_rtt_p50_us = middle(&self.usual_median);
    }
}

impl Rise {
    fn new(usual_us: f64, added_us: f64, spread: f64) -> Self {
        let added_us = added_us.max(-0.9 * usual_us);
        let above = (1.0 + added_us / usual_us).ln();
        let least = least_delay(Class::Infrastructure);
        let matters = added_us >= least.added_us && usual_us + added_us >= least.factor * usual_us;
        Self { usual_us, added_us, above: if matters { above } else { above.min(0.0) }, spread }
    }
}

impl<'a> Delays<'a> {
    pub(crate) fn new(
        cells: &'a [&'a Cell],
        baselines: &Baselines,
        silent: &[bool],
        shortages: &Shortages,
    ) -> Self {
        let samples: Vec<Option<Sample>> = cells
            .iter()
            .zip(silent)
            .map(|(cell, silent)| if *silent { None } else { Sample::of(cell, baselines) })
            .collect();
        let everywhere = everywhere(&samples);
        let within = Within::of(cells, &samples);
        let rises = cells.iter().zip(&samples).map(|(cell, sample)| {
            let own = within.worse_end(&cell.flow);
            Some(sample.as_ref()?.rise(Added {
                quickest_us: own.quickest_us.max(everywhere.quickest_us),
                median_us: own.median_us.max(everywhere.median_us),
            }))
        });
        let ends = |cell: &&Cell| [cell.flow.local_node, cell.flow.remote_node].into_iter().flatten();
        let is_short = |cell: &&Cell| ends(cell).any(|node| shortages.is_short(node));
        Self { cells, rises: rises.collect(), short: cells.iter().map(is_short).collect() }
    }

    /// Share of `cells` that touch a node short of CPU or memory.
    pub(crate) fn share_at_short_nodes(&self, cells: impl Iterator<Item = usize>) -> f64 {
        let (mut all, mut short) = (0_usize, 0_usize);
        for cell in cells {
            all += 1;
            short += usize::from(self.short.get(cell) == Some(&true));
        }
        short as f64 / all.max(1) as f64
    }

    fn rise(&self, cell: usize) -> Option<Rise> {
        self.rises.get(cell).copied().flatten()
    }

    /// Time added to round trips on the comparable cells that don't cross the component.
    fn elsewhere(&self, class: Class, crossing: &HashSet<usize>) -> Vec<f64> {
        let nodes: HashSet<Id> = match class {
            Class::Infrastructure => HashSet::new(),
            Class::Workload | Class::External => crossing
                .iter()
                .filter_map(|cell| self.cells.get(*cell))
                .flat_map(|cell| [cell.flow.local_node, cell.flow.remote_node])
                .flatten()
                .collect(),
        };
        let is_comparable = |flow: &Flow| match class {
            Class::Infrastructure => flow.leaves_node(),
            // Beside it on the same nodes: what these suffer too is the nodes'.
            Class::Workload | Class::External => {
                [flow.local_node, flow.remote_node].into_iter().flatten().any(|node| nodes.contains(&node))
            }
        };
        let others = self
            .cells
            .iter()
            .enumerate()
            .filter(|(number, cell)| !crossing.contains(number) && is_comparable(&cell.flow));
        others.filter_map(|(number, _)| Some(self.rise(number)?.added_us)).collect()
    }
}

/// The delay that even the quietest third of flows shows.
fn everywhere(samples: &[Option<Sample>]) -> Added {
    let of = |time: fn(Added) -> f64| {
        background::quietest(samples.iter().flatten().map(|sample| time(sample.added())).collect()).max(0.0)
    };
    Added { quickest_us: of(|added| added.quickest_us), median_us: of(|added| added.median_us) }
}

/// The delay of round trips within each node, which cross no network.
#[derive(Debug)]
struct Within(BTreeMap<Id, Added>);

impl Within {
    fn of(cells: &[&Cell], samples: &[Option<Sample>]) -> Self {
        let mut by_node: BTreeMap<Id, Vec<Added>> = BTreeMap::new();
        for (cell, sample) in cells.iter().zip(samples) {
            let stays = cell.flow.local_node.filter(|_| !cell.flow.leaves_node());
            if let (Some(node), Some(sample)) = (stays, sample) {
                by_node.entry(node).or_default().push(sample.added());
            }
        }
        let middle_of = |all: &[Added]| Added {
            quickest_us: quantile(all.iter().map(|added| added.quickest_us).collect(), 0.5).max(0.0),
            median_us: quantile(all.iter().map(|added| added.median_us).collect(), 0.5).max(0.0),
        };
        Self(by_node.into_iter().map(|(node, all)| (node, middle_of(&all))).collect())
    }

    fn worse_end(&self, flow: &Flow) -> Added {
        let at = |node: Option<Id>| node.and_then(|node| self.0.get(&node)).copied().unwrap_or_default();
        let (near, far) = (at(flow.local_node), at(flow.remote_node));
        Added {
            quickest_us: near.quickest_us.max(far.quickest_us),
            median_us: near.median_us.max(far.median_us),
        }
    }
}

/// The value that the share `q` stays below; of two in the middle the lesser.
pub(crate) fn quantile(mut values: Vec<f64>, q: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = ((values.len() - 1) as f64 * q) as usize;
    let (_, value, _) = values.select_nth_unstable_by(rank, f64::total_cmp);
    *value
}

impl EvidenceSource for Delays<'_> {
    fn ratios(&self, cell: usize) -> Ratios {
        let Some(rise) = self.rise(cell) else { return SILENT };
        let added = ADDED_US.iter().map(|added| (1.0 + added / rise.usual_us).ln());
        let mut ratios = [0.0; HYPOTHESES];
        for (ratio, tried) in ratios.iter_mut().zip(added.chain(FACTORS.iter().map(|factor| factor.ln()))) {
            *ratio = (rise.above * tried - tried * tried / 2.0) / rise.spread.powi(2);
        }
        likelihood::bounded(ratios)
    }

    fn explain(&mut self, cell: usize, column: Column) {
        if let (Some(Some(rise)), Some(added)) = (self.rises.get_mut(cell), ADDED_US.get(column.size())) {
            // The times tried are a factor of two apart: what is left within that isn't left over.
            let left = rise.above - (1.0 + added / rise.usual_us).ln();
            let left = left.signum() * (left.abs() - GRID_STEP).max(0.0);
            let usual_us = rise.usual_us + added;
            *rise = Rise::new(usual_us, usual_us * left.exp_m1(), rise.spread);
        }
    }

    fn silence(&mut self, cell: usize) {
        if let Some(rise) = self.rises.get_mut(cell) {
            *rise = None;
        }
    }

    fn power(&self, cell: usize, _column: Column) -> f64 {
        if self.rise(cell).is_some() { 1.0 } else { 0.0 }
    }

    fn is_substantial(&self, _class: Class, _column: Column) -> bool {
        true
    }

    fn is_known(&self, cell: usize, _column: Column) -> bool {
        self.rise(cell).is_some()
    }

    /// Nearly all that crosses the component shows a delay that matters, all of it about the same, and what doesn't cross
    /// it shows much less. Round trips of a workload at a node that is short of CPU say nothing about the workload.
    fn bears_out(&self, hypothesis: &Hypothesis, topology: &Topology) -> bool {
        let class = hypothesis.component.class();
        let counts = |cell: &usize| class == Class::Infrastructure || self.short.get(*cell) == Some(&false);
        let crossing: HashSet<usize> = hypothesis.members_of_both(topology).collect();
        let guilty: Vec<Rise> =
            hypothesis.members(topology).filter(counts).filter_map(|cell| self.rise(cell)).collect();
        if guilty.is_empty() {
            return false;
        }
        let shows = |q| quantile(guilty.iter().map(|rise| rise.added_us).collect(), q);
        let (middle, least_of_most) = (shows(0.5), shows(UNAFFECTED));
        let usual = quantile(guilty.iter().map(|rise| rise.usual_us).collect(), 0.5);
        let least = least_delay(class);
        let matters = middle >= least.added_us && usual + middle >= least.factor * usual;
        if !matters || least_of_most < ALIKE * middle {
            return false;
        }
        let elsewhere = self.elsewhere(class, &crossing);
        let enough = if class == Class::Infrastructure { ENOUGH_ELSEWHERE } else { 1 };
        if elsewhere.len() < enough {
            // Nothing beside a workload that tells it from its node.
            return class == Class::Infrastructure;
        }
        quantile(elsewhere, 0.5) <= ELSEWHERE * middle
    }
}
