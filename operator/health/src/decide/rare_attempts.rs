//! Connection attempts of the last minutes, service by service.
//!
//! Clients that try rarely (a pool that tries once a minute, a few clients with a long back-off) make too few attempts in
//! one window to show that a port is blocked. So the attempts that failed are kept for [`horizon`] and judged together,
//! until the first one that succeeds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidewatch_records::Role;

use crate::decide::rule::Rule;
use crate::decide::track::Basis;
use crate::evidence::likelihood;
use crate::input::cell::Cell;
use crate::input::component::Component;
use crate::input::names::Id;
use crate::input::topology::Topology;
use crate::input::window::{horizon, slot};
use crate::learned::baseline::Expected;
use crate::locate::candidate::Penalties;
use crate::locate::finding::Finding;
use crate::verdict::{Cause, Class, Evidence};

/// Failed attempts that it takes, whatever each of them says.
const LEAST: u64 = 3;
/// Flows of one service whose attempts failed in one window that are kept. Where there are more, the window alone shows it.
const MOST_A_WINDOW: usize = 16;
/// Flows with failed attempts that are kept in all.
const MOST: usize = 20_000;
/// Data segments that must arrive over a path within the horizon to show that it isn't at fault.
const DELIVERED: u64 = 20;
/// Services that must fail over a path, and endpoints that must dial, for the path to be suspected instead of them.
const SERVICES_OF_A_PATH: usize = 2;
const DIALLERS_OF_A_PATH: usize = 2;

/// Failed attempts of the last minutes, and when connections were last opened over each path.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RareAttempts {
    failed: Vec<Failed>,
    answered: Vec<(Component, Timestamp)>,
    /// Data segments that arrived in each window over the nodes, zones and zone pairs over which attempts failed.
    delivered: Vec<(Component, Timestamp, u64)>,
}

/// Failed connection attempts of one flow in one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Failed {
    start: Timestamp,
    /// The service or the remote that was dialled.
    served: Component,
    /// The client and the server.
    ends: (Id, Id),
    /// The other components on the way.
    crosses: Vec<Component>,
    refused: u64,
    /// An attempt that waits counts in each window in which it waits.
    unanswered: u64,
    /// Different attempts: one that waits for several windows counts once.
    attempts: u64,
    /// Log-odds for nobody being let in against attempts failing as rarely as they usually do.
    score: f64,
}

/// The window that passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttemptsWindow<'a> {
    pub(crate) start: Timestamp,
    pub(crate) seconds: u32,
    pub(crate) cells: &'a [&'a Cell],
    pub(crate) expected: &'a [Expected],
    pub(crate) topology: &'a Topology,
    /// Components that are at fault: they answer for what fails over them.
    pub(crate) at_fault: &'a HashSet<Component>,
    /// Infrastructure that this window alone shows to be: it may answer for what fails over it.
    pub(crate) shown: &'a HashSet<Component>,
    pub(crate) rule: Rule,
}

/// The attempts of one flow in this window, and the components on its way.
#[derive(Debug)]
struct Flow<'a> {
    number: usize,
    cell: &'a Cell,
    served: Component,
    crosses: Vec<Component>,
}

impl RareAttempts {
    /// After a gap, attempts before it say nothing of now.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn renumbered(&self, number: &mut impl FnMut(Id) -> Id) -> Self {
        let mut attempts = self.clone();
        for failed in &mut attempts.failed {
            failed.served = failed.served.renumbered(number);
            failed.ends = (number(failed.ends.0), number(failed.ends.1));
            failed.crosses = failed.crosses.iter().map(|component| component.renumbered(number)).collect();
        }
        for (component, _) in &mut attempts.answered {
            *component = component.renumbered(number);
        }
        for (component, _, _) in &mut attempts.delivered {
            *component = component.renumbered(number);
        }
        attempts
    }

    /// One window passes. Returns the services and remotes of which every attempt of the last minutes failed; `basis`
    /// tells on what a component is at fault already.
    pub(crate) fn step(
        &mut self,
        window: AttemptsWindow<'_>,
        basis: impl Fn(Component) -> Option<Basis>,
    ) -> Vec<Finding> {
        let flows: Vec<Flow<'_>> = flows(&window).collect();
        self.take(&window, &flows);
        let suspected = self.suspected_paths();
        // What one window says against a path may be nothing: it doesn't clear a service that several minutes named.
        let is_explained = |failed: &Failed| {
            let is_named = basis(failed.served) == Some(Basis::Attempts);
            failed.crosses.iter().any(|way| {
                window.at_fault.contains(way)
                    || suspected.contains(way)
                    || (!is_named && window.shown.contains(way))
            })
        };
        let mut by_served: BTreeMap<Component, Vec<&Failed>> = BTreeMap::new();
        for failed in self.failed.iter().filter(|failed| !is_explained(failed)) {
            by_served.entry(failed.served).or_default().push(failed);
        }
        let penalties = Penalties::of(window.topology);
        let mut findings = Vec::new();
        for (served, all) in by_served {
            let tried = all.iter().any(|failed| failed.start == window.start);
            let enough = tried && shows(&all, window.rule, window.seconds, penalties.of_component(served));
            // A fault that was named by its attempts lasts while nobody tries.
            if enough || basis(served) == Some(Basis::Attempts) {
                let cells = flows.iter().filter(|flow| flow.served == served).map(|flow| flow.number);
                let mut finding = finding(served, &all, cells.collect(), &window, &penalties);
                finding.evidence.untested_path = self.may_be_a_path(&all);
                findings.push(finding);
            }
        }
        findings
    }

    /// Takes the attempts of a window in; forgets those that lie too far back, and those that failed before one that didn't.
    fn take(&mut self, window: &AttemptsWindow<'_>, flows: &[Flow<'_>]) {
        let oldest = window.start.saturating_sub(horizon(window.seconds)).unwrap_or(Timestamp::MIN);
        let is_kept = |start: Timestamp| start > oldest && start < window.start;
        let mut let_in: HashSet<Component> = HashSet::new();
        let mut answered: BTreeMap<Component, Timestamp> =
            self.answered.drain(..).filter(|(_, start)| is_kept(*start)).collect();
        for flow in flows.iter().filter(|flow| flow.cell.handshakes.established > 0) {
            let_in.insert(flow.served);
            let paths = flow.crosses.iter().copied().filter(is_path);
            answered.extend(paths.map(|path| (path, window.start)));
        }
        self.answered = answered.into_iter().collect();
        self.failed.retain(|failed| is_kept(failed.start) && !let_in.contains(&failed.served));
        let mut kept: HashMap<Component, usize> = HashMap::new();
        for flow in flows.iter().filter(|flow| !let_in.contains(&flow.served)) {
            let kept = kept.entry(flow.served).or_default();
            if *kept < MOST_A_WINDOW {
                *kept += 1;
                self.failed.extend(Failed::of(flow, window));
            }
        }
        let surplus = self.failed.len().saturating_sub(MOST);
        self.failed.drain(..surplus);
        self.take_delivered(window, is_kept);
    }

    /// Takes in what arrived over the paths over which attempts failed.
    fn take_delivered(&mut self, window: &AttemptsWindow<'_>, is_kept: impl Fn(Timestamp) -> bool) {
        let watched: HashSet<Component> =
            self.failed.iter().flat_map(|failed| failed.crosses.iter().copied().filter(is_path)).collect();
        self.delivered.retain(|(way, start, _)| is_kept(*start) && watched.contains(way));
        if watched.is_empty() {
            return;
        }
        let mut now: BTreeMap<Component, u64> = BTreeMap::new();
        for (cell, crossings) in window.cells.iter().zip(&window.topology.crossings) {
            let arrived = cell.data.segments.saturating_sub(cell.data.retransmissions);
            let crossed = crossings.iter().filter_map(|half| window.topology.component_of(half));
            for way in crossed.filter(|way| arrived > 0 && watched.contains(way)) {
                let sum = now.entry(way).or_default();
                *sum = sum.saturating_add(arrived);
            }
        }
        self.delivered.extend(now.into_iter().map(|(way, arrived)| (way, window.start, arrived)));
    }

    /// True if a node, zone or zone pair that all these attempts crossed may as well be at fault: since the first of
    /// them, nobody was answered over it and hardly any data arrived.
    fn may_be_a_path(&self, all: &[&Failed]) -> bool {
        let Some((first, others)) = all.split_first() else { return false };
        let since = all.iter().map(|failed| failed.start).min().unwrap_or(first.start);
        let was_answered = |way: Component| self.answered.iter().any(|(of, at)| *of == way && *at >= since);
        let delivered = |way: Component| {
            let windows = self.delivered.iter().filter(|(of, at, _)| *of == way && *at >= since);
            windows.map(|(_, _, arrived)| *arrived).fold(0, u64::saturating_add)
        };
        // Who refuses was reached.
        all.iter().all(|failed| failed.refused == 0)
            && first.crosses.iter().copied().filter(is_path).any(|way| {
                others.iter().all(|failed| failed.crosses.contains(&way))
                    && !was_answered(way)
                    && delivered(way) < DELIVERED
            })
    }

    /// Nodes, zones and zone pairs over which attempts of several services and of several diallers failed, and none has
    /// succeeded since.
    fn suspected_paths(&self) -> HashSet<Component> {
        let mut paths: BTreeMap<Component, (Timestamp, BTreeSet<Component>, BTreeSet<Id>)> = BTreeMap::new();
        for failed in &self.failed {
            for way in failed.crosses.iter().copied().filter(is_path) {
                let (first, services, diallers) =
                    paths.entry(way).or_insert_with(|| (failed.start, BTreeSet::new(), BTreeSet::new()));
                *first = failed.start.min(*first);
                services.insert(failed.served);
                diallers.insert(failed.ends.0);
            }
        }
        let answered: BTreeMap<Component, Timestamp> = self.answered.iter().copied().collect();
        let is_suspected =
            |way: &Component, first: Timestamp| answered.get(way).is_none_or(|answered| *answered < first);
        paths
            .into_iter()
            .filter(|(way, (first, services, diallers))| {
                services.len() >= SERVICES_OF_A_PATH
                    && diallers.len() >= DIALLERS_OF_A_PATH
                    && is_suspected(way, *first)
            })
            .map(|(way, _)| way)
            .collect()
    }
}

fn is_path(way: &Component) -> bool {
    way.class() == Class::Infrastructure
}

/// The flows of this window on which connections were tried, each with whom it dials.
fn flows<'a>(window: &AttemptsWindow<'a>) -> impl Iterator<Item = Flow<'a>> {
    let topology = window.topology;
    let tried = window
        .cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| cell.flow.role == Role::Client && cell.handshakes.decided() > 0);
    tried.filter_map(move |(number, cell)| {
        let halves = topology.crossings.get(number)?.iter();
        let (mut served, mut crosses) = (None, Vec::new());
        for component in halves.filter_map(|half| topology.component_of(half)) {
            match component {
                Component::Service(_) | Component::Aws(_) | Component::Address(_) => served = Some(component),
                other => crosses.push(other),
            }
        }
        Some(Flow { number, cell, served: served?, crosses })
    })
}

impl Failed {
    /// None where nothing says that anybody ever answered there.
    fn of(flow: &Flow<'_>, window: &AttemptsWindow<'_>) -> Option<Self> {
        let expected = window.expected.get(flow.number)?;
        // A Service says that it is served. What somebody dials outside may never have been there.
        if flow.served.class() == Class::External && !expected.answers {
            return None;
        }
        let handshakes = flow.cell.handshakes;
        let attempts = handshakes.decided().saturating_sub(handshakes.waiting);
        Some(Self {
            start: window.start,
            served: flow.served,
            ends: (flow.cell.flow.local, flow.cell.flow.remote),
            crosses: flow.crosses.clone(),
            refused: handshakes.refused,
            unanswered: handshakes.unanswered,
            attempts,
            score: likelihood::nobody_is_let_in(handshakes, expected),
        })
    }

    fn count(&self) -> u64 {
        self.refused.saturating_add(self.unanswered)
    }
}

/// True if the failed attempts are enough to name the service: at least [`LEAST`] of them, spread over as many slots as
/// any fault must show in, and too many to be chance.
fn shows(all: &[&Failed], rule: Rule, seconds: u32, penalty: f64) -> bool {
    let count: u64 = all.iter().map(|failed| failed.count()).fold(0, u64::saturating_add);
    let score: f64 = all.iter().map(|failed| failed.score).sum();
    count >= LEAST
        && slots(all, seconds) >= rule.shows()
        && score - penalty >= rule.threshold(Class::Workload)
}

/// Slots apart in which attempts failed.
fn slots(all: &[&Failed], seconds: u32) -> u32 {
    let starts: BTreeSet<Timestamp> = all.iter().map(|failed| failed.start).collect();
    let (mut slots, mut last) = (0, None);
    for start in starts {
        if last.is_none_or(|last: Timestamp| start.duration_since(last) >= slot(seconds)) {
            slots += 1;
            last = Some(start);
        }
    }
    slots
}

fn finding(
    served: Component,
    all: &[&Failed],
    cells: Vec<usize>,
    window: &AttemptsWindow<'_>,
    penalties: &Penalties,
) -> Finding {
    let sum = |of: fn(&Failed) -> u64| all.iter().map(|failed| of(failed)).fold(0, u64::saturating_add);
    let (refused, unanswered) = (sum(|failed| failed.refused), sum(|failed| failed.unanswered));
    let first = all.iter().map(|failed| failed.start).min().unwrap_or(window.start);
    let span = window.start.duration_since(first).as_secs();
    let flows = all.iter().map(|failed| failed.ends).collect::<BTreeSet<_>>().len() as u64;
    // One that waited since before the first window that is kept.
    let attempts = sum(|failed| failed.attempts).max(1);
    let cause = if refused > unanswered { Cause::Refused } else { Cause::Unreachable };
    Finding {
        component: served,
        cause,
        score: all.iter().map(|failed| failed.score).sum::<f64>() - penalties.of_component(served),
        harm: f64::INFINITY,
        surely_more: f64::INFINITY,
        evidence: Evidence {
            flows,
            flows_affected: flows,
            services_affected: 1,
            attempts,
            attempts_failed: if cause == Cause::Refused { refused.min(attempts) } else { attempts },
            attempts_seconds: u32::try_from(span).ok().map(|span| span.saturating_add(window.seconds)),
            ..Evidence::default()
        },
        rival: None,
        cells,
    }
}
