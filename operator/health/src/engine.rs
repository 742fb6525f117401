//! The engine: one evaluation window in, one verdict out, with what it remembers in between.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::decide::attribution::{attribution, indicator};
use crate::decide::confidence::confidence;
use crate::decide::limits::Limits;
use crate::decide::rare_attempts::RareAttempts;
use crate::decide::recent_traffic::{RecentTraffic, WindowTraffic};
use crate::decide::rule::Rule;
use crate::decide::severity::sort_worst_first;
use crate::decide::track::{Basis, Track, Tracks, WindowFindings};
use crate::decide::{rare_attempts, reason};
use crate::evidence::delays::Delays;
use crate::evidence::losses::Losses;
use crate::evidence::refusals::Refusals;
use crate::input::cell::Cell;
use crate::input::component::Component;
use crate::input::names::Names;
use crate::input::reduce::reduce;
use crate::input::topology::Topology;
use crate::input::window::Window;
use crate::learned::baseline::{Baselines, Expected, SeriesKey};
use crate::learned::blips;
use crate::learned::node_pressure::{NodePressure, Shortages};
use crate::locate::candidate::Thresholds;
use crate::locate::finding::{Context, EvidenceKind, Finding};
use crate::locate::localise::localise;
use crate::memory::{EngineState, Memory, RestoredState};
use crate::verdict::{
    Attribution, Cause, Class, ComponentFault, ComponentId, Coverage, Showing, Traffic, Verdict,
};

/// Names known before those that nothing refers to any more (pods long gone) are forgotten.
const MOST_NAMES: usize = 500_000;

/// Judges the windows of one cluster, in time order. Has no clock: time is what the windows say.
#[derive(Debug, Clone)]
pub struct Engine {
    config: Config,
    names: Names,
    baselines: Baselines,
    tracks: Tracks,
    nodes: NodePressure,
    recent_traffic: RecentTraffic,
    attempts: RareAttempts,
    /// The last window judged.
    last: Option<Timestamp>,
}

/// Share of a path's flows that makes it one of nodes short of CPU.
const MOSTLY: f64 = 0.5;

/// Share of a workload's failed attempts that a path has to answer for, for the workload not to.
const NEARLY_ALL: f64 = 0.8;

/// After a gap this long, and of this many windows, what was suspected before it is no longer believed.
const STALE: SignedDuration = SignedDuration::from_mins(5);
const STALE_WINDOWS: i64 = 4;

impl Engine {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            names: Names::default(),
            baselines: Baselines::default(),
            tracks: Tracks::default(),
            nodes: NodePressure::default(),
            recent_traffic: RecentTraffic::default(),
            attempts: RareAttempts::default(),
            last: None,
        }
    }

    pub fn config(&self) -> Config {
        self.config
    }

    /// The engine's baselines and suspicions, from which [`Engine::resume`] goes on after a restart.
    pub fn memory(&self) -> Memory {
        Memory::of(&EngineState {
            names: &self.names,
            baselines: &self.baselines,
            tracks: &self.tracks,
            nodes: &self.nodes,
            recent_traffic: &self.recent_traffic,
            attempts: &self.attempts,
            as_of: self.last,
        })
    }

    /// An engine that goes on where another's [`Engine::memory`] was taken.
    pub fn resume(config: Config, memory: &Memory) -> Self {
        let RestoredState { names, baselines, tracks, nodes, recent_traffic, attempts } = memory.recall();
        Self { config, names, baselines, tracks, nodes, recent_traffic, attempts, last: memory.as_of() }
    }

    /// The log-odds from which the confidence in each component at fault is computed: those of the last window that
    /// showed it. The simulator fits confidence to them.
    pub fn log_odds(&self) -> impl Iterator<Item = (ComponentId, f64)> + '_ {
        self.tracks.active().map(|track| (track.component.id(&self.names), track.score))
    }

    /// The verdict on `window`, given all the windows before it.
    pub fn evaluate(&mut self, window: &Window<'_>) -> Verdict {
        if self.names.len() > MOST_NAMES {
            *self = Self::resume(self.config, &self.memory());
        }
        let gap = STALE.max(SignedDuration::from_secs(STALE_WINDOWS * i64::from(window.seconds)));
        if self.last.is_some_and(|last| window.start.duration_since(last) > gap) {
            self.tracks.forget();
            self.attempts.forget();
        }
        self.last = Some(window.start);
        let cells = reduce(window.flows, &mut self.names);
        let cells: Vec<&Cell> = cells.iter().collect();
        let topology = Topology::build(cells.iter().copied());
        let expected = self.expected(&cells);
        let shortages = self.nodes.step(window.start, window.nodes, &self.names);
        let mut findings = self.find(window.seconds, &cells, &topology, &expected, &shortages);
        let limits = Limits::of(window.nodes, &self.names);
        findings.iter_mut().for_each(|finding| limits.explain(finding));
        // No word that its own figures contradict.
        findings.retain(|finding| finding.evidence.is_worse(finding.cause));
        self.add_rare_attempts(window, &cells, &expected, &topology, &mut findings);
        let seen: HashSet<Component> = topology.components.iter().copied().collect();
        let passing = WindowFindings {
            start: window.start,
            seconds: window.seconds,
            findings: &findings,
            paths: seen.iter().filter(|component| component.class() == Class::Infrastructure).count(),
        };
        let rule = Rule::of(self.config.sensitivity);
        self.tracks.step(passing, rule, |component| seen.contains(&component));
        self.learn(window, &cells, &topology, &findings);
        let now = passed(window, &cells, &expected);
        let (lately, enough) = self.recent_traffic.add(now);
        let passed = if now.is_nothing() {
            // A cluster in which nobody sends anything is one that nobody reports of: what passed before says nothing of now.
            (Traffic { needed: lately.needed, seconds: window.seconds, ..Traffic::default() }, false)
        } else {
            (lately, enough)
        };
        self.verdict(window, cells.len(), shortages, passed)
    }

    fn expected(&self, cells: &[&Cell]) -> Vec<Expected> {
        let mut last: Option<(SeriesKey, Expected)> = None;
        let mut expected = Vec::with_capacity(cells.len());
        for cell in cells {
            let key = SeriesKey::of(&cell.flow);
            let value = match last {
                Some((held, value)) if held == key => value,
                _ => self.baselines.expected(key),
            };
            last = Some((key, value));
            expected.push(value);
        }
        expected
    }

    /// Refusals first, since they leave no doubt; then loss and silence; then delay, where nothing else was found.
    fn find(
        &self,
        seconds: u32,
        cells: &[&Cell],
        topology: &Topology,
        expected: &[Expected],
        shortages: &Shortages,
    ) -> Vec<Finding> {
        let plain = Thresholds::at(self.config.sensitivity);
        // What says little in a short window is looked for once all that is plain is found and allowed for.
        let thresholds = [plain, plain.for_part(seconds)];
        let mut refusals = Refusals::new(cells, expected);
        let refused = localise(cells, topology, &mut refusals, &thresholds);
        let mut losses = Losses::new(cells, expected, refusals.silent(), shortages);
        let lost = localise(cells, topology, &mut losses, &thresholds);
        let everywhere = losses.everywhere();
        let mut silent = losses.silent();
        for (cell, _) in lost.iter().flat_map(|found| &found.cells) {
            if let Some(silent) = silent.get_mut(*cell) {
                *silent = true;
            }
        }
        let mut delays = Delays::new(cells, &self.baselines, &silent, shortages);
        let delayed = localise(cells, topology, &mut delays, &thresholds);
        let mut others = vec![false; cells.len()];
        let by_others = refused.iter().chain(&lost).filter(|f| f.component.class() != Class::Infrastructure);
        for (cell, _) in by_others.flat_map(|found| &found.cells) {
            if let Some(others) = others.get_mut(*cell) {
                *others = true;
            }
        }
        let baselines = &self.baselines;
        let context = Context { cells, expected, baselines, everywhere, others: &others };
        let mut findings: Vec<Finding> = Vec::new();
        for (by, found) in
            [(EvidenceKind::Refusal, refused), (EvidenceKind::Loss, lost), (EvidenceKind::Delay, delayed)]
        {
            for found in &found {
                // A component is found once; the other way of a path or a second kind of evidence adds nothing.
                if !findings.iter().any(|finding| finding.component == found.component) {
                    findings.push(Finding::of(found, by, &context));
                }
            }
        }
        for finding in findings.iter_mut().filter(|finding| finding.cause == Cause::Latency) {
            // What is short of CPU is late now and then: there, the more it adds, the rarer it is, isn't true.
            if delays.share_at_short_nodes(finding.cells.iter().copied()) > MOSTLY {
                finding.harm = finding.harm.min(blips::COMMON_LOSS);
            }
        }
        findings.retain(|finding| !self.is_of_failing_path(finding, cells, topology));
        let within: Vec<bool> =
            findings.iter().map(|finding| findings.iter().any(|other| finding.is_part_of(other))).collect();
        let mut within = within.into_iter();
        findings.retain(|_| !within.next().unwrap_or(false));
        findings
    }

    /// True if a workload's connections fail only where new connections over a path are known to fail. In a window with
    /// few attempts the path may not show the fault while its pods do.
    fn is_of_failing_path(&self, finding: &Finding, cells: &[&Cell], topology: &Topology) -> bool {
        let fails = |cause: Cause| cause.is_about_attempts() || cause == Cause::Overload;
        if finding.component.class() == Class::Infrastructure || !fails(finding.cause) {
            return false;
        }
        let paths: HashSet<Component> = self
            .tracks
            .active()
            .filter(|track| {
                track.component.class() == Class::Infrastructure && track.cause.is_about_attempts()
            })
            .map(|track| track.component)
            .collect();
        let (mut failed, mut explained) = (0_u64, 0_u64);
        for number in &finding.cells {
            let (Some(cell), Some(crossings)) = (cells.get(*number), topology.crossings.get(*number)) else {
                continue;
            };
            let unanswered = cell.handshakes.unanswered;
            failed = failed.saturating_add(unanswered);
            let crosses =
                crossings.iter().any(|half| topology.component_of(half).is_some_and(|c| paths.contains(&c)));
            explained = explained.saturating_add(if crosses { unanswered } else { 0 });
        }
        explained > 0 && explained as f64 >= NEARLY_ALL * failed as f64
    }

    /// Adds the services that clients try too rarely for one window to show that nobody is let in.
    fn add_rare_attempts(
        &mut self,
        window: &Window<'_>,
        cells: &[&Cell],
        expected: &[Expected],
        topology: &Topology,
        findings: &mut Vec<Finding>,
    ) {
        let at_fault: HashSet<Component> = self.tracks.active().map(|track| track.component).collect();
        // What one window shows of a workload may be nothing; a path answers for what fails over it.
        let shown = findings.iter().map(|finding| finding.component);
        let shown: HashSet<Component> =
            shown.filter(|component| component.class() == Class::Infrastructure).collect();
        let passing = rare_attempts::AttemptsWindow {
            start: window.start,
            seconds: window.seconds,
            cells,
            expected,
            topology,
            at_fault: &at_fault,
            shown: &shown,
            rule: Rule::of(self.config.sensitivity),
        };
        let tracks = &self.tracks;
        let rare = self.attempts.step(passing, |component| tracks.basis(component));
        // Beside windows that named it on their own, attempts add nothing.
        let is_enough = |rare: &Finding| {
            tracks.basis(rare.component) == Some(Basis::Windows)
                && findings.iter().any(|finding| finding.component == rare.component)
        };
        let rare: Vec<Finding> = rare.into_iter().filter(|rare| !is_enough(rare)).collect();
        findings.extend(rare);
    }

    /// Learns from what crosses nothing that is at fault or suspected, unless it has been so for so long that it is how
    /// things are.
    fn learn(&mut self, window: &Window<'_>, cells: &[&Cell], topology: &Topology, findings: &[Finding]) {
        let mut tainted = vec![false; cells.len()];
        let mut taint = |cell: usize| {
            if let Some(tainted) = tainted.get_mut(cell) {
                *tainted = true;
            }
        };
        let rule = Rule::of(self.config.sensitivity);
        let settled: HashSet<Component> = self.tracks.settled(window.start).collect();
        let at_fault = findings.iter().filter(|finding| !settled.contains(&finding.component));
        at_fault.flat_map(|finding| &finding.cells).copied().for_each(&mut taint);
        let suspects: HashSet<Component> = self.tracks.frozen(window.start, window.seconds, rule).collect();
        if !suspects.is_empty() {
            let guilty = |half: usize| {
                topology.component_of(half).is_some_and(|component| suspects.contains(&component))
            };
            for half in (0..topology.halves()).filter(|half| guilty(*half)) {
                topology.members(half).for_each(&mut taint);
            }
        }
        let clean = cells.iter().zip(&tainted).filter(|(_, tainted)| !**tainted).map(|(cell, _)| *cell);
        self.baselines.learn(window.start.as_second(), clean);
    }

    fn verdict(
        &self,
        window: &Window<'_>,
        flows: usize,
        shortages: Shortages,
        (traffic, enough): (Traffic, bool),
    ) -> Verdict {
        let mut components: Vec<ComponentFault> =
            self.tracks.active().map(|track| fault(track, &self.names)).collect();
        sort_worst_first(&mut components);
        let nhi = indicator(&components, enough);
        let attribution =
            if self.tracks.is_ambiguous() { Attribution::Undetermined } else { attribution(&components) };
        let told = reason::ReasonInput {
            nhi,
            attribution,
            components: &components,
            shortages: &shortages.list,
            nodes: shortages.nodes,
            traffic,
        };
        Verdict {
            window_start: window.start,
            window_seconds: window.seconds,
            nhi,
            attribution,
            reason: reason::sentence(&told),
            components,
            shortages: shortages.list,
            coverage: Coverage { records: window.flows.len() as u64, flows: flows as u64 },
            traffic,
        }
    }
}

/// The traffic that would have shown a fault.
fn passed(window: &Window<'_>, cells: &[&Cell], expected: &[Expected]) -> WindowTraffic {
    let (mut segments, mut attempts, mut benign) = (0_u64, 0_u64, 0.0);
    for (cell, expected) in cells.iter().zip(expected) {
        segments = segments.saturating_add(cell.data.segments);
        attempts = attempts.saturating_add(cell.handshakes.decided());
        benign += cell.data.segments as f64 * expected.ratio;
    }
    WindowTraffic { start: window.start, seconds: window.seconds, segments, attempts, benign }
}

fn fault(track: &Track, names: &Names) -> ComponentFault {
    ComponentFault {
        component: track.component.id(names),
        class: track.component.class(),
        cause: track.cause,
        since: track.since,
        // Two that can't be told apart share what is certain.
        confidence: confidence(track.component.class(), track.score)
            / if track.rival.is_some() { 2.0 } else { 1.0 },
        showing: if track.is_passing() { Showing::Passing } else { Showing::Now },
        evidence: track.evidence,
    }
}
